//! Scopes: any number of tasks that may borrow from around the scope, which returns when all have ended.

#![allow(unsafe_code, reason = "tasks of a scope borrow from around it")]

use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    super::{
        Handle,
        lane::Lane,
        worker::{self, Context, Local},
    },
    part::{Fork, Parts, wake_owner},
    visit,
};
use crate::{
    error::Result,
    job,
    primitive::{AtomicUsize, Ordering},
};

type Panic = Box<dyn Any + Send>;

/// Where tasks may be spawned that end before [`scope`] returns.
pub struct Scope<'scope, 'env: 'scope> {
    /// Tasks that have not ended, and the scope's own closure.
    left: AtomicUsize,
    /// The first panic of a task.
    panic: Mutex<Option<Panic>>,
    /// None: outside any pool.
    place: Option<Place>,
    /// Invariant in both, as `std::thread::Scope`.
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

/// Where the scope's tasks run, and who waits for them.
struct Place {
    handle: Handle,
    context: Context,
    lane: Option<Arc<Lane>>,
    owner: usize,
    /// Those that do not go to a worker's own queue.
    parts: Arc<Parts>,
}

impl Place {
    fn of(local: &Local) -> Self {
        let context = local.context();
        Self {
            handle: local.handle().clone(),
            context,
            lane: local.lane(context.lane),
            owner: local.index,
            parts: Arc::default(),
        }
    }

    fn offer(&self, part: Fork) {
        let shared = &*self.handle.shared;
        let lane = self.lane.as_deref().unwrap_or_else(|| shared.lanes.first());
        self.parts.offer(part, shared, lane, self.context.level, self.owner);
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Calls `f` with a scope, and returns when `f` and every task spawned in the scope have ended.
///
/// Called by a task of a pool, the tasks run in that pool, inside the calling task's CPU set. Called anywhere else, each runs at once where it is spawned.
///
/// A panic goes on in the caller when all have ended: that of `f`, else the first of a task. Others are reported.
///
/// ```
/// use coop_core::pool;
///
/// let mut squares = [0; 4];
/// pool::scope(|s| {
///     for (i, square) in squares.iter_mut().enumerate() {
///         s.spawn(move || *square = i * i);
///     }
/// });
/// assert_eq!(squares, [0, 1, 4, 9]);
/// ```
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let place = worker::in_task(Place::of);
    let scope =
        Scope { left: AtomicUsize::new(1), panic: Mutex::new(None), place, _scope: PhantomData, _env: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.left.fetch_sub(1, Ordering::AcqRel);
    worker::here(|local| scope.wait(local));
    debug_assert_eq!(scope.left.load(Ordering::Relaxed), 0, "a scope outlives its tasks");
    let panic = scope.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, panic) {
        (Ok(result), None) => result,
        (Ok(_), Some(panic)) => resume_unwind(panic),
        (Err(panic), other) => {
            if let Some(other) = other {
                job::caught("scope", || resume_unwind(other));
            }
            resume_unwind(panic)
        }
    }
}

impl Handle {
    /// As [`scope`], in this pool: called by anyone but one of its own tasks, it has a worker do it at normal priority, and waits.
    /// A full pool takes it all the same.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) if the pool is closed, or closed before it has begun;
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn scope<'env, F, R>(&self, f: F) -> Result<R>
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R + Send,
        R: Send,
    {
        visit::inside(self, || scope(f))
    }
}

/// A task of a scope.
struct Task<'scope, 'env, F> {
    scope: *const Scope<'scope, 'env>,
    f: F,
}

impl<'scope, 'env, F: FnOnce() + Send + 'scope> Task<'scope, 'env, F> {
    fn into_fork(self) -> Fork {
        let task: *mut Self = Box::into_raw(Box::new(self));
        // SAFETY: `run` takes the box back, once, for the right is used up. It lives that long, for it is nobody's until then; what it
        // borrows lives as long as the scope, and the scope does not return before the task has counted itself out.
        unsafe { Fork::new(task.cast_const().cast(), Self::run) }
    }

    /// # Safety
    /// `this` comes from `into_fork`, and the scope has not returned.
    unsafe fn run(this: *const ()) {
        // SAFETY: the caller's promise.
        let Self { scope, f } = *unsafe { Box::from_raw(this.cast_mut().cast::<Self>()) };
        let panic = catch_unwind(AssertUnwindSafe(f)).err();
        // SAFETY: the scope waits for the count that the next line takes down.
        let scope = unsafe { &*scope };
        scope.ended(panic);
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Has a worker call `f`, which may borrow what lives around the scope, and spawn in it again.
    pub fn spawn<F: FnOnce() + Send + 'scope>(&'scope self, f: F) {
        let Some(place) = &self.place else {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
                self.keep(panic);
            }
            return;
        };
        self.left.fetch_add(1, Ordering::Relaxed);
        let mut fork = Some(Task { scope: std::ptr::from_ref(self), f }.into_fork());
        if place.context.lane == 0 {
            worker::here_in(&place.handle.shared, |local| {
                if let Some(fork) = fork.take() {
                    local.push_fork(place.context.level, fork);
                }
            });
        }
        if let Some(fork) = fork {
            place.offer(fork);
        }
    }

    /// Runs, takes or waits for what is left.
    fn wait(&self, local: &Local) {
        if let Some(place) = &self.place {
            local.wait_until(|| self.left.load(Ordering::Acquire) == 0, Some(&place.parts));
        }
    }

    /// One task has ended. `self` may be gone when this returns.
    fn ended(&self, panic: Option<Panic>) {
        if let Some(panic) = panic {
            self.keep(panic);
        }
        let owner = self.place.as_ref().map(|place| place.owner);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(owner) = owner
        {
            wake_owner(owner);
        }
    }

    /// Keeps the first panic; others are reported.
    fn keep(&self, panic: Panic) {
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(panic);
        } else {
            drop(first);
            job::caught("scope", || resume_unwind(panic));
        }
    }
}
