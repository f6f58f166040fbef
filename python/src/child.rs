//! `EventLoop.child`.

use coop_core::event_loop::{ExitStatus, On};
use pyo3::{exceptions::PyTypeError, intern, prelude::*, sync::PyOnceLock, types::PyType};

use crate::{callback::Held, errors::OrRaise, event_loop::EventLoop, future::Promise};

#[pymethods]
impl EventLoop {
    /// A future of how a child of this process ends, an ExitStatus: its process id, or what has `pid`, as a `subprocess.Popen`.
    ///
    /// The loop reaps the child; do not wait for it elsewhere meanwhile. A Popen is told its `returncode`, so that its own `poll` and
    /// `wait` answer afterwards. Cancelled, it leaves the child to the caller. Any thread. Raises ValueError for a number below 1,
    /// TypeError, Os (no such process, not a child of this one), Unsupported without pidfds, Closed, Forked.
    #[pyo3(signature = (process, /))]
    fn child(&self, process: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = process.py();
        let wrong = || {
            let shown = process.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
            PyTypeError::new_err(format!("process must be a process id or have `pid`, not {shown}"))
        };
        let owner = process.getattr_opt(intern!(py, "pid"))?;
        let pid: i32 = owner.as_ref().unwrap_or(process).extract().map_err(|_| wrong())?;
        let told = process.hasattr(intern!(py, "returncode"))?.then(|| Held::new(process.clone().unbind()));
        let (future, promise) = Promise::new(py, &self.handle)?;
        let canceller = promise.canceller();
        let ended = move |status: coop_core::Result<ExitStatus>| {
            promise.settle(move |py| {
                let status = exit_status(py, status.or_raise(py)?)?;
                if let Some(popen) = told {
                    popen.take().bind(py).setattr("returncode", status.getattr("returncode")?)?;
                }
                Ok(status.unbind())
            });
        };
        let id = self.handle.child(pid, On::Loop, ended).or_raise(py)?;
        let event_loop = self.handle.downgrade();
        canceller.ends_by(move || {
            // Stale if it has just ended.
            let _ = event_loop.upgrade().map(|event_loop| event_loop.cancel_child(id));
        });
        Ok(future)
    }
}

fn exit_status(py: Python<'_>, status: ExitStatus) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let ExitStatus { pid, code, signal, core_dumped } = status;
    CLASS.import(py, "libcoop._child", "ExitStatus")?.call1((pid, code, signal, core_dumped))
}
