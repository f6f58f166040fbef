//! `coop_dag_outcome`: how a run ended, and what its nodes have made.

use std::{
    collections::HashMap,
    ffi::c_void,
    fmt,
    sync::{Mutex, PoisonError},
};

use coop_core::{
    Error, Result,
    dag::{Failure, NodeState, Outcome, Value},
    fork::ForkGuard,
};

use crate::{
    dag::other,
    dag_node::{coop_dag_node_id, index_of},
    dag_value::{self, Told, coop_dag_value},
    guard::guard,
    handle::{borrow, take, wanted},
    status::coop_status,
    tsan,
};

/// A node has no result: the run ended before it did, or what it depends on failed.
pub const COOP_DAG_CANCELLED: i32 = 0;
/// It runs in the pool, although its run has ended; its result will be dropped.
pub const COOP_DAG_RUNNING: i32 = 1;
/// It has a result.
pub const COOP_DAG_DONE: i32 = 2;
/// It was skipped.
pub const COOP_DAG_SKIPPED: i32 = 3;
/// It has failed.
pub const COOP_DAG_FAILED: i32 = 4;

const _: () = {
    assert!(COOP_DAG_CANCELLED == NodeState::Cancelled as i32 && COOP_DAG_RUNNING == NodeState::Running as i32);
    assert!(COOP_DAG_DONE == NodeState::Done as i32 && COOP_DAG_SKIPPED == NodeState::Skipped as i32);
    assert!(COOP_DAG_FAILED == NodeState::Failed as i32);
};

/// How a run ended, and the results that nobody has taken. It outlives its graph.
pub struct coop_dag_outcome {
    fork: ForkGuard,
    outcome: Outcome,
    tag: u32,
    /// Those that were looked at.
    values: Mutex<HashMap<u32, Value>>,
}

impl fmt::Debug for coop_dag_outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coop_dag_outcome")
    }
}

impl coop_dag_outcome {
    pub(crate) fn new(outcome: Outcome, tag: u32) -> Self {
        Self { fork: ForkGuard::new("DAG outcome"), outcome, tag, values: Mutex::default() }
    }

    /// # Safety
    /// `pointer` is NULL or an outcome that is not freed before the borrow ends.
    unsafe fn checked<'a>(pointer: *const Self) -> Result<&'a Self> {
        // SAFETY: the caller's promise.
        let outcome = unsafe { borrow(pointer, "outcome") }?;
        outcome.fork.check()?;
        Ok(outcome)
    }

    /// What is left when C frees it.
    ///
    /// # Safety
    /// `pointer` is NULL or an outcome that is not freed yet.
    pub(crate) unsafe fn cloned(pointer: *const Self) -> Result<Outcome> {
        // SAFETY: the caller's promise.
        Ok(unsafe { Self::checked(pointer) }?.outcome.clone())
    }

    fn node(&self, node: coop_dag_node_id) -> Result<(u32, &str)> {
        let index = index_of(self.tag, node).ok_or_else(|| other(node))?;
        Ok((index, self.outcome.graph().name(index).ok_or_else(|| other(node))?))
    }

    fn failed(&self, node: coop_dag_node_id) -> Result<Option<Failure>> {
        Ok(self.outcome.failure(self.node(node)?.1))
    }

    /// The lock is given back before anything is dropped.
    fn value(&self, node: coop_dag_node_id, takes: bool) -> Result<Value> {
        let (index, name) = self.node(node)?;
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if takes && let Some(known) = values.remove(&index) {
            return Ok(known);
        }
        if let Some(known) = values.get(&index) {
            return Ok(known.clone());
        }
        let value = self.outcome.value(name)?;
        if !takes {
            values.insert(index, value.clone());
        }
        Ok(value)
    }
}

/// Releases the outcome, and drops the results that nobody has taken. NULL does nothing.
///
/// Any thread; once, with no call begun after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_free(outcome: *mut coop_dag_outcome) {
    guard!({
        if !outcome.is_null() {
            tsan::waited();
            // SAFETY: the library handed it to the caller, and it is freed once.
            let outcome = unsafe { take(outcome) };
            if outcome.fork.is_forked() {
                // What it holds is the parent's.
                std::mem::forget(outcome);
            }
        }
        Ok(())
    });
}

/// How the run ended: COOP_OK if all nodes have ended well, or were skipped; else why not, and coop_last_error() has the words, which name
/// the first node that failed. A node's COOP_E_INVALID, _TIMEOUT, _AFFINITY, _UNSUPPORTED, _PANIC, _OS, _EXISTS and _RESOLVE are the
/// run's too; for each other number it ends with COOP_E_FAILED.
///
/// Any thread. COOP_E_CANCELLED, COOP_E_TIMEOUT, COOP_E_CLOSED; COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_result(outcome: *const coop_dag_outcome) -> coop_status {
    // SAFETY: an outcome that is not freed yet.
    guard!(unsafe { coop_dag_outcome::checked(outcome) }?.outcome.result())
}

