//! A child process from its creation to its reaping: signals to its group, and its end.
//!
//! # What holds
//!
//! * A child leads a process group of its own. What is left of the group when the child ends is killed *before* the child is reaped: until
//!   then the number is the child's, so no signal of ours meets another process, and nothing of the group outlives it.
//! * The end is told once, on the loop's thread, after that; also when the loop is freed first, which ends the child.
//! * Without a pidfd (an old kernel, a sandbox) a thread waits for the child, and posts to the loop.
//!
//! Where SIGCHLD is ignored the system reaps children by itself: then how they ended is lost, and their group is signalled by
//! pidfd only (Linux 6.9) once they have.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::{Pid, Signal};

use super::{
    plan::Plan,
    spawn::{self, Spawned},
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{ExitStatus, Handle, Look, On, look_at_child, pidfd},
    fork::ForkGuard,
    job,
    supervisor::{event::Because, executor::Stopped},
    thread,
};

/// How it ended, or why that is not known; told once.
pub(in super::super) type Told = Box<dyn FnOnce(Result<ExitStatus>) + Send>;

/// See the module's text.
pub(in super::super) struct Child {
    pid: i32,
    pidfd: Option<Arc<OwnedFd>>,
    /// Its number may be another's from now on.
    gone: Mutex<bool>,
    /// Nothing could wait for it: it is ended without a word.
    refused: AtomicBool,
    /// It was told to end with a dump of its state.
    aborted: AtomicBool,
    fork: ForkGuard,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Child {
    /// Makes it, on the calling thread, which must outlive it; `told` is called on the loop's thread.
    ///
    /// # Errors
    /// What [`Plan`] and the system refuse; [`Error::Closed`], [`Error::Forked`]. Then there is no child, and `told` is not called.
    pub(in super::super) fn start(plan: &mut Plan, event_loop: &Handle, told: Told) -> Result<Arc<Self>> {
        // Before anything is made that would have to be ended again.
        if event_loop.is_stopped() {
            return Err(Error::Closed("event loop"));
        }
        let Spawned { pid, pidfd } = spawn::spawn(plan)?;
        Self::begin(pid, pidfd, event_loop, told)
    }

    /// Takes over a child of this process that somebody else has made, and that nobody else waits for. It is to lead a group of its own, if not now
    /// then before it makes processes.
    ///
    /// # Errors
    /// ECHILD as [`Error::Os`] for a number that is no child's, and then nothing was done to it; as [`Child::start`], and then it was ended.
    pub(in super::super) fn adopt(pid: i32, event_loop: &Handle, told: Told) -> Result<Arc<Self>> {
        if event_loop.is_stopped() {
            return Err(Error::Closed("event loop"));
        }
        let pidfd = match pidfd(pid) {
            Ok(pidfd) => Some(pidfd),
            // A child nevertheless: it must not get lost where no descriptor is left either.
            Err(Error::Unsupported(_) | Error::Os { errno: libc::EMFILE | libc::ENFILE | libc::ENOMEM, .. }) => {
                look_at_child(None, pid, Look::Peek).map(|_| None)?
            }
            Err(error) => return Err(error),
        };
        Self::begin(pid, pidfd, event_loop, told)
    }

    fn begin(pid: i32, pidfd: Option<OwnedFd>, event_loop: &Handle, told: Told) -> Result<Arc<Self>> {
        let fork = ForkGuard::new("process");
        let child = Arc::new(Self {
            pid,
            pidfd: pidfd.map(Arc::new),
            gone: Mutex::new(false),
            refused: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            fork,
        });
        let end = End { child: child.clone(), told: Some(told) };
        let refuse = || child.refused.store(true, Ordering::Relaxed);
        match &child.pidfd {
            Some(pidfd) => event_loop
                .child_ended(pidfd.clone(), pid, On::Loop, move |_| end.tell())
                .inspect_err(|_| refuse())
                .map(drop)?,
            None => wait_on_a_thread(&child, event_loop, end).inspect_err(|_| refuse())?,
        }
        Ok(child)
    }

    /// It has no place here: ended without a word.
    pub(in super::super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
        self.kill();
    }

    pub(in super::super) fn pid(&self) -> i32 {
        self.pid
    }

    fn gone(&self) -> MutexGuard<'_, bool> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends its group a signal; and one that continues it, as a stopped process would not hear the first. Nothing once it has ended.
    pub(in super::super) fn ask(&self, signal: i32) {
        // Looked at first: in a forked child the lock may be held for ever.
        if !self.fork.is_forked()
            && let gone = self.gone()
            && !*gone
        {
            self.signal_all(signal);
            if signal != libc::SIGKILL {
                self.signal_all(libc::SIGCONT);
            }
        }
    }

    /// Kills it and its group. Nothing once it has ended.
    pub(in super::super) fn kill(&self) {
        if !self.fork.is_forked()
            && let gone = self.gone()
            && !*gone
        {
            self.signal_group(libc::SIGKILL);
            // It may have joined another group of its session.
            match (&self.pidfd, Pid::from_raw(self.pid)) {
                (Some(pidfd), _) => drop(rustix::process::pidfd_send_signal(pidfd, Signal::KILL)),
                (None, Some(pid)) => drop(rustix::process::kill_process(pid, Signal::KILL)),
                (None, None) => {}
            }
        }
    }

    /// Ends it, at once or, the first time, after a look at what it does.
    pub(in super::super) fn end_since(&self, because: Because) -> Stopped {
        // What hangs is worth a look at, as systemd thinks too: it dumps its stack, if it can, or its core, if it may.
        if matches!(because, Because::Watchdog | Because::Liveness) && !self.aborted.swap(true, Ordering::Relaxed) {
            self.ask(libc::SIGABRT);
            return Stopped::Dumps;
        }
        self.kill();
        Stopped::Ends
    }

    /// Its group; the process itself, if it leads none yet.
    fn signal_all(&self, signal: i32) {
        if self.signal_group(signal) {
            return;
        }
        match &self.pidfd {
            Some(pidfd) => spawn::signal_process_of(pidfd.as_raw_fd(), signal),
            None if look_at_child(None, self.pid, Look::Peek).is_ok() => spawn::signal_process(self.pid, signal),
            None => {}
        }
    }

    /// While it has not been reaped here. False if there is no such group.
    fn signal_group(&self, signal: i32) -> bool {
        let pidfd = self.pidfd.as_ref().map(|pidfd| pidfd.as_fd());
        if let Some(pidfd) = pidfd
            && let Some(sent) = spawn::signal_group_of(pidfd.as_raw_fd(), signal)
        {
            return sent.is_ok();
        }
        // By number: it is there, dead or alive, unless the system has reaped it by itself.
        look_at_child(pidfd, self.pid, Look::Peek).is_ok() && spawn::signal_group(self.pid, signal)
    }

    /// Kills what is left of the group, then reaps the child; one that has not ended yet is killed too, and waited for.
    fn end(&self) -> Result<ExitStatus> {
        {
            let mut gone = self.gone();
            self.signal_group(libc::SIGKILL);
            *gone = true;
        }
        let pidfd = self.pidfd.as_ref().map(|pidfd| pidfd.as_fd());
        let ended = look_at_child(pidfd, self.pid, Look::AwaitAndReap)?;
        ended.ok_or_else(|| Error::Failed(format!("wait for child {}: it has ended without a status", self.pid)))
    }
}

/// The right to end and to reap a child, and the duty to tell that.
struct End {
    child: Arc<Child>,
    told: Option<Told>,
}

impl End {
    fn tell(mut self) {
        self.tell_once();
    }

