//! A listener that hands over each connection by a callback: what C and C++ have instead of a future.
//!
//! # What holds
//!
//! * [`Accept::accepted`] is called for each connection, in their order, one call after another, at the listener's place
//!   ([`Strand`]). When the process has no descriptor left it is told so once, and the listener tries again after each pause.
//! * Connections that nobody has taken yet are few ([`MOST`]): the others stay in the system's backlog.
//! * When it is dropped, the listener is closed, and no call begins any more; connections on their way are closed.
//! * When the loop ends, or the listener is broken, one last call tells that.

#![forbid(unsafe_code)]

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{Listener, Stream, later::Later, listener::is_exhausted};
use crate::{
    error::{Error, Result},
    event_loop::strand::{Ending, Strand},
};

/// How many connections may wait for the callback.
pub const MOST: usize = 64;

/// What is to be done with connections.
pub trait Accept: Send + Sync + 'static {
    /// A connection, or why there is none. One call at a time.
    fn accepted(&self, result: Result<Stream>);
}

/// A listener and its callback; see the module's text.
pub struct Accepting<A: Accept> {
    listener: Listener,
    accept: Arc<A>,
    strand: Arc<Strand<Arrived<A>>>,
    /// Under it connections are taken; and whether the loop's end was told.
    taking: Mutex<bool>,
    waker: Waker,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Dropped.
    closed: AtomicBool,
    /// As many wait as may.
    full: AtomicBool,
    /// It was told that the system has no descriptor left, and there was none since.
    refused: AtomicBool,
}

impl<A: Accept> fmt::Debug for Accepting<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl<A: Accept> Accepting<A> {
    /// Begins: `accept` is called from now on, on another stack than this one.
    ///
    /// # Errors
    /// Those of [`post`](crate::event_loop::Handle::post); `accept` was not called, and is the caller's.
    pub fn new(listener: Listener, strand: Arc<Strand<Arrived<A>>>, accept: &Arc<A>) -> Result<Arc<Self>> {
        let this = Arc::new_cyclic(|this: &Weak<Self>| Self {
            listener,
            accept: accept.clone(),
            strand,
            taking: Mutex::new(false),
            waker: Waker::from(Arc::new(Ready(this.clone()))),
            state: Arc::default(),
        });
        this.later()?;
        Ok(this)
    }

    /// The listener.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Who is called.
    pub fn accept(&self) -> &Arc<A> {
        &self.accept
    }

    /// Looks again in a turn of the loop.
    fn later(&self) -> Result<()> {
        Later::post(self.strand.handle(), &self.waker)
    }

    /// On the loop's thread: takes what has come.
    fn progress(&self, arrived: &mut Vec<Arrived<A>>) {
        let mut ended = match self.taking.try_lock() {
            Ok(ended) => ended,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // A wake-up from inside of what holds it: in another turn.
            Err(TryLockError::WouldBlock) => return self.later().unwrap_or_default(),
        };
        if *ended {
            return;
        }
        let cx = &mut Context::from_waker(&self.waker);
        loop {
            if self.strand.waiting() + arrived.len() >= MOST {
                self.state.full.store(true, Ordering::SeqCst);
                // Whoever tells the last of them looks at the flag.
                if self.strand.waiting() + arrived.len() >= MOST {
                    return;
                }
            }
            let result = match self.listener.poll_accept_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(ready) => ready.and_then(|()| self.listener.try_accept()),
            };
            match &result {
                Ok(_) => self.state.refused.store(false, Ordering::Relaxed),
                Err(Error::WouldBlock(_)) => {
                    self.state.refused.store(false, Ordering::Relaxed);
                    continue;
                }
                Err(Error::Closed(_) | Error::Forked(_)) => *ended = true,
                Err(Error::Os { errno, .. }) if is_exhausted(&io::Error::from_raw_os_error(*errno)) => {
                    if self.state.refused.swap(true, Ordering::Relaxed) {
                        continue;
                    }
                }
                Err(_) => *ended = true,
            }
            arrived.push(Arrived {
                result,
                accept: self.accept.clone(),
                state: self.state.clone(),
                again: self.waker.clone(),
            });
            if *ended {
                return;
            }
        }
    }
}

impl<A: Accept> Drop for Accepting<A> {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // In a forked child the lock may be held by nobody who is there.
        if !self.strand.handle().shared.fork.is_forked() {
            self.strand.clear();
        }
    }
}

/// A connection on its way to the callback.
#[derive(Debug)]
pub struct Arrived<A> {
    result: Result<Stream>,
    accept: Arc<A>,
    state: Arc<State>,
    again: Waker,
}

impl<A: Accept> Ending for Arrived<A> {
    fn tell(self) {
        let Self { result, accept, state, again } = self;
        if !state.closed.load(Ordering::SeqCst) {
            accept.accepted(result);
        }
        if state.full.swap(false, Ordering::SeqCst) {
            again.wake();
        }
    }
}

struct Ready<A: Accept>(Weak<Accepting<A>>);

impl<A: Accept> Wake for Ready<A> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(accepting) = self.0.upgrade() else { return };
        if !accepting.strand.handle().is_loop_thread() && accepting.later().is_ok() {
            return;
        }
        let mut arrived = Vec::new();
        accepting.progress(&mut arrived);
        let (strand, state) = (accepting.strand.clone(), accepting.state.clone());
        // Before anything is told: a callback that frees the listener closes it.
        drop(accepting);
        for one in arrived {
            strand.push_here(one);
        }
        // Whoever dropped it meanwhile has cleared what was there by then; this look comes after the last push, and `closed` before that
        // clearing, so one of the two finds each connection.
        if state.closed.load(Ordering::SeqCst) {
            strand.clear();
        }
    }
}
