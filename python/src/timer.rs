//! `libcoop.Timer`.

use coop_core::{
    Error,
    event_loop::{TimerId, WeakHandle},
};
use pyo3::prelude::*;

use crate::errors::OrRaise;

/// A timer of an event loop, as `EventLoop.call_later` returns it. Letting go of it does not cancel it.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Timer {
    pub(crate) handle: WeakHandle,
    pub(crate) id: TimerId,
}

#[pymethods]
impl Timer {
    /// Ends the timer: its callback does not begin any more. Any thread. Raises Stale if it has ended already, Forked.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let gone = Err(Error::Stale("timer"));
        py.detach(|| self.handle.upgrade().map_or(gone, |handle| handle.cancel_timer(self.id))).or_raise(py)
    }

    /// A loop that runs until it is idle waits for it, as at first. Raises Stale, Forked.
    fn r#ref(&self, py: Python<'_>) -> PyResult<()> {
        self.set_ref(py, true)
    }

    /// A loop that runs until it is idle does not wait for it. Raises Stale, Forked.
    fn unref(&self, py: Python<'_>) -> PyResult<()> {
        self.set_ref(py, false)
    }

    /// Slot and generation; never 0.
    #[getter]
    fn id(&self) -> u64 {
        self.id.0
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Timer {:#x}>", self.id.0)
    }
}

impl Timer {
    fn set_ref(&self, py: Python<'_>, referenced: bool) -> PyResult<()> {
        let gone = Err(Error::Stale("timer"));
        let set = || self.handle.upgrade().map_or(gone, |handle| handle.set_timer_ref(self.id, referenced));
        py.detach(set).or_raise(py)
    }
}