/// What became of a node.
///
/// state: set to one of COOP_DAG_CANCELLED, _RUNNING, _DONE, _SKIPPED, _FAILED.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_state(
    outcome: *const coop_dag_outcome,
    node: coop_dag_node_id,
    state: *mut i32,
) -> coop_status {
    guard!({
        // SAFETY: an outcome that is not freed yet.
        let outcome = unsafe { coop_dag_outcome::checked(outcome) }?;
        wanted(state, "state")?;
        let found = outcome.outcome.state(outcome.node(node)?.1)?;
        // SAFETY: a place for a number.
        unsafe { state.write(found as i32) };
        Ok(())
    })
}

/// Why a node has failed: the number that its function answered, or the library's, and coop_last_error() has the words. COOP_OK if it has
/// not failed.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_failure(
    outcome: *const coop_dag_outcome,
    node: coop_dag_node_id,
) -> coop_status {
    let mut told = None;
    let status = guard!({
        // SAFETY: an outcome that is not freed yet.
        let failure = unsafe { coop_dag_outcome::checked(outcome) }?.failed(node)?;
        let Some((failure, error)) = failure.and_then(|failure| failure.error().cloned().map(|error| (failure, error)))
        else {
            return Ok(());
        };
        let said = failure.cause().get::<Told>();
        told = said.map(|told| told.status);
        Err(said.and_then(|told| told.closed.clone()).map_or(error, Error::Failed))
    });
    told.unwrap_or(status)
}

/// The cause that a node has told beside its failure: see coop_dag_call_fail.
///
/// cause: set to it, which is there until the outcome is freed; NULL if there is none, or the node has not failed.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_cause(
    outcome: *const coop_dag_outcome,
    node: coop_dag_node_id,
    cause: *mut *mut c_void,
) -> coop_status {
    guard!({
        // SAFETY: an outcome that is not freed yet.
        let outcome = unsafe { coop_dag_outcome::checked(outcome) }?;
        wanted(cause, "cause")?;
        let failure = outcome.failed(node)?;
        let told = failure.as_ref().and_then(|failure| failure.cause().get::<Told>());
        let found = told.map_or(std::ptr::null_mut(), |told| dag_value::pointer(&told.cause));
        // SAFETY: a place for a pointer. The run keeps its failures, and the outcome the run.
        unsafe { cause.write(found) };
        Ok(())
    })
}

/// Looks at a node's result.
///
/// value: set to it, which is there until it is taken, or the outcome is freed.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, and for one whose result was not kept as other nodes read it (see
/// coop_dag_node_options.keep); COOP_E_CANCELLED if it has none, for it was cancelled or skipped; the node's failure, with its name;
/// COOP_E_STALE if the result was taken, or another outcome of the same run has it; COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_value(
    outcome: *const coop_dag_outcome,
    node: coop_dag_node_id,
    value: *mut *mut c_void,
) -> coop_status {
    guard!({
        // SAFETY: an outcome that is not freed yet.
        let outcome = unsafe { coop_dag_outcome::checked(outcome) }?;
        wanted(value, "value")?;
        let found = outcome.value(node, false)?;
        // SAFETY: a place for a pointer. The outcome keeps the value.
        unsafe { value.write(dag_value::pointer(&found)) };
        Ok(())
    })
}

/// Takes a node's result, which is the caller's then.
///
/// value: set to it and its drop.
///
/// Any thread. COOP_E_EXISTS if a node has it that still runs, though the run has ended; else as coop_dag_outcome_value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_outcome_take(
    outcome: *const coop_dag_outcome,
    node: coop_dag_node_id,
    value: *mut coop_dag_value,
) -> coop_status {
    guard!({
        // SAFETY: an outcome that is not freed yet.
        let outcome = unsafe { coop_dag_outcome::checked(outcome) }?;
        wanted(value, "value")?;
        match dag_value::take(outcome.value(node, true)?) {
            Ok(taken) => {
                // SAFETY: a place for a value.
                unsafe { value.write(taken) };
                Ok(())
            }
            Err(shared) => {
                let (index, name) = outcome.node(node)?;
                outcome.values.lock().unwrap_or_else(PoisonError::into_inner).insert(index, shared);
                Err(Error::Exists(format!("node {name:?}: its result is still read by a node that runs")))
            }
        }
    })
}
