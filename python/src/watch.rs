//! `libcoop.Watch`, and what is said of descriptors: which, and for what they are ready.

use std::os::fd::RawFd;

use coop_core::event_loop::{Readiness, WatchId, WeakHandle};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyInt,
};

use crate::source::{ask, source_methods};

/// The bits of `watch`'s `events`.
pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const ERROR: u32 = 4;
pub(crate) const HANG_UP: u32 = 8;

/// The number of what is a file descriptor or has one.
pub(crate) fn descriptor(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let numbered = if object.is_instance_of::<PyInt>() { Some(object.clone()) } else { None };
    let number = match numbered {
        Some(number) => number,
        None => match object.getattr_opt("fileno")? {
            Some(fileno) => fileno.call0()?,
            None => {
                let given = object.repr()?;
                return Err(PyTypeError::new_err(format!(
                    "fd must be a file descriptor or an object with fileno(), not {given}"
                )));
            }
        },
    };
    let too_big = |_| PyValueError::new_err(format!("{number} is not a file descriptor"));
    number.extract::<RawFd>().map_err(too_big)
}

pub(crate) fn bits(readiness: Readiness) -> u32 {
    let Readiness { readable, writable, error, hang_up } = readiness;
    [(readable, READ), (writable, WRITE), (error, ERROR), (hang_up, HANG_UP)]
        .into_iter()
        .map(|(is, bit)| if is { bit } else { 0 })
        .sum()
}

/// A watch of an event loop on a file descriptor, as `EventLoop.watch` returns it. Letting go of it does not cancel it.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Watch {
    pub(crate) handle: WeakHandle,
    pub(crate) id: WatchId,
    pub(crate) fd: RawFd,
}

#[pymethods]
impl Watch {
    /// Ends the watch: its callback does not begin any more. Any thread. Raises Stale if it has ended already, Forked.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        ask(py, &self.handle, "io_watch", |event_loop| event_loop.cancel_watch(self.id))
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Watch {:#x} of fd {}>", self.id.0, self.fd)
    }
}

source_methods!(Watch, "io_watch", set_watch_ref);
