//! Tasks with a handle: to wait for the outcome, or to cancel what has not begun.
//!
//! # States
//!
//! | state | who has the closure |
//! |---|---|
//! | queued | the task's cell |
//! | running | the thread that runs it: a worker that found it in its queue, or one that joins it |
//! | dropping | who cancelled it, or the pool that was shut down |
//! | ended | nobody; the outcome is in its place until somebody takes it |
//!
//! The state is one atomic. Out of *queued* leads one exchange, so exactly one thread has the closure then, and that
//! thread ends the task. A task that is found in its queue in another state is left alone: its closure is gone.
//!
//! # Waiting
//!
//! The outcome is stored, and the state set to *ended*, under the lock of the outcome; who waits looks at the state
//! under that lock, leaves a mark in it, and lets go of the lock only by waiting on the condition. So a task that
//! ends either sees the mark and notifies, or has ended before the look. No lock is held while a closure runs, or
//! while it or its result is dropped.

#![forbid(unsafe_code)]

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Handle, SubmitOptions, Target, worker};
use crate::{
    error::{Error, Refused, Result},
    job::{Job, caught, panic_text},
    primitive::{AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering},
    thread,
    time::Deadline,
};

const QUEUED: usize = 0;
const RUNNING: usize = 1;
const DROPPING: usize = 2;
const ENDED: usize = 3;
const STATE: usize = 3;
/// Beside the state: somebody waits for the end.
const AWAITED: usize = 4;

/// What [`Task::cancel`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// The task had not begun, and will not: its closure is dropped.
    Cancelled,
    /// It is running, and goes on.
    Running,
    /// It has ended before: by its return, an earlier cancel, or a shutdown of the pool.
    Ended,
}

/// What the handle of a task and its place in the queue have in common.
struct Cell<F, T> {
    state: AtomicUsize,
    /// The number of the thread that runs it.
    runner: AtomicU64,
    closure: Mutex<Option<F>>,
    outcome: Mutex<Option<Result<T>>>,
    ended: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F: FnOnce() -> T, T> Cell<F, T> {
    fn new(f: F) -> Self {
        Self {
            state: AtomicUsize::new(QUEUED),
            runner: AtomicU64::new(0),
            closure: Mutex::new(Some(f)),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
        }
    }

    /// Has a queued task leave that state; its closure belongs to the caller then, who must end it.
    fn claim(&self, next: usize) -> Option<F> {
        let queued = |state: usize| (state & STATE == QUEUED).then_some(state | next);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, queued).ok()?;
        let closure = lock(&self.closure).take();
        debug_assert!(closure.is_some(), "a task is claimed once");
        closure
    }

    fn end(&self, outcome: Result<T>) {
        let before = {
            let mut place = lock(&self.outcome);
            *place = Some(outcome);
            self.state.swap(ENDED, Ordering::AcqRel)
        };
        if before & AWAITED != 0 {
            self.ended.notify_all();
        }
    }

    /// Ends a queued task without a run; false if it was not queued any more.
    fn end_unrun(&self, why: Error) -> bool {
        let Some(closure) = self.claim(DROPPING) else { return false };
        caught("pool", || drop(closure));
        self.end(Err(why));
        true
    }
}

/// A task as its handle sees it, whatever its closure.
trait Awaited<T>: Send + Sync {
    fn state(&self) -> usize;
    /// Runs it here, if it is still queued; false if it was not.
    fn run(&self) -> bool;
    fn cancel(&self) -> Cancel;
    /// Whether the calling thread is in the middle of running it.
    fn runs_here(&self) -> bool;
    fn wait(&self, deadline: Deadline) -> Result<T>;
}

impl<F: FnOnce() -> T + Send, T: Send> Awaited<T> for Cell<F, T> {
    fn state(&self) -> usize {
        self.state.load(Ordering::Acquire) & STATE
    }

    fn run(&self) -> bool {
        let Some(closure) = self.claim(RUNNING) else { return false };
        self.runner.store(thread::number(), Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(closure)).map_err(|payload| {
            let error = Error::Panic(panic_text(&*payload).to_owned());
            // User code, and it may panic too.
            caught("pool", || drop(payload));
            error
        });
        self.end(outcome);
        true
    }

