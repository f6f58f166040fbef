//! A run: what its nodes need, the way to end it, and its end.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use coop_core::{
    Error,
    dag::{self, Call, Control, Graph, NodeState, Outcome},
    event_loop::WeakHandle,
};
use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::node::{self, Raised};
use crate::{
    callback::Held,
    detached::Detached,
    errors::{OrRaise, to_py},
    posts::{self, Posts},
    report, thread_state,
};

/// What the nodes of a run need.
pub(super) struct Shared {
    event_loop: Option<(Arc<Posts>, WeakHandle)>,
    /// None once the run has ended.
    objects: Mutex<Option<Held<Objects>>>,
    /// It was cancelled, perhaps before the handle knew the run: see [`Shared::heed`].
    cancelled: Arc<AtomicBool>,
}

struct Objects {
    /// The `contextvars.Context` that nodes run in copies of.
    context: Py<PyAny>,
    /// What starts coroutines.
    starter: Py<PyAny>,
    /// The pool, the loop and the graph: they are there as long as the run.
    _owners: Py<PyTuple>,
}

impl Shared {
    pub(super) fn new(
        event_loop: Option<(Arc<Posts>, WeakHandle)>,
        context: Py<PyAny>,
        starter: Py<PyAny>,
        owners: Py<PyTuple>,
        handle: &RunHandle,
    ) -> Arc<Self> {
        let objects = Held::new(Objects { context, starter, _owners: owners });
        Arc::new(Self { event_loop, objects: Mutex::new(Some(objects)), cancelled: handle.cancelled.clone() })
    }

    pub(super) fn of(call: &Call<'_>) -> Option<Arc<Self>> {
        call.data()?.clone().downcast().ok()
    }

    fn object(&self, py: Python<'_>, which: impl FnOnce(&Objects) -> &Py<PyAny>) -> PyResult<Py<PyAny>> {
        // Nothing is made or dropped under the lock.
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let object = objects.as_ref().map(|objects| which(objects.get()).clone_ref(py));
        drop(objects);
        object.ok_or_else(|| to_py(py, &Error::Cancelled("run")))
    }

    /// The context variables that the run was started with: a copy, for one node.
    pub(super) fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let context = self.object(py, |objects| &objects.context)?.into_bound(py);
        context.call_method0(intern!(py, "copy"))
    }

    pub(super) fn starter(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.object(py, |objects| &objects.starter)
    }

    /// Queues a call on the loop's thread.
    pub(super) fn post(&self, call: posts::Call) -> coop_core::Result<()> {
        let there = self.event_loop.as_ref().and_then(|(posts, event_loop)| Some((posts, event_loop.upgrade()?)));
        let Some((posts, event_loop)) = there else { return Err(Error::Closed("event loop")) };
        posts.post(&event_loop, call)
    }

    /// Cancels the run if it was asked to end: its first nodes may ask that before `graph.run` has returned. Called when a node has done
    /// its work and has not ended yet.
    pub(super) fn heed(&self, control: impl FnOnce() -> Control) {
        if self.cancelled.load(Ordering::Acquire) {
            control().cancel();
        }
    }

    fn clear(&self) {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(objects);
    }
}

/// Whose results the outcome has: places and names.
pub(super) type Kept = Arc<[String]>;

/// What the outcome is made of: the results, the exceptions, and the one that the run ended with.
type Collected<'py> = (Bound<'py, PyDict>, Bound<'py, PyDict>, Option<Py<PyAny>>);

fn collect<'py>(py: Python<'py>, outcome: &Outcome, kept: &Kept) -> PyResult<Collected<'py>> {
    let (results, errors) = (PyDict::new(py), PyDict::new(py));
    for name in kept.iter() {
        if outcome.state(name) == Ok(NodeState::Done)
            && let Ok(value) = outcome.value(name)
        {
            results.set_item(name, node::object(py, value)?)?;
        }
    }
    for (name, failure) in outcome.failures() {
        let exception = match failure.cause().get::<Raised>() {
            Some(raised) => raised.get(py),
            None => {
                let error = failure.error().cloned().unwrap_or(Error::Cancelled("node"));
                to_py(py, &error).into_value(py).into_any()
            }
        };
        let note = format!("node {}", PyString::new(py, &name).repr()?);
        exception.call_method1(py, intern!(py, "add_note"), (note,))?;
        errors.set_item(name, exception)?;
    }
    let error = match (outcome.ended_by(), outcome.result()) {
        (_, Ok(())) => None,
        (Some((node, _)), _) => errors.get_item(node)?.map(Bound::unbind),
        (None, Err(error)) => Some(to_py(py, &error).into_value(py).into_any()),
    };
    Ok((results, errors, error))
}

