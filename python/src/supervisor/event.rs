//! `libcoop.ServiceEvent` and `libcoop.Ended`: the core's events as they are, read when somebody looks.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, SystemTime},
};

use coop_core::{
    Error,
    supervisor::{Because, Event, What, event},
};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyTuple, PyType},
};

use crate::errors::to_py;

/// A change of one service or supervisor, as observers are told. What does not belong to its `kind` is None.
///
/// `str(event)` is one line, `report()` has below it what explains a crash.
#[pyclass(frozen, eq, module = "libcoop")]
#[derive(PartialEq)]
pub(crate) struct ServiceEvent(Arc<Event>);

impl ServiceEvent {
    pub(super) fn new(event: Arc<Event>) -> Self {
        Self(event)
    }
}

/// A member of an enumeration of `libcoop._events`.
fn member<'py>(
    py: Python<'py>,
    class: &PyOnceLock<Py<PyType>>,
    name: &str,
    value: &str,
) -> PyResult<Bound<'py, PyAny>> {
    class.import(py, "libcoop._events", name)?.call1((value,))
}

#[pymethods]
impl ServiceEvent {
    /// From 1, without a gap in one host.
    #[getter]
    fn number(&self) -> u64 {
        self.0.number
    }

    /// When, by the system's clock: a datetime in UTC.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static EPOCH: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
        let (epoch, delta) = EPOCH.get_or_try_init(py, || {
            let datetime = py.import("datetime")?;
            let utc = datetime.getattr("timezone")?.getattr("utc")?;
            let epoch = datetime.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
            PyResult::Ok((epoch.unbind(), datetime.getattr("timedelta")?.unbind()))
        })?;
        let since = self.0.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let delta = delta.bind(py).call1((0, since.as_secs(), since.subsec_micros()))?;
        epoch.bind(py).add(delta)
    }

    /// Of which service or supervisor, in its host.
    #[getter]
    fn id(&self) -> u64 {
        self.0.id
    }

    /// Its names from the root down, joined by "/".
    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    /// Its name among its siblings.
    #[getter]
    fn name(&self) -> &str {
        self.0.path.rsplit('/').next().unwrap_or_default()
    }

    /// Which run of it, from 1; 0 before the first.
    #[getter]
    fn run(&self) -> u64 {
        self.0.run
    }

    /// What changed, an EventKind.
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        member(py, &CLASS, "EventKind", self.0.what.kind().name())
    }

    /// SPAWNED: the process.
    #[getter]
    fn pid(&self) -> Option<i32> {
        match self.0.what {
            What::Spawned { pid } => Some(pid),
            _ => None,
        }
    }

    /// STATUS: what the service says of itself.
    #[getter]
    fn text(&self) -> Option<&str> {
        match &self.0.what {
            What::Status(text) => Some(text),
            _ => None,
        }
    }

    /// START_FAILED: why, in words. ENDED: how, in words.
    #[getter]
    fn reason(&self) -> Option<String> {
        match &self.0.what {
            What::StartFailed { reason, .. } => Some(reason.clone()),
            What::Ended { how, .. } => Some(how.to_string()),
            _ => None,
        }
    }

    /// ENDED: how, an Ended.
    #[getter]
    fn how(&self) -> Option<Ended> {
        match &self.0.what {
            What::Ended { how, .. } => Some(Ended(how.clone())),
            _ => None,
        }
    }

    /// ENDED: whether that was a normal end.
    #[getter]
    fn normal(&self) -> Option<bool> {
        match self.0.what {
            What::Ended { normal, .. } => Some(normal),
            _ => None,
        }
    }

    /// ENDED: what the library had to do with it, a Because; None for an end of the service's own.
    #[getter]
    fn because<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let What::Ended { because: Some(because), .. } = self.0.what else { return Ok(None) };
        let name = match because {
            Because::Asked => "asked",
            Because::ShutdownDeadline => "shutdown_deadline",
            Because::ReadyDeadline => "ready_deadline",
            Because::Watchdog => "watchdog",
            Because::Liveness => "liveness",
            Because::HandOver => "hand_over",
        };
        member(py, &CLASS, "Because", name).map(Some)
    }

    /// ENDED: for how many seconds it ran.
    #[getter]
    fn uptime(&self) -> Option<f64> {
        match self.0.what {
            What::Ended { uptime, .. } => Some(uptime.as_secs_f64()),
            _ => None,
        }
    }

    /// ENDED: how often it had been restarted before.
    #[getter]
    fn restarts(&self) -> Option<u64> {
        match self.0.what {
            What::Ended { restarts, .. } => Some(restarts),
            _ => None,
        }
    }

    /// ENDED, START_FAILED: the last lines that the run wrote, a tuple.
    #[getter]
    fn tail<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.0.tail().map(|tail| PyTuple::new(py, tail)).transpose()
    }

    /// ENDED, START_FAILED: what explains it at length, as a traceback, or the stacks of all threads.
    #[getter]
    fn details(&self) -> Option<&str> {
        self.0.details()
    }

    /// BACKOFF, PARKED: in how many seconds it is started again.
    #[getter]
    fn delay(&self) -> Option<f64> {
        match self.0.what {
            What::Backoff { delay } | What::Parked { delay } => Some(Duration::as_secs_f64(&delay)),
            _ => None,
        }
    }

    /// The event's line, and below it what explains a crash: the details, then the last lines that the run wrote.
    fn report(&self) -> String {
        let mut report = self.0.to_string();
        for line in self.0.details().unwrap_or_default().lines() {
            let _ = write!(report, "\n    {line}");
        }
        if let Some(tail @ [_, ..]) = self.0.tail() {
            report.push_str("\n  the last it wrote:");
            for line in tail {
                let _ = write!(report, "\n    {}", line.trim_end());
            }
        }
        report
    }

    /// All of it as JSON, one line: the same that observers in C and in other processes are told.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&*self.0)
            .map_err(|error| to_py(py, &Error::Invalid(format!("an event as JSON: {error}"))))
    }

    /// What `to_json` has made. Raises Invalid.
    #[classmethod]
    #[pyo3(signature = (text, /))]
    fn from_json(class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        let event = serde_json::from_str(text).map_err(|error| {
            let begin: String = text.chars().take(80).collect();
            to_py(class.py(), &Error::Invalid(format!("{begin:?} is no event as JSON: {error}")))
        })?;
        Ok(Self(Arc::new(event)))
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.ServiceEvent {}>", self.0)
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.0.number, self.0.id, self.0.time))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_json")?, (slf.get().to_json(slf.py())?,)))
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// How a run ended. `str()` says it in words: "exited with 1", "ended by SIGKILL", "failed: ValueError: no luck".
#[pyclass(frozen, eq, module = "libcoop")]
#[derive(PartialEq)]
pub(crate) struct Ended(event::Ended);

