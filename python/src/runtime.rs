//! `libcoop.Runtime`.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use coop_core::{Error, PoolOptions, RuntimeOptions, ShutdownMode, StartMode};
use pyo3::prelude::*;

use crate::{
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::{self, EventLoop},
    exit, wait,
    with::with_block,
};

/// An event loop and a pool as one: `libcoop.Runtime` is a subclass that adds the executor.
#[pyclass(frozen, weakref, subclass, module = "libcoop")]
pub(crate) struct Runtime {
    event_loop: Py<EventLoop>,
    workers: usize,
    owner: Mutex<Option<Arc<coop_core::Runtime>>>,
}

impl Runtime {
    /// `None` once it was closed. Nothing of the lock is held while `f` runs.
    fn if_open<R>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&Arc<coop_core::Runtime>) -> PyResult<R>,
    ) -> Option<PyResult<R>> {
        let runtime = self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let result = f(&runtime);
        if let Some(last) = Arc::into_inner(runtime) {
            // Closed meanwhile. It waits for threads that may wait to attach.
            py.detach(|| drop(last));
        }
        Some(result)
    }

    fn with<R>(&self, py: Python<'_>, f: impl FnOnce(&Arc<coop_core::Runtime>) -> PyResult<R>) -> PyResult<R> {
        self.if_open(py, f).unwrap_or_else(|| Err(to_py(py, &Error::Closed("runtime"))))
    }

    /// For its pool, which `libcoop/_runtime.py` makes an executor of.
    pub(crate) fn weak(&self, py: Python<'_>) -> PyResult<Weak<coop_core::Runtime>> {
        self.with(py, |runtime| Ok(Arc::downgrade(runtime)))
    }

    fn take(&self) -> Option<Arc<coop_core::Runtime>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (workers = None, *, pin = false))]
    fn new(py: Python<'_>, workers: Option<i64>, pin: bool) -> PyResult<Self> {
        let count = |given| usize::try_from(given).map_err(|_| Error::Invalid(format!("{given} workers: at least 1")));
        let workers = workers.map(count).transpose().or_raise(py)?;
        let pool = PoolOptions { workers, no_pin: !pin, ..PoolOptions::default() };
        let options = RuntimeOptions { pool, ..RuntimeOptions::default() };
        let runtime = py.detach(|| coop_core::Runtime::new(options)).or_raise(py)?;
        let event_loop = Py::new(py, EventLoop::borrowed(runtime.event_loop().handle()))?;
        let workers = runtime.pool().workers();
        Ok(Self { event_loop, workers, owner: Mutex::new(Some(Arc::new(runtime))) })
    }

    /// Its loop: timers and watches run their callbacks in the pool, posts run on the loop's thread.
    #[getter]
    fn event_loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.event_loop.clone_ref(py)
    }

    /// Runs the loop: on a thread of its own, or, with `wait`, in this thread until the runtime is stopped.
    ///
    /// With `wait` Ctrl-C ends it with KeyboardInterrupt. Raises Exists if it runs already, Closed once it was stopped, Forked.
    #[pyo3(signature = (*, wait = false))]
    fn start(this: &Bound<'_, Self>, wait: bool) -> PyResult<()> {
        let py = this.py();
        exit::register(this.as_any(), exit::Order::Runtime)?;
        this.get().with(py, |runtime| match wait {
            true => event_loop::run(py, &runtime.event_loop().handle(), |_| runtime.start(StartMode::Wait)),
            false => runtime.start(StartMode::Return).or_raise(py),
        })
    }

    /// Stops the loop, which finishes what it had accepted, and then the pool, which runs what is queued; any number of times.
    ///
    /// Any thread; from one of the runtime's own callbacks it returns at once, and both end when that has returned. `timeout` is
    /// in seconds, None for ever. Raises Timeout: what is still queued is dropped, and it may be called again. Raises Forked.
    #[pyo3(signature = (timeout = None))]
    fn stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = wait::timeout(timeout)?;
        self.if_open(py, |runtime| stop(py, runtime, timeout)).unwrap_or(Ok(()))
    }

    /// Ends both without running what is queued, and waits for the callbacks that run; any number of times.
    ///
    /// Any thread. From one of the runtime's own callbacks it returns at once.
    fn close(&self, py: Python<'_>) {
        let Some(owner) = self.take() else { return };
        // Whoever runs the loop has a hold on it, and must hear of it. In a forked child there is nobody to tell.
        let _ = owner.event_loop().stop();
        py.detach(|| drop(owner));
    }

    fn _stop_at_exit(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        self.stop(py, Some(patience))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let event_loop = self.event_loop.bind(py).repr()?;
        Ok(format!("<libcoop.Runtime of {} workers and {event_loop}>", self.workers))
    }
}

with_block!(Runtime, |this, py| {
    let stopped = this.stop(py, None);
    this.close(py);
    stopped
});

impl Drop for Runtime {
    fn drop(&mut self) {
        // Its threads may be waiting to attach.
        drop(self.take().map(Detached::new));
    }
}

fn stop(py: Python<'_>, runtime: &Arc<coop_core::Runtime>, timeout: Option<Duration>) -> PyResult<()> {
    if runtime.event_loop().is_loop_thread() || runtime.pool().is_worker_thread() {
        return py.detach(|| runtime.stop(Some(Duration::ZERO))).or_raise(py);
    }
    // In slices, so that Ctrl-C is heard; only the last one gives up on what is queued.
    runtime.event_loop().stop().or_raise(py)?;
    let not_yet = |error: &Error| matches!(error, Error::Timeout(_));
    let started = Instant::now();
    if let Err(late) = wait::wait(py, timeout, |slice| runtime.event_loop().join(Some(slice)), not_yet)? {
        let _ = py.detach(|| runtime.pool().shutdown(ShutdownMode::Discard, Some(Duration::ZERO)));
        return Err(to_py(py, &late));
    }
    runtime.pool().close().or_raise(py)?;
    let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
    if wait::wait(py, left, |slice| runtime.pool().join(Some(slice)), not_yet)?.is_ok() {
        return Ok(());
    }
    py.detach(|| runtime.stop(Some(Duration::ZERO))).or_raise(py)
}
