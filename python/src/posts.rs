//! Posts of Python callables: many of them run in one attach.
//!
//! A post puts the call into a queue here. While it is not empty, one job of the loop is queued or running that takes it up: it
//! attaches once, and runs what was there when it began, in order. It goes back to the loop when all that has run, when the loop
//! wants it back, or after [`TURN`], which is when the interpreter would switch threads too; then another job goes on with the rest.
//!
//! # Invariant
//!
//! `taken_up` is set exactly while such a job is queued and has not begun. It is set with the lock held, by whoever then posts the
//! job inside the loop's gate. So when the last job of a loop that stops begins, nothing can be put behind it; and a job that is
//! dropped unrun, by a loop that is freed, drops the whole queue. No Python code runs with the lock held.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
    vec,
};

use coop_core::{
    Job,
    event_loop::{Handle, WeakHandle},
};
use pyo3::{prelude::*, types::PyTuple};

use crate::{callback, future::Promise, thread_state};

/// How long one job goes on.
const TURN: Duration = Duration::from_millis(5);
/// How many calls are made between two looks at the clock.
const LOOK: u32 = 64;

/// One call.
pub(crate) enum Call {
    Python {
        f: Py<PyAny>,
        args: Py<PyTuple>,
        /// Whose outcome it is, if somebody waits for it.
        outcome: Option<Box<Promise>>,
    },
    /// Something of ours that is better done in the same attach.
    Native(Box<dyn FnOnce(Python<'_>) + Send>),
}

impl Call {
    pub(crate) fn new(f: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, outcome: Option<Promise>) -> PyResult<Self> {
        callback::check_callable("callback", f)?;
        Ok(Self::Python { f: f.clone().unbind(), args: args.clone().unbind(), outcome: outcome.map(Box::new) })
    }

    fn run(self, py: Python<'_>) {
        let (f, args, outcome) = match self {
            Self::Python { f, args, outcome } => (f.into_bound(py), args.into_bound(py), outcome),
            Self::Native(call) => return call(py),
        };
        let call = || if args.is_empty() { f.call0() } else { f.call1(&args) };
        match outcome {
            None => callback::report(&f, "the event loop", call()),
            Some(outcome) => outcome.run(py, call),
        }
    }
}

#[derive(Default)]
struct Queue {
    /// What a job began with and left over.
    begun: vec::IntoIter<Call>,
    waiting: Vec<Call>,
    taken_up: bool,
}

/// The posts of one loop.
pub(crate) struct Posts {
    event_loop: WeakHandle,
    queue: Mutex<Queue>,
}

impl Posts {
    pub(crate) fn new(event_loop: &Handle) -> Arc<Self> {
        Arc::new(Self { event_loop: event_loop.downgrade(), queue: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn post(self: &Arc<Self>, event_loop: &Handle, call: Call) -> coop_core::Result<()> {
        event_loop.post_through(|| {
            let mut queue = self.lock();
            queue.waiting.push(call);
            self.take_up(&mut queue)
        })
    }

    /// The job that takes the queue up, unless there is one.
    fn take_up(self: &Arc<Self>, queue: &mut Queue) -> Option<Job> {
        if queue.taken_up {
            return None;
        }
        queue.taken_up = true;
        let turn = Turn(Some(self.clone()));
        Some(Job::new(move || turn.run()))
    }

    /// What the job that begins now has to do.
    fn begin(&self) -> vec::IntoIter<Call> {
        let mut queue = self.lock();
        queue.taken_up = false;
        match queue.begun.as_slice().is_empty() {
            true => std::mem::take(&mut queue.waiting).into_iter(),
            false => std::mem::take(&mut queue.begun),
        }
    }

    fn drop_all(&self) {
        thread_state::attach(|_| {
            let mut queue = self.lock();
            let all = (std::mem::take(&mut queue.begun), std::mem::take(&mut queue.waiting));
            drop(queue);
            drop(all);
        });
    }

    fn run(self: &Arc<Self>, py: Python<'_>) {
        let Some(event_loop) = self.event_loop.upgrade() else { return };
        loop {
            let mut calls = self.begin();
            let began = Instant::now();
            let mut until_look = LOOK;
            for call in calls.by_ref() {
                call.run(py);
                if event_loop.is_wanted_back() {
                    break;
                }
                until_look -= 1;
                if until_look == 0 {
                    if began.elapsed() >= TURN {
                        break;
                    }
                    until_look = LOOK;
                }
            }
            if event_loop.is_forked() {
                // What is left is the parent's; and so may be the lock.
                return std::mem::forget(calls);
            }
            // Given back, and gone on with in another turn. A loop that is stopped takes no more jobs: then here.
            let given_back = event_loop.post_through(|| {
                let mut queue = self.lock();
                queue.begun = std::mem::take(&mut calls);
                let is_left = !queue.begun.as_slice().is_empty() || !queue.waiting.is_empty();
                if is_left { self.take_up(&mut queue) } else { None }
            });
            if given_back.is_ok() {
                return;
            }
            let mut queue = self.lock();
            let is_empty = calls.as_slice().is_empty() && queue.waiting.is_empty();
            queue.begun = calls;
            drop(queue);
            if is_empty {
                return;
            }
            if event_loop.is_freed() {
                return self.drop_all();
            }
        }
    }
}

/// A job that takes up the queue.
struct Turn(Option<Arc<Posts>>);

impl Turn {
    fn run(mut self) {
        let Some(posts) = self.0.take() else { return };
        // Without an interpreter there is nobody left to call.
        thread_state::attach(|py| posts.run(py));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(posts) = self.0.take() {
            posts.drop_all();
        }
    }
}
