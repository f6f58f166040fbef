//! `EventLoop.signal` and `libcoop.Signal`.

use coop_core::event_loop::{SignalId, WeakHandle, signal};
use pyo3::{prelude::*, types::PyTuple};

use crate::{
    callback::Callback,
    errors::OrRaise,
    event_loop::{EventLoop, place},
    source::{ask, source_methods},
};

#[pymethods]
impl EventLoop {
    /// Calls `callback(signum, times)` when this process gets a signal; signals that come faster than callbacks run are one call.
    ///
    /// Any number of watchers, on any loops, are told of each. While there is one, a handler of Python's `signal` module for it is not
    /// called (so Ctrl-C raises no KeyboardInterrupt while SIGINT is watched), and is not to be set; the last `cancel`, or the loop's
    /// end, gives the signal back to it. Some thread must have the signal unblocked, as the main thread has. `priority` and `cpus` as
    /// for `call_later`. Any thread. Raises ValueError for what is no signal or cannot be watched (SIGKILL, SIGSTOP, faults), TypeError,
    /// Affinity, Os, Closed, Forked.
    #[pyo3(signature = (signum, callback, /, *, priority = None, cpus = None))]
    fn signal(
        &self,
        signum: i32,
        callback: &Bound<'_, PyAny>,
        priority: Option<i32>,
        cpus: Option<Vec<i64>>,
    ) -> PyResult<Signal> {
        let py = callback.py();
        let callback = Callback::new(callback, &PyTuple::empty(py))?;
        let told = move |signum: i32, times: u64| callback.call_with("a signal", |_, f| f.call1((signum, times)));
        let id = self.handle.signal(signum, place(py, priority, cpus)?, told).or_raise(py)?;
        Ok(Signal { handle: self.handle.downgrade(), id, signum })
    }
}

/// Whether a loop watches a signal: a handler of Python's is not called then, and is not to be set.
#[pyfunction]
#[pyo3(name = "_is_watched")]
pub(crate) fn is_watched(signum: i32) -> bool {
    signal::is_watched(signum)
}

/// A watcher of a signal, as `EventLoop.signal` returns it. Letting go of it does not cancel it.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Signal {
    handle: WeakHandle,
    id: SignalId,
    signum: i32,
}

#[pymethods]
impl Signal {
    /// Ends the watcher: its callback does not begin any more. The last one of a signal gives it back. Any thread. Raises Stale if it has
    /// ended already, Forked.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        ask(py, &self.handle, "signal", |event_loop| event_loop.cancel_signal(self.id))
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Signal {:#x} of signal {}>", self.id.0, self.signum)
    }
}

source_methods!(Signal);
