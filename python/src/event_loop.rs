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
    event_loop::{Handle, Interest, On, Readiness, RunMode, TimerId, TimerOptions, WatchId, WatchOptions, WeakHandle},
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyInt, PyTuple},
};

use crate::{
    callback::Callback,
    detached::Detached,
    errors::{OrRaise, to_py},
    exit, report, wait,
};

/// The bits of `watch`'s `events`.
pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const ERROR: u32 = 4;
pub(crate) const HANG_UP: u32 = 8;

/// One thread that waits for many things: posts, timers and file descriptors.
///
/// The thread is the caller's (`run`) or the loop's own (`start`); every other method may be called from any thread. Callbacks run
/// one at a time on the loop's thread (for the loop of a Runtime: timers and watches in its pool). An exception in one is logged
/// (logger "libcoop") and the loop goes on; one that is no Exception (SystemExit, KeyboardInterrupt) leaves `run`. `name` is that
/// of the loop's own thread. Raises Os if the process has no file descriptor left. In a forked child every call raises Forked.
///
/// As a context manager it is closed at the end.
#[pyclass(frozen, weakref, subclass, module = "libcoop")]
pub(crate) struct EventLoop {
    pub(crate) handle: Detached<Handle>,
    /// None for the loop of a runtime, which owns it, and once closed.
    owner: Mutex<Option<coop_core::EventLoop>>,
}

impl EventLoop {
    /// A view of a loop that somebody else owns.
    pub(crate) fn borrowed(handle: Handle) -> Self {
        Self { handle: Detached::new(handle), owner: Mutex::new(None) }
    }
}

#[pymethods]
impl EventLoop {
    #[new]
    #[pyo3(signature = (*, name = "coop-loop".to_owned()), text_signature = "(*, name='coop-loop')")]
    fn new(py: Python<'_>, name: String) -> PyResult<Self> {
        if name.contains('\0') {
            return Err(PyValueError::new_err(format!("name {name:?} contains a NUL character")));
        }
        let owner = coop_core::EventLoop::new(coop_core::EventLoopOptions { name }).or_raise(py)?;
        Ok(Self { handle: Detached::new(owner.handle()), owner: Mutex::new(Some(owner)) })
    }

    /// Queues `callback(*args)` to run once on the loop's thread. Posts of one thread run in their order.
    ///
    /// Any thread. Raises TypeError, Closed after `stop`, Forked.
    #[pyo3(signature = (callback, /, *args))]
    fn post(&self, callback: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = callback.py();
        let callback = Callback::new(callback, args)?;
        self.handle.post(move || callback.call_once("the event loop")).or_raise(py)
    }

