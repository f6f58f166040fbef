//! Endings one after another, at one place: on the loop's thread or in the pool.
//!
//! # What holds
//!
//! * What is pushed runs once, in its order, and never two at a time, wherever the place is.
//! * [`Strand::push`] runs nothing: what it takes runs when the caller's callback, or call, is over.
//! * What was taken runs even if the place is gone: whoever drops the turn that was queued there (the pool's free, the loop's) runs
//!   what it was for, with no lock held.
//! * In a forked child nothing runs.
//!
//! # Invariant
//!
//! `turn` is true from the push that finds the queue empty until a turn finds it empty again. One [`Turn`] exists meanwhile, or
//! somebody holds the strand, so only one thread at a time takes anything out.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Handle,
    dispatch::{On, Place},
};
use crate::{
    error::{Refused, Result},
    job::{self, Job},
};

/// How many run in one turn: then others of the loop, or of the worker, have theirs.
const IN_ONE_TURN: usize = 16;

/// What a strand runs.
pub trait Ending: Send + 'static {
    /// Tells it, once, at the strand's place.
    fn tell(self);
}

/// See the module's text.
pub struct Strand<T: Ending> {
    handle: Handle,
    place: Place,
    state: Mutex<State<T>>,
}

struct State<T> {
    queue: VecDeque<T>,
    turn: bool,
    /// The turn that is dropped next was refused, and is to do nothing.
    refused: bool,
}

impl<T: Ending> fmt::Debug for Strand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strand").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<T: Ending> Strand<T> {
    /// A strand of this loop.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a pool that is not there, [`Error::Affinity`](crate::Error::Affinity).
    pub fn new(handle: &Handle, on: &On) -> Result<Arc<Self>> {
        let place = on.place(handle.shared.pool.as_ref())?;
        let state = State { queue: VecDeque::new(), turn: false, refused: false };
        Ok(Arc::new(Self { handle: handle.clone(), place, state: Mutex::new(state) }))
    }

    /// A strand that runs nothing before [`Strand::release`].
    ///
    /// # Errors
    /// As [`Strand::new`].
    pub fn held(handle: &Handle, on: &On) -> Result<Arc<Self>> {
        let strand = Self::new(handle, on)?;
        strand.lock().turn = true;
        Ok(strand)
    }

    /// The end of being held.
    pub fn release(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.queue.is_empty() {
                state.turn = false;
                return;
            }
        }
        if self.queue_turn().is_err() {
            self.run(usize::MAX);
        }
    }

    /// The loop.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Drops what waits for its turn, untold.
    pub fn clear(&self) {
        let untold = mem::take(&mut self.lock().queue);
        drop(untold);
    }

    /// Queues an ending, from a call of the user's: nothing runs inside.
    ///
    /// # Errors
    /// What the loop answers if neither it nor the pool takes anything any more.
    pub fn push(self: &Arc<Self>, ending: T) -> Result<(), Refused<T>> {
        if !self.add(ending) {
            return Ok(());
        }
        let Err(error) = self.queue_turn() else { return Ok(()) };
        // Found empty by `add`, so the first is the one that was refused. What others have added since is told: they were
        // promised that.
        let refused = self.lock().queue.pop_front();
        self.run(usize::MAX);
        match refused {
            Some(ending) => Err(Refused::new(error, ending)),
            None => Ok(()),
        }
    }

    /// Queues an ending that somebody was promised before; if nothing takes it any more, it is told here and now.
    pub fn push_promised(self: &Arc<Self>, ending: T) {
        if self.add(ending) && self.queue_turn().is_err() {
            self.run(usize::MAX);
        }
    }

    /// For the loop itself, outside of any callback and of any call of the user's: where that is the place, it is told at once.
    pub fn push_here(self: &Arc<Self>, ending: T) {
        if !self.add(ending) {
            return;
        }
        if matches!(self.place, Place::Loop) && self.handle.is_loop_thread() {
            return self.turn(IN_ONE_TURN);
        }
        if self.queue_turn().is_err() {
            self.run(usize::MAX);
        }
    }

    /// True if the caller is to see to a turn.
    fn add(&self, ending: T) -> bool {
        let mut state = self.lock();
        state.queue.push_back(ending);
        !mem::replace(&mut state.turn, true)
    }

    fn queue_turn(self: &Arc<Self>) -> Result<()> {
        let turn = Turn(Some(self.clone()));
        let mut job = Job::new(move || turn.run());
        if let Place::Pool(pool) = &self.place {
            match pool.dispatch(job) {
                Ok(()) => return Ok(()),
                Err(refused) => job = refused.value,
            }
        }
        // The loop, too, when the pool is closed before it.
        self.handle.post_job(job).map_err(|refused| {
            self.lock().refused = true;
            drop(refused.value);
            refused.error
        })
    }

    /// Tells up to `count`, then sees to the next turn.
    fn turn(self: &Arc<Self>, count: usize) {
        if !self.run(count) && self.queue_turn().is_err() {
            self.run(usize::MAX);
        }
    }

    /// Tells up to `count`. True if none is left, and the turn is over.
    fn run(&self, count: usize) -> bool {
        for _ in 0..count {
            if self.handle.shared.fork.is_forked() {
                return true;
            }
            let next = {
                let mut state = self.lock();
                let next = state.queue.pop_front();
                state.turn = next.is_some();
                next
            };
            let Some(ending) = next else { return true };
            job::caught("stream", || ending.tell());
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing foreign runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to take from the queue, on its way to the place.
struct Turn<T: Ending>(Option<Arc<Strand<T>>>);

impl<T: Ending> Turn<T> {
    fn run(mut self) {
        if let Some(strand) = self.0.take() {
            strand.turn(IN_ONE_TURN);
        }
    }
}

impl<T: Ending> Drop for Turn<T> {
    fn drop(&mut self) {
        let Some(strand) = self.0.take() else { return };
        if !strand.handle.shared.fork.is_forked() && !mem::take(&mut strand.lock().refused) {
            strand.run(usize::MAX);
        }
    }
}
