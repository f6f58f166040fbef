//! `libcoop._libcoop.NativeSupervisor`: the verbs; `libcoop.Supervisor` and `libcoop.AsyncSupervisor` are made of it.

use std::sync::Arc;

use coop_core::{
    Error,
    supervisor::{Args, Child, ServiceId, Supervisor, SupervisorOptions, Verb},
};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyInt, PyString, PyTuple},
};

use super::{
    answer::answer,
    attendant::Attended,
    observer::{Observer, Wanted},
    options::{self, NativeService, ready_seconds, seconds, shutdown_seconds},
};
use crate::{
    callback,
    detached::Detached,
    errors::{OrRaise, to_py},
};

/// What a `Supervisor` is made of. With `waits` a verb is waited for; without, it answers a future.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NativeSupervisor {
    pub(crate) supervisor: Detached<Supervisor>,
}

impl NativeSupervisor {
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self { supervisor: Detached::new(supervisor) }
    }

    pub(super) fn again(&self) -> Self {
        Self::new(self.supervisor.clone())
    }

    fn verb(&self, py: Python<'_>, verb: Verb, waits: bool) -> PyResult<Py<PyAny>> {
        let asked = py.detach(|| if waits { self.supervisor.ask_here(verb) } else { self.supervisor.ask(verb) });
        answer(py, asked.or_raise(py)?, waits, |py, id| Ok(id.0.into_pyobject(py)?.into_any().unbind()))
    }
}

/// A child by its name or its id.
fn child(given: &Bound<'_, PyAny>) -> PyResult<Child> {
    if let Ok(name) = given.cast::<PyString>() {
        return Ok(Child::Name(name.to_string()));
    }
    if given.is_instance_of::<PyInt>() {
        let text = |_| to_py(given.py(), &Error::Invalid(format!("child {given}: an id is 1 to {}", u64::MAX)));
        return given.extract().map(|id| Child::Id(ServiceId(id))).map_err(text);
    }
    Err(PyTypeError::new_err(format!("a child is named by its id, as str or int, not {}", given.repr()?)))
}

#[pymethods]
impl NativeSupervisor {
    /// Its id in its host.
    #[getter]
    fn id(&self) -> u64 {
        self.supervisor.id().0
    }

