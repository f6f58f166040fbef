//! `libcoop.Observer`: a host's events for those who wait, in threads and in coroutines, and for callbacks.
//!
//! * The host's thread wakes who waits by a waker of the core's, and never attaches: a thread is woken by the system, a coroutine by the
//!   attendant.
//! * A coroutine waits for something to be there, and takes it when it runs again: one that is cancelled takes no event with it.
//! * A callback has a thread of its own, so one that stands still holds up nobody.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::ThreadId,
};

use coop_core::{
    Error,
    supervisor::{self, Filter, Item, Kind, ObserverOptions},
    thread,
};
use pyo3::{
    exceptions::{PyStopAsyncIteration, PyTypeError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyString, PyTuple, PyType},
};

use super::{attendant::attendant, event::ServiceEvent};
use crate::{
    callback::Callback,
    errors::{OrRaise, to_py},
    exit, future, wait,
    with::with_block,
};

/// What `events` and `on_event` are told of what is wanted.
pub(crate) struct Wanted {
    pub(crate) filter: Filter,
    pub(crate) options: ObserverOptions,
}

impl Wanted {
    /// Of `events(*paths, kinds=(), queue=1024, replay=0)`, in the host whose root has this name. Raises Invalid, TypeError.
    pub(crate) fn new(
        root: &str,
        paths: &Bound<'_, PyTuple>,
        kinds: &Bound<'_, PyAny>,
        queue: &Bound<'_, PyAny>,
        replay: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = paths.py();
        let paths = paths.iter().map(|path| path_of(root, &path)).collect::<PyResult<_>>()?;
        let kinds = if kinds.is_instance_of::<PyString>() {
            // A single one is a text, and would be taken apart.
            vec![kind_of(kinds)?]
        } else {
            let wrong = |_| PyTypeError::new_err(format!("kinds must be of EventKind, not {}", shown(kinds)));
            kinds.try_iter().map_err(wrong)?.map(|kind| kind_of(&kind?)).collect::<PyResult<_>>()?
        };
        let number = |name: &str, given: &Bound<'_, PyAny>, least: usize| {
            let words = || format!("{name} {}: allowed are whole numbers from {least} to {}", shown(given), u32::MAX);
            let allowed = |number: &u32| *number as usize >= least && !given.is_instance_of::<PyBool>();
            let found = given.extract().ok().filter(allowed).map(|number: u32| number as usize);
            found.ok_or_else(|| to_py(py, &Error::Invalid(words())))
        };
        let options = ObserverOptions { queue: number("queue", queue, 1)?, replay: number("replay", replay, 0)? };
        Ok(Self { filter: Filter { paths, kinds }, options })
    }
}

fn shown(object: &Bound<'_, PyAny>) -> String {
    object.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string())
}

fn path_of(root: &str, path: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = path.py();
    let wrong = |_| PyTypeError::new_err(format!("a path must be a str, not {}", shown(path)));
    let path: String = path.extract().map_err(wrong)?;
    let first = path.split('/').next().unwrap_or_default();
    if first != root && !first.contains(['*', '?']) {
        // No event would ever come.
        let words = format!("path {path:?}: a path begins with the name of its host's root, as in \"{root}/{path}\"");
        return Err(to_py(py, &Error::Invalid(words)));
    }
    Ok(path)
}

fn kind_of(kind: &Bound<'_, PyAny>) -> PyResult<Kind> {
    let name: Option<String> = kind.extract().ok();
    let found = Kind::ALL.into_iter().find(|kind| Some(kind.name()) == name.as_deref());
    found.ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let words = format!("{} is no EventKind: there are {}", shown(kind), names.join(", "));
        to_py(kind.py(), &Error::Invalid(words))
    })
}

/// What happens in a host, one event after another: an iterator, for threads and for coroutines, that ends after the host's last event.
///
/// One that is slow loses the oldest events, and gets a `Lost` with their number before the next one; it never slows the host. Each
/// event is taken once, whoever waits. As a context manager it is closed at the end.
#[pyclass(frozen, weakref, module = "libcoop")]
pub(crate) struct Observer {
    observer: Arc<supervisor::Observer>,
    filter: Filter,
    /// Of one with a callback: ends when its thread does.
    told: Option<(ThreadId, Mutex<mpsc::Receiver<()>>)>,
}

impl Observer {
    /// One to ask.
    pub(crate) fn new(py: Python<'_>, observer: supervisor::Observer, filter: Filter) -> PyResult<Py<Self>> {
        let made = Bound::new(py, Self { observer: Arc::new(observer), filter, told: None })?;
        exit::register(made.as_any(), exit::Order::Observer)?;
        Ok(made.unbind())
    }

