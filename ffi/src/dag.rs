//! `coop_dag`: a graph that was built, and how it is run.

use std::{ffi::c_char, sync::Arc};

use coop_core::{
    Error, Refused, Result,
    dag::{Engine, Graph, Inputs, OnFailure, RunOptions, Value},
    fork::ForkGuard,
};

use crate::{
    dag_node::{coop_dag_node_id, coop_dag_ref, id_of, index_of},
    dag_order,
    dag_run::{Runs, coop_dag_run_callback, coop_dag_run_id, tell},
    dag_value::{self, coop_dag_value},
    event_loop::coop_event_loop,
    foreign::Foreign,
    guard::guard,
    handle::{borrow, null, take, wanted},
    options::{self, Options, array, deadline, flag, text},
    pool::coop_pool,
    status::coop_status,
};

/// What depends on a node that fails is cancelled, and the rest runs; the run then ends with the first failure.
pub const COOP_DAG_CANCEL_DEPENDENTS: i32 = 0;
/// A run ends with the first failure at once.
pub const COOP_DAG_FAIL_FAST: i32 = 1;

/// A graph that was checked. It does not change, and runs any number of times, also at once.
#[derive(Debug)]
pub struct coop_dag {
    fork: ForkGuard,
    graph: Graph,
    tag: u32,
    runs: Arc<Runs>,
}

/// How a graph is run. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_run_options {
    /// sizeof(coop_dag_run_options).
    pub size: usize,
    /// Nanoseconds after which the run ends with COOP_E_TIMEOUT. Needs a loop. 0 and COOP_FOREVER: as long as it takes.
    pub timeout_ns: i64,
    /// One of COOP_DAG_*: what becomes of the rest when a node fails.
    pub on_failure: i32,
    /// 1: takes the time of each node, for coop_dag_outcome_trace and coop_dag_stats.
    pub trace: i32,
}

// SAFETY: numbers, four fields that fill 24 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_dag_run_options {
    const NAME: &'static str = "coop_dag_run_options";
    const FIRST: usize = size_of::<Self>();
}

/// A value for an input of a graph.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_input {
    /// The input.
    pub node: coop_dag_ref,
    /// Its value; the run's if coop_dag_run answers COOP_OK.
    pub value: coop_dag_value,
}

/// Releases the graph. Runs that are under way go on, and the ids of all its runs are stale from now on; what its nodes' functions hold is
/// dropped when the last run has ended. NULL does nothing.
///
/// Any thread; once, with no call begun after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_free(dag: *mut coop_dag) {
    guard!({
        if !dag.is_null() {
            // SAFETY: made by the library for the caller, and freed once.
            let dag = unsafe { take(dag) };
            if dag.fork.is_forked() {
                // What it holds is the parent's.
                std::mem::forget(dag);
            }
        }
        Ok(())
    });
}

/// How many nodes the graph has.
///
/// Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_len(dag: *const coop_dag, nodes: *mut usize) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet.
        let dag = unsafe { coop_dag::checked(dag) }?;
        wanted(nodes, "nodes")?;
        // SAFETY: a place for a number.
        unsafe { nodes.write(dag.graph.len()) };
        Ok(())
    })
}

/// Which node has this name: also one that was inserted.
///
/// name, length: UTF-8. node: set to the node.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID if none has, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_index(
    dag: *const coop_dag,
    name: *const c_char,
    length: usize,
    node: *mut coop_dag_node_id,
) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet.
        let dag = unsafe { coop_dag::checked(dag) }?;
        wanted(node, "node")?;
        // SAFETY: as long as told.
        let name = unsafe { text(name, length, "name") }?.unwrap_or_default();
        let index = dag.graph.index(&name).ok_or_else(|| unknown(&name))?;
        // SAFETY: a place for a number.
        unsafe { node.write(id_of(dag.tag, index)) };
        Ok(())
    })
}

/// The name of a node.
///
/// name, length: set to its bytes, which are UTF-8 without a NUL behind them, and there as long as the graph is.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_name(
    dag: *const coop_dag,
    node: coop_dag_node_id,
    name: *mut *const c_char,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet.
        let dag = unsafe { coop_dag::checked(dag) }?;
        wanted(name, "name")?;
        wanted(length, "length")?;
        let found = index_of(dag.tag, node).and_then(|index| dag.graph.name(index)).ok_or_else(|| other(node))?;
        // SAFETY: a place for a pointer.
        unsafe { name.write(found.as_ptr().cast()) };
        // SAFETY: a place for a number.
        unsafe { length.write(found.len()) };
        Ok(())
    })
}