    fn cancel(&self) -> Cancel {
        if self.end_unrun(Error::Cancelled("task")) {
            return Cancel::Cancelled;
        }
        if self.state() == RUNNING { Cancel::Running } else { Cancel::Ended }
    }

    fn runs_here(&self) -> bool {
        self.state() == RUNNING && self.runner.load(Ordering::Relaxed) == thread::number()
    }

    fn wait(&self, deadline: Deadline) -> Result<T> {
        let mut place = lock(&self.outcome);
        while self.state() != ENDED {
            let left = deadline.remaining();
            if left.is_some_and(|left| left.is_zero()) {
                let doing = if self.state() == QUEUED { "queued" } else { "running" };
                return Err(Error::Timeout(format!("the task has not ended: it is still {doing}")));
            }
            self.state.fetch_or(AWAITED, Ordering::AcqRel);
            place = match left {
                Some(left) => self.ended.wait_timeout(place, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.ended.wait(place).unwrap_or_else(PoisonError::into_inner),
            };
        }
        place.take().unwrap_or(Err(Error::Stale("task")))
    }
}

impl<F, T> Drop for Cell<F, T> {
    fn drop(&mut self) {
        // Nobody was told.
        if let Ok(Some(Err(Error::Panic(text)))) = self.outcome.get_mut() {
            tracing::error!(target: "coop", "a callback of the pool panicked: {text}");
        }
    }
}

/// The task's place in the queue.
struct Ticket<F: FnOnce() -> T + Send, T: Send>(Arc<Cell<F, T>>);

impl<F: FnOnce() -> T + Send, T: Send> Ticket<F, T> {
    /// What a worker does that finds it.
    fn run(self) {
        if !self.0.run() {
            // It counted a task that it has not begun.
            worker::here(|local| local.counters().executed.take_back(1));
        }
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Drop for Ticket<F, T> {
    fn drop(&mut self) {
        // After a run, or a cancel, there is nothing to end.
        self.0.end_unrun(Error::Closed("pool"));
    }
}

/// A task that was submitted with [`Handle::submit_task`].
///
/// Dropping it lets the task run on, unobserved: its result is dropped with it, and a panic of it is reported as an
/// error of target `coop`.
pub struct Task<T> {
    cell: Arc<dyn Awaited<T>>,
    handle: Handle,
    target: Target,
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = ["queued", "running", "being dropped", "ended"][self.cell.state()];
        f.debug_struct("Task").field("state", &state).field("target", &self.target).finish()
    }
}

impl<T> Task<T> {
    /// Waits for the end and takes the outcome: what the closure returned, [`Error::Panic`] with what it said,
    /// [`Error::Cancelled`], or [`Error::Closed`] if a shutdown of the pool dropped it. A second call after that
    /// answers [`Error::Stale`].
    ///
    /// [`Error::Timeout`] changes nothing: it may be joined again. A worker of the pool that joins a task which is
    /// still queued, and which it may run, runs it here and now, whatever the deadline, unless the timeout is zero:
    /// then it only looks.
    ///
    /// [`Error::WouldDeadlock`] is the answer to a task that joins itself, or one that waits further up on the same
    /// thread's stack. Tasks on several threads that wait for each other in a ring are not noticed: they wait until
    /// one of them has a deadline that passes. Nor is a part of a task ([`fork`](super::fork), [`scope`](super::scope)) that joins
    /// another task: a worker may have begun it on top of a part of that one. So join before a fork, or after it.
    /// [`Error::Forked`] is that of a child.
    pub fn join(&self, timeout: Option<Duration>) -> Result<T> {
        self.handle.fork.check()?;
        if self.cell.runs_here() {
            return Err(Error::WouldDeadlock("a task cannot wait for its own end"));
        }
        let deadline = Deadline::after(timeout);
        if timeout != Some(Duration::ZERO) {
            self.handle.run_here(&self.target, || self.cell.run());
        }
        self.cell.wait(deadline)
    }

