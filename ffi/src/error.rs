//! `coop_error`: a failure that comes later, as a callback is told of it.

use std::{
    ffi::{CString, c_char},
    ptr,
};

use coop_core::{Error, Result};

use crate::status::coop_status;

/// Why something failed that a callback is told of. The library makes it; it is there until the callback returns. Later versions may
/// add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_error {
    /// One of COOP_E_*.
    pub status: coop_status,
    /// The system's error number (ECONNRESET, EMFILE, ...) beside COOP_E_OS; else 0.
    pub os_errno: i32,
    /// Why, in words: UTF-8, never NULL.
    pub message: *const c_char,
}

/// Calls `f` with the error as C sees it; with NULL if there is none.
pub(crate) fn told<R>(result: Result<(), &Error>, f: impl FnOnce(*const coop_error) -> R) -> R {
    match result {
        Ok(()) => f(ptr::null()),
        Err(error) => {
            let message = CString::new(error.to_string().replace('\0', "\u{fffd}")).unwrap_or_default();
            f(&coop_error {
                status: error.status(),
                os_errno: error.os_errno().unwrap_or(0),
                message: message.as_ptr(),
            })
        }
    }
}
