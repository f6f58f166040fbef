//! Services in processes with an event loop of their own: a program that enters itself once more, see
//! [`Workers`](crate::supervisor::Workers).
//!
//! # What holds
//!
//! * A run is ready when its entry says so, or has begun: also where the service is ready at once, which then has
//!   [`Ready::WITHIN`] for it. So an entry that is not there is a start that failed.
//! * All else is as for a [`Process`].

#![forbid(unsafe_code)]

use std::{env, sync::Arc};

use super::{
    super::{
        service::{Args, Ready, Service},
        worker::about::{self, About, micros},
    },
    Executor, Running, Start,
    process::{Command, Process, output::Output},
};
use crate::error::{Error, Result};

/// Runs an entry of a program's [`Workers`](crate::supervisor::Workers), each run in a process of its own.
#[derive(Debug, Clone)]
pub struct AsyncProcess {
    entry: String,
    process: Process,
}

impl AsyncProcess {
    /// The entry of this name of this very program, which must call [`Workers::run_if_asked`](crate::supervisor::Workers::run_if_asked) at
    /// the start of its `main`. It has no arguments.
    pub fn new(entry: impl Into<String>) -> Arc<Self> {
        Self::of(entry, Self::this_program())
    }

    /// This very program, without arguments, for [`AsyncProcess::of`]: so that it can be given an environment, limits, and what else a
    /// command has.
    pub fn this_program() -> Command {
        let command = Command::new("/proc/self/exe");
        match env::args_os().next() {
            Some(name) => command.arg0(name),
            None => command,
        }
    }

    /// The entry of this name of another program.
    pub fn of(entry: impl Into<String>, command: Command) -> Arc<Self> {
        Arc::new(Self { entry: entry.into(), process: Process::new(command) })
    }

    /// The same, and this is done with what it writes.
    pub fn output(&self, output: Output) -> Arc<Self> {
        let Self { entry, mut process } = self.clone();
        process.output = output;
        Arc::new(Self { entry, process })
    }
}

/// What a worker is told of its run.
pub(super) fn about(start: &Start<'_>) -> Result<About> {
    let Start { service, path, id, run, args, .. } = start;
    let args = match args {
        Args::None => None,
        Args::Strings(strings) => Some(strings.clone()),
        Args::Value(_) => {
            return Err(Error::Invalid(format!("{path}: a process can be given text only, not a value of this one")));
        }
    };
    Ok(About {
        name: Some(service.id.clone()),
        id: id.0,
        path: Some((*path).to_owned()),
        run: *run,
        ready: match service.ready {
            Ready::AtOnce => None,
            Ready::Notify(within) => Some(micros(within)),
        },
        watchdog: service.watchdog.map(micros),
        liveness: service.liveness.map(micros),
        args,
    })
}

impl Executor for AsyncProcess {
    fn name(&self) -> &'static str {
        "async process"
    }

    fn check(&self, service: &Service) -> Result<()> {
        if self.entry.is_empty() || self.entry.contains('\0') {
            let entry = &self.entry;
            return Err(Error::Invalid(format!("{entry:?} is no name of an entry: it needs a character, and no NUL")));
        }
        self.process.check(service)
    }

    fn ready(&self, service: &Service) -> Ready {
        match service.ready {
            Ready::AtOnce => Ready::Notify(Ready::WITHIN),
            ready @ Ready::Notify(_) => ready,
        }
    }

    fn beats(&self) -> bool {
        true
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let about = about(&start)?;
        let env = vec![(about::SERVICE, self.entry.as_str().into()), (about::RUN, about.to_json()?.into())];
        // What it is given is told there.
        self.process.clone().told(env, &[about::PID]).start(Start { args: &Args::None, ..start })
    }
}
