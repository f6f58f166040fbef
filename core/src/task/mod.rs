//! Coroutines: futures that a pool's workers or an event loop's thread run, and that move between them.
//!
//! ```
//! use coop_core::{EventLoop, EventLoopOptions, Pool, PoolOptions, Priority, SubmitOptions, task};
//! use std::time::Duration;
//!
//! let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() })?;
//! let event_loop = EventLoop::new(EventLoopOptions::default())?;
//! event_loop.start()?;
//!
//! let (workers, waits) = (pool.handle(), event_loop.handle());
//! let mut sum = pool.spawn(async move {
//!     // Two children at once, on whichever worker is free.
//!     let (left, right) = (workers.spawn(async { 20 })?, workers.spawn(async { 22 })?);
//!     let sum = left.await? + right.await?;
//!     task::suspend(Priority::Low, None).await?; // from here on, behind everything else
//!     task::sleep(&waits, Duration::from_millis(1)).await?; // no worker waits meanwhile
//!     task::on_loop(&waits).await?; // now on the loop's thread
//!     task::suspend_on(&workers, &SubmitOptions::default()).await?; // and back
//!     Ok::<i32, coop_core::Error>(sum)
//! })?;
//! assert_eq!(sum.join(Some(Duration::from_secs(60)))??, 42);
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # What it guarantees
//!
//! * A coroutine is polled by one thread at a time, only where it belongs: by a worker of its set, or by its loop's thread. It
//!   belongs where it was spawned until it moves itself: [`suspend`], [`suspend_on`], [`on_loop`]. A wake-up from anywhere
//!   takes it back there.
//! * Its future is dropped exactly once, with no lock held: when it ends, when it is cancelled, or when its pool or loop is
//!   closed and it would have to run again. A panic in it, or in its drop, is caught.
//! * It ends in one way, which its [`JoinHandle`] tells once: the value, [`Error::Panic`](crate::Error::Panic),
//!   [`Error::Cancelled`](crate::Error::Cancelled), or [`Error::Closed`](crate::Error::Closed). A panic that nobody asks for is reported instead.
//! * A dropped [`JoinHandle`] detaches: the coroutine goes on.
//! * When a coroutine ends on a worker, the one that awaited it goes on there at once if it belongs to that worker's pool and
//!   set, and nothing of a higher level waits; after [`IN_PLACE`] times in a row it is queued. This is no
//!   call within a call: a chain of any length needs no stack. One that belongs to a loop is posted to it.
//! * A spawn that was refused gives the future back, and nothing of it has run. A bounded pool counts a spawn as a task; what
//!   goes on is never refused for want of room.
//! * A pool that drains runs what its coroutines spawn and wake. One that is woken from outside is closed to them: it ends
//!   with [`Error::Closed`](crate::Error::Closed). Nothing waits for a coroutine that nothing wakes.
//! * In a forked child a coroutine does not run, and its handle answers [`Error::Forked`](crate::Error::Forked).
//!
//! # Where things are
//!
//! `cell.rs` the future as it is run and how it ends, `run.rs` a turn of it and what the thread knows meanwhile, `place.rs` where it belongs,
//! `hop.rs` how it moves, `join.rs` its handle, `signal.rs` how a plain thread waits. What a loop can be waited for is the loop's.

#![forbid(unsafe_code)]

mod cell;
mod hop;
#[cfg(feature = "hyper")]
mod hyper;
mod join;
mod place;
mod run;
pub(crate) mod signal;
#[cfg(all(test, not(loom)))]
mod test;

use std::future::Future;

pub use self::{
    hop::{Hop, Yield, on_loop, suspend, suspend_on, yield_now},
    join::JoinHandle,
    run::IN_PLACE,
};
use self::{
    join::Home,
    place::{Belongs, Place},
};
pub use crate::event_loop::{Late, Ready, Sleep, readable, ready, sleep, timeout, writable};
use crate::{
    error::{Refused, Result},
    event_loop, pool,
    pool::SubmitOptions,
};

impl pool::Handle {
    /// Starts a coroutine at normal priority, on any worker.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) as for a submission, [`Error::Forked`](crate::Error::Forked); the future comes back.
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, Refused<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(&SubmitOptions::default(), future)
    }

    /// Starts a coroutine that belongs to this level and CPU set until it moves.
    ///
    /// # Errors
    /// Those of [`submit_with`](pool::Handle::submit_with); the future comes back.
    pub fn spawn_with<F>(&self, options: &SubmitOptions, future: F) -> Result<JoinHandle<F::Output>, Refused<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let target = match self.target(options) {
            Ok(target) => target,
            Err(error) => return Err(Refused::new(error, future)),
        };
        let home = Home::Pool { pool: self.identity(), only_worker: self.only_worker(&target) };
        let mut handle = None;
        self.submit_made(&target, options.timeout, future, |future| {
            let place = Place::Pool(self.clone(), target.clone());
            let (runnable, task) = cell::make(future, Belongs::to(place));
            handle = Some(JoinHandle::new(&runnable, task, home));
            run::pool_job(runnable)
        })?;
        Ok(handle.unwrap_or_else(|| unreachable!("what was accepted was made")))
    }
}

impl event_loop::Handle {
    /// Starts a coroutine on the loop's thread. It may move to a pool and back; what it awaits may run anywhere.
    ///
    /// # Errors
    /// Those of [`post`](event_loop::Handle::post); the future comes back.
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, Refused<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut handle = None;
        self.post_made(future, |future| {
            let (runnable, task) = cell::make(future, Belongs::to(Place::Loop(self.clone())));
            handle = Some(JoinHandle::new(&runnable, task, Home::Loop(self.downgrade())));
            run::loop_job(runnable)
        })?;
        Ok(handle.unwrap_or_else(|| unreachable!("what was accepted was made")))
    }
}
