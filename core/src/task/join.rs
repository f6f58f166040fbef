//! The handle of a coroutine: its outcome, once, to a future or to a plain thread that waits; and cancelling it.
//!
//! # States
//!
//! *Running*: the outcome is still in the cell, or to come. *Cancelling*: a cancel came first; the future is being dropped where the
//! coroutine belongs. *Cancelled*: that is done. *Ended*: a cancel came too late and took the outcome out. *Told*: somebody has it.

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use async_task::{FallibleTask, Runnable};

use super::{
    cell::{Meta, Outcome},
    run,
    signal::Signal,
};
use crate::{
    error::{Error, Result},
    event_loop::WeakHandle,
    fork::Process,
    job::caught,
    pool,
    time::Deadline,
};

/// Where a coroutine was spawned: who must not block for it.
#[derive(Debug)]
pub(super) enum Home {
    Pool {
        pool: usize,
        /// The one that may run it, if there is only one.
        only_worker: Option<u16>,
    },
    Loop(WeakHandle),
}

enum State<T> {
    Running(FallibleTask<Outcome<T>, Meta>),
    Cancelling(Pin<Box<dyn Future<Output = Option<Outcome<T>>> + Send + Sync>>),
    /// Behind a lock that is never waited for: so the handle is `Sync` when its value is only `Send`.
    Ended(Box<Mutex<Outcome<T>>>),
    Cancelled,
    Told,
}

