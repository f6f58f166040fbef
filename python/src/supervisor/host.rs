//! `libcoop._libcoop.NativeHost`: the owner of a tree; `libcoop.Host` is made of it.

use std::sync::{Arc, Mutex, PoisonError};

use coop_core::{
    Error,
    supervisor::{Finish, Host, HostOptions, HostSignals},
};
use pyo3::prelude::*;

use super::{answer::answer, options, supervisor::NativeSupervisor};
use crate::{
    detached::Detached,
    errors::{OrRaise, to_py},
    wait,
};

/// What a `Host` is made of.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NativeHost {
    owner: Mutex<Option<Arc<Host>>>,
    root: NativeSupervisor,
    name: String,
}

impl NativeHost {
    pub(crate) fn open(&self, py: Python<'_>) -> PyResult<Detached<Arc<Host>>> {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        owner.map(Detached::new).ok_or_else(|| to_py(py, &Error::Closed("host")))
    }

    fn take(&self) -> Option<Detached<Arc<Host>>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).take().map(Detached::new)
    }
}

#[pymethods]
impl NativeHost {
    /// A host that is not started yet. `intensity` is None for any number of restarts.
    #[new]
    #[pyo3(signature = (name, strategy, intensity, period, auto_shutdown, history, reap))]
    #[allow(clippy::too_many_arguments, reason = "the caller's keyword arguments")]
    fn new(
        py: Python<'_>,
        name: String,
        strategy: i32,
        intensity: Option<u32>,
        period: f64,
        auto_shutdown: i32,
        history: usize,
        reap: bool,
    ) -> PyResult<Self> {
        let root = options::root(py, strategy, intensity, period, auto_shutdown)?;
        let options = HostOptions { name: name.clone(), root, history, event_loop: None, reap, quiet: false };
        let host = py.detach(|| Host::new(options)).or_raise(py)?;
        let root = NativeSupervisor::new(host.root().clone());
        Ok(Self { owner: Mutex::new(Some(Arc::new(host))), root, name })
    }

    /// Its root.
    fn root(&self) -> NativeSupervisor {
        self.root.again()
    }

    /// Starts the tree. With `waits` until all are ready; else answers a future of that.
    fn start(&self, py: Python<'_>, waits: bool) -> PyResult<Py<PyAny>> {
        let host = self.open(py)?;
        if waits {
            host.check_outside().or_raise(py)?;
        }
        let asked = host.ask_start().or_raise(py)?;
        answer(py, asked, waits, |py, ()| Ok(py.None()))
    }

    /// Asks it to stop, and returns at once. Nothing once it is closed.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py).map_or(Ok(()), |host| py.detach(|| host.stop()).or_raise(py))
    }

    /// Ends everything that runs, and returns at once. Nothing once it is closed.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py).map_or(Ok(()), |host| py.detach(|| host.kill()).or_raise(py))
    }

    /// Raises WouldDeadlock where nobody may wait for its end, Closed, Forked.
    fn check_outside(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py)?.check_outside().or_raise(py)
    }

    /// Waits until it has ended, started or not, and answers how: (a number, a signal or None, a text). None after `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn wait_ended(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<(u32, Option<i32>, String)>> {
        let timeout = wait::timeout(timeout)?;
        let host = self.open(py)?;
        host.check_outside().or_raise(py)?;
        wait::until(py, timeout, host.ended())?.map(|finish| finish.map(finished).or_raise(py)).transpose()
    }

    /// A future of its end, as `wait_ended` answers it.
    fn ended(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let ended = self.open(py)?.ended();
        answer(py, ended, false, |py, finish| Ok(finished(finish).into_pyobject(py)?.into_any().unbind()))
    }

    /// How it has ended, as `wait_ended` answers it; None if it has not.
    fn finished(&self, py: Python<'_>) -> PyResult<Option<(u32, Option<i32>, String)>> {
        Ok(self.open(py)?.finished().or_raise(py)?.map(finished))
    }

    /// Whether it was started, also if it has ended since.
    fn is_started(&self, py: Python<'_>) -> PyResult<bool> {
        self.open(py)?.is_started().or_raise(py)
    }

    /// Has SIGINT and SIGTERM stop it until what is answered is let go of; in the main thread. None in another.
    fn take_signals(&self, py: Python<'_>) -> PyResult<Option<TakenSignals>> {
        if !wait::in_main_thread(py)? {
            return Ok(None);
        }
        let host = self.open(py)?;
        let taken = py.detach(|| host.take_signals()).or_raise(py)?;
        Ok(Some(TakenSignals(Mutex::new(Some(taken)))))
    }

    /// Stops it if it runs, waits until it has ended, and lets go of it; any number of times.
    fn close(&self) {
        drop(self.take());
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Drop for NativeHost {
    fn drop(&mut self) {
        drop(self.take());
    }
}

fn finished(finish: Finish) -> (u32, Option<i32>, String) {
    match finish {
        Finish::Stopped => (0, None, String::new()),
        Finish::Signal(signum) => (1, Some(signum), String::new()),
        Finish::AutoShutdown => (2, None, String::new()),
        Finish::GaveUp(text) => (3, None, text),
    }
}

/// SIGINT and SIGTERM, as long as they are a host's.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct TakenSignals(Mutex<Option<HostSignals>>);

#[pymethods]
impl TakenSignals {
    /// They do again what they did before; again is fine.
    fn give_back(&self, py: Python<'_>) {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(taken));
    }
}
