//! When the nodes of runs began and ended: as texts that others show, and summed up over the runs of a graph.

use std::{
    ffi::{c_char, c_void},
    time::Duration,
};

use coop_core::{Error, Result};

use crate::{
    dag::{coop_dag, other},
    dag_node::{coop_dag_node_id, index_of},
    dag_outcome::coop_dag_outcome,
    foreign::{Foreign, foreign},
    guard::guard,
    handle::wanted,
    options::{self, Options},
    status::coop_status,
};

/// A trace as JSON that chrome://tracing and Perfetto show: CPU nodes on the threads that ran them, I/O nodes each on a line of its own.
pub const COOP_DAG_CHROME_JSON: i32 = 0;
/// A trace as a graph for Graphviz, with how long each node ran, and how long it was ready before that.
pub const COOP_DAG_DOT: i32 = 1;

/// A function that is handed a text: once, by the thread that asks for it, before the call returns. Then drop(arg) is called. See
/// coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_text_callback {
    /// text, length: UTF-8 without a NUL behind it, there until fn returns. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, text: *const c_char, length: usize)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// What a node took, over the runs of its graph that were traced (coop_dag_run_options.trace) and have ended.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_statistics {
    /// sizeof(coop_dag_statistics), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// In how many runs it ran to its end, well or not.
    pub count: u64,
    /// In how many it failed.
    pub failures: u64,
    /// From being ready to its beginning, all together, in nanoseconds.
    pub waited_total_ns: i64,
    /// The mean.
    pub waited_mean_ns: i64,
    /// The least.
    pub waited_min_ns: i64,
    /// The greatest.
    pub waited_max_ns: i64,
    /// From its beginning to its end, with all attempts and what is waited between them, all together, in nanoseconds.
    pub ran_total_ns: i64,
    /// The mean.
    pub ran_mean_ns: i64,
    /// The least.
    pub ran_min_ns: i64,
    /// The greatest.
    pub ran_max_ns: i64,
}

// SAFETY: numbers, eleven fields that fill 88 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_dag_statistics {
    const NAME: &'static str = "coop_dag_statistics";
    const FIRST: usize = size_of::<Self>();
}

fn hand_over(callback: coop_text_callback, text: impl FnOnce() -> Result<String>) -> Result<()> {
    if callback.r#fn.is_none() {
        return Err(crate::handle::null("callback.fn"));
    }
    // Whatever can fail comes before the callback is owned.
    let text = text()?;
    let callback: Foreign<_> = foreign!(callback)?;
    callback.call_with_both(text.as_ptr().cast(), text.len());
    Ok(())
}

/// Says when each node of a run was ready, began and ended.
///
/// format: COOP_DAG_CHROME_JSON or COOP_DAG_DOT. callback: the library owns callback.arg if this answers COOP_OK; it is handed the text,
/// and dropped, before this returns.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for another format, and for a run that was not asked to take times (see
/// coop_dag_run_options.trace), COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_trace(
    outcome: *const coop_dag_outcome,
    format: i32,
    callback: coop_text_callback,
) -> coop_status {
    guard!({
        // SAFETY: an outcome that is not freed yet. What is told may free it: so not borrowed.
        let outcome = unsafe { coop_dag_outcome::cloned(outcome) }?;
        hand_over(callback, || {
            if format != COOP_DAG_CHROME_JSON && format != COOP_DAG_DOT {
                let allowed = "DAG_CHROME_JSON is 0, DAG_DOT is 1";
                return Err(Error::Invalid(format!("format {format} is out of range: {allowed}")));
            }
            let untraced = "the run took no times: coop_dag_run_options.trace was 0";
            let trace = outcome.trace().ok_or_else(|| Error::Invalid(untraced.into()))?;
            Ok(if format == COOP_DAG_DOT { trace.dot() } else { trace.chrome_json() })
        })
    })
}

/// Says what the graph looks like, for Graphviz: nodes that wait on the loop are round, edges that carry no result are dashed.
///
/// callback: as of coop_dag_outcome_trace.
///
/// Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_dot(dag: *const coop_dag, callback: coop_text_callback) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet. What is told may free it: so not borrowed.
        let graph = unsafe { coop_dag::graph(dag, "dag") }?;
        hand_over(callback, || Ok(graph.dot()))
    })
}

/// Says what a node took in all traced runs of the graph that have ended. All is 0 if there were none.
///
/// out: out->size is the caller's; the rest is written.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph and for the size, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_stats(
    dag: *const coop_dag,
    node: coop_dag_node_id,
    out: *mut coop_dag_statistics,
) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet.
        let (graph, tag, _) = unsafe { coop_dag::parts(dag) }?;
        wanted(out, "out")?;
        let stats = index_of(tag, node).and_then(|index| graph.node_stats(index)).ok_or_else(|| other(node))?;
        let ns = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (waited, ran) = (&stats.waited, &stats.ran);
        let filled = coop_dag_statistics {
            size: 0,
            count: stats.count,
            failures: stats.failures,
            waited_total_ns: ns(waited.total),
            waited_mean_ns: ns(waited.mean()),
            waited_min_ns: ns(waited.min),
            waited_max_ns: ns(waited.max),
            ran_total_ns: ns(ran.total),
            ran_mean_ns: ns(ran.mean()),
            ran_min_ns: ns(ran.min),
            ran_max_ns: ns(ran.max),
        };
        // SAFETY: as long as it says.
        unsafe { options::write(&filled, out) }
    })
}
