//! The native half of `libcoop.Dag`: nodes as they are told, then the graph.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coop_core::{
    Error, Priority,
    dag::{Builder, Dependency, Engine, Graph, Inputs, NodeOptions, OnFailure, RunOptions, Spread},
};
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{
    node::{self, Function},
    run::{self, Kept, RunHandle, Shared},
};
use crate::{
    errors::OrRaise,
    event_loop::EventLoop,
    pool::{NativePool, cpu_set},
    wait,
};

/// Name, how often it ran and failed, and the least, mean and greatest times that it waited and ran, in seconds.
type Stats = (String, u64, u64, (f64, f64, f64), (f64, f64, f64));

enum State {
    Building(Builder),
    Built(Graph, Kept),
    /// It is no graph, for this reason.
    Refused(Error),
}

/// What keeps the collector informed: whatever the graph's functions are.
#[derive(Default)]
struct Members {
    functions: Vec<Arc<Function>>,
    inserted: Vec<Py<Dag>>,
}

/// Nodes and edges under `libcoop.Dag`, which is what to use.
#[pyclass(frozen, subclass, module = "libcoop._libcoop")]
pub(crate) struct Dag {
    state: Mutex<State>,
    members: Mutex<Members>,
}

impl Dag {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn building<R>(&self, py: Python<'_>, add: impl FnOnce(&mut Builder) -> coop_core::Result<R>) -> PyResult<R> {
        let added = match &mut *self.lock() {
            State::Building(builder) => add(builder),
            State::Built(..) => Err(Error::Invalid("the graph is built, and does not change any more".into())),
            State::Refused(error) => Err(error.clone()),
        };
        added.or_raise(py)
    }

    /// The graph, built now if it was not.
    fn graph(&self, py: Python<'_>) -> PyResult<(Graph, Kept)> {
        let built = {
            let mut state = self.lock();
            if let State::Building(builder) = &mut *state {
                *state = match std::mem::take(builder).build() {
                    Ok(graph) => {
                        let kept = kept(&graph);
                        State::Built(graph, kept)
                    }
                    Err(error) => State::Refused(error),
                };
            }
            match &*state {
                State::Built(graph, kept) => Ok((graph.clone(), kept.clone())),
                State::Refused(error) => Err(error.clone()),
                State::Building(_) => unreachable!("it was built above"),
            }
        };
        built.or_raise(py)
    }
}

/// The nodes whose results the outcome has. Inputs are known to who gave them.
fn kept(graph: &Graph) -> Kept {
    let inputs: std::collections::HashSet<&str> = graph.inputs().collect();
    let names = (0..graph.len() as u32).filter(|node| graph.keeps(*node)).filter_map(|node| graph.name(node));
    names.filter(|name| !inputs.contains(name)).map(str::to_owned).collect()
}

fn seconds(spread: &Spread) -> (f64, f64, f64) {
    (spread.min.as_secs_f64(), spread.mean().as_secs_f64(), spread.max.as_secs_f64())
}

