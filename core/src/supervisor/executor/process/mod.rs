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
//! none, `child.rs` its signals and its end, `output.rs` what it writes, `notify.rs` what it says of itself, `listen.rs` the sockets that it serves.

mod child;
mod command;
mod failure;
mod listen;
mod notify;
pub mod output;
mod plan;
#[allow(unsafe_code)]
mod spawn;

#[cfg(all(test, not(loom)))]
mod test;

use std::{
    ffi::OsString,
    fmt,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

pub use self::command::{Command, Descriptor, Limit, Resource};
use self::{
    child::Child,
    notify::{Notice, Notify},
    output::{Capture, Output, Stream, Writers},
    plan::{Extras, Plan},
};
use super::{
    super::{
        Supervisor,
        event::{Because, DETAILS, Ended, cut},
        service::{Args, Ready, Service, ServiceId},
    },
    Executor, Report, Reporter, Running, Start, Stopped,
};
use crate::{
    error::{Error, Result},
    event_loop::ExitStatus,
};

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

/// What the environment says of a child's watchdog and its notification socket.
fn say<'a>(service: &Service, notify: Option<&Notify>, writers: &'a Writers) -> Extras<'a> {
    let (stdout, stderr) = (writers.of(Stream::Stdout), writers.of(Stream::Stderr));
    let mut extras = Extras { stdout, stderr, ..Extras::default() };
    if let Some(notify) = notify {
        extras.env.push(("NOTIFY_SOCKET", notify.address()));
        if let Some(every) = service.watchdog {
            extras.env.push(("WATCHDOG_USEC", every.as_micros().to_string().into()));
            extras.pid_env.push("WATCHDOG_PID");
        }
    }
    extras
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
        let Start { service, id, path, args, event_loop, supervisor, reporter, .. } = start;
        let command = match args {
            Args::None => self.command.clone(),
            Args::Strings(more) => self.command.clone().args(more),
            Args::Value(_) => return Err(Error::Invalid("a process is given text, not a value of this one's".into())),
        };
        let (capture, writers) = Capture::new(&self.output, path, event_loop)?;
        // Below a host, also for observers in it and in what it starts.
        let notifies =
            self.notify || supervisor.is_some() || service.ready != Ready::AtOnce || service.watchdog.is_some();
        let failed = Failed::default();
        let notify = notifies.then(|| {
            let hears = Hears {
                id,
                reporter: reporter.clone(),
                failed: failed.clone(),
                on_observer: self.on_observer.clone().or_else(|| to_host(supervisor?, path)),
            };
            Notify::new(path, command.uid, event_loop, move |notice| hears.tell(notice))
        });
        let run = Arc::new(Run { capture, notify: notify.transpose()?, reporter, failed, details: None });
        let mut extras = say(service, run.notify.as_ref(), &writers);
        extras.env.extend(self.env.iter().cloned());
        extras.pid_env.extend(&self.pid_env);
        let mut plan = Plan::new(&command, &extras)?;
        let its = run.clone();
        let child = Child::start(&mut plan, event_loop, Box::new(move |how| its.ended(how)))?;
        let begun = run.capture.begin(child.pid(), writers);
        if let Err(error) = begun.and_then(|()| run.notify.as_ref().map_or(Ok(()), Notify::begin)) {
            // Nobody could hear it: it ends without a word.
            child.refuse();
            return Err(error);
        }
        Ok(Box::new(One { child, stop_signal: command.stop_signal, aborted: false }))
    }
}

/// What hears a run until its end.
#[derive(Debug)]
struct Run {
    capture: Capture,
    notify: Option<Notify>,
    reporter: Reporter,
    failed: Failed,
    /// What its process writes details of its end to.
    details: Option<OwnedFd>,
}

/// The error that a process says that it ends with.
type Failed = Arc<Mutex<Option<String>>>;

impl Run {
    /// Reaped, and its group gone: what it sent, what it wrote, and that.
    fn ended(&self, how: Result<ExitStatus>) {
        if let Some(notify) = &self.notify {
            notify.finish();
        }
        let tail = self.capture.finish();
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let how = match (how, failed) {
            (Ok(ExitStatus { signal: Some(signal), core_dumped, .. }), _) => Ended::Signaled { signal, core_dumped },
            (Ok(ExitStatus { code: Some(1..), .. }), Some(failed)) => Ended::Failed(failed),
            (Ok(ExitStatus { code, .. }), _) => Ended::Exited(code.unwrap_or(0)),
            (Err(error), _) => Ended::Lost(error.to_string()),
        };
        let details = self.details.as_ref().and_then(details);
        self.reporter.tell(Report::Ended { how, tail, details });
    }
}

/// The first part of what was written there.
fn details(written: &OwnedFd) -> Option<String> {
    let mut bytes = Vec::new();
    // Whoever wrote it has moved the position.
    let mut read = 0;
    let mut piece = [0; 4096];
    while bytes.len() < DETAILS {
        let count = rustix::io::pread(written, &mut piece, read).ok().filter(|count| *count > 0);
        let Some(count) = count else { break };
        read += count as u64;
        bytes.extend_from_slice(&piece[..count]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = cut(&text, DETAILS).trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Hands observers over to the host.
fn to_host(supervisor: &Supervisor, path: &str) -> Option<OnObserver> {
    let (host, path) = (Arc::downgrade(&supervisor.shared), path.to_owned());
    Some(Arc::new(move |_, request, socket| {
        if let Some(host) = host.upgrade() {
            host.hub.serve(&host.journal, &path, &request, socket);
        }
    }))
}

/// What becomes of a notice.
struct Hears {
    id: ServiceId,
    reporter: Reporter,
    failed: Failed,
    on_observer: Option<OnObserver>,
}

impl Hears {
    fn tell(&self, notice: Notice) {
        match notice {
            Notice::Ready => self.reporter.tell(Report::Ready),
            Notice::Alive => self.reporter.tell(Report::Alive),
            Notice::Ignore => self.reporter.tell(Report::Ignore),
            Notice::Beat => self.reporter.tell(Report::Beat),
            Notice::Extend(time) => self.reporter.tell(Report::Extend(time)),
            Notice::Status(text) => self.reporter.tell(Report::Status(text)),
            Notice::Errno(errno) => {
                let text = std::io::Error::from_raw_os_error(errno);
                self.reporter.tell(Report::Status(format!("{text} (errno {errno})")));
            }
            Notice::Failed(text) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).replace(text);
            }
            Notice::Trigger => self.reporter.tell(Report::Trigger),
            Notice::Watchdog(every) => self.reporter.tell(Report::Watchdog(every)),
            Notice::Observe { filter, to } => {
                if let Some(hand_over) = &self.on_observer {
                    hand_over(self.id, filter, to);
                }
            }
            // Nothing depends on it.
            Notice::Stopping | Notice::Reloading => {}
        }
    }
}

/// A child, as its supervisor holds it.
#[derive(Debug)]
struct One {
    child: Arc<Child>,
    stop_signal: i32,
    aborted: bool,
}

impl Running for One {
    fn ask(&mut self) {
        self.child.ask(self.stop_signal);
    }

    fn kill(&mut self, because: Because) -> Stopped {
        // What hangs is worth a look at, as systemd thinks too: it dumps its stack, if it can, or its core, if it may.
        if matches!(because, Because::Watchdog | Because::Liveness) && !std::mem::replace(&mut self.aborted, true) {
            self.child.ask(libc::SIGABRT);
            return Stopped::Dumps;
        }
        self.child.kill();
        Stopped::Ends
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
