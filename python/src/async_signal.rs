//! `EventLoop.async_` and `libcoop.Async`.

use std::sync::{Mutex, PoisonError};

use coop_core::{Error, event_loop::AsyncSignal};
use pyo3::{prelude::*, types::PyTuple};

use crate::{
    callback::Callback,
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::{EventLoop, place},
    with::with_block,
};

#[pymethods]
impl EventLoop {
    /// An Async, whose `send` has `callback(*args)` called: several sends may be one call.
    ///
    /// `priority` and `cpus` as for `call_later`. Any thread. Raises TypeError, Affinity, Os, Unsupported without eventfds, Closed after
    /// `stop`, Forked.
    #[pyo3(signature = (callback, /, *args, priority = None, cpus = None))]
    fn async_(
        &self,
        callback: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        priority: Option<i32>,
        cpus: Option<Vec<i64>>,
    ) -> PyResult<Async> {
        let py = callback.py();
        let callback = Callback::new(callback, args)?;
        let told = move || callback.call("an async");
        let made = self.handle.async_signal(place(py, priority, cpus)?, told).or_raise(py)?;
        Ok(Async { signal: Mutex::new(Some(Detached::new(made))) })
    }
}

/// What wakes a loop from anywhere, signal handlers of Python included, and never takes memory, as `EventLoop.async_` returns it.
///
/// After each `send` the callback begins once more; sends before it begins are one call. Letting go of it closes it; as a context manager
/// it is closed at the end.
#[pyclass(frozen, weakref, module = "libcoop")]
pub(crate) struct Async {
    /// None once closed.
    signal: Mutex<Option<Detached<AsyncSignal>>>,
}

#[pymethods]
impl Async {
    /// Has the callback called. After the loop's end it does nothing. Any thread. Raises Closed after `close`, Forked.
    fn send(&self, py: Python<'_>) -> PyResult<()> {
        match &*self.signal.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(signal) if signal.send() => Ok(()),
            Some(_) => Err(to_py(py, &Error::Forked("async"))),
            None => Err(to_py(py, &Error::Closed("async"))),
        }
    }

    /// Ends it, any number of times: the callback does not begin any more.
    fn close(&self) {
        let signal = self.signal.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(signal);
    }
}

with_block!(Async, |this, _py| {
    this.close();
    Ok(())
});
