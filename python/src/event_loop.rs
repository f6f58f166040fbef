//! `libcoop.EventLoop`, `Timer` and `Watch`.

use std::{
    io::Read,
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{Mutex, PoisonError},
};

use coop_core::{
    Error,
    event_loop::{Handle, Interest, On, Readiness, RunMode, TimerId, TimerOptions, WatchId, WatchOptions},
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyTuple};

use crate::{
    callback::Callback,
    errors::{OrRaise, to_py},
    exit, report, wait,
};

/// The bits of `watch`'s `events`.
pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const ERROR: u32 = 4;
pub(crate) const HANG_UP: u32 = 8;

/// One thread that waits for many things.
#[pyclass(frozen, weakref, subclass, module = "libcoop")]
pub(crate) struct EventLoop {
    pub(crate) handle: Handle,
    /// None for the loop of a runtime, which owns it, and once closed.
    owner: Mutex<Option<coop_core::EventLoop>>,
}

impl EventLoop {
    /// A view of a loop that somebody else owns.
    pub(crate) fn borrowed(handle: Handle) -> Self {
        Self { handle, owner: Mutex::new(None) }
    }
}

#[pymethods]
impl EventLoop {
    #[new]
    #[pyo3(signature = (*, name = "coop-loop".to_owned()))]
    fn new(py: Python<'_>, name: String) -> PyResult<Self> {
        if name.contains('\0') {
            return Err(PyValueError::new_err(format!("name {name:?} contains a NUL character")));
        }
        let owner = coop_core::EventLoop::new(coop_core::EventLoopOptions { name }).or_raise(py)?;
        Ok(Self { handle: owner.handle(), owner: Mutex::new(Some(owner)) })
    }

    #[pyo3(signature = (callback, /, *args))]
    fn post(&self, callback: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = callback.py();
        let callback = Callback::new(callback, args)?;
        self.handle.post(move || callback.call("the event loop")).or_raise(py)
    }

    #[pyo3(signature = (delay, callback, /, *args, repeat = None))]
    fn call_later(
        &self,
        delay: f64,
        callback: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        repeat: Option<f64>,
    ) -> PyResult<Timer> {
        let py = callback.py();
        let callback = Callback::new(callback, args)?;
        let every = repeat.map(|seconds| wait::delay("repeat", seconds)).transpose()?;
        let options = TimerOptions { after: wait::delay("delay", delay)?, every, on: On::Default };
        let id = self.handle.timer(options, move |_| callback.call("a timer")).or_raise(py)?;
        Ok(Timer { handle: self.handle.clone(), id })
    }

    #[pyo3(signature = (fd, events, callback, /, *, edge = false))]
    fn watch(&self, fd: &Bound<'_, PyAny>, events: u32, callback: &Bound<'_, PyAny>, edge: bool) -> PyResult<Watch> {
        let py = fd.py();
        let callback = Callback::new(callback, &PyTuple::empty(py))?;
        if events == 0 || events & !(READ | WRITE) != 0 {
            return Err(PyValueError::new_err(format!(
                "events must be READ ({READ}), WRITE ({WRITE}) or both, not {events}"
            )));
        }
        let interest = Interest { readable: events & READ != 0, writable: events & WRITE != 0 };
        let fd: RawFd = match fd.extract() {
            Ok(fd) => fd,
            Err(_) => fd.call_method0("fileno")?.extract()?,
        };
        let options = WatchOptions { edge, ..WatchOptions::new(interest) };
        let told = move |readiness: Readiness| callback.call_with("a watch", |_, f| f.call1((bits(readiness),)));
        let id = self.handle.watch(fd, options, told).or_raise(py)?;
        Ok(Watch { handle: self.handle.clone(), id, fd })
    }

    #[pyo3(signature = (mode = 0))]
    fn run(this: &Bound<'_, Self>, mode: i32) -> PyResult<()> {
        let mode = RunMode::try_from(mode).or_raise(this.py())?;
        exit::register(this.as_any(), exit::Order::EventLoop)?;
        run(this.py(), &this.get().handle, |handle| handle.run(mode))
    }

