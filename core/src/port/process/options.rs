//! How the processes of a set are made.

#![forbid(unsafe_code)]

use std::{fmt, os::fd::RawFd, sync::Arc, time::Duration};

use super::{
    entry::ENTRY,
    manifest::{self, VARIABLE},
};
use crate::{
    error::{Error, Result},
    supervisor::{
        AsyncProcess, Command, Executor, Supervisor,
        executor::process::{Descriptor, output::Output},
    },
};

/// Makes what runs the worker of a port: told which port, and given what its process must have.
pub type MakeExecutor = Arc<dyn Fn(&Equipment) -> Result<Arc<dyn Executor>> + Send + Sync>;

/// What the process of a port's worker must have.
#[derive(Debug, Clone)]
pub struct Equipment {
    /// The port's place among those of its set.
    pub index: usize,
    /// Its name.
    pub port: String,
    pub(super) descriptors: Vec<(RawFd, Descriptor)>,
}

impl Equipment {
    /// The first number that no descriptor of it has: whoever makes the executor may give the process more, from there on.
    pub fn next_descriptor(&self) -> RawFd {
        self.descriptors.iter().map(|(number, _)| number + 1).max().unwrap_or(manifest::NUMBER)
    }

    /// The command, with that: descriptors, from 3 on, and what says so in its environment.
    #[must_use]
    pub fn equip(&self, command: Command) -> Command {
        let command = command.env(VARIABLE, manifest::NUMBER.to_string());
        self.descriptors
            .iter()
            .cloned()
            .fold(command, |command, (number, descriptor)| command.descriptor(number, descriptor))
    }
}

/// How ports are served in PROCESS mode; see the module's text.
#[derive(Clone)]
pub struct ProcessOptions {
    /// What the set is called in the events of its supervision, and as a child of `supervisor`; empty is "ports".
    pub name: String,
    /// Another program, with its arguments, instead of this very one: it must call
    /// [`Handlers::run_if_asked`](crate::port::Handlers::run_if_asked) as well. Its environment, limits and identity hold for each worker.
    pub command: Option<Command>,
    /// Makes what runs the workers, instead of the library's own way to start this program, or `command`, again.
    pub executor: Option<MakeExecutor>,
    /// What is done with what the workers write; `None` is as for any process.
    pub output: Option<Output>,
    /// The supervisor that the set's own becomes a temporary child of, under whatever strategy: `simple_one_for_one` fits sets that come and
    /// go. `None`: the set has a host, with a thread, of its own.
    pub supervisor: Option<Supervisor>,
    /// How long a worker may take to start its handler.
    pub ready: Duration,
    /// A worker whose process did not run for so long is replaced: one that was stopped, for instance. A handler that is busy is not.
    /// `None` does without.
    pub liveness: Option<Duration>,
    /// How long a worker that is to stop may take, where nobody says anything else.
    pub shutdown: Duration,
}

impl fmt::Debug for ProcessOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, command, liveness, .. } = self;
        f.debug_struct("ProcessOptions")
            .field("name", name)
            .field("command", command)
            .field("liveness", liveness)
            .finish_non_exhaustive()
    }
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What the set is called, unless told.
const NAME: &str = "ports";

impl ProcessOptions {
    /// This program entered again, with the defaults: 60 s to start, 2 s of liveness, 1 s to
    /// stop.
    pub const fn new() -> Self {
        Self {
            name: String::new(),
            command: None,
            executor: None,
            output: None,
            supervisor: None,
            ready: Duration::from_secs(60),
            liveness: Some(Duration::from_secs(2)),
            shutdown: Duration::from_secs(1),
        }
    }

    pub(super) fn name(&self) -> &str {
        if self.name.is_empty() { NAME } else { &self.name }
    }

    pub(in super::super) fn check(&self) -> Result<()> {
        if let Some(command) = &self.command {
            command.validate()?;
        }
        if self.executor.is_some() && self.command.is_some() {
            let text = "workers of a port set are run by a command or by executors that were given, not by both";
            return Err(Error::Invalid(text.into()));
        }
        self.output.as_ref().map_or(Ok(()), Output::validate)
    }

    /// Whether the workers' handlers are those of this very program.
    pub(in super::super) fn is_this_program(&self) -> bool {
        self.command.is_none() && self.executor.is_none()
    }

    /// What runs a port's worker.
    pub(super) fn executor(&self, equipment: &Equipment) -> Result<Arc<dyn Executor>> {
        if let Some(make) = &self.executor {
            return make(equipment);
        }
        let command = self.command.clone().unwrap_or_else(AsyncProcess::this_program);
        Ok(AsyncProcess::of(ENTRY, equipment.equip(command)).output(self.output.clone().unwrap_or_default()))
    }
}
