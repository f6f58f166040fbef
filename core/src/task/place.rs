//! Where a coroutine belongs, and how a turn of it gets there.
//!
//! # Invariant
//!
//! The place changes only in [`Belongs::queue`], for a coroutine that asked to move in the turn that has just ended. It
//! is marked as woken then, so nobody else queues it; whoever queued its last turn may at most still be leaving the lock.

#![forbid(unsafe_code)]

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_task::{Runnable, ScheduleInfo};

use super::{cell::Meta, run};
use crate::{
    cpu::CpuSet,
    error::{Error, Refused, Result},
    event_loop, pool,
    pool::SubmitOptions,
    priority::Priority,
};

/// Where coroutines run.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Pool(pool::Handle, pool::Target),
    Loop(event_loop::Handle),
}

impl Place {
    #[inline]
    fn push(&self, runnable: Runnable<Meta>) -> Result<(), Refused<Runnable<Meta>>> {
        match self {
            Self::Pool(pool, target) => pool.resume_made(target, runnable, run::pool_job),
            Self::Loop(event_loop) => event_loop.post_made(runnable, run::loop_job),
        }
    }
}

/// What a coroutine asked for in its last turn.
#[derive(Debug)]
pub(super) enum Move {
    /// To another level and CPU set of its pool.
    Within(Priority, Option<Box<CpuSet>>),
    To(Place),
}

/// Where one coroutine belongs.
#[derive(Debug)]
pub(super) struct Belongs(RwLock<Place>);

impl Belongs {
    pub(super) fn to(place: Place) -> Self {
        Self(RwLock::new(place))
    }

    fn read(&self) -> RwLockReadGuard<'_, Place> {
        // Nothing under the lock runs foreign code, so a poisoned lock guards a whole place.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Place> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a turn of the coroutine, which was woken.
    pub(super) fn queue(&self, runnable: Runnable<Meta>, info: ScheduleInfo) {
        if runnable.metadata().born.is_forked() {
            // What it holds is the parent's.
            return std::mem::forget(runnable);
        }
        if info.woken_while_running
            && let Some(asked) = run::take_move()
        {
            return self.move_to(runnable, asked);
        }
        let place = self.read();
        if let Place::Pool(pool, target) = &*place
            && run::may_resume_here()
            && pool.may_run_here(target)
        {
            let target = target.clone();
            drop(place);
            return run::resume_here(runnable, target);
        }
        let pushed = place.push(runnable);
        drop(place);
        if let Err(refused) = pushed {
            run::end_with(refused.error, refused.value);
        }
    }

    fn queue_here(&self, runnable: Runnable<Meta>) {
        // Bound first: the lock is free again when the future is dropped.
        let pushed = self.read().push(runnable);
        if let Err(refused) = pushed {
            run::end_with(refused.error, refused.value);
        }
    }

    /// Queues the next turn elsewhere; what refuses it is told to the future in a turn where it was.
    fn move_to(&self, runnable: Runnable<Meta>, asked: Move) {
        let next = match asked {
            Move::To(place) => place,
            Move::Within(priority, cpus) => {
                let options = SubmitOptions { priority, cpus: cpus.map(|cpus| *cpus), ..SubmitOptions::default() };
                if let Err(error) = self.move_within(&options) {
                    runnable.metadata().fail(error);
                }
                return self.queue_here(runnable);
            }
        };
        let mut place = self.write();
        let before = std::mem::replace(&mut *place, next);
        match place.push(runnable) {
            Ok(()) => {
                drop(place);
                drop(before);
            }
            Err(refused) => {
                let closed = std::mem::replace(&mut *place, before);
                drop(place);
                drop(closed);
                refused.value.metadata().fail(refused.error);
                self.queue_here(refused.value);
            }
        }
    }

    fn move_within(&self, options: &SubmitOptions) -> Result<()> {
        let mut place = self.write();
        let Place::Pool(pool, target) = &mut *place else {
            return Err(Error::Invalid(
                "suspend to a level and CPU set: this coroutine runs on an event loop, not in a pool".into(),
            ));
        };
        let next = pool.target(options)?;
        let before = std::mem::replace(target, next);
        drop(place);
        drop(before);
        Ok(())
    }
}
