//! Descriptors that this process was started with, taken into ownership by their numbers.
//!
//! Unsafe, because a number may be of a file that somebody else owns: the manifest, which only the process that supervises this one writes, says
//! which ones are for it, and each is taken once.

#![allow(unsafe_code, reason = "a number from the environment becomes a descriptor")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

use crate::error::{Error, Result};

/// Takes it; what this process starts does not inherit it.
///
/// # Errors
/// [`Error::Os`] if nothing has this number.
pub(crate) fn adopt(number: RawFd) -> Result<OwnedFd> {
    let failed = |errno: rustix::io::Errno| Error::os(format!("descriptor {number} of a worker"), &errno.into());
    if number < 0 {
        return Err(failed(rustix::io::Errno::BADF));
    }
    // SAFETY: one that is not open is refused below, before anything owns it; borrowing it does nothing by itself.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    fcntl_getfd(borrowed).map_err(failed)?;
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).map_err(failed)?;
    // SAFETY: it is open, and was handed over to this process for this: see the module's text.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
