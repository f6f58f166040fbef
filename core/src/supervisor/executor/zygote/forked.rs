//! The executor of a zygote's workers.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Zygote,
    birth::{Birth, State},
    wire,
};
use crate::{
    error::{Error, Result},
    supervisor::{
        event::Because,
        executor::{
            Executor, Running, Start, Stopped, async_process,
            process::{
                Command, OnObserver,
                output::Output,
                run::{Ears, Run},
            },
        },
        service::{Args, Ready, Service},
        worker::about,
    },
};

/// Runs what a payload says in a worker of a zygote, each run in a process of its own.
///
/// A run is ready when its worker says so: also where the service is ready at once, which then has [`Ready::WITHIN`] for it. So what cannot
/// be loaded is a start that failed.
///
/// What `start_child_with` gives: text is told to the worker with the rest of its run; a value that is a `Vec<u8>` is the payload of that child.
#[derive(Clone)]
pub struct Forked {
    zygote: Arc<Zygote>,
    payload: Arc<Mutex<Payload>>,
    command: Command,
    output: Output,
    async_process: bool,
    on_observer: Option<OnObserver>,
}

/// Handed over as a file, once for all runs.
enum Payload {
    Bytes(Vec<u8>),
    File(Arc<OwnedFd>),
}

impl fmt::Debug for Forked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zygote, command, output, async_process, .. } = self;
        let mut debug = f.debug_struct("Forked");
        debug.field("zygote", zygote).field("command", command).field("output", output);
        debug.field("async_process", async_process).finish_non_exhaustive()
    }
}

impl Forked {
    /// What this payload says, by a worker of this zygote, with its output written as that of any process.
    pub fn new(zygote: &Arc<Zygote>, payload: Vec<u8>) -> Self {
        Self {
            zygote: zygote.clone(),
            payload: Arc::new(Mutex::new(Payload::Bytes(payload))),
            command: Command::new(NO_PROGRAM),
            output: Output::default(),
            async_process: false,
            on_observer: None,
        }
    }

    /// With this environment, identity and directory, these limits and descriptors; its program and its arguments are of no use here.
    #[must_use]
    pub fn command(self, command: Command) -> Self {
        Self { command: Command { program: NO_PROGRAM.into(), arg0: None, args: Vec::new(), ..command }, ..self }
    }

    /// This is done with what it writes.
    #[must_use]
    pub fn output(self, output: Output) -> Self {
        Self { output, ..self }
    }

    /// Its workers have an event loop, and beat for the service's liveness.
    #[must_use]
    pub fn async_process(self) -> Self {
        Self { async_process: true, ..self }
    }

    /// Has observers in its workers handed over, instead of to the host.
    #[must_use]
    pub fn on_observer(self, hand_over: OnObserver) -> Self {
        Self { on_observer: Some(hand_over), ..self }
    }

    fn payload(&self) -> Result<Arc<OwnedFd>> {
        let mut payload = self.payload.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &*payload {
            Payload::File(file) => return Ok(file.clone()),
            Payload::Bytes(bytes) => Arc::new(wire::memory(PAYLOAD, bytes, true)?),
        };
        *payload = Payload::File(file.clone());
        Ok(file)
    }
}

/// Stands where a command has a program.
const NO_PROGRAM: &str = "worker";
/// What the system shows of the file.
const PAYLOAD: &str = "coop-payload";

impl Executor for Forked {
    fn name(&self) -> &'static str {
        if self.async_process { "async process" } else { "process" }
    }

    fn check(&self, _: &Service) -> Result<()> {
        self.zygote.validate()?;
        self.command.validate()?;
        self.output.validate()
    }

    fn ready(&self, service: &Service) -> Ready {
        match service.ready {
            Ready::AtOnce => Ready::Notify(Ready::WITHIN),
            ready @ Ready::Notify(_) => ready,
        }
    }

    fn beats(&self) -> bool {
        self.async_process
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let (args, payload) = match start.args {
            Args::Value(value) => match value.downcast_ref::<Vec<u8>>() {
                Some(bytes) => (&Args::None, Arc::new(wire::memory(PAYLOAD, bytes, true)?)),
                None => {
                    let path = start.path;
                    return Err(Error::Invalid(format!(
                        "{path}: a worker can be given text or a payload, not a value of this process"
                    )));
                }
            },
            args => (args, self.payload()?),
        };
        let start = Start { args, ..start };
        let about = async_process::about(&start)?;
        let env = vec![(about::SERVICE, start.service.id.clone().into()), (about::RUN, about.to_json()?.into())];
        let report = Arc::new(wire::memory("coop-report", &[], false)?);
        let ears = Ears {
            output: &self.output,
            notify: true,
            uid: self.command.uid,
            on_observer: self.on_observer.clone(),
            details: Some(report.clone()),
        };
        let (run, writers) = Run::new(&start, ears)?;
        let nest = self.zygote.nest(start.event_loop)?;
        // What cannot be run at all is told by the start itself.
        nest.live()?;
        let birth = Arc::new(Birth {
            nest: nest.clone(),
            run,
            command: self.command.clone(),
            path: start.path.to_owned(),
            service: start.service.clone(),
            env,
            pid_env: vec![about::PID],
            payload,
            report,
            state: Mutex::new(State::new(writers)),
        });
        nest.add(birth.clone());
        Ok(Box::new(One(birth)))
    }
}

/// A run, as its supervisor holds it.
#[derive(Debug)]
struct One(Arc<Birth>);

impl Running for One {
    fn ask(&mut self) {
        self.0.ask();
    }

    fn kill(&mut self, because: Because) -> Stopped {
        self.0.kill(because)
    }

    fn pid(&self) -> Option<i32> {
        self.0.pid()
    }
}

impl Drop for One {
    fn drop(&mut self) {
        // In a forked child a lock may be held for ever.
        if self.0.nest.is_forked() {
            return;
        }
        self.0.kill(Because::Asked);
    }
}
