//! Signals: callbacks when the process gets one. Nothing handles a signal until it is asked for.
//!
//! # What holds
//!
//! * The process's handler counts and writes to an eventfd, nothing else; callbacks run on their loops, where they may do anything.
//! * Signals that come faster than callbacks run are one call that is told how many. (The system itself joins those of one number that are pending, below SIGRTMIN.)
//! * Any number of watchers, in any loops, watch one signal; each is told of each. The first replaces what the signal did before, the last one gone
//!   gives that back.
//! * A forked child does what the signal did before, until it watches it itself.
//! * The system gives a signal to any thread that has it unblocked, and the library's own threads block what is the program's: some
//!   thread of the program (usually main) must have it unblocked.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "sigaction and the handler")]
mod disposition;

use std::{
    future::poll_fn,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use super::{
    Handle, On,
    watch::{Interest, WatchOptions},
};
use crate::{
    error::{Error, Refused, Result},
    job,
};

/// Names a watcher of a signal: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalId(pub u64);

pub(super) const KIND: &str = "signal";

/// Whether some loop of this process watches a signal: then what the program says of it otherwise is not to be changed.
#[must_use]
pub fn is_watched(signum: i32) -> bool {
    disposition::is_watched(signum)
}

impl Handle {
    /// Calls `f` with the signal and how many of it have come, whenever the process gets it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that is no signal, or of one that cannot be handled apart from where it happened (SIGKILL, SIGSTOP,
    /// faults); [`Error::Os`] if the process has no descriptor left, [`Error::Unsupported`] without eventfds, [`Error::Closed`], [`Error::Forked`].
    pub fn signal<F>(&self, signum: i32, on: On, f: F) -> Result<SignalId, Refused<F>>
    where
        F: FnMut(i32, u64) + Send + 'static,
    {
        let mut subscription = match self.check_open().and_then(|()| disposition::subscribe(signum)) {
            Ok(subscription) => subscription,
            Err(error) => return Err(Refused::new(error, f)),
        };
        // The eventfd is never read: each write to it is an edge.
        let options = WatchOptions { edge: true, on, ..WatchOptions::new(Interest::READ) };
        let fd = subscription.as_raw_fd();
        self.source(KIND, fd, options, f, move |mut f| {
            Box::new(move |_, _, _| {
                let times = subscription.take();
                if times > 0 {
                    f(signum, times);
                }
            })
        })
        .map(SignalId)
    }

    /// Ends a watcher: its callback does not begin any more, and is dropped now, or when it returns if it is running. The last one of a signal gives the signal back.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already.
    pub fn cancel_signal(&self, id: SignalId) -> Result<()> {
        self.cancel_source(KIND, id.0)
    }

    /// Watches a signal for [`Signals::next`], until what is answered is dropped.
    ///
    /// # Errors
    /// Those of [`Handle::signal`].
    pub fn signals(&self, signum: i32) -> Result<Signals> {
        let state = Arc::new(Mutex::new(State::default()));
        let teller = Teller(state.clone());
        let id = self.signal(signum, On::Loop, move |_, times| teller.change(|state| state.pending += times))?;
        Ok(Signals { event_loop: self.clone(), id, state })
    }
}

#[derive(Debug, Default)]
struct State {
    pending: u64,
    gone: bool,
    waker: Option<Waker>,
}

struct Teller(Arc<Mutex<State>>);

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Teller {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.0);
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        // Foreign code, so with no lock held.
        if let Some(waker) = waker {
            job::caught("waker", || waker.wake());
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.change(|state| state.gone = true);
    }
}

/// A signal that is watched; made by [`Handle::signals`].
#[derive(Debug)]
pub struct Signals {
    event_loop: Handle,
    id: SignalId,
    state: Arc<Mutex<State>>,
}

impl Signals {
    /// Waits for the signal and answers how many have come since the last answer; none is lost between two calls, nor by dropping the
    /// future.
    ///
    /// # Errors
    /// [`Error::Closed`] when the loop is gone.
    pub async fn next(&mut self) -> Result<u64> {
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.pending > 0 {
                return Poll::Ready(Ok(std::mem::take(&mut state.pending)));
            }
            if state.gone {
                return Poll::Ready(Err(Error::Closed("event loop")));
            }
            let before = state.waker.replace(cx.waker().clone());
            drop(state);
            drop(before);
            Poll::Pending
        })
        .await
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Stale when the loop has gone.
        let _ = self.event_loop.cancel_signal(self.id);
    }
}
