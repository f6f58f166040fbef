//! A thread from outside has something done by a worker, and waits for it.

#![allow(unsafe_code, reason = "the worker borrows from the thread that waits")]

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use super::super::{Handle, SubmitOptions, worker};
use crate::{
    error::{Error, Result},
    job::Job,
};

/// Something that a thread can wait for; it happens once.
#[derive(Default)]
pub(super) struct Signal {
    given: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(super) fn give(&self) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(super) fn wait(&self) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        while !*given {
            given = self.changed.wait(given).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What is to be done, and what came of it, on the stack of who waits.
struct Visit<F, R> {
    f: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<R>>>,
}

/// The one reference to a visit but its owner's; gives the signal when it is dropped, after the run or without one.
struct Guest<F, R> {
    visit: *const Visit<F, R>,
    signal: Arc<Signal>,
}

// SAFETY: what it points to is used by one thread at a time: the worker until the signal, then the owner; F and R are Send.
unsafe impl<F: Send, R: Send> Send for Guest<F, R> {}

impl<F, R> Drop for Guest<F, R> {
    fn drop(&mut self) {
        self.signal.give();
    }
}

impl<F: FnOnce() -> R + Send, R: Send> Guest<F, R> {
    fn run(self) {
        // SAFETY: the owner keeps the visit where it is until the signal, which is given when `self` is dropped, below.
        let visit = unsafe { &*self.visit };
        // SAFETY: until the signal nobody else touches it.
        let f = unsafe { (*visit.f.get()).take() };
        let result = f.map(|f| catch_unwind(AssertUnwindSafe(f)));
        // SAFETY: as above.
        unsafe { *visit.result.get() = result };
    }
}

/// Erases the lifetime of a task.
///
/// # Safety
/// What `f` borrows outlives `f`: its run, or its drop without one.
unsafe fn erase<'a>(f: Box<dyn FnOnce() + Send + 'a>) -> Box<dyn FnOnce() + Send + 'static> {
    // SAFETY: the types differ in the lifetime only, and the caller answers for that.
    unsafe { std::mem::transmute(f) }
}

/// Calls `f` in the pool: here, if this is one of its own tasks, else on a worker, for which it waits.
pub(super) fn inside<F: FnOnce() -> R + Send, R: Send>(handle: &Handle, f: F) -> Result<R> {
    handle.fork.check()?;
    if worker::is_worker_of(&handle.shared) {
        return Ok(f());
    }
    let target = handle.target(&SubmitOptions::default())?;
    let visit = Visit { f: UnsafeCell::new(Some(f)), result: UnsafeCell::new(None) };
    let signal = Arc::new(Signal::default());
    let guest = Guest { visit: &raw const visit, signal: signal.clone() };
    // SAFETY: the closure owns the guest, and this function does not return before the guest is dropped: it waits for the signal
    // on every way out, and nothing before the wait unwinds.
    let task = unsafe { erase(Box::new(move || guest.run())) };
    // The caller waits in any case, so a full pool takes it, as it takes a loop.
    let pushed = handle.push_part(&target, Job::new(task), |job| job);
    // Refused, the task comes back, and is dropped here: that gives the signal, too.
    let refused = pushed.err().map(|refused| refused.error);
    signal.wait();
    // SAFETY: after the signal this thread is the only one that knows the visit.
    let result = unsafe { (*visit.result.get()).take() };
    match result {
        Some(result) => Ok(result.unwrap_or_else(|panic| resume_unwind(panic))),
        None => Err(refused.unwrap_or(Error::Closed("pool"))),
    }
}
