//! `libcoop._libcoop.ServiceContext`: a run, as its own entry sees it; `libcoop.Context` is made of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use coop_core::supervisor::{self, Args, Context};
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};

use super::{
    attendant::{Attended, attendant},
    observer::{Observer, Wanted},
};
use crate::{
    callback::{self, report},
    detached::Detached,
    errors::OrRaise,
    thread_state, wait,
};

/// What is called when the run is asked to stop; none once it was, or the run has ended.
type OnStop = Arc<Mutex<Option<Attended<Py<PyAny>>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a `Context` is made of. It may be used from any thread; when the run has ended it tells nothing any more.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct ServiceContext {
    pub(crate) context: Detached<Context>,
    /// A callback may hold this object, which holds what holds the callback: the end of the run parts them.
    on_stop: Mutex<Vec<OnStop>>,
    /// Those that end when the run is asked to stop.
    observers: Arc<Mutex<Vec<Weak<supervisor::Observer>>>>,
}

impl ServiceContext {
    pub(crate) fn new(context: Context) -> Self {
        Self { context: Detached::new(context), on_stop: Mutex::default(), observers: Arc::default() }
    }
}

impl ServiceContext {
    /// A loop over events would otherwise hold up the end of its service. One that is made while it stops goes on.
    fn end_on_stop(&self, observer: &Arc<supervisor::Observer>) {
        if self.context.is_stopping() {
            return;
        }
        let is_first = {
            let mut observers = lock(&self.observers);
            let is_first = observers.capacity() == 0;
            observers.retain(|each| each.strong_count() > 0);
            observers.push(Arc::downgrade(observer));
            is_first
        };
        if is_first {
            let observers = self.observers.clone();
            self.context.on_stop(move || {
                let ending = std::mem::take(&mut *lock(&observers));
                for observer in ending.iter().filter_map(Weak::upgrade) {
                    let _ = observer.end();
                }
            });
        } else if self.context.is_stopping() {
            // Asked meanwhile: the others may have been ended before this one came.
            let _ = observer.end();
        }
    }
}

#[pymethods]
impl ServiceContext {
    /// The service's id in its host.
    #[getter]
    fn id(&self) -> u64 {
        self.context.id().0
    }

    /// The service's name.
    #[getter]
    fn name(&self) -> &str {
        self.context.name()
    }

    /// Its names from the root down, joined by "/".
    #[getter]
    fn path(&self) -> &str {
        self.context.path()
    }

    /// Which run this is, from 1.
    #[getter]
    fn run(&self) -> u64 {
        self.context.run()
    }

    /// How often it must beat, in seconds; None if it need not.
    #[getter]
    fn watchdog(&self) -> Option<f64> {
        self.context.watchdog().map(|every| every.as_secs_f64())
    }

    /// What `start_child` gave it beside its template's arguments: a tuple, a list of str, or None.
    #[getter]
    fn args(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.context.args() {
            Args::None => Ok(None),
            Args::Strings(strings) => Ok(Some(PyList::new(py, strings)?.into_any().unbind())),
            Args::Value(value) => {
                Ok(value.downcast_ref::<Attended<Py<PyTuple>>>().map(|args| args.get().clone_ref(py).into_any()))
            }
        }
    }

    /// It can do its work: needed of a service that was added with `ready="notify"`.
    fn ready(&self, py: Python<'_>) {
        py.detach(|| self.context.ready());
    }

    /// It makes progress: at least once within each `watchdog`.
    fn beat(&self) {
        self.context.beat();
    }

    /// It needs so many seconds more, from now, to get ready, to stop, or to beat again. Raises ValueError.
    fn extend(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let by = wait::delay("seconds", seconds)?;
        py.detach(|| self.context.extend(by));
        Ok(())
    }

    /// What it does, in words.
    fn status(&self, py: Python<'_>, text: String) {
        py.detach(|| self.context.status(text));
    }

    /// Its start asks not to be run: it is to return next, and is not restarted. Raises Invalid if it is ready at once.
    fn ignore(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.context.ignore()).or_raise(py)
    }

    /// Whether it was asked to stop.
    fn is_stopping(&self) -> bool {
        self.context.is_stopping()
    }

    /// Waits until it is asked to stop; False after `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn wait_stopping(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = wait::timeout(timeout)?;
        if self.context.is_stopping() {
            return Ok(true);
        }
        Ok(wait::until(py, timeout, self.context.stopping())?.is_some())
    }

    /// Has `callback()` called when it is asked to stop, on a thread of the library's; soon, if it was already.
    fn on_stop(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = callback.py();
        callback::check_callable("callback", callback)?;
        let callback: OnStop = Arc::new(Mutex::new(Some(Attended::new(py, callback.clone().unbind()).or_raise(py)?)));
        let attendant = attendant(py).or_raise(py)?;
        lock(&self.on_stop).push(callback.clone());
        let ask = move || {
            // Out of its place here: a run that ends meanwhile forgets only those that were not called.
            let Some(callback) = lock(&callback).take() else { return };
            // Refused in a forked child only.
            let _ = attendant.post(move || {
                thread_state::attach(|py| {
                    let callback = callback.get().bind(py);
                    report(callback, "a service", callback.call0());
                });
            });
        };
        py.detach(|| self.context.on_stop(ask));
        Ok(())
    }

    /// The run is over: lets go of the callbacks that were not called.
    fn _forget_callbacks(&self) {
        let all = std::mem::take(&mut *lock(&self.on_stop));
        if self.context.is_stopping() {
            // They are being called, and gone then.
            return;
        }
        all.iter().for_each(|callback| drop(lock(callback).take()));
    }

    /// An Observer of the host's events. Raises Invalid, TypeError, Forked, Os, in a process of its own also Timeout.
    fn events(
        &self,
        paths: &Bound<'_, PyTuple>,
        kinds: &Bound<'_, PyAny>,
        queue: &Bound<'_, PyAny>,
        replay: &Bound<'_, PyAny>,
    ) -> PyResult<Py<Observer>> {
        let (py, root) = (paths.py(), self.context.path().split('/').next().unwrap_or_default());
        let Wanted { filter, options } = Wanted::new(root, paths, kinds, queue, replay)?;
        let observer = py.detach(|| self.context.observe(filter.clone(), &options)).or_raise(py)?;
        let made = Observer::new(py, observer, filter)?;
        py.detach(|| self.end_on_stop(made.get().core()));
        Ok(made)
    }

    fn __repr__(&self) -> String {
        format!("<libcoop._libcoop.ServiceContext of {:?}, run {}>", self.context.path(), self.context.run())
    }
}