#[pymethods]
impl Ended {
    /// One of "returned", "exited", "signaled", "failed" (by an error or an exception), "panicked" (in Rust), "shutdown" (a supervisor that gave up or
    /// shut itself down, a service that was cancelled), "lost" (how is not known).
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0 {
            event::Ended::Returned => "returned",
            event::Ended::Exited(_) => "exited",
            event::Ended::Signaled { .. } => "signaled",
            event::Ended::Failed(_) => "failed",
            event::Ended::Panicked(_) => "panicked",
            event::Ended::Shutdown => "shutdown",
            event::Ended::Lost(_) => "lost",
        }
    }

    /// exited: the status.
    #[getter]
    fn code(&self) -> Option<i32> {
        match self.0 {
            event::Ended::Exited(code) => Some(code),
            _ => None,
        }
    }

    /// signaled: a member of `signal.Signals`, or a plain number for one that has no name.
    #[getter]
    fn signal<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let event::Ended::Signaled { signal, .. } = self.0 else { return Ok(None) };
        match py.import("signal")?.getattr("Signals")?.call1((signal,)) {
            Ok(named) => Ok(Some(named)),
            Err(_) => Ok(Some(signal.into_pyobject(py)?.into_any())),
        }
    }

    /// signaled: whether the process left a core dump.
    #[getter]
    fn core_dumped(&self) -> bool {
        matches!(self.0, event::Ended::Signaled { core_dumped: true, .. })
    }

    /// failed, panicked, lost: the error in words, "ValueError: no luck".
    #[getter]
    fn text(&self) -> Option<&str> {
        match &self.0 {
            event::Ended::Failed(text) | event::Ended::Panicked(text) | event::Ended::Lost(text) => Some(text),
            _ => None,
        }
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.Ended: {}>", self.0)
    }

    fn __hash__(&self) -> u64 {
        hash(&self.0.to_string())
    }
}