    /// Its names from the root down, joined by "/". Raises Stale, Closed, Forked.
    fn path(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.supervisor.path()).or_raise(py)
    }

    /// An Observer of the host's events; with a callback, one that calls it. Raises Invalid, TypeError, Forked, Os.
    fn events(
        &self,
        callback: Option<&Bound<'_, PyAny>>,
        paths: &Bound<'_, PyTuple>,
        kinds: &Bound<'_, PyAny>,
        queue: &Bound<'_, PyAny>,
        replay: &Bound<'_, PyAny>,
    ) -> PyResult<Py<Observer>> {
        let py = paths.py();
        let Wanted { filter, options } = Wanted::new(self.supervisor.host_name(), paths, kinds, queue, replay)?;
        if let Some(callback) = callback {
            callback::check_callable("callback", callback)?;
        }
        let observer = py.detach(|| self.supervisor.observe(filter.clone(), &options)).or_raise(py)?;
        match callback {
            None => Observer::new(py, observer, filter),
            Some(callback) => Observer::calling(observer, filter, callback),
        }
    }

    /// Another supervisor of this host, by its id. Raises Stale, Closed, Forked.
    fn of(&self, py: Python<'_>, id: u64) -> PyResult<Self> {
        py.detach(|| self.supervisor.of(ServiceId(id))).map(Self::new).or_raise(py)
    }

    /// Adds a service; the answer is its id.
    fn add(&self, py: Python<'_>, service: &NativeService, waits: bool) -> PyResult<Py<PyAny>> {
        self.verb(py, Verb::Add(service.0.clone()), waits)
    }

    /// Starts a service that goes with this run of the supervisor; the answer is its id.
    fn start_child(&self, py: Python<'_>, service: &NativeService, waits: bool) -> PyResult<Py<PyAny>> {
        self.verb(py, Verb::StartChild(service.0.clone()), waits)
    }

    /// Starts a child of the template; the answer is its id. `args` are a tuple of arguments, a list of words, or bytes: a payload.
    fn start_child_with(&self, args: &Bound<'_, PyAny>, waits: bool) -> PyResult<Py<PyAny>> {
        let py = args.py();
        let args = if let Ok(payload) = args.cast::<PyBytes>() {
            Args::Value(Arc::new(payload.as_bytes().to_vec()))
        } else if let Ok(args) = args.cast::<PyTuple>() {
            let held: Attended<Py<PyTuple>> = Attended::new(py, args.clone().unbind()).or_raise(py)?;
            Args::Value(Arc::new(held))
        } else {
            Args::Strings(args.extract()?)
        };
        self.verb(py, Verb::StartChildWith(args), waits)
    }

    /// What children are made of, under SIMPLE_ONE_FOR_ONE.
    fn template(&self, py: Python<'_>, service: &NativeService) -> PyResult<()> {
        let service = service.0.clone();
        py.detach(|| self.supervisor.template(service)).or_raise(py)
    }

    /// Adds a supervisor; the answer is its id.
    #[pyo3(signature = (id, strategy, intensity, period, auto_shutdown, restart, shutdown, significant, waits))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn supervisor(
        &self,
        py: Python<'_>,
        id: String,
        strategy: i32,
        intensity: Option<u32>,
        period: f64,
        auto_shutdown: i32,
        restart: i32,
        shutdown: Option<f64>,
        significant: bool,
        waits: bool,
    ) -> PyResult<Py<PyAny>> {
        let options = SupervisorOptions {
            restart: options::restart(py, restart)?,
            shutdown: options::shutdown(shutdown)?,
            significant,
            ..options::root(py, strategy, intensity, period, auto_shutdown)?
        };
        self.verb(py, Verb::AddSupervisor(id, options), waits)
    }

    /// Stops a child and keeps its specification.
    fn terminate_child(&self, child: &Bound<'_, PyAny>, waits: bool) -> PyResult<Py<PyAny>> {
        self.verb(child.py(), Verb::TerminateChild(self::child(child)?), waits)
    }

    /// Starts a child that does not run.
    fn restart_child(&self, child: &Bound<'_, PyAny>, waits: bool) -> PyResult<Py<PyAny>> {
        self.verb(child.py(), Verb::RestartChild(self::child(child)?), waits)
    }

    /// Removes the specification of a child that does not run.
    fn delete_child(&self, child: &Bound<'_, PyAny>, waits: bool) -> PyResult<Py<PyAny>> {
        self.verb(child.py(), Verb::DeleteChild(self::child(child)?), waits)
    }

    /// Starts a new run of a child, and stops the old one when that is ready.
    fn replace_child(&self, child: &Bound<'_, PyAny>, waits: bool) -> PyResult<Py<PyAny>> {
        self.verb(child.py(), Verb::ReplaceChild(self::child(child)?), waits)
    }

    /// The children: (id, name, path, executor, state, run, pid) of each.
    #[allow(clippy::type_complexity, reason = "a tuple for Python")]
    fn which_children(
        &self,
        py: Python<'_>,
    ) -> PyResult<Vec<(u64, String, String, &'static str, u32, u64, Option<i32>)>> {
        let children = py.detach(|| self.supervisor.which_children()).or_raise(py)?;
        let tuple = |child: coop_core::supervisor::ChildInfo| {
            let (state, executor) = (child.state as u32, child.executor);
            (child.id.0, child.name, child.path, executor, state, child.run, child.pid)
        };
        Ok(children.into_iter().map(tuple).collect())
    }

    /// How many there are: (specs, active, supervisors, workers).
    fn count_children(&self, py: Python<'_>) -> PyResult<(usize, usize, usize, usize)> {
        let counts = py.detach(|| self.supervisor.count_children()).or_raise(py)?;
        Ok((counts.specs, counts.active, counts.supervisors, counts.workers))
    }

    /// What is known of a child, as a dict.
    fn get_childspec<'py>(&self, child: &Bound<'py, PyAny>) -> PyResult<Bound<'py, pyo3::types::PyDict>> {
        let py = child.py();
        let child = self::child(child)?;
        let spec = py.detach(|| self.supervisor.get_childspec(child)).or_raise(py)?;
        let dict = pyo3::types::PyDict::new(py);
        dict.set_item("id", spec.name)?;
        dict.set_item("executor", spec.executor)?;
        dict.set_item("restart", spec.restart as i32)?;
        dict.set_item("shutdown", shutdown_seconds(spec.shutdown))?;
        dict.set_item("significant", spec.significant)?;
        dict.set_item("ready_within", ready_seconds(spec.ready))?;
        dict.set_item("watchdog", seconds(spec.watchdog))?;
        dict.set_item("liveness", seconds(spec.liveness))?;
        let backoff = spec.backoff.map(|backoff| {
            let (delay, cap, calm) =
                (backoff.delay.as_secs_f64(), backoff.cap.as_secs_f64(), backoff.calm.as_secs_f64());
            (delay, backoff.growth as i32, cap, backoff.jitter, calm)
        });
        dict.set_item("backoff", backoff)?;
        dict.set_item("park", spec.park)?;
        dict.set_item("park_at_start", spec.park_at_start)?;
        dict.set_item("normal_exits", spec.normal_exits)?;
        let flags = spec.supervisor.map(|flags| {
            let (strategy, auto_shutdown) = (flags.strategy as i32, flags.auto_shutdown as i32);
            (strategy, flags.intensity, flags.period.as_secs_f64(), auto_shutdown)
        });
        dict.set_item("supervisor", flags)?;
        Ok(dict)
    }

    /// The id of the child of this name, if there is one.
    fn find(&self, py: Python<'_>, name: &str) -> PyResult<Option<u64>> {
        Ok(py.detach(|| self.supervisor.find(name)).or_raise(py)?.map(|id| id.0))
    }
}
