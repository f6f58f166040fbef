//! Services that are processes: a program of its own, in a process group of its own, that ends with its host.
//!
//! # What holds
//!
//! * The host's thread makes each child, and is what the child dies with: it has to outlive them.
//! * A child that does not get as far as its program is a start that failed, with the step, the path and the reason.
//! * Before the end of a child is told, its group has been killed, it has been reaped, and all that it wrote and sent has been told.
//! * A child that says with what error it ends (`X_COOP_FAILED`), and then exits with another status than 0, has ended by that.
//! * Asked to stop, its group gets its stop signal; ended, SIGKILL. Dropped, it is ended.
//!
//! # Where things are
//!
//! `command.rs` what is run, `plan.rs` that made ready for the system, `spawn.rs` the creation of a process, `failure.rs` why there is
//! none, `child.rs` its signals and its end, `run.rs` what hears it until then, `output.rs` what it writes, `notify.rs` what it says of itself, `listen.rs` the sockets that it serves.

pub(super) mod child;
mod command;
mod failure;
mod listen;
mod notify;
pub mod output;
pub(super) mod plan;
pub(super) mod run;
#[allow(unsafe_code)]
mod spawn;

#[cfg(all(test, not(loom)))]
mod test;

use std::{ffi::OsString, fmt, os::fd::OwnedFd, sync::Arc};

pub use self::command::{Command, Descriptor, Limit, Resource};
use self::{
    child::Child,
    output::Output,
    plan::Plan,
    run::{Ears, Run},
};
use super::{
    super::{
        event::Because,
        service::{Args, Service, ServiceId},
    },
    Executor, Running, Start, Stopped,
};
use crate::error::{Error, Result};

/// Called on the host's thread with an observer in a child: the service, which events it wants as JSON, and where to tell them.
pub type OnObserver = Arc<dyn Fn(ServiceId, String, OwnedFd) + Send + Sync>;

/// Runs a service as a process.
#[derive(Clone)]
pub struct Process {
    /// What is run.
    pub command: Command,
    /// What is done with what it writes.
    pub output: Output,
    /// It has a notification socket even if nobody waits for its READY or its beats.
    pub notify: bool,
    on_observer: Option<OnObserver>,
    /// What its environment says beside; with the process's id as their value, the second ones.
    env: Vec<(&'static str, OsString)>,
    pid_env: Vec<&'static str>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, output, notify, .. } = self;
        f.debug_struct("Process").field("command", command).field("output", output).field("notify", notify).finish()
    }
}

impl Process {
    /// Runs this command, with its output written to this process's error output, each line after the service's name.
    pub fn new(command: Command) -> Self {
        let (output, env, pid_env) = (Output::default(), Vec::new(), Vec::new());
        Self { command, output, notify: false, on_observer: None, env, pid_env }
    }

    /// Has its environment say this too, the second ones with the process's id; and has a notification socket.
    #[must_use]
    pub(super) fn told(mut self, env: Vec<(&'static str, OsString)>, pid_env: &[&'static str]) -> Self {
        (self.env, self.pid_env, self.notify) = (env, pid_env.to_vec(), true);
        self
    }

    /// Has observers in its children handed over, instead of to the host.
    #[must_use]
    pub fn on_observer(mut self, hand_over: OnObserver) -> Self {
        (self.on_observer, self.notify) = (Some(hand_over), true);
        self
    }
}

impl Executor for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn check(&self, _: &Service) -> Result<()> {
        self.command.validate()?;
        self.output.validate()
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let Start { service, args, event_loop, .. } = start;
        let command = match args {
            Args::None => self.command.clone(),
            Args::Strings(more) => self.command.clone().args(more),
            Args::Value(_) => return Err(Error::Invalid("a process is given text, not a value of this one's".into())),
        };
        let ears = Ears {
            output: &self.output,
            notify: self.notify,
            uid: command.uid,
            on_observer: self.on_observer.clone(),
            details: None,
        };
        let (run, writers) = Run::new(&start, ears)?;
        let mut extras = run.say(service, &writers);
        extras.env.extend(self.env.iter().cloned());
        extras.pid_env.extend(&self.pid_env);
        let mut plan = Plan::new(&command, &extras)?;
        let its = run.clone();
        let child = Child::start(&mut plan, event_loop, Box::new(move |how| its.ended(how)))?;
        if let Err(error) = run.begin(child.pid(), writers) {
            // Nobody could hear it: it ends without a word.
            child.refuse();
            return Err(error);
        }
        Ok(Box::new(One { child, stop_signal: command.stop_signal }))
    }
}

/// A child, as its supervisor holds it.
#[derive(Debug)]
struct One {
    child: Arc<Child>,
    stop_signal: i32,
}

impl Running for One {
    fn ask(&mut self) {
        self.child.ask(self.stop_signal);
    }

    fn kill(&mut self, because: Because) -> Stopped {
        self.child.end_since(because)
    }

    fn pid(&self) -> Option<i32> {
        Some(self.child.pid())
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.child.kill();
    }
}
