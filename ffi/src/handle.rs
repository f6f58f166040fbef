//! Opaque pointers: the only casts between what C holds and what it means.
//!
//! # Invariant
//!
//! A pointer that C holds came from [`give`] and goes to [`take`] once, by the object's `free`. Everything in
//! between borrows it shared, through [`borrow`]: nothing ever makes a `&mut` of it, so any number of threads may
//! call at once.
//!
//! A borrow must end before the object's box is freed. Freeing an object while another thread *begins* a call on
//! it is the caller's bug, but a callback may free it while a call is under way that let the callback start. Such
//! a call clones what it needs out of the box first.

use coop_core::{Error, Result};

/// Hands an object to C. Called last: `out` is written only on success.
///
/// # Safety
/// `out` points to a place for a pointer.
pub(crate) unsafe fn give<T>(object: T, out: *mut *mut T) {
    // SAFETY: the caller's promise.
    unsafe { out.write(Box::into_raw(Box::new(object))) };
}

/// The object behind a pointer of C's, or [`Error::Null`] with the parameter's name.
///
/// # Safety
/// `pointer` is NULL or came from [`give`] (or points into such an object) and is not freed before the borrow ends.
#[inline]
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// Takes an object back from C.
///
/// # Safety
/// `pointer` came from [`give`], and nothing uses it any more.
pub(crate) unsafe fn take<T>(pointer: *mut T) -> T {
    // SAFETY: the caller's promise: `give` boxed it.
    *unsafe { Box::from_raw(pointer) }
}

/// An output parameter that must be there.
pub(crate) fn wanted<T>(out: *mut T, name: &str) -> Result<()> {
    if out.is_null() { Err(null(name)) } else { Ok(()) }
}

#[cold]
pub(crate) fn null(name: &str) -> Error {
    Error::Null(name.to_owned())
}