    /// Takes the task back if it has not begun. Then its closure is dropped before this returns, once, and whoever
    /// joins the task is answered [`Error::Cancelled`]. Its place in a bounded pool is free when a worker comes to
    /// it.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn cancel(&self) -> Result<Cancel> {
        self.handle.fork.check()?;
        Ok(self.cell.cancel())
    }

    /// Whether it has ended, so that [`Task::join`] does not wait.
    pub fn is_done(&self) -> bool {
        self.cell.state() == ENDED
    }
}

impl Handle {
    /// Has a worker call `f`, and answers a handle to wait for what it returns. Costs one allocation more than
    /// [`Handle::submit_with`], whose errors it has.
    pub fn submit_task<F, T>(&self, options: &SubmitOptions, f: F) -> Result<Task<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let target = match self.target(options) {
            Ok(target) => target,
            Err(error) => return Err(Refused::new(error, f)),
        };
        let mut made = None;
        self.submit_made(&target, options.timeout, f, |f| {
            let cell = made.insert(Arc::new(Cell::new(f)));
            let ticket = Ticket(cell.clone());
            Job::new(move || ticket.run())
        })?;
        let cell = made.unwrap_or_else(|| unreachable!("what was accepted was made"));
        Ok(Task { cell, handle: self.clone(), target })
    }
}

#[cfg(all(test, loom))]
mod model {
    //! A task's cell in every order of steps; one that waits for ever is a deadlock, which loom reports.

    use super::*;
    use crate::primitive::thread;

    /// Counts what becomes of the closure.
    struct Fate {
        ran: Arc<AtomicUsize>,
        dropped: Arc<AtomicUsize>,
    }

    impl Drop for Fate {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Model<F: FnOnce() -> usize + Send> {
        cell: Arc<Cell<F, usize>>,
        ticket: Ticket<F, usize>,
        ran: Arc<AtomicUsize>,
        dropped: Arc<AtomicUsize>,
    }

    fn model() -> Model<impl FnOnce() -> usize + Send + 'static> {
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let fate = Fate { ran: ran.clone(), dropped: dropped.clone() };
        let cell = Arc::new(Cell::new(move || fate.ran.fetch_add(1, Ordering::Relaxed) + 7));
        Model { ticket: Ticket(cell.clone()), cell, ran, dropped }
    }

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn run_against_cancel_against_join() {
        check(|| {
            let Model { cell, ticket, ran, dropped } = model();
            let worker = thread::spawn(move || {
                ticket.0.run();
                drop(ticket);
            });
            let canceller = {
                let cell = cell.clone();
                thread::spawn(move || cell.cancel())
            };
            let joined = cell.wait(Deadline::NEVER);
            let cancelled = canceller.join().unwrap();
            worker.join().unwrap();
            match cancelled {
                Cancel::Cancelled => assert_eq!(joined, Err(Error::Cancelled("task"))),
                Cancel::Running | Cancel::Ended => assert_eq!(joined, Ok(7)),
            }
            assert_eq!(ran.load(Ordering::Relaxed), usize::from(joined.is_ok()));
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
            assert_eq!(cell.wait(Deadline::NEVER), Err(Error::Stale("task")));
        });
    }

    /// A shutdown drops the ticket while one joiner runs the task itself and another waits.
    #[test]
    fn drop_against_an_inline_run_against_join() {
        check(|| {
            let Model { cell, ticket, ran, dropped } = model();
            let dropper = thread::spawn(move || drop(ticket));
            let inline = {
                let cell = cell.clone();
                thread::spawn(move || cell.run())
            };
            let joined = cell.wait(Deadline::NEVER);
            dropper.join().unwrap();
            inline.join().unwrap();
            let expected = if ran.load(Ordering::Relaxed) == 1 { Ok(7) } else { Err(Error::Closed("pool")) };
            assert_eq!(joined, expected);
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
        });
    }

    /// The handle goes while the task runs: the result, and the closure, are dropped once.
    #[test]
    fn run_against_detaching() {
        check(|| {
            let Model { cell, ticket, ran, dropped } = model();
            let worker = thread::spawn(move || {
                ticket.0.run();
                drop(ticket);
            });
            drop(cell);
            worker.join().unwrap();
            assert_eq!((ran.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed)), (1, 1));
        });
    }
}