/// A coroutine's outcome, to be awaited by any executor or waited for by a plain thread; see [`task`](super).
///
/// Dropping it detaches: the coroutine goes on, and a panic of it is reported.
///
/// To cancel from elsewhere while somebody awaits it, share it in an `Arc<Mutex<JoinHandle<T>>>`: the one locks it for each poll, the other
/// for [`cancel`](Self::cancel), which wakes the one.
///
/// ```
/// # use coop_core::{Error, Pool, PoolOptions};
/// use std::{future::poll_fn, pin::Pin, sync::{Arc, Mutex}};
///
/// let pool = Pool::new(PoolOptions::default())?;
/// let shared = Arc::new(Mutex::new(pool.spawn(std::future::pending::<()>())?));
/// let awaited = shared.clone();
/// let mut awaits = pool.spawn(poll_fn(move |cx| Pin::new(&mut *awaited.lock().unwrap()).poll(cx)))?;
/// assert!(shared.lock().unwrap().cancel());
/// assert!(matches!(awaits.join(None)?, Err(Error::Cancelled(_))));
/// # Ok::<(), coop_core::Error>(())
/// ```
pub struct JoinHandle<T> {
    state: State<T>,
    born: Process,
    /// The address of its cell, which is there for as long as it runs.
    coroutine: usize,
    home: Home,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> JoinHandle<T> {
    pub(super) fn new(runnable: &Runnable<Meta>, task: FallibleTask<Outcome<T>, Meta>, home: Home) -> Self {
        let meta = runnable.metadata();
        Self { state: State::Running(task), born: meta.born, coroutine: std::ptr::from_ref(meta).addr(), home }
    }

    /// Waits until the coroutine has ended, and answers its value.
    ///
    /// The thread only waits: unlike a [`Task`](pool::Task), the coroutine is not run by a worker that joins it. Workers that all wait for
    /// coroutines of their own pool wait for ever: await in a pool, and join from elsewhere.
    ///
    /// # Errors
    /// How else it ended: [`Error::Panic`], [`Error::Cancelled`], [`Error::Closed`]. [`Error::Timeout`] changes nothing, and it may be called again;
    /// [`Error::Stale`] once the outcome was told. [`Error::WouldDeadlock`] from the coroutine itself, from its loop's thread, and from
    /// the only worker that may run it: await it there. [`Error::Forked`].
    pub fn join(&mut self, timeout: Option<Duration>) -> Result<T> {
        self.check()?;
        let deadline = Deadline::after(timeout);
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(signal.clone());
        loop {
            if let Poll::Ready(outcome) = self.poll_with(&mut Context::from_waker(&waker)) {
                return outcome;
            }
            self.may_block()?;
            if !signal.wait(deadline) {
                return Err(Error::Timeout("the coroutine is still running".into()));
            }
        }
    }

    /// Cancels the coroutine: it is not polled any more, its future is dropped where it belongs, and its outcome is
    /// [`Error::Cancelled`], also when a turn that is going on ends it: its value is dropped there. False if its outcome was certain
    /// before; it is still told then.
    pub fn cancel(&mut self) -> bool {
        if self.born.is_forked() {
            return false;
        }
        match mem::replace(&mut self.state, State::Told) {
            State::Running(task) => {
                if task.is_finished() {
                    self.state = State::Running(task);
                    return false;
                }
                let mut cancelling = Box::pin(task.cancel());
                // Whoever waits for the outcome was woken by the cancel, and polls again.
                let won = match cancelling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Some(outcome)) => {
                        self.state = State::Ended(Box::new(Mutex::new(outcome)));
                        return false;
                    }
                    Poll::Ready(None) => State::Cancelled,
                    Poll::Pending => State::Cancelling(cancelling),
                };
                self.state = won;
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Refuses a wait that could never end.
    fn may_block(&self) -> Result<()> {
        const ITSELF: &str = "a coroutine cannot wait for itself";
        const ON_LOOP: &str = "a callback of an event loop cannot wait for a coroutine of that loop: await it instead";
        const ON_WORKER: &str = "the only worker that may run a coroutine cannot wait for it: await it instead";
        match &self.home {
            _ if run::is_running(self.coroutine) => Err(Error::WouldDeadlock(ITSELF)),
            Home::Pool { pool, only_worker: Some(worker) }
                if pool::working_as() == Some((*pool, usize::from(*worker))) =>
            {
                Err(Error::WouldDeadlock(ON_WORKER))
            }
            Home::Loop(event_loop) if event_loop.upgrade().is_some_and(|event_loop| event_loop.is_loop_thread()) => {
                Err(Error::WouldDeadlock(ON_LOOP))
            }
            _ => Ok(()),
        }
    }

    fn poll_with(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let outcome = match &mut self.state {
            State::Running(task) => match Pin::new(task).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(outcome)) => outcome.take(),
                // Only a thread that is ending drops a turn without a word.
                Poll::Ready(None) => Err(Error::Closed("coroutine's pool or event loop")),
            },
            State::Cancelling(cancelling) => match cancelling.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) => Err(Error::Cancelled("coroutine")),
            },
            State::Ended(_) => match mem::replace(&mut self.state, State::Told) {
                State::Ended(outcome) => (*outcome).into_inner().unwrap_or_else(PoisonError::into_inner).take(),
                _ => unreachable!("looked at a moment ago"),
            },
            State::Cancelled => Err(Error::Cancelled("coroutine")),
            State::Told => Err(Error::Stale("coroutine")),
        };
        self.state = State::Told;
        Poll::Ready(outcome)
    }
}

impl<T> JoinHandle<T> {
    fn check(&self) -> Result<()> {
        if self.born.is_forked() { Err(Error::Forked("coroutine")) } else { Ok(()) }
    }

    /// Whether its outcome is certain: it has ended, or was cancelled.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Running(task) => task.is_finished(),
            State::Cancelling(_) | State::Cancelled | State::Ended(_) | State::Told => true,
        }
    }
}

impl<T: Send + 'static> Future for JoinHandle<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.check()?;
        if run::is_running(self.coroutine) && !self.is_done() {
            return Poll::Ready(Err(Error::WouldDeadlock("a coroutine cannot await itself")));
        }
        if run::is_own(cx.waker()) {
            return self.poll_with(cx);
        }
        let foreign = Waker::from(Arc::new(Foreign(cx.waker().clone())));
        self.poll_with(&mut Context::from_waker(&foreign))
    }
}

// All that it holds is behind a pointer, or is moved out before it is used.
impl<T> Unpin for JoinHandle<T> {}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, State::Told);
        if self.born.is_forked() {
            // What the cell holds is the parent's.
            return mem::forget(state);
        }
        if let State::Running(task) = state {
            task.detach();
        }
    }
}

/// The waker of somebody else's executor: a panic in it would end the process.
struct Foreign(Waker);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        caught("waker", || self.0.wake_by_ref());
    }
}
