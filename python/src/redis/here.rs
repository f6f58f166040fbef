//! Where a call is made: what runs in this thread.

use pyo3::{intern, prelude::*, sync::PyOnceLock};

pub(crate) enum Here<'py> {
    /// Nothing that could go on: the call is waited for.
    Plain,
    /// A loop of asyncio, which is this one.
    Asyncio(Bound<'py, PyAny>),
    /// A coroutine that libcoop drives.
    Driven,
}

impl<'py> Here<'py> {
    /// As `libcoop._driving.is_driven` has it: a loop of asyncio that runs inside a driven coroutine comes first.
    pub(crate) fn find(py: Python<'py>) -> PyResult<Self> {
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static DRIVING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let running = match RUNNING.get(py) {
            Some(running) => Some(running.bind(py).clone()),
            None => {
                // Not imported for this: where it is not there, none of its loops runs.
                let modules = py.import("sys")?.getattr("modules")?;
                let asyncio = modules.call_method1("get", ("asyncio.events",))?;
                let found = asyncio.getattr_opt("_get_running_loop")?;
                found.map(|running| RUNNING.get_or_init(py, || running.unbind()).bind(py).clone())
            }
        };
        if let Some(running) = running {
            let event_loop = running.call0()?;
            if !event_loop.is_none() {
                return Ok(Self::Asyncio(event_loop));
            }
        }
        let driving = DRIVING
            .get_or_try_init(py, || PyResult::Ok(py.import("libcoop._driving")?.getattr("driving")?.unbind()))?;
        let is_driven = driving.bind(py).getattr(intern!(py, "now"))?.is_truthy()?;
        Ok(if is_driven { Self::Driven } else { Self::Plain })
    }
}
