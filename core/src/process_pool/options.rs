//! What a pool is made of.

#![forbid(unsafe_code)]

use std::{fmt, os::fd::RawFd, sync::Arc, time::Duration};

use crate::{
    cpu,
    error::{Error, Result},
    shm::ring,
    supervisor::{
        AsyncProcess, Command, Executor,
        executor::process::{Descriptor, output::Output},
    },
};

use super::{entry::ENTRY, manifest::NUMBER};

/// Says, in a worker's environment, which descriptor tells it of its pool.
pub(super) const VARIABLE: &str = "COOP_PROCESS_POOL";

/// Makes what runs one run of a worker, given what its process must have. Called on the host's thread for each run, and once when the
/// pool is made, to be asked whether it can be run; it must not wait.
pub type MakeExecutor = Arc<dyn Fn(&Equipment) -> Result<Arc<dyn Executor>> + Send + Sync>;

/// What the process of a worker must have.
#[derive(Debug, Clone)]
pub struct Equipment {
    /// Which worker: 0 to [`Options::workers`] - 1.
    pub index: usize,
    pub(super) descriptors: Vec<(RawFd, Descriptor)>,
}

impl Equipment {
    /// The first number that no descriptor of it has: whoever makes the executor may give the process more, from there on.
    pub fn next_descriptor(&self) -> RawFd {
        self.descriptors.iter().map(|(number, _)| number + 1).max().unwrap_or(NUMBER)
    }

    /// The command, with that: descriptors, from 3 on, and what says so in its environment.
    #[must_use]
    pub fn equip(&self, command: Command) -> Command {
        let command = command.env(VARIABLE, NUMBER.to_string());
        self.descriptors
            .iter()
            .cloned()
            .fold(command, |command, (number, descriptor)| command.descriptor(number, descriptor))
    }
}

/// See [`super::ProcessPool`].
#[derive(Clone)]
pub struct Options {
    /// What the pool is called in the events of its supervision.
    pub name: String,
    /// At most so many processes: 1 to [`Options::MOST_WORKERS`].
    pub workers: usize,
    /// All of them are started with the first call, instead of one more whenever there are more calls than workers.
    pub at_once: bool,
    /// A worker ends after so many calls, and is replaced.
    pub calls_per_worker: Option<u64>,
    /// Worker i is kept on the CPU [`cpu::placement`]`(i)`, and calls may name CPUs.
    pub pin: bool,
    /// So many calls may be queued, beside those that run; one more is refused. `None`: as many as there is memory for.
    pub max_queued: Option<usize>,
    /// What each worker is given: [`super::Worker::args`].
    pub args: Vec<u8>,
    /// Another program, with its arguments, instead of this very one: it must call [`super::run_if_asked`] as well.
    pub command: Option<Command>,
    /// Makes what runs the workers, instead of the library's own way to start this program, or `command`, again.
    pub executor: Option<MakeExecutor>,
    /// What is done with what the workers write; `None` is as for any process. Not for `executor`, which knows itself.
    pub output: Option<Output>,
    /// A worker whose process did not run for so long is replaced: one that was stopped, for instance. Needs an executor whose runs beat.
    pub liveness: Option<Duration>,
    /// How long a worker that is to stop may take.
    pub shutdown: Duration,
    /// So many calls at most lie ready in shared memory for the workers to take, a power of two, 16 to 65536; others wait in the
    /// pool's own process.
    pub slots: usize,
    /// Calls of up to so many bytes lie in their slot: a multiple of 64, 64 to 65536.
    pub inline_bytes: usize,
    /// Results on their way from one worker, a power of two, 4 KiB to 2^31: those that are longer than an eighth of it are put in blocks.
    pub ring_bytes: usize,
    /// So many bytes at most lie in blocks for calls that have not ended, but for one that is larger by itself: for those of a level and the levels above it.
    pub block_bytes: usize,
    /// So many bytes of blocks at most, on each side, are kept to be used again.
    pub kept_bytes: usize,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, workers, command, .. } = self;
        f.debug_struct("Options")
            .field("name", name)
            .field("workers", workers)
            .field("command", command)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    /// A worker for each CPU that this process may use.
    fn default() -> Self {
        Self {
            name: "process-pool".into(),
            workers: cpu::usable_count().clamp(1, Self::MOST_WORKERS),
            at_once: false,
            calls_per_worker: None,
            pin: false,
            max_queued: None,
            args: Vec::new(),
            command: None,
            executor: None,
            output: None,
            liveness: None,
            shutdown: Duration::from_secs(5),
            slots: 1024,
            inline_bytes: 1024,
            ring_bytes: 1 << 18,
            block_bytes: 256 << 20,
            kept_bytes: 64 << 20,
        }
    }
}

impl Options {
    /// More workers than any machine is sensibly asked for.
    pub const MOST_WORKERS: usize = 1024;

    /// Whether it can be.
    pub(super) fn check(&self) -> Result<()> {
        let between = |what: &str, value: usize, least: usize, most: usize, also: bool, words: &str| {
            if also && (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::Invalid(format!("{what} {value}: allowed are {words}{least} to {most}")))
        };
        between("workers", self.workers, 1, Self::MOST_WORKERS, true, "")?;
        between("slots", self.slots, 16, 65_536, self.slots.is_power_of_two(), "powers of two, ")?;
        let whole = self.inline_bytes.is_multiple_of(64);
        between("inline_bytes", self.inline_bytes, 64, 65_536, whole, "multiples of 64, ")?;
        let power = self.ring_bytes.is_power_of_two();
        between("ring_bytes", self.ring_bytes, 4096, ring::CAPACITIES.1, power, "powers of two, ")?;
        if self.calls_per_worker == Some(0) {
            return Err(Error::Invalid("calls_per_worker 0: allowed are 1 or more, and none".into()));
        }
        if self.executor.is_some() && self.command.is_some() {
            let text = "workers of a process pool are run by a command or by executors that were given, not by both";
            return Err(Error::Invalid(text.into()));
        }
        if let Some(command) = &self.command {
            command.validate()?;
        }
        self.output.as_ref().map_or(Ok(()), Output::validate)
    }

    /// What runs a worker.
    pub(super) fn executor(&self, equipment: &Equipment) -> Result<Arc<dyn Executor>> {
        if let Some(make) = &self.executor {
            return make(equipment);
        }
        let command = self.command.clone().unwrap_or_else(AsyncProcess::this_program);
        Ok(AsyncProcess::of(ENTRY, equipment.equip(command)).output(self.output.clone().unwrap_or_default()))
    }
}
