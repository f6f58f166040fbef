//! Fork-join: a task splits itself into parts, other workers take some, and the task goes on when all are done.
//!
//! [`fork`] runs two closures, [`scope`] any number; [`Handle::parallel_for`] a range. They may borrow what the
//! caller has, for none returns before the last part has ended.
//!
//! # How
//!
//! In a task of lane 0 a part goes to the worker's own queue of forks, last in, first out; others steal the oldest, which is the
//! largest. A task with a narrower CPU set keeps its parts to itself as [`Parts`] and queues *tickets* in its lane: whoever
//! runs a ticket runs one part, or none if they are all gone. So the parts stay inside the set, and the task can always take back what
//! nobody has begun.
//!
//! A worker that waits for a part takes others meanwhile, of tasks no less urgent than its own; it begins no new task.
//!
//! # Why it cannot hang
//!
//! What nobody has begun the waiter takes back and runs. So it waits only for a part that runs elsewhere. That part can itself
//! wait, or lie below another one on its worker's stack; both, what is waited for and what lies above, began later than it.
//! Such a chain cannot turn back on itself, so at its end is a part that runs.
//!
//! # Shutdown
//!
//! Parts belong to a task that has begun, and no shutdown drops them. A worker of a stopped pool runs what is left in its
//! queue of forks before it ends.

mod part;
mod range;
mod scope;
mod visit;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use self::part::Half;
pub(super) use self::part::{Fork, Parts};
pub use self::scope::{Scope, scope};
use super::{
    Handle,
    worker::{self, Local},
};
use crate::{error::Result, job};

/// Runs both, in parallel where another worker has time, and answers what they return.
///
/// Called by a task of a pool it runs them in that pool, inside the task's CPU set: the first on this thread, the second wherever a worker
/// is idle. Called anywhere else it runs one after the other.
///
/// A panic of either goes on in the caller when both have ended; if both panic, the first one's does, and the other is reported.
///
/// ```
/// use coop_core::pool;
///
/// fn fib(n: u64) -> u64 {
///     if n < 2 {
///         return n;
///     }
///     let (a, b) = pool::fork(|| fib(n - 1), || fib(n - 2));
///     a + b
/// }
/// assert_eq!(fib(10), 55);
/// ```
#[inline]
pub fn fork<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let mut both = Some((a, b));
    let done = worker::in_task(|local| both.take().map(|(a, b)| fork_here(local, a, b)));
    match (done.flatten(), both) {
        (Some(done), _) => done,
        (None, Some((a, b))) => join(catch_unwind(AssertUnwindSafe(a)), b),
        (None, None) => unreachable!("the closures are taken only to be run"),
    }
}

impl Handle {
    /// As [`fork`], in this pool: called by anyone but one of its own tasks, it has a worker do it at normal priority, and waits.
    /// A full pool takes it all the same.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) if the pool is closed, or closed before it has begun;
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn fork<A, B, RA, RB>(&self, a: A, b: B) -> Result<(RA, RB)>
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        visit::inside(self, || fork(a, b))
    }
}

fn fork_here<A, B, RA, RB>(local: &Local, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let context = local.context();
    if context.lane != 0 {
        return fork_narrow(local, a, b);
    }
    let half = Half::new(b, local.index);
    half.lend(|fork| local.push_fork(context.level, fork));
    let first = catch_unwind(AssertUnwindSafe(a));
    loop {
        match local.pop_fork(context.level) {
            Some(fork) if half.is(&fork) => return join(first, half.take_back(fork)),
            // What `a` left of a scope around this fork.
            Some(fork) => local.run_fork(context.level, fork),
            None => break,
        }
    }
    local.wait_until(|| half.is_done(), None);
    join(first, || half.result())
}

/// In a task with a CPU set of its own.
#[cold]
fn fork_narrow<A, B, RA, RB>(local: &Local, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let (parts, context) = (Arc::new(Parts::default()), local.context());
    let lane = local.lane(context.lane);
    let lane = lane.as_deref().unwrap_or_else(|| local.shared().lanes.first());
    let half = Half::new(b, local.index);
    half.lend(|fork| parts.offer(fork, local.shared(), lane, context.level, local.index));
    let first = catch_unwind(AssertUnwindSafe(a));
    match parts.take() {
        Some(fork) => join(first, half.take_back(fork)),
        None => {
            local.wait_until(|| half.is_done(), None);
            join(first, || half.result())
        }
    }
}

/// Runs the second when the first has ended, and lets a panic go on when both have.
#[inline]
fn join<RA, RB>(first: std::thread::Result<RA>, second: impl FnOnce() -> RB) -> (RA, RB) {
    match first {
        Ok(first) => (first, second()),
        Err(panic) => {
            job::caught("fork", || drop(second()));
            resume_unwind(panic)
        }
    }
}