/// Starts a run. Its CPU nodes run in the pool, and what waits on the loop. In a bounded pool it counts as one task when it starts; what
/// goes on then is never refused for want of room.
///
/// The run ends once: with all results; with the first failure; by coop_dag_run_cancel; at its deadline; or with COOP_E_CLOSED when its
/// pool or its loop is stopped or freed under it. One that ends early does so at once: no node begins any more, I/O nodes are given up
/// (coop_dag_completer_on_cancel), and a function that runs in the pool goes on, and its result is dropped when it comes.
///
/// event_loop: NULL for a graph without I/O nodes, deadlines and waits before retries. options: copied; NULL is all defaults. inputs,
/// count: a value for each input; the values are the run's if this answers COOP_OK, else all are the caller's. callback: told the end,
/// once, by the thread that ends the run, perhaps before this returns; the run owns callback.arg if this answers COOP_OK. With fn NULL
/// there is none, and callback.arg stays the caller's. id: set to the run's id, before the callback is told, which ends with
/// coop_dag_run_release or a coop_dag_run_join that saw the end; NULL if nobody wants it.
///
/// Any thread, also nodes of other runs. COOP_E_NULL, COOP_E_INVALID for an input that is missing, unknown or given twice, and where a
/// loop is needed and there is none; COOP_E_AFFINITY for a node's CPU set without a worker, COOP_E_QUEUE_FULL, COOP_E_CLOSED,
/// COOP_E_UNSUPPORTED for options, COOP_E_FORKED. Nothing has run then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_run(
    dag: *const coop_dag,
    pool: *mut coop_pool,
    event_loop: *mut coop_event_loop,
    options: *const coop_dag_run_options,
    inputs: *const coop_dag_input,
    count: usize,
    callback: coop_dag_run_callback,
    id: *mut coop_dag_run_id,
) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet. The run may free it: so not borrowed.
        let (graph, tag, runs) = unsafe { coop_dag::parts(dag) }?;
        // SAFETY: a pool that is not freed yet.
        let mut engine = Engine::new(&unsafe { coop_pool::cloned(pool) }?.handle());
        if !event_loop.is_null() {
            // SAFETY: a loop that is not freed yet.
            engine = engine.with_event_loop(&unsafe { coop_event_loop::handle(event_loop) }?);
        }
        // SAFETY: options are NULL or as long as they say.
        let options = run_options(unsafe { options::read(options) }?)?;
        // SAFETY: as long as told.
        let inputs = unsafe { array(inputs, count, "inputs") }?;
        // SAFETY: as above.
        let names = inputs.iter().map(|input| unsafe { input.name(&graph, tag) }).collect::<Result<Vec<_>>>()?;
        let values = inputs.iter().map(|input| dag_value::own(input.value));
        dag_order::start(&graph);
        let run = graph.run(&engine, Inputs(names.into_iter().zip(values).collect()), &options).map_err(refused)?;
        let run = Arc::new(run);
        if !id.is_null() {
            let named = runs.insert(run.clone());
            // SAFETY: a place for a number.
            unsafe { id.write(named) };
        }
        if let Some(told) = callback.r#fn {
            // Nobody else has asked to be told, so this is taken.
            let _ = tell(&run, tag, Foreign::own(told, callback.arg, callback.drop));
        }
        Ok(())
    })
}

/// The inputs go back to C.
fn refused(refused: Refused<Inputs>) -> Error {
    refused.value.0.into_iter().map(|(_, value): (String, Value)| value).for_each(dag_value::forget);
    refused.error
}

fn run_options(options: coop_dag_run_options) -> Result<RunOptions> {
    Ok(RunOptions {
        timeout: deadline(options.timeout_ns, "timeout_ns")?,
        on_failure: OnFailure::try_from(options.on_failure)?,
        trace: flag(options.trace, "trace")?,
        ..RunOptions::default()
    })
}

fn unknown(name: &str) -> Error {
    Error::Invalid(format!("the graph has no node {name:?}"))
}

pub(crate) fn other(node: coop_dag_node_id) -> Error {
    Error::Invalid(format!("node {node:#x} is of another graph"))
}

impl coop_dag_input {
    /// # Safety
    /// The name is as long as told.
    unsafe fn name(&self, graph: &Graph, tag: u32) -> Result<String> {
        if self.node.node == 0 {
            // SAFETY: the caller's promise.
            return Ok(unsafe { text(self.node.name, self.node.name_length, "inputs.node.name") }?.unwrap_or_default());
        }
        let name = index_of(tag, self.node.node).and_then(|index| graph.name(index));
        name.map(str::to_owned).ok_or_else(|| other(self.node.node))
    }
}

impl coop_dag {
    pub(crate) fn new(graph: Graph, tag: u32) -> Self {
        Self { fork: ForkGuard::new("DAG"), graph, tag, runs: Arc::default() }
    }

    /// # Safety
    /// `pointer` is NULL or a graph that is not freed before the borrow ends.
    unsafe fn checked<'a>(pointer: *const Self) -> Result<&'a Self> {
        // SAFETY: the caller's promise.
        let dag = unsafe { borrow(pointer, "dag") }?;
        dag.fork.check()?;
        Ok(dag)
    }

    /// # Safety
    /// `pointer` is NULL or a graph that is not freed yet.
    pub(crate) unsafe fn parts(pointer: *const Self) -> Result<(Graph, u32, Arc<Runs>)> {
        // SAFETY: the caller's promise.
        let dag = unsafe { Self::checked(pointer) }?;
        Ok((dag.graph.clone(), dag.tag, dag.runs.clone()))
    }

    /// # Safety
    /// As of [`coop_dag::parts`].
    pub(crate) unsafe fn runs(pointer: *const Self) -> Result<(u32, Arc<Runs>)> {
        // SAFETY: the caller's promise.
        unsafe { Self::parts(pointer) }.map(|(_, tag, runs)| (tag, runs))
    }

    /// # Safety
    /// As of [`coop_dag::parts`].
    pub(crate) unsafe fn graph(pointer: *const Self, name: &str) -> Result<Graph> {
        if pointer.is_null() {
            return Err(null(name));
        }
        // SAFETY: the caller's promise.
        unsafe { Self::parts(pointer) }.map(|(graph, _, _)| graph)
    }
}
