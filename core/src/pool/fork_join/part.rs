//! Parts of a task that may borrow from it: where lifetimes are erased.
//!
//! # Invariant
//!
//! A [`Fork`] is the right to run one part, once. Whoever makes one from borrowed state keeps that state where it is until the part
//! has run or the right has come back: [`Half`] by the protocol of its three steps, a task of a scope because the scope does
//! not return before its count of tasks is 0. A `Fork` is never dropped by the pool: it runs, or it comes back.

#![allow(unsafe_code, reason = "erases the lifetime of closures that their maker outlives")]

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::super::{Shared, lane::Lane, worker};
use crate::{
    job::Job,
    primitive::{AtomicBool, Ordering, fence},
};

/// See the module's text.
#[derive(Debug)]
pub(in super::super) struct Fork {
    part: *const (),
    run: unsafe fn(*const ()),
}

// SAFETY: a Fork is made of parts only whose closure and result are Send.
unsafe impl Send for Fork {}

impl Fork {
    /// # Safety
    /// `run(part)` may be called once, from any thread, until this right is given back or used; it does not unwind.
    pub(super) unsafe fn new(part: *const (), run: unsafe fn(*const ())) -> Self {
        Self { part, run }
    }

    /// Runs the part.
    #[inline]
    pub(in super::super) fn run(self) {
        /// Somebody waits for this part and has lent it what it stands on: it ends, or the process does.
        struct Ends;
        impl Drop for Ends {
            fn drop(&mut self) {
                std::process::abort();
            }
        }
        let ends = Ends;
        // SAFETY: the promise made to `new`; `self` is used up.
        unsafe { (self.run)(self.part) };
        std::mem::forget(ends);
    }

    /// As a task, which is not dropped but run.
    pub(in super::super) fn into_job(self) -> Job {
        Job::new(move || self.run())
    }
}

/// The second half of a fork, on the stack of who forks.
pub(super) struct Half<F, R> {
    f: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<R>>>,
    done: AtomicBool,
    /// The worker that waits.
    owner: usize,
}

impl<F: FnOnce() -> R + Send, R: Send> Half<F, R> {
    #[inline]
    pub(super) fn new(f: F, owner: usize) -> Self {
        Self { f: UnsafeCell::new(Some(f)), result: UnsafeCell::new(None), done: AtomicBool::new(false), owner }
    }

    /// First step: hands out the right to run it. The other steps follow in the function that called this one, before it
    /// returns: the right comes back ([`Half::take_back`]), or the half is done ([`Half::is_done`]). `give` does not unwind.
    #[inline]
    pub(super) fn lend(&self, give: impl FnOnce(Fork)) {
        // SAFETY: `run` is called once at most, for `Fork` is used up by it. The caller keeps `self` where it is until then
        // or until the right is back.
        give(unsafe { Fork::new(std::ptr::from_ref(self).cast(), Self::run) });
    }

    /// Whether this is the right to run this half.
    #[inline]
    pub(super) fn is(&self, fork: &Fork) -> bool {
        std::ptr::eq(fork.part, std::ptr::from_ref(self).cast())
    }

    /// The right is back: the closure, to be run here.
    #[inline]
    pub(super) fn take_back(&self, fork: Fork) -> impl FnOnce() -> R {
        assert!(self.is(&fork), "another half's");
        // SAFETY: whoever holds the right is the only one to touch the closure, and that is the caller.
        let f = unsafe { (*self.f.get()).take() };
        f.expect("a right is used once")
    }

    #[inline]
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// What it returned, once it is done; its panic goes on here.
    pub(super) fn result(&self) -> R {
        assert!(self.is_done(), "asked too early");
        // SAFETY: it is done, so nobody else touches the result any more.
        let result = unsafe { (*self.result.get()).take() };
        result.expect("a result is taken once").unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// # Safety
    /// `this` is a `Half` that stays where it is until `done` is set, and the caller has used up the right to run it.
    unsafe fn run(this: *const ()) {
        // SAFETY: the caller's promise.
        let half = unsafe { &*this.cast::<Self>() };
        // SAFETY: only the holder of the right touches closure and result before `done`.
        let f = unsafe { (*half.f.get()).take() };
        let result = f.map(|f| catch_unwind(AssertUnwindSafe(f)));
        // SAFETY: as above.
        unsafe { *half.result.get() = result };
        let owner = half.owner;
        // From here on the half may be gone.
        half.done.store(true, Ordering::Release);
        wake_owner(owner);
    }
}

/// Wakes a worker of the calling worker's pool that waits for what was just made visible.
pub(super) fn wake_owner(owner: usize) {
    fence(Ordering::SeqCst);
    worker::here(|local| local.shared().sleep.wake_waiter(owner));
}

/// Parts that stay inside a lane, or that come from a thread that is no worker: whoever runs a ticket takes one.
#[derive(Default)]
pub(in super::super) struct Parts {
    parts: Mutex<Vec<Fork>>,
}

impl Parts {
    fn lock(&self) -> MutexGuard<'_, Vec<Fork>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The newest part.
    pub(in super::super) fn take(&self) -> Option<Fork> {
        self.lock().pop()
    }

    /// Lets the workers of this lane have the part; `owner` is the worker that waits for it.
    pub(super) fn offer(self: &Arc<Self>, part: Fork, shared: &Shared, lane: &Lane, level: usize, owner: usize) {
        self.lock().push(part);
        let parts = self.clone();
        let ticket = Job::new(move || {
            if let Some(part) = parts.take() {
                part.run();
            }
        });
        // A worker of a stopped pool would drop the ticket. The owner runs the part.
        if !shared.is_stopped() {
            shared.push_part(lane, level, ticket);
        }
        // It may be waiting already, and no other worker may be left to come.
        fence(Ordering::SeqCst);
        shared.sleep.wake_waiter(owner);
    }
}
