//! `libcoop.Event`.

use std::{
    os::fd::{AsFd, AsRawFd, RawFd},
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{Error, event_loop::event};
use pyo3::{prelude::*, types::PyTuple};

use crate::{
    callback::Callback,
    errors::{OrRaise, to_py},
    event_loop::{EventLoop, place},
    future,
    watch::Watch,
    with::with_block,
};

/// Something that is signalled or not, with a file descriptor that is readable while it is.
///
/// One that resets itself lets one wait through for each signal; with `manual_reset` it stays signalled, for all, until `reset`. Any thread
/// may call anything. As a context manager it is closed at the end. Raises Os if the process has no descriptor left.
#[pyclass(frozen, weakref, module = "libcoop")]
pub(crate) struct Event {
    /// None once closed.
    event: Mutex<Option<Arc<event::Event>>>,
}

impl Event {
    fn open(&self, py: Python<'_>) -> PyResult<Arc<event::Event>> {
        let open = self.event.lock().unwrap_or_else(PoisonError::into_inner).clone();
        open.ok_or_else(|| to_py(py, &Error::Closed("event")))
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (*, manual_reset = false))]
    fn new(py: Python<'_>, manual_reset: bool) -> PyResult<Self> {
        let event = event::Event::new(manual_reset).or_raise(py)?;
        Ok(Self { event: Mutex::new(Some(Arc::new(event))) })
    }

    /// Sets it. Raises Closed, Forked.
    fn signal(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py)?.signal().or_raise(py)
    }

    /// Takes the signal away, if there is one. Raises Closed, Forked.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py)?.reset().or_raise(py)
    }

    /// Whether it is signalled. It only looks. Raises Closed.
    fn is_signaled(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.open(py)?.is_signaled())
    }

    /// A future that ends with None when it is signalled, on a loop, and takes the signal of one that resets itself. Cancelled, it takes
    /// none. Raises Closed, Forked.
    #[pyo3(signature = (loop_, /))]
    fn wait(&self, py: Python<'_>, loop_: &EventLoop) -> PyResult<Py<PyAny>> {
        let (event, event_loop) = (self.open(py)?, (*loop_.handle).clone());
        future::spawn_settling(py, &loop_.handle, move |promise| async move {
            let signalled = event.wait(&event_loop).await;
            let is_taken = signalled.is_ok();
            // Cancelled in the meantime: what it has taken is the next one's.
            if !promise.answer(signalled, |py, ()| Ok(py.None())) && is_taken {
                event.give_back();
            }
        })
    }

    /// Calls `callback()` whenever it is signalled, on a loop, until the Watch is cancelled: for one that resets itself with the signal
    /// taken, for the other once for each signal, or several. `priority` and `cpus` as for `EventLoop.call_later`. Raises TypeError,
    /// Affinity, Closed, Forked, Os.
    #[pyo3(signature = (loop_, callback, /, *, priority = None, cpus = None))]
    fn watch(
        &self,
        loop_: &EventLoop,
        callback: &Bound<'_, PyAny>,
        priority: Option<i32>,
        cpus: Option<Vec<i64>>,
    ) -> PyResult<Watch> {
        let py = callback.py();
        let callback = Callback::new(callback, &PyTuple::empty(py))?;
        let event = self.open(py)?;
        let told = move || callback.call("an event");
        let id = event.watch(&loop_.handle, place(py, priority, cpus)?, told).or_raise(py)?;
        Ok(Watch { handle: loop_.handle.downgrade(), id, fd: event.as_fd().as_raw_fd() })
    }

    /// The descriptor, readable while it is signalled; it stays the event's. Raises Closed.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.open(py)?.as_fd().as_raw_fd())
    }

    /// Closes it; any number of times. Who waits goes on waiting, for nothing: cancel the waits first.
    fn close(&self) {
        drop(self.event.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn __repr__(&self) -> &'static str {
        match &*self.event.lock().unwrap_or_else(PoisonError::into_inner) {
            None => "<libcoop.Event closed>",
            Some(event) if event.is_signaled() => "<libcoop.Event signalled>",
            Some(_) => "<libcoop.Event>",
        }
    }
}

with_block!(Event, |this, _py| {
    this.close();
    Ok(())
});
