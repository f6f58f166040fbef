//! `libcoop.Runtime`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use coop_core::{Error, PoolOptions, RuntimeOptions, StartMode};
use pyo3::{prelude::*, types::PyTuple};

use crate::{
    errors::{OrRaise, to_py},
    event_loop::{self, EventLoop},
    exit,
    pool::NativePool,
    wait,
};

/// An event loop and a pool as one.
#[pyclass(frozen, weakref, subclass, module = "libcoop")]
pub(crate) struct Runtime {
    event_loop: Py<EventLoop>,
    workers: usize,
    owner: Mutex<Option<Arc<coop_core::Runtime>>>,
}

impl Runtime {
    fn runtime(&self, py: Python<'_>) -> PyResult<Arc<coop_core::Runtime>> {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        owner.clone().ok_or_else(|| to_py(py, &Error::Closed("runtime")))
    }

    fn take(&self) -> Option<Arc<coop_core::Runtime>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (workers = None, *, pin = false))]
    fn new(py: Python<'_>, workers: Option<usize>, pin: bool) -> PyResult<Self> {
        let pool = PoolOptions { workers, no_pin: !pin, ..PoolOptions::default() };
        let options = RuntimeOptions { pool, ..RuntimeOptions::default() };
        let runtime = py.detach(|| coop_core::Runtime::new(options)).or_raise(py)?;
        let event_loop = Py::new(py, EventLoop::borrowed(runtime.event_loop().handle()))?;
        let workers = runtime.pool().workers();
        Ok(Self { event_loop, workers, owner: Mutex::new(Some(Arc::new(runtime))) })
    }

    /// Its loop: sources run their callbacks in the pool, posts run on the loop's thread.
    #[getter]
    fn event_loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.event_loop.clone_ref(py)
    }

    /// The workers under its pool, which `libcoop/_runtime.py` makes an executor of.
    #[getter]
    fn _pool(&self, py: Python<'_>) -> PyResult<NativePool> {
        Ok(NativePool::of_runtime(&self.runtime(py)?))
    }

    #[pyo3(signature = (*, wait = false))]
    fn start(this: &Bound<'_, Self>, wait: bool) -> PyResult<()> {
        let py = this.py();
        exit::register(this.as_any(), exit::Order::Runtime)?;
        let runtime = this.get().runtime(py)?;
        if wait {
            event_loop::run(py, &runtime.event_loop().handle(), |_| runtime.start(StartMode::Wait))
        } else {
            runtime.start(StartMode::Return).or_raise(py)
        }
    }

    #[pyo3(signature = (timeout = None))]
    fn stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let runtime = self.runtime(py)?;
        let timeout = wait::timeout(timeout)?;
        if runtime.event_loop().is_loop_thread() || runtime.pool().is_worker_thread() {
            return py.detach(|| runtime.stop(Some(Duration::ZERO))).or_raise(py);
        }
        // In slices, so that Ctrl-C is heard; only the last one gives up on what is queued.
        runtime.event_loop().stop().or_raise(py)?;
        let not_yet = |error: &Error| matches!(error, Error::Timeout(_));
        let started = Instant::now();
        wait::wait(py, timeout, |slice| runtime.event_loop().join(Some(slice)), not_yet)?.or_raise(py)?;
        runtime.pool().close().or_raise(py)?;
        let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        if wait::wait(py, left, |slice| runtime.pool().join(Some(slice)), not_yet)?.is_ok() {
            return Ok(());
        }
        py.detach(|| runtime.stop(Some(Duration::ZERO))).or_raise(py)
    }

    fn close(&self, py: Python<'_>) {
        let owner = self.take();
        py.detach(|| drop(owner));
    }

    fn _stop_at_exit(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        self.stop(py, Some(patience))
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let stopped = self.stop(py, None);
        self.close(py);
        stopped
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let event_loop = self.event_loop.bind(py).repr()?;
        Ok(format!("<libcoop.Runtime of {} workers and {event_loop}>", self.workers))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let mut owner = self.take();
        // Its threads may be waiting to attach.
        if owner.is_some() && Python::try_attach(|py| py.detach(|| drop(owner.take()))).is_none() {
            drop(owner);
        }
    }
}