/// Starts a run; `end(results, errors, error)` is called once when it has ended.
#[allow(clippy::too_many_arguments, reason = "all that a run is made of")]
pub(super) fn start(
    py: Python<'_>,
    graph: &Graph,
    kept: &Kept,
    engine: &dag::Engine,
    inputs: dag::Inputs,
    mut options: dag::RunOptions,
    shared: Arc<Shared>,
    handle: &RunHandle,
    end: Py<PyAny>,
) -> PyResult<()> {
    options.data = Some(dag::Value::shared(shared.clone()));
    let run = py.detach(|| graph.run(engine, inputs, &options)).or_raise(py)?;
    let run = Arc::new(Detached::new(run));
    *handle.lock() = Some(run.clone());
    if handle.cancelled.load(Ordering::Acquire) {
        py.detach(|| run.cancel());
    }
    let (end, kept) = (Held::new(end), kept.clone());
    let then = move |outcome: Outcome| {
        thread_state::attach(|py| {
            let told = collect(py, &outcome, &kept).and_then(|made| end.get().call1(py, made));
            if let Err(error) = told {
                report::callback_raised(py, error, "the end of a run");
            }
            shared.clear();
            drop(end);
            // It may be the last hold on a pool whose threads wait to attach.
            py.detach(|| drop(outcome));
        });
    };
    py.detach(|| run.then(then)).or_raise(py)
}

/// The native half of a `libcoop.DagRun`.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct RunHandle {
    cancelled: Arc<AtomicBool>,
    /// None until it has started.
    run: Mutex<Option<Arc<Detached<dag::Run>>>>,
}

impl RunHandle {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Detached<dag::Run>>>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) -> Option<Arc<Detached<dag::Run>>> {
        self.lock().clone()
    }

    fn outcome(&self, py: Python<'_>) -> PyResult<Detached<Outcome>> {
        let Some(run) = self.run() else { return Err(to_py(py, &Error::Invalid("the run has not started".into()))) };
        match py.detach(|| run.join(Some(std::time::Duration::ZERO))) {
            Ok(outcome) => Ok(Detached::new(outcome)),
            Err(Error::Timeout(_)) => Err(to_py(py, &Error::Invalid("the run has not ended".into()))),
            Err(error) => Err(to_py(py, &error)),
        }
    }

    fn traced(&self, py: Python<'_>, show: impl FnOnce(dag::Trace) -> String + Send) -> PyResult<String> {
        let outcome = self.outcome(py)?;
        let shown = py.detach(|| outcome.trace().map(show));
        shown
            .ok_or_else(|| to_py(py, &Error::Invalid("the run was not asked for a trace: run(..., trace=True)".into())))
    }
}

#[pymethods]
impl RunHandle {
    #[new]
    fn new() -> Self {
        Self { cancelled: Arc::default(), run: Mutex::default() }
    }

    /// Ends the run; again is fine.
    fn cancel(&self, py: Python<'_>) {
        self.cancelled.store(true, Ordering::Release);
        if let Some(run) = self.run() {
            py.detach(|| run.cancel());
        }
    }

    /// Raises WouldDeadlock if this thread cannot wait for the run: it runs one of its nodes, is the only worker of its pool, or that of the
    /// loop that it needs.
    fn check_wait(&self, py: Python<'_>) -> PyResult<()> {
        let Some(run) = self.run() else { return Ok(()) };
        match py.detach(|| run.join(Some(std::time::Duration::from_nanos(1)))) {
            Err(error @ Error::WouldDeadlock(_)) => Err(to_py(py, &error)),
            _ => Ok(()),
        }
    }

    /// What became of a node: the number of a libcoop.NodeState. Raises Invalid for a name that no node has, and before the run's end.
    #[pyo3(signature = (name, /))]
    fn state(&self, py: Python<'_>, name: &str) -> PyResult<i32> {
        Ok(self.outcome(py)?.state(name).or_raise(py)? as i32)
    }

    /// The times of a traced run as JSON.
    fn chrome(&self, py: Python<'_>) -> PyResult<String> {
        self.traced(py, |trace| trace.chrome_json())
    }

    /// The times of a traced run as a graph.
    fn dot(&self, py: Python<'_>) -> PyResult<String> {
        self.traced(py, |trace| trace.dot())
    }
}
