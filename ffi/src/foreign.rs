//! Callbacks of C: a function, its argument, and how to drop the argument.
//!
//! # Invariant
//!
//! Whoever holds a [`Foreign`] owns the argument: dropping it calls `drop(arg)`, once. A call that is refused
//! gives its `Foreign` back to C by forgetting it ([`refused`]).

use std::{ffi::c_void, mem};

use coop_core::{Error, Refused, Result};

use crate::{handle::null, tsan};

/// The [`Foreign`] of a callback struct: `fn`, `arg` and `drop`. Last of what may fail, but for the call that it is for.
macro_rules! foreign {
    ($callback:expr) => {{
        let callback = $callback;
        $crate::foreign::Foreign::new(callback.r#fn, callback.arg, callback.drop)
    }};
}
pub(crate) use foreign;

/// Called once or more with its argument.
pub(crate) type Run = unsafe extern "C" fn(arg: *mut c_void);
/// Called once with the argument, when it is not needed any more.
pub(crate) type DropArg = unsafe extern "C" fn(arg: *mut c_void);

/// A function that runs once, with its argument.
///
/// When a call takes it (answers COOP_OK), drop(arg) is called exactly once: after fn has run, or instead of it;
/// on any thread, with no lock held, so that it may call the library. When the call fails, neither is called and
/// arg is still the caller's. Neither function may throw or longjmp out of the library.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_callback {
    /// Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL: then nothing is called when arg is not needed any more.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// An accepted callback: three words, which fit into a job.
pub(crate) struct Foreign<F> {
    pub(crate) run: F,
    pub(crate) arg: *mut c_void,
    drop: Option<DropArg>,
}

// SAFETY: the header says that callbacks run and arguments are dropped on any thread.
unsafe impl<F: Send> Send for Foreign<F> {}

impl<F> Foreign<F> {
    /// Takes a callback; refuses one without a function, and then nothing is owned.
    pub(crate) fn new(run: Option<F>, arg: *mut c_void, drop: Option<DropArg>) -> Result<Self> {
        let run = run.ok_or_else(|| null("callback.fn"))?;
        Ok(Self::own(run, arg, drop))
    }

    /// Takes what was checked.
    pub(crate) fn own(run: F, arg: *mut c_void, drop: Option<DropArg>) -> Self {
        tsan::hand_over(arg);
        Self { run, arg, drop }
    }
}

impl<F> Drop for Foreign<F> {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            let _inside = tsan::Inside::after_others(self.arg);
            // SAFETY: C gave `drop` for this argument, and it is called here only.
            unsafe { drop(self.arg) };
        }
    }
}

impl Foreign<Run> {
    pub(crate) fn of(callback: coop_callback) -> Result<Self> {
        foreign!(callback)
    }

    pub(crate) fn call(&self) {
        let _inside = tsan::Inside::once(self.arg);
        // SAFETY: C gave `fn` for this argument.
        unsafe { (self.run)(self.arg) };
    }

    /// A run that comes after the earlier ones.
    pub(crate) fn call_again(&self) {
        let _inside = tsan::Inside::after_others(self.arg);
        // SAFETY: C gave `fn` for this argument.
        unsafe { (self.run)(self.arg) };
    }
}

impl<A> Foreign<unsafe extern "C" fn(arg: *mut c_void, A)> {
    /// A run that comes after the earlier ones, and is told something.
    pub(crate) fn call_with(&self, told: A) {
        let _inside = tsan::Inside::after_others(self.arg);
        // SAFETY: C gave `fn` for this argument.
        unsafe { (self.run)(self.arg, told) };
    }
}

impl<A, B> Foreign<unsafe extern "C" fn(arg: *mut c_void, A, B)> {
    /// A run that comes after the earlier ones, and is told two things.
    pub(crate) fn call_with_both(&self, first: A, second: B) {
        let _inside = tsan::Inside::after_others(self.arg);
        // SAFETY: C gave `fn` for this argument.
        unsafe { (self.run)(self.arg, first, second) };
    }
}

/// What was refused goes back to C, which still owns the argument.
pub(crate) fn refused<T>(refused: Refused<T>) -> Error {
    mem::forget(refused.value);
    refused.error
}