    fn start(this: &Bound<'_, Self>) -> PyResult<()> {
        exit::register(this.as_any(), exit::Order::EventLoop)?;
        this.get().handle.start().or_raise(this.py())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.stop().or_raise(py)
    }

    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = wait::timeout(timeout)?;
        let not_yet = |error: &Error| matches!(error, Error::Timeout(_));
        wait::wait(py, timeout, |slice| self.handle.join(Some(slice)), not_yet)?.or_raise(py)
    }

    fn _stop_at_exit(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        self.stop(py)?;
        self.join(py, Some(patience))
    }

    fn close(&self, py: Python<'_>) {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(owner));
    }

    #[getter]
    fn running(&self) -> bool {
        self.handle.is_running()
    }

    #[getter]
    fn stopped(&self) -> bool {
        self.handle.is_stopped()
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let state = match (self.handle.is_stopped(), self.handle.is_running()) {
            (true, true) => "stopping",
            (true, false) => "stopped",
            (false, true) => "running",
            (false, false) => "not running",
        };
        format!("<libcoop.EventLoop {state}>")
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        let owner = self.owner.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if owner.is_some() {
            // Its thread may be waiting to attach.
            let mut owner = Some(owner);
            if Python::try_attach(|py| py.detach(|| drop(owner.take()))).is_none() {
                drop(owner);
            }
        }
    }
}

/// Runs a loop in this thread, detached; Ctrl-C and other exceptions that are no `Exception` leave it.
pub(crate) fn run(
    py: Python<'_>,
    handle: &Handle,
    run: impl FnOnce(&Handle) -> coop_core::Result<()> + Send,
) -> PyResult<()> {
    let signals = Signals::hear(py, handle)?;
    let (result, raised) = py.detach(|| {
        let (result, raised) = report::run_in_this_thread(handle, || run(handle));
        (result, raised)
    });
    if let Some(signals) = signals {
        signals.leave(py, handle)?;
    }
    match raised {
        Some(raised) => Err(raised),
        None => result.or_raise(py),
    }
}

/// In the main thread: the interpreter's signal handlers wake the loop through a socket, and run then.
struct Signals {
    previous: Py<PyAny>,
    watch: WatchId,
    _wakeup: UnixStream,
}

impl Signals {
    fn hear(py: Python<'_>, handle: &Handle) -> PyResult<Option<Self>> {
        let threading = py.import("threading")?;
        if !threading.call_method0("current_thread")?.is(&threading.call_method0("main_thread")?) {
            return Ok(None);
        }
        if handle.is_running() || handle.is_stopped() {
            // Refused by `run` in its own words.
            return Ok(None);
        }
        let (mut heard, wakeup) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        wakeup.set_nonblocking(true)?;
        let fd = heard.as_raw_fd();
        let options = WatchOptions { on: On::Loop, unref: true, ..WatchOptions::new(Interest::READ) };
        let watch = handle.watch(fd, options, move |_| {
            let mut signals = [0; 64];
            while matches!(heard.read(&mut signals), Ok(count) if count > 0) {}
            Python::try_attach(|py| {
                if let Err(error) = py.check_signals() {
                    let _ = report::leave_run(error);
                }
            });
        });
        let watch = watch.or_raise(py)?;
        let set = py.import("signal")?.call_method1("set_wakeup_fd", (wakeup.as_raw_fd(),));
        match set {
            Ok(previous) => Ok(Some(Self { previous: previous.unbind(), watch, _wakeup: wakeup })),
            // Not the main interpreter: its signals are handled elsewhere.
            Err(_) => {
                handle.cancel_watch(watch).or_raise(py)?;
                Ok(None)
            }
        }
    }

    fn leave(self, py: Python<'_>, handle: &Handle) -> PyResult<()> {
        py.import("signal")?.call_method1("set_wakeup_fd", (self.previous,))?;
        match handle.cancel_watch(self.watch) {
            // The loop was freed meanwhile, and the watch with it.
            Err(event_loop_gone) if !matches!(event_loop_gone, Error::Stale(_)) => Err(to_py(py, &event_loop_gone)),
            _ => Ok(()),
        }
    }
}

fn bits(readiness: Readiness) -> u32 {
    let Readiness { readable, writable, error, hang_up } = readiness;
    [(readable, READ), (writable, WRITE), (error, ERROR), (hang_up, HANG_UP)]
        .into_iter()
        .map(|(is, bit)| if is { bit } else { 0 })
        .sum()
}

/// A timer of an event loop.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Timer {
    handle: Handle,
    id: TimerId,
}

#[pymethods]
impl Timer {
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.handle.cancel_timer(self.id)).or_raise(py)
    }

    #[getter]
    fn id(&self) -> u64 {
        self.id.0
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Timer {:#x}>", self.id.0)
    }
}

/// A watch of an event loop on a file descriptor.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Watch {
    handle: Handle,
    id: WatchId,
    fd: RawFd,
}

#[pymethods]
impl Watch {
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.handle.cancel_watch(self.id)).or_raise(py)
    }

    #[getter]
    fn id(&self) -> u64 {
        self.id.0
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Watch {:#x} of fd {}>", self.id.0, self.fd)
    }
}
