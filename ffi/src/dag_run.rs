//! Runs of a graph by their ids: to wait for one, to be told its end, or to end it.

use std::{
    ffi::c_void,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coop_core::{
    Error, Refused, Result,
    dag::{Outcome, Run},
    slots::Slots,
};

use crate::{
    dag::coop_dag,
    dag_outcome::coop_dag_outcome,
    error::{coop_error, told},
    foreign::{Foreign, refused},
    guard::{guard, guard_tell, guard_wait},
    handle::{give, null},
    options,
    status::coop_status,
    tsan,
};

/// Names a run of one graph; never 0, and never used again for another one. It lives until coop_dag_run_release, a coop_dag_run_join that
/// saw the run's end, or until the graph is freed; from then on it is stale.
pub type coop_dag_run_id = u64;

/// A function that is told once how a run ended; then drop(arg) is called. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_dag_run_callback {
    /// error: NULL if all nodes have ended well, or were skipped; there until fn returns. outcome: what the nodes have made; the function's,
    /// who frees it with coop_dag_outcome_free, then or later.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, outcome: *mut coop_dag_outcome)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

type Told = unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, outcome: *mut coop_dag_outcome);

/// The runs of one graph that have an id.
#[derive(Default)]
pub(crate) struct Runs(Mutex<Slots<Arc<Run>>>);

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runs")
    }
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, Slots<Arc<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, run: Arc<Run>) -> coop_dag_run_id {
        self.lock().insert(run)
    }

    fn find(&self, id: coop_dag_run_id) -> Result<Arc<Run>> {
        self.lock().get_mut(id).cloned().ok_or(Error::Stale("run"))
    }

    /// The last hold may be this one: the caller drops it with no lock held.
    fn remove(&self, id: coop_dag_run_id) -> Option<Arc<Run>> {
        self.lock().remove(id)
    }
}

/// Has C told the end of a run.
pub(crate) fn tell(run: &Run, tag: u32, callback: Foreign<Told>) -> Result<(), Refused<impl Sized + use<>>> {
    run.then(move |outcome: Outcome| {
        let callback = callback;
        let result = outcome.result();
        let object = Box::into_raw(Box::new(coop_dag_outcome::new(outcome, tag)));
        tsan::waited();
        let _inside = tsan::Inside::once(callback.arg);
        told(result.as_ref().copied(), |error| {
            // SAFETY: C gave the function for this argument, and the outcome is its.
            unsafe { (callback.run)(callback.arg, error, object) };
        });
    })
}

/// Waits until a run has ended.
///
/// timeout_ns: nanoseconds, 0 only looks, COOP_FOREVER waits as long as it takes. out: set to what the nodes have made, which the caller
/// frees with coop_dag_outcome_free; how the run ended is coop_dag_outcome_result. NULL if nobody wants it.
///
/// Once the end was seen the id is stale. It lives on at COOP_E_TIMEOUT, and at COOP_E_WOULD_DEADLOCK, which is the answer to the run's own
/// nodes, to the only worker of its pool, and on the thread of a loop that it needs.
///
/// Any thread, also several at once: each that waits is told. COOP_E_STALE, COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_run_join(
    dag: *const coop_dag,
    id: coop_dag_run_id,
    timeout_ns: i64,
    out: *mut *mut coop_dag_outcome,
) -> coop_status {
    guard_wait!({
        // SAFETY: a graph that is not freed yet. A node may free it: so not borrowed.
        let (tag, runs) = unsafe { coop_dag::runs(dag) }?;
        let timeout = options::timeout(timeout_ns, "timeout_ns")?;
        let outcome = runs.find(id)?.join(timeout)?;
        drop(runs.remove(id));
        if !out.is_null() {
            // SAFETY: a place for a pointer.
            unsafe { give(coop_dag_outcome::new(outcome, tag), out) };
        }
        Ok(())
    })
}

/// Has a function told the end of a run: by the thread that ends it, or here and now if it has ended. The id stays.
///
/// callback: the run owns callback.arg if this answers COOP_OK.
///
/// Any thread. COOP_E_EXISTS if a function is to be told already, COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_run_then(
    dag: *const coop_dag,
    id: coop_dag_run_id,
    callback: coop_dag_run_callback,
) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet. The callback may free it: so not borrowed.
        let (tag, runs) = unsafe { coop_dag::runs(dag) }?;
        let function = callback.r#fn.ok_or_else(|| null("callback.fn"))?;
        let run = runs.find(id)?;
        tell(&run, tag, Foreign::own(function, callback.arg, callback.drop)).map_err(refused)
    })
}

/// Ends a run with COOP_E_CANCELLED, as coop_dag_run says of one that ends early. The id stays, for coop_dag_run_join.
///
/// Any thread, also the run's own nodes (see coop_dag_call_cancel). COOP_E_TIMEOUT if it is too late, for the run has ended, which changes
/// nothing; COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_run_cancel(dag: *const coop_dag, id: coop_dag_run_id) -> coop_status {
    guard_tell!({
        // SAFETY: a graph that is not freed yet. What is told may free it: so not borrowed.
        let (_, runs) = unsafe { coop_dag::runs(dag) }?;
        if runs.find(id)?.cancel() {
            Ok(())
        } else {
            Err(Error::Timeout("too late to cancel: the run has ended".into()))
        }
    })
}

/// Gives an id up: the run goes on.
///
/// Any thread. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_dag_run_release(dag: *const coop_dag, id: coop_dag_run_id) -> coop_status {
    guard!({
        // SAFETY: a graph that is not freed yet.
        let (_, runs) = unsafe { coop_dag::runs(dag) }?;
        runs.remove(id).map(drop).ok_or(Error::Stale("run"))
    })
}
