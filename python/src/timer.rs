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

    /// Slot and generation; never 0.
    #[getter]
    fn id(&self) -> u64 {
        self.id.0
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Timer {:#x}>", self.id.0)
    }
}
