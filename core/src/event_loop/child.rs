//! The end of a child process.
//!
//! # What holds
//!
//! * A child is reaped once, and no other with it: by its pidfd, without a handler of SIGCHLD. One that ended before the call is told like any other.
//! * The callback is called once, with how the child ended; or with an error if somebody else has reaped it. From the moment that it is decided to reap, the id is stale: a
//!   [`cancel`](Handle::cancel_child) that is answered with success leaves the child to its caller.
//! * A loop that is freed reaps nothing any more; a child that ends then is its parent's to reap.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    mem,
    os::fd::{AsFd, AsRawFd},
    pin::Pin,
    task::{Context, Poll},
};

pub use super::kernel::ExitStatus;
use super::{
    Handle, On,
    kernel::{self, Look},
    news::{Listener, channel},
    watch::{Interest, WatchOptions},
};
use crate::{
    error::{Refused, Result},
    job,
};

/// Names a wait for a child: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChildId(pub u64);

pub(super) const KIND: &str = "child";

impl Handle {
    /// Reaps the child of this process with this id when it ends, and calls `f` with how it did.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a number below 1; [`Error::Os`](crate::Error::Os): ESRCH if there is no such process (any more), ECHILD if it is not this
    /// process's child, EMFILE; [`Error::Unsupported`](crate::Error::Unsupported) on a kernel without pidfds; [`Error::Closed`](crate::Error::Closed),
    /// [`Error::Forked`](crate::Error::Forked). `f` gets ECHILD when the child was reaped by somebody else.
    pub fn child<F>(&self, pid: i32, on: On, f: F) -> Result<ChildId, Refused<F>>
    where
        F: FnOnce(Result<ExitStatus>) + Send + 'static,
    {
        let pidfd = match self.check_open().and_then(|()| kernel::pidfd(pid)) {
            Ok(pidfd) => pidfd,
            Err(error) => return Err(Refused::new(error, f)),
        };
        self.child_source(pidfd, pid, on, f, move |f, pidfd, look| {
            let reaped = |seen| Ok(kernel::exited(Some(pidfd.as_fd()), pid, Look::Reap)?.unwrap_or(seen));
            f(look.and_then(reaped));
        })
    }

    /// Calls `f` when the child that this is a pidfd of has ended, with how, or with an error if somebody else has reaped it. It is left to be
    /// reaped by `f`: until that, neither its number nor its group's can be another's.
    ///
    /// # Errors
    /// As [`Handle::child`].
    pub(crate) fn child_ended<P, F>(&self, pidfd: P, pid: i32, on: On, f: F) -> Result<ChildId, Refused<F>>
    where
        P: AsFd + Send + 'static,
        F: FnOnce(Result<ExitStatus>) + Send + 'static,
    {
        self.child_source(pidfd, pid, on, f, |f, _, look| f(look))
    }

    /// Calls `end` once, when the child has ended and nobody can cancel that any more.
    fn child_source<P, F, E>(&self, pidfd: P, pid: i32, on: On, f: F, end: E) -> Result<ChildId, Refused<F>>
    where
        P: AsFd + Send + 'static,
        F: Send + 'static,
        E: FnOnce(F, &P, Result<ExitStatus>) + Send + 'static,
    {
        // Told at once if it has ended already, and once more if it ends.
        let options = WatchOptions { edge: true, on, ..WatchOptions::new(Interest::READ) };
        let fd = pidfd.as_fd().as_raw_fd();
        self.source(KIND, fd, options, f, move |f| {
            let mut once = Some((f, end));
            Box::new(move |shared, id, _| {
                let look = kernel::exited(Some(pidfd.as_fd()), pid, Look::Peek);
                // Who takes it out of the table reaps it; a cancel that was faster has left the child to its caller.
                if look == Ok(None) || !shared.watches.end(id) {
                    return;
                }
                if let (Some((f, end)), Some(look)) = (once.take(), look.transpose()) {
                    job::caught(KIND, || end(f, &pidfd, look));
                }
                shared.wake_if_idle();
            })
        })
        .map(ChildId)
    }

    /// Ends the wait for a child, which is then the caller's to reap: the callback is dropped.
    ///
    /// # Errors
    /// [`Error::Stale`](crate::Error::Stale) if the child has been reaped (the callback has begun), or the wait was cancelled.
    pub fn cancel_child(&self, id: ChildId) -> Result<()> {
        self.cancel_source(KIND, id.0)
    }
}

/// Ends with a child; made by [`exited`].
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub struct Exited {
    event_loop: Handle,
    pid: i32,
    child: Option<(ChildId, Listener<Result<ExitStatus>>)>,
}

/// Waits until the child ends, reaps it and answers how it ended. Dropped before that it leaves the child to its caller. Awaited it
/// answers what [`Handle::child`] answers.
pub fn exited(event_loop: &Handle, pid: i32) -> Exited {
    Exited { event_loop: event_loop.clone(), pid, child: None }
}

impl Future for Exited {
    type Output = Result<ExitStatus>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<ExitStatus>> {
        let this = &mut *self;
        if this.child.is_none() {
            let (teller, listener) = channel();
            // Set before the wait, which may end at once.
            let _ = listener.poll(cx);
            let id = this.event_loop.child(this.pid, On::Loop, move |status| {
                teller.tell(status);
            })?;
            this.child = Some((id, listener));
            return Poll::Pending;
        }
        match &this.child {
            Some((_, listener)) => listener.poll(cx).map(|told| told?),
            None => Poll::Pending,
        }
    }
}

impl Drop for Exited {
    fn drop(&mut self) {
        if let Some((id, _)) = mem::take(&mut self.child) {
            // Stale when it has ended.
            let _ = self.event_loop.cancel_child(id);
        }
    }
}
