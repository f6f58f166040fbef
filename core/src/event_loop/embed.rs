//! A loop inside a foreign one, which sleeps in its stead: it watches [`Handle::backend_fd`] for reading, sleeps no longer than
//! [`Handle::backend_timeout`], and runs the loop with [`RunMode::NoWait`](super::RunMode::NoWait) when either says so.
//!
//! # Invariant
//!
//! While nobody runs an embedded loop, its descriptor is readable, or about to be made so by a thread that is adding something,
//! whenever there is something to run that the last answer of `backend_timeout` did not tell. wake.rs says why no post is missed.
//! The other ways in:
//!
//! * A timer is added under the lock of the wheel. If `backend_timeout` took that lock later, its answer knows the timer; if it took
//!   it before, the adder finds its timer to be the next one (or that one is due before it) and then the announcement, which
//!   was made when the last run ended.
//! * `stop` and `interrupt` wake the loop whether it is announced or not.
//! * Watched descriptors are in the same selector: it is the system that makes it readable. A level-triggered watch is
//!   registered again after its callback, so what is still ready makes it readable again.
//! * What an interrupted turn left over is told by `backend_timeout`, and by the end of that run.

#![forbid(unsafe_code)]

use std::{os::fd::RawFd, sync::atomic::Ordering, time::Duration};

use super::{Handle, shared::Shared};
use crate::{
    error::{Error, Result},
    primitive::fence,
};

impl Handle {
    /// The selector's descriptor: readable when the loop has something to run. Level-triggered; it stays the loop's, and is closed
    /// with it. From the first call on, the loop keeps it so also while nobody runs it.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn backend_fd(&self) -> Result<RawFd> {
        let shared = &*self.shared;
        shared.fork.check()?;
        shared.embedded.store(true, Ordering::Relaxed);
        // Either the end of a run that goes on elsewhere sees the store, or what follows comes after all that the run did to
        // the flag.
        fence(Ordering::SeqCst);
        shared.leave();
        Ok(shared.backend_fd)
    }

    /// How long a foreign loop may sleep before it runs this one, unless the descriptor becomes readable: zero if something is
    /// queued or due, `None` for ever. It may be shorter than the next timer needs, as the wheel's own steps are. To be asked after
    /// each run; what would make it shorter later makes the descriptor readable instead.
    ///
    /// # Errors
    /// [`Error::Closed`] when the loop was stopped and has nothing left to run or to drop: it is to be taken out of the foreign one.
    /// [`Error::Forked`].
    pub fn backend_timeout(&self) -> Result<Option<Duration>> {
        let shared = &*self.shared;
        shared.fork.check()?;
        match (shared.gate.is_closed(), shared.has_work()) {
            (_, true) => Ok(Some(Duration::ZERO)),
            (true, false) => Err(Error::Closed("event loop")),
            (false, false) => Ok(shared.timers.next_timeout()),
        }
    }

    /// The time on the loop's clock, which timers go by: monotonic, from when the loop was made.
    pub fn now(&self) -> Duration {
        self.shared.timers.now()
    }
}

impl Shared {
    /// The end of a run: from here on the foreign loop, if there is one, sleeps in this one's stead.
    pub(super) fn leave(&self) {
        fence(Ordering::SeqCst);
        if self.embedded.load(Ordering::Relaxed) && self.posts.word().leave(|| self.has_work()) {
            self.wake();
        }
    }
}