    /// Calls `callback(*args)` in `delay` seconds, once, or again every `repeat` seconds without drift.
    ///
    /// Times that passed while the loop was busy are one call. 0 is the loop's next turn. Any thread. Raises ValueError for a delay
    /// below 0 or a period of 0, TypeError, Closed after `stop`, Forked.
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
        let mut callback = Some(callback);
        let told = move |_| match every {
            Some(_) => callback.iter().for_each(|callback| callback.call("a timer")),
            None => callback.take().into_iter().for_each(|callback| callback.call_once("a timer")),
        };
        let id = self.handle.timer(options, told).or_raise(py)?;
        Ok(Timer { handle: self.handle.downgrade(), id })
    }

    /// Calls `callback(events)` when a file descriptor is ready.
    ///
    /// `fd` is a number or has `fileno()`; `events` is READ, WRITE or both, and what the callback is told may have ERROR and HANG_UP
    /// besides. Level-triggered: told again for as long as it is ready; with `edge`, once for each change. The descriptor stays
    /// the caller's, who cancels the watch before closing it. Any thread.
    ///
    /// Raises Exists for a second watch on a descriptor, Os for one that is closed or cannot be watched (a regular file),
    /// ValueError, TypeError, Closed after `stop`, Forked.
    #[pyo3(signature = (fd, events, callback, /, *, edge = false))]
    fn watch(&self, fd: &Bound<'_, PyAny>, events: i64, callback: &Bound<'_, PyAny>, edge: bool) -> PyResult<Watch> {
        let py = fd.py();
        let callback = Callback::new(callback, &PyTuple::empty(py))?;
        let wanted = u32::try_from(events).ok().filter(|events| *events > 0 && events & !(READ | WRITE) == 0);
        let wanted = wanted.ok_or_else(|| {
            PyValueError::new_err(format!("events must be READ ({READ}), WRITE ({WRITE}) or both, not {events}"))
        })?;
        let interest = Interest { readable: wanted & READ != 0, writable: wanted & WRITE != 0 };
        let fd = descriptor(fd)?;
        let options = WatchOptions { edge, ..WatchOptions::new(interest) };
        let told = move |readiness: Readiness| callback.call_with("a watch", |_, f| f.call1((bits(readiness),)));
        let id = self.handle.watch(fd, options, told).or_raise(py)?;
        Ok(Watch { handle: self.handle.downgrade(), id, fd })
    }

    /// Runs the loop in this thread, until it is stopped or as `mode` says: a libcoop.RunMode, DEFAULT by default.
    ///
    /// In the main thread Ctrl-C ends it with KeyboardInterrupt; the loop stays open and may run again. Raises Exists if another
    /// thread runs it, WouldDeadlock from one of its own callbacks, Closed once it was stopped, Forked.
    #[pyo3(signature = (mode = 0), text_signature = "($self, mode=...)")]
    fn run(this: &Bound<'_, Self>, mode: i32) -> PyResult<()> {
        let mode = RunMode::try_from(mode).or_raise(this.py())?;
        exit::register(this.as_any(), exit::Order::EventLoop)?;
        run(this.py(), &this.get().handle, |handle| handle.run(mode))
    }

    /// Runs the loop on a thread of its own until `stop`.
    ///
    /// Keep the object: the loop ends with it. Raises Exists if it runs already, Closed once it was stopped, Os, Forked.
    fn start(this: &Bound<'_, Self>) -> PyResult<()> {
        exit::register(this.as_any(), exit::Order::EventLoop)?;
        this.get().handle.start().or_raise(this.py())
    }

    /// Closes the loop and returns at once: it finishes the callback at hand and the posts it has accepted, drops its timers and
    /// watches, and takes no more.
    ///
    /// Any thread, also from callbacks, any number of times. Raises Forked.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.stop().or_raise(py)
    }

    /// Waits until no thread runs the loop: after `stop`, until it has finished.
    ///
    /// `timeout` is in seconds, None for ever. Raises Timeout, WouldDeadlock from one of its own callbacks, Forked;
    /// KeyboardInterrupt in the main thread.
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

    /// Stops the loop without running what is queued, and waits for the callback that runs; any number of times.
    ///
    /// Any thread. From one of the loop's own callbacks it returns at once. The loop of a Runtime is closed with that.
    fn close(&self, py: Python<'_>) {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(owner));
    }

    /// A file descriptor that is readable when the loop has something to run, for a foreign loop that runs this one inside it:
    /// `asyncio`'s `add_reader`, `select.poll`.
    ///
    /// The foreign loop watches it for reading, sleeps no longer than `backend_timeout` says, and calls `run(RunMode.NOWAIT)` after
    /// each sleep. From this call on, whatever any thread adds makes it readable. It is the loop's, who closes it. Raises Forked.
    fn backend_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.handle.backend_fd().or_raise(py)
    }

    /// How many seconds a foreign loop may sleep before it runs this one, unless `backend_fd` becomes readable: 0 if something is due
    /// or queued, None for ever. It may be less than the next timer needs. To be asked after each run.
    ///
    /// Raises Closed when the loop was stopped and has nothing left to run, Forked.
    fn backend_timeout(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(self.handle.backend_timeout().or_raise(py)?.map(|timeout| timeout.as_secs_f64()))
    }

    /// The time on the loop's clock, which its timers go by: seconds since it was made. It never goes back.
    fn now(&self) -> f64 {
        self.handle.now().as_secs_f64()
    }

    /// Whether a thread runs the loop now, or is about to.
    #[getter]
    fn running(&self) -> bool {
        self.handle.is_running()
    }

    /// Whether `stop` was called.
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
        if !wait::in_main_thread(py)? {
            return Ok(None);
        }
        if handle.is_running() || handle.is_stopped() {
            // Refused by `run` in its own words.
            return Ok(None);
        }
        let pair = || {
            let (heard, wakeup) = UnixStream::pair()?;
            heard.set_nonblocking(true)?;
            wakeup.set_nonblocking(true)?;
            Ok((heard, wakeup))
        };
        let failed = |error| to_py(py, &Error::os("listen for signals", &error));
        let (mut heard, wakeup) = pair().map_err(failed)?;
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

/// The number of what is a file descriptor or has one.
fn descriptor(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let numbered = if object.is_instance_of::<PyInt>() { Some(object.clone()) } else { None };
    let number = match numbered {
        Some(number) => number,
        None => match object.getattr_opt("fileno")? {
            Some(fileno) => fileno.call0()?,
            None => {
                let given = object.repr()?;
                return Err(PyTypeError::new_err(format!(
                    "fd must be a file descriptor or an object with fileno(), not {given}"
                )));
            }
        },
    };
    let too_big = |_| PyValueError::new_err(format!("{number} is not a file descriptor"));
    number.extract::<RawFd>().map_err(too_big)
}

fn bits(readiness: Readiness) -> u32 {
    let Readiness { readable, writable, error, hang_up } = readiness;
    [(readable, READ), (writable, WRITE), (error, ERROR), (hang_up, HANG_UP)]
        .into_iter()
        .map(|(is, bit)| if is { bit } else { 0 })
        .sum()
}

/// A timer of an event loop, as `EventLoop.call_later` returns it. Letting go of it does not cancel it.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Timer {
    handle: WeakHandle,
    id: TimerId,
}

#[pymethods]
impl Timer {
    /// Ends the timer: its callback does not begin any more. Any thread. Raises Stale if it has ended already, Forked.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let gone = Err(Error::Stale("timer"));
        py.detach(|| self.handle.upgrade().map_or(gone, |handle| handle.cancel_timer(self.id))).or_raise(py)
    }

    /// Slot and generation; never 0.
    #[getter]
    fn id(&self) -> u64 {
        self.id.0
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Timer {:#x}>", self.id.0)
    }
}

/// A watch of an event loop on a file descriptor, as `EventLoop.watch` returns it. Letting go of it does not cancel it.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct Watch {
    handle: WeakHandle,
    id: WatchId,
    fd: RawFd,
}

#[pymethods]
impl Watch {
    /// Ends the watch: its callback does not begin any more. Any thread. Raises Stale if it has ended already, Forked.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let gone = Err(Error::Stale("io_watch"));
        py.detach(|| self.handle.upgrade().map_or(gone, |handle| handle.cancel_watch(self.id))).or_raise(py)
    }

    /// Slot and generation; never 0.
    #[getter]
    fn id(&self) -> u64 {
        self.id.0
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Watch {:#x} of fd {}>", self.id.0, self.fd)
    }
}
