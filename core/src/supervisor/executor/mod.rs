//! How a service is run: in a process, on a thread, as a coroutine of a loop.
//!
//! # What holds
//!
//! * Every call of [`Executor`] and [`Running`] comes from the host's thread, which must not be held up: they return at once, and
//!   what comes later is told to the [`Reporter`], from any thread.
//! * A run that [`Executor::start`] accepted tells [`Reporter::ended`] exactly once, also when it was told to stop; nothing comes after that.
//!   A run that was refused tells nothing.
//! * A report of a run that the host has let go of (disowned, replaced) disturbs no other.

// Not forbidden: `process/spawn.rs` makes processes.
#![deny(unsafe_code)]

pub mod async_;
#[cfg(target_os = "linux")]
pub mod async_process;
pub mod callbacks;
#[cfg(target_os = "linux")]
pub mod process;
pub mod thread;
#[cfg(target_os = "linux")]
pub mod zygote;

use std::{fmt, sync::Arc};

use super::{
    Supervisor,
    event::{Because, DETAILS, Ended, cut},
    service::{Args, Ready, Service, ServiceId},
};
use crate::{error::Result, event_loop::Handle};

/// Runs services.
pub trait Executor: fmt::Debug + Send + Sync {
    /// What it is called: "process", "thread", "async", "async process", "supervisor".
    fn name(&self) -> &'static str;

    /// Whether what it was made of can be run; asked when the service is added.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), with the value and what is allowed.
    fn check(&self, service: &Service) -> Result<()>;

    /// When a run of this service is ready.
    fn ready(&self, service: &Service) -> Ready {
        service.ready
    }

    /// Whether its runs tell [`Report::Alive`] when the service asks for liveness.
    fn beats(&self) -> bool {
        false
    }

    /// Begins a run.
    ///
    /// # Errors
    /// Why it could not: a start failure, in words.
    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>>;
}

/// What a run is told when it begins.
#[derive(Debug)]
pub struct Start<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its id.
    pub id: ServiceId,
    /// Its names from the root down, joined by `/`.
    pub path: &'a str,
    /// Which run of it, from 1.
    pub run: u64,
    /// What `start_child_with` gave it.
    pub args: &'a Args,
    /// The host's own loop, for what the executor waits for.
    pub event_loop: &'a Handle,
    /// The main loop that the host was given.
    pub main_loop: Option<&'a Handle>,
    /// The service's own supervisor; none where an executor is used without a host.
    pub supervisor: Option<&'a Supervisor>,
    /// What the run tells.
    pub reporter: Reporter,
}

/// A run, as its supervisor holds it. Dropped, it is disowned.
pub trait Running: fmt::Debug + Send {
    /// Asks it to stop. Called at most once.
    fn ask(&mut self);

    /// Ends it, as its time is over (or was none). Called again after [`Stopped::Dumps`].
    fn kill(&mut self, because: Because) -> Stopped;

    /// Its process, if it has one of its own.
    fn pid(&self) -> Option<i32> {
        None
    }
}

/// What came of [`Running::kill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It ends; its report comes.
    Ends,
    /// It was told to end with a dump of its state, which it may take its time to stop for; then it is ended.
    Dumps,
    /// It cannot be ended, and goes on until it returns; its report comes then.
    GoesOn,
}

/// What a run tells its supervisor; from any thread.
#[derive(Clone)]
pub struct Reporter {
    tell: Arc<dyn Fn(Report) + Send + Sync>,
}

/// One report of a run.
#[derive(Debug)]
pub enum Report {
    /// It can do its work.
    Ready,
    /// It makes progress.
    Beat,
    /// It runs, whether it makes progress or not: told by the library.
    Alive,
    /// It needs more time, counted from now, to get ready, to stop, or to beat again.
    Extend(std::time::Duration),
    /// It must beat at least so often from now on.
    Watchdog(std::time::Duration),
    /// It asks to be ended as one that has missed its watchdog.
    Trigger,
    /// What it does, in words.
    Status(String),
    /// Its start asked not to be run; the end follows.
    Ignore,
    /// Its process is there: told by an executor whose [`Running::pid`] did not know it at first.
    Spawned {
        /// Which.
        pid: i32,
    },
    /// It has ended.
    Ended {
        /// How.
        how: Ended,
        /// The last lines that it wrote.
        tail: Vec<String>,
        /// What it left behind to explain its end, of several lines.
        details: Option<String>,
    },
}

impl Reporter {
    /// Tells by `tell`.
    pub fn new(tell: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell) }
    }

    /// Tells it.
    pub fn tell(&self, report: Report) {
        (self.tell)(report);
    }

    /// The end, without lines. Of an error of several ones the first is how it ended, and the others are the details.
    pub fn ended(&self, how: Ended) {
        self.ended_with(how, None);
    }

    /// As [`Reporter::ended`], with these details where the error has none.
    pub fn ended_with(&self, how: Ended, explained: Option<String>) {
        let (how, details) = how.and_details();
        let explained = explained.map(|text| cut(&text, DETAILS).to_owned());
        self.tell(Report::Ended { how, tail: Vec::new(), details: details.or(explained) });
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