#[pymethods]
impl Dag {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { state: Mutex::new(State::Building(Builder::new())), members: Mutex::default() }
    }

    /// Adds an input.
    #[pyo3(signature = (name, /))]
    fn _add_input(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let function = coop_core::dag::Function::Input;
        self.building(py, |builder| builder.add(name, NodeOptions::default(), Vec::new(), function)).map(drop)
    }

    /// Adds a node: a function of the pool, or with `waits` one of the loop. The last of what it reads are its arguments by these keywords.
    #[pyo3(signature = (name, function, waits, reads, keywords, after, priority, cpus, retry, backoff, deadline, even_if_skipped, keep, /))]
    #[allow(clippy::too_many_arguments, reason = "all that a node is made of")]
    fn _add(
        &self,
        py: Python<'_>,
        name: &str,
        function: Py<PyAny>,
        waits: bool,
        reads: Vec<String>,
        keywords: Vec<String>,
        after: Vec<String>,
        priority: i32,
        cpus: Option<Vec<i64>>,
        retry: u32,
        backoff: f64,
        deadline: Option<f64>,
        even_if_skipped: bool,
        keep: bool,
    ) -> PyResult<()> {
        let options = NodeOptions {
            priority: Priority::try_from(priority).or_raise(py)?,
            cpus: cpus.map(cpu_set).transpose().or_raise(py)?,
            after,
            retries: retry,
            backoff: wait::delay("backoff", backoff)?,
            timeout: deadline.map(|seconds| wait::delay("deadline", seconds)).transpose()?,
            even_if_skipped,
            keep,
            ..NodeOptions::default()
        };
        let function = Function::new(function, keywords);
        let node = if waits { function.io() } else { function.cpu() };
        let reads = reads.into_iter().map(Dependency::Name).collect();
        self.building(py, |builder| builder.add(name, options, reads, node))?;
        self.members().functions.push(function);
        Ok(())
    }

    /// Adds all nodes of another graph.
    #[pyo3(signature = (prefix, other, inputs, /))]
    fn _insert(&self, prefix: &str, other: &Bound<'_, Self>, inputs: Vec<(String, String)>) -> PyResult<()> {
        let py = other.py();
        let (graph, _) = other.get().graph(py)?;
        self.building(py, |builder| builder.insert(prefix, &graph, inputs))?;
        self.members().inserted.push(other.clone().unbind());
        Ok(())
    }

    /// `later` begins when `earlier` has ended.
    #[pyo3(signature = (later, earlier, /))]
    fn _after(&self, py: Python<'_>, later: String, earlier: String) -> PyResult<()> {
        self.building(py, |builder| {
            builder.after(later, earlier);
            Ok(())
        })
    }

    /// Builds it, unless it is built.
    fn _build(&self, py: Python<'_>) -> PyResult<()> {
        self.graph(py).map(drop)
    }

    /// Starts a run; see run.rs.
    #[pyo3(signature = (handle, end, pool, event_loop, inputs, context, starter, owners, deadline, fail_fast, trace, /))]
    #[allow(clippy::too_many_arguments, reason = "all that a run is made of")]
    fn _start(
        &self,
        py: Python<'_>,
        handle: &RunHandle,
        end: Py<PyAny>,
        pool: &NativePool,
        event_loop: Option<&EventLoop>,
        inputs: Vec<(String, Bound<'_, PyAny>)>,
        context: Py<PyAny>,
        starter: Py<PyAny>,
        owners: Py<PyTuple>,
        deadline: Option<f64>,
        fail_fast: bool,
        trace: bool,
    ) -> PyResult<()> {
        let (graph, kept) = self.graph(py)?;
        let mut engine = pool.with(py, |pool| Engine::new(pool))?;
        if let Some(event_loop) = event_loop {
            engine = engine.with_event_loop(&event_loop.handle);
        }
        let options = RunOptions {
            timeout: deadline.map(|seconds| wait::delay("deadline", seconds)).transpose()?,
            on_failure: if fail_fast { OnFailure::FailFast } else { OnFailure::CancelDependents },
            trace,
            ..RunOptions::default()
        };
        let inputs = Inputs(inputs.into_iter().map(|(name, object)| (name, node::value(object))).collect());
        let posts = event_loop.map(|event_loop| (event_loop.posts.clone(), event_loop.handle.downgrade()));
        let shared = Shared::new(posts, context, starter, owners, handle);
        run::start(py, &graph, &kept, &engine, inputs, options, shared, handle, end)
    }

    /// Whether it is built.
    #[getter]
    fn built(&self) -> bool {
        matches!(&*self.lock(), State::Built(..))
    }

    /// As a graph for Graphviz (`dot -Tsvg`): coroutines are round, edges that carry no result dashed. Builds it if it was not.
    fn dot(&self, py: Python<'_>) -> PyResult<String> {
        let (graph, _) = self.graph(py)?;
        Ok(py.detach(|| graph.dot()))
    }

    /// What each node took in all traced runs that have ended.
    fn _stats(&self, py: Python<'_>) -> PyResult<Vec<Stats>> {
        let (graph, _) = self.graph(py)?;
        let stats = py.detach(|| graph.stats());
        let of = |node: coop_core::dag::NodeStats| {
            (node.name, node.count, node.failures, seconds(&node.waited), seconds(&node.ran))
        };
        Ok(stats.into_iter().map(of).collect())
    }

    fn __len__(&self) -> usize {
        match &*self.lock() {
            State::Building(builder) => builder.len(),
            State::Built(graph, _) => graph.len(),
            State::Refused(_) => 0,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Held for a push alone: a collection finds it free.
        let Ok(members) = self.members.try_lock() else { return Ok(()) };
        members.functions.iter().try_for_each(|function| function.visit(&visit))?;
        members.inserted.iter().try_for_each(|dag| visit.call(dag))
    }
}
