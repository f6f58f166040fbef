//! `libcoop.Timer`.

use coop_core::event_loop::{TimerId, WeakHandle};
use pyo3::prelude::*;

use crate::source::{ask, source_methods};

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
        ask(py, &self.handle, "timer", |event_loop| event_loop.cancel_timer(self.id))
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Timer {:#x}>", self.id.0)
    }
}

source_methods!(Timer, "timer", set_timer_ref);
