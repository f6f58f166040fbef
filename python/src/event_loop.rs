//! `libcoop.EventLoop`: its life, posts, timers and watches. What it answers with futures stands in the files of that.

use std::{
    os::fd::RawFd,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{
    Error, Priority,
    event_loop::{Handle, Interest, On, Readiness, RunMode, TimerOptions, WatchOptions},
};
use pyo3::{
    exceptions::{PyException, PyTimeoutError, PyValueError},
    prelude::*,
    types::PyTuple,
};

use crate::{
    callback::Callback,
    ctrl_c::CtrlC,
    detached::Detached,
    errors::{OrRaise, to_py},
    exit,
    future::Promise,
    pool::cpu_set,
    posts::{Call, Posts},
    report,
    timer::Timer,
    wait,
    watch::{READ, WRITE, Watch, bits, descriptor},
    with::with_block,
};

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
    pub(crate) posts: Arc<Posts>,
    /// None for the loop of a runtime, which owns it, and once closed.
    owner: Mutex<Option<coop_core::EventLoop>>,
}

impl EventLoop {
    /// A view of a loop that somebody else owns.
    pub(crate) fn borrowed(handle: Handle) -> Self {
        Self { posts: Posts::new(&handle), handle: Detached::new(handle), owner: Mutex::new(None) }
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
        let handle = owner.handle();
        Ok(Self { posts: Posts::new(&handle), handle: Detached::new(handle), owner: Mutex::new(Some(owner)) })
    }

    /// Queues `callback(*args)` to run once on the loop's thread. Posts of one thread run in their order.
    ///
    /// Any thread. Raises TypeError, Closed after `stop`, Forked.
    #[pyo3(signature = (callback, /, *args))]
    fn post(&self, callback: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = callback.py();
        self.posts.post(&self.handle, Call::new(callback, args, None)?).or_raise(py)
    }

    /// Queues `callback(*args)` like `post`, waits until it has run, and answers what it returns or raises what it raises.
    ///
    /// At `timeout` seconds (None: never) a call that has not begun is not made, and Timeout is raised; one that has begun is waited
    /// for. So is it when Ctrl-C ends the wait with KeyboardInterrupt: what has not begun is not made. A loop that nobody runs yet is
    /// waited for. Raises WouldDeadlock on the loop's own thread, TypeError, Closed after `stop` and when the loop is closed first,
    /// Forked.
    #[pyo3(signature = (callback, /, *args, timeout = None))]
    fn post_and_wait<'py>(
        &self,
        callback: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = callback.py();
        wait::timeout(timeout)?;
        // Longer than `threading` takes is for ever.
        let timeout = timeout.filter(|seconds| *seconds < 1e9);
        if self.handle.is_loop_thread() {
            let text = "a callback of an event loop cannot wait for a post to that loop";
            return Err(to_py(py, &Error::WouldDeadlock(text)));
        }
        let (future, promise) = Promise::of_call(py)?;
        let future = future.into_bound(py);
        self.posts.post(&self.handle, Call::new(callback, args, Some(promise))?).or_raise(py)?;
        let waited = future.call_method1("result", (timeout,));
        if waited.is_ok() || !future.call_method0("cancel")?.is_truthy()? {
            // It has ended, or will: what it raises is its own.
            return match waited {
                Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
                _ => future.call_method0("result"),
            };
        }
        match waited {
            Err(error) if error.is_instance_of::<PyTimeoutError>(py) => {
                Err(to_py(py, &Error::Timeout("the event loop has not come to the post".into())))
            }
            interrupted => interrupted,
        }
    }

    /// Calls `callback(*args)` in `delay` seconds, once, or again every `repeat` seconds without drift.
    ///
    /// Times that passed while the loop was busy are one call. 0 is the loop's next turn. A Runtime's loop runs it in its pool, at
    /// this priority and on a worker on one of these CPUs; a bare loop has no pool and takes neither. With `unref` a loop that runs
    /// until it is idle does not wait for it. Any thread. Raises ValueError for a delay below 0 or a period of 0, TypeError, Affinity,
    /// Closed after `stop`, Forked.
    #[pyo3(signature = (delay, callback, /, *args, repeat = None, priority = None, cpus = None, unref = false))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn call_later(
        &self,
        delay: f64,
        callback: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        repeat: Option<f64>,
        priority: Option<i32>,
        cpus: Option<Vec<i64>>,
        unref: bool,
    ) -> PyResult<Timer> {
        let py = callback.py();
        let callback = Callback::new(callback, args)?;
        let every = repeat.map(|seconds| wait::delay("repeat", seconds)).transpose()?;
        let options =
            TimerOptions { after: wait::delay("delay", delay)?, every, on: place(py, priority, cpus)?, unref };
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
    /// the caller's, who cancels the watch before closing it. `priority`, `cpus` and `unref` as for `call_later`. Any thread.
    ///
    /// Raises Exists for a second watch on a descriptor, Os for one that is closed or cannot be watched (a regular file),
    /// ValueError, TypeError, Closed after `stop`, Forked.
    #[pyo3(signature = (fd, events, callback, /, *, edge = false, priority = None, cpus = None, unref = false))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn watch(
        &self,
        fd: &Bound<'_, PyAny>,
        events: i64,
        callback: &Bound<'_, PyAny>,
        edge: bool,
        priority: Option<i32>,
        cpus: Option<Vec<i64>>,
        unref: bool,
    ) -> PyResult<Watch> {
        let py = fd.py();
        let callback = Callback::new(callback, &PyTuple::empty(py))?;
        let wanted = u32::try_from(events).ok().filter(|events| *events > 0 && events & !(READ | WRITE) == 0);
        let wanted = wanted.ok_or_else(|| {
            PyValueError::new_err(format!("events must be READ ({READ}), WRITE ({WRITE}) or both, not {events}"))
        })?;
        let interest = Interest { readable: wanted & READ != 0, writable: wanted & WRITE != 0 };
        let fd = descriptor(fd)?;
        let options = WatchOptions { edge, unref, on: place(py, priority, cpus)?, ..WatchOptions::new(interest) };
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

with_block!(EventLoop, |this, py| {
    this.close(py);
    Ok(())
});

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

/// Where a source's callback runs, as keyword arguments say it.
pub(crate) fn place(py: Python<'_>, priority: Option<i32>, cpus: Option<Vec<i64>>) -> PyResult<On> {
    if priority.is_none() && cpus.is_none() {
        return Ok(On::Default);
    }
    let priority = Priority::try_from(priority.unwrap_or_default()).or_raise(py)?;
    Ok(On::Pool { priority, cpus: cpus.map(cpu_set).transpose().or_raise(py)? })
}

/// Runs a loop in this thread, detached; Ctrl-C and other exceptions that are no `Exception` leave it.
pub(crate) fn run(
    py: Python<'_>,
    handle: &Handle,
    run: impl FnOnce(&Handle) -> coop_core::Result<()> + Send,
) -> PyResult<()> {
    let ctrl_c = CtrlC::hear(py, handle)?;
    let (result, raised) = py.detach(|| {
        let (result, raised) = report::run_in_this_thread(handle, || run(handle));
        (result, raised)
    });
    if let Some(ctrl_c) = ctrl_c {
        ctrl_c.leave(py, handle)?;
    }
    match raised {
        Some(raised) => Err(raised),
        None => result.or_raise(py),
    }
}