    /// One whose events are told to a callback, until it is closed or the host has ended, whoever holds it.
    pub(crate) fn calling(
        observer: supervisor::Observer,
        filter: Filter,
        callback: &Bound<'_, PyAny>,
    ) -> PyResult<Py<Self>> {
        let py = callback.py();
        let callback = Callback::new(callback, &PyTuple::empty(py))?;
        let (over, told) = mpsc::channel();
        let (observer, queue) = {
            let observer = Arc::new(observer);
            (observer.clone(), observer)
        };
        let run = move || {
            while let Ok(item) = queue.next(None) {
                callback.call_with("an observer", |py, f| f.call1((object(py, item)?,)));
            }
            // Nobody else may know of it any more.
            drop((callback, queue));
            drop(over);
        };
        let thread = py.detach(|| thread::spawn("coop-observer", run)).or_raise(py)?.thread().id();
        let made = Bound::new(py, Self { observer, filter, told: Some((thread, Mutex::new(told))) })?;
        exit::register(made.as_any(), exit::Order::Observer)?;
        Ok(made.unbind())
    }

    pub(super) fn core(&self) -> &Arc<supervisor::Observer> {
        &self.observer
    }

    fn asked(&self, py: Python<'_>) -> PyResult<&supervisor::Observer> {
        match &self.told {
            None => Ok(&self.observer),
            Some(_) => Err(to_py(py, &Error::Invalid("this observer's events go to its callback".into()))),
        }
    }

    fn wait_next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<coop_core::Result<Item>>> {
        let (observer, timeout) = (self.asked(py)?, wait::timeout(timeout)?);
        wait::until(py, timeout, observer.next_async())
    }
}

fn object(py: Python<'_>, item: Item) -> PyResult<Py<PyAny>> {
    static LOST: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match item {
        Item::Event(event) => Ok(Py::new(py, ServiceEvent::new(event))?.into_any()),
        Item::Lost(count) => Ok(LOST.import(py, "libcoop._events", "Lost")?.call1((count,))?.unbind()),
    }
}

#[pymethods]
impl Observer {
    /// Waits for the next ServiceEvent, or Lost. Raises Timeout, Closed after the host's last event and when it is closed, Forked.
    #[pyo3(signature = (timeout = None))]
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        match self.wait_next(py, timeout)? {
            Some(item) => object(py, item.or_raise(py)?),
            None => Err(to_py(py, &Error::Timeout("no event has come".into()))),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.wait_next(py, None)? {
            Some(Err(Error::Closed(_))) | None => Ok(None),
            Some(item) => object(py, item.or_raise(py)?).map(Some),
        }
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static NEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        slf.get().asked(py)?;
        NEXT.import(py, "libcoop._events", "take_next")?.call1((slf,))
    }

    /// What is there to take, or None. Raises StopAsyncIteration when nothing more comes.
    fn _take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.asked(py)?.try_next() {
            Err(Error::Closed(_)) => Err(PyStopAsyncIteration::new_err(())),
            item => item.or_raise(py)?.map(|item| object(py, item)).transpose(),
        }
    }

    /// A future that ends when there is something to take.
    fn _ready(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let ready = self.asked(py)?.ready().or_raise(py)?;
        let attendant = attendant(py).or_raise(py)?;
        let waits = async move {
            ready.await;
            Ok(())
        };
        future::spawn(py, &attendant, waits, |py, ()| Ok(py.None()))
    }

    /// Ends it: who waits in it is told so, and what nobody has taken is forgotten. A callback that is running goes on to its end. Any number of
    /// times. Raises Forked.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.observer.close()).or_raise(py)
    }

    /// Of a host that has ended: lets its callback have what there is still to tell, for at most so many seconds; then it is closed. False: it
    /// still runs.
    fn _finish(&self, py: Python<'_>, patience: f64) -> PyResult<bool> {
        let over = match &self.told {
            Some((thread, told)) if *thread != std::thread::current().id() && !self.observer.is_far() => {
                let over = |slice| match told.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(slice) {
                    Err(mpsc::RecvTimeoutError::Timeout) => Err(()),
                    _ => Ok(()),
                };
                wait::wait(py, wait::timeout(Some(patience))?, over, |()| true)?.is_ok()
            }
            _ => true,
        };
        self.close(py)?;
        Ok(over)
    }

    fn _stop_at_exit(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        if self._finish(py, patience)? {
            return Ok(());
        }
        Err(to_py(py, &Error::Timeout(format!("{}: its callback does not return", self.__repr__()))))
    }

    fn __repr__(&self) -> String {
        let Filter { paths, kinds } = &self.filter;
        let paths = if paths.is_empty() { "all".to_owned() } else { paths.join(", ") };
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        let called = if self.told.is_some() { ", calling back" } else { "" };
        format!("<libcoop.Observer of {paths}{kinds}{called}>")
    }
}

with_block!(Observer, |this, py| this.close(py));