    fn tell_once(&mut self) {
        if let Some(told) = self.told.take() {
            let how = self.child.end();
            if !self.child.refused.load(Ordering::Relaxed) {
                job::caught("child", || told(how));
            }
        }
    }
}

/// The loop is freed, or could not be told of the child: nobody is left who could wait for it.
impl Drop for End {
    fn drop(&mut self) {
        if self.child.fork.is_forked() {
            return std::mem::forget(self.told.take());
        }
        if self.told.is_some() {
            self.child.kill();
            self.tell_once();
        }
    }
}

/// Where there are no pidfds.
fn wait_on_a_thread(child: &Arc<Child>, event_loop: &Handle, end: End) -> Result<(), Refused<End>> {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            target: "coop",
            "this system has no pidfds, or forbids them (Linux before 5.4, a seccomp filter), or no descriptor is left: a thread waits \
             for each child process that has none"
        );
    });
    let (pid, event_loop) = (child.pid, event_loop.clone());
    // Handed over only when there is a thread to take it.
    let (sender, receiver) = std::sync::mpsc::sync_channel::<End>(1);
    let spawned = thread::spawn("coop-child", move || {
        let Ok(end) = receiver.recv() else { return };
        // An error is somebody else's reaping: told as that.
        let _ = look_at_child(None, pid, Look::Await);
        // Refused by a loop that has finished: dropped, which tells it here.
        drop(event_loop.post(move || end.tell()));
    });
    match spawned {
        Ok(_) => sender.send(end).map_err(|back| Refused::new(Error::Closed("thread"), back.0)),
        Err(error) => Err(Refused::new(error, end)),
    }
}
