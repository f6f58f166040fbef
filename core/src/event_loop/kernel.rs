//! What the sources ask of the kernel beside sockets: eventfds, pidfds, and the status of one child.
//!
//! Where there is none of it (no Linux, an old kernel, a sandbox that forbids it) the answer is [`Error::Unsupported`] in words.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::Signal;

use crate::error::{Error, Result};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// The child's process id; from now on the system may give it to another process.
    pub pid: i32,
    /// What it gave to `exit`, 0 to 255; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// It left a core dump.
    pub core_dumped: bool,
}

impl ExitStatus {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(signal) = self.signal else { return write!(f, "exited with {}", self.code.unwrap_or(0)) };
        match Signal::try_from(signal) {
            Ok(named) => write!(f, "ended by {named}")?,
            Err(_) => write!(f, "ended by signal {signal}")?,
        }
        f.write_str(if self.core_dumped { ", core dumped" } else { "" })
    }
}

/// How to look at a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Without waiting; it is left as it is.
    Peek,
    /// Without waiting; it is gone after that.
    Reap,
    /// When it has ended; it is left as it is.
    Await,
    /// When it has ended; it is gone after that.
    AwaitAndReap,
}

/// Whether a read would not block now.
pub(super) fn is_readable(fd: impl AsFd) -> bool {
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(fd.as_fd(), rustix::event::PollFlags::IN)];
    let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::{
        event::{EventfdFlags, eventfd as make},
        io::Errno,
        process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
    };

    use super::*;

    /// A counter that is readable while it is not zero; one whose read takes 1, or all.
    pub(in super::super) fn eventfd(one_by_one: bool) -> Result<OwnedFd> {
        let by_ones = if one_by_one { EventfdFlags::SEMAPHORE } else { EventfdFlags::empty() };
        make(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | by_ones)
            .map_err(|errno| Error::Os { context: "make an eventfd".into(), errno: errno.raw_os_error() })
    }

    /// Raises the counter. One that is full stays readable, which is all that it says.
    pub(in super::super) fn raise(fd: impl AsFd) {
        while rustix::io::write(&fd, &1u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Takes from the counter; false if it was zero.
    pub(in super::super) fn take(fd: impl AsFd) -> bool {
        let mut count = [0; 8];
        loop {
            match rustix::io::read(&fd, &mut count) {
                Err(Errno::INTR) => {}
                got => return got == Ok(8),
            }
        }
    }

    /// A descriptor of a child of this process, readable once it has ended.
    pub(crate) fn pidfd(pid: i32) -> Result<OwnedFd> {
        let wanted = (pid > 0)
            .then(|| Pid::from_raw(pid))
            .flatten()
            .ok_or_else(|| Error::Invalid(format!("process id {pid}: allowed are numbers from 1")))?;
        let fd = pidfd_open(wanted, PidfdFlags::empty()).map_err(|errno| match errno {
            Errno::NOSYS | Errno::PERM => no_pidfd(errno),
            Errno::SRCH => Error::Os {
                context: format!(
                    "wait for process {pid}: there is none (a child that has ended is not there any more when somebody has reaped it, or SIGCHLD is ignored)"
                ),
                errno: errno.raw_os_error(),
            },
            _ => Error::Os { context: format!("wait for process {pid}"), errno: errno.raw_os_error() },
        })?;
        match exited(Some(fd.as_fd()), pid, Look::Peek) {
            // The number of a process that is there, and not a child.
            Err(Error::Os { errno, .. }) if errno == libc::ECHILD => {
                Err(Error::Os { context: format!("wait for process {pid}: it is not a child of this process"), errno })
            }
            Err(error) => Err(error),
            Ok(_) => Ok(fd),
        }
    }

    /// The child's end, if it has ended: by its pidfd, or by its number, which is its own until it is reaped.
    pub(crate) fn exited(pidfd: Option<BorrowedFd<'_>>, pid: i32, how: Look) -> Result<Option<ExitStatus>> {
        let child = match (pidfd, Pid::from_raw(pid)) {
            (Some(pidfd), _) => WaitId::PidFd(pidfd),
            (None, Some(pid)) => WaitId::Pid(pid),
            (None, None) => return Err(Error::Invalid(format!("process id {pid}: allowed are numbers from 1"))),
        };
        let how = match how {
            Look::Peek => WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
            Look::Reap => WaitIdOptions::NOHANG,
            Look::Await => WaitIdOptions::NOWAIT,
            Look::AwaitAndReap => WaitIdOptions::empty(),
        };
        let looked = loop {
            match waitid(child.clone(), WaitIdOptions::EXITED | how) {
                Err(Errno::INTR) => {}
                looked => break looked,
            }
        };
        match looked {
            Ok(None) => Ok(None),
            Ok(Some(status)) => Ok(Some(ExitStatus {
                pid,
                code: status.exit_status(),
                signal: status.terminating_signal(),
                core_dumped: status.dumped(),
            })),
            Err(errno @ (Errno::INVAL | Errno::NOSYS)) => Err(no_pidfd(errno)),
            Err(errno) => Err(Error::Os {
                context: format!(
                    "wait for child {pid}: its status is lost, somebody else has reaped it or SIGCHLD is ignored"
                ),
                errno: errno.raw_os_error(),
            }),
        }
    }

    fn no_pidfd(errno: Errno) -> Error {
        Error::Unsupported(format!(
            "waiting for a child needs pidfd_open and waitid(P_PIDFD), which this kernel (before 5.4) or a sandbox refuses: {errno}"
        ))
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::*;

    fn only_linux<T>(what: &str) -> Result<T> {
        Err(Error::Unsupported(format!("{what} need Linux")))
    }

    pub(in super::super) fn eventfd(_: bool) -> Result<OwnedFd> {
        only_linux("events and signals")
    }

    pub(in super::super) fn raise(_: impl AsFd) {}

    pub(in super::super) fn take(_: impl AsFd) -> bool {
        false
    }

    pub(crate) fn pidfd(_: i32) -> Result<OwnedFd> {
        only_linux("exits of children")
    }

    pub(crate) fn exited(_: Option<BorrowedFd<'_>>, _: i32, _: Look) -> Result<Option<ExitStatus>> {
        only_linux("exits of children")
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{eventfd, raise, take};
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{exited, pidfd};
#[cfg(target_os = "linux")]
pub(super) use linux::{eventfd, raise, take};
#[cfg(target_os = "linux")]
pub(crate) use linux::{exited, pidfd};
