//! Tasks with an id: to wait for one, or to cancel it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coop_core::{
    Error, Result,
    pool::{Cancel, Task},
    slots::Slots,
};

use crate::{
    foreign::{Foreign, coop_callback, refused},
    guard::{guard, guard_tell, guard_wait},
    handle::wanted,
    options,
    pool::{coop_pool, coop_submit_options, submit_options},
    status::coop_status,
};

/// Names a task of one pool; never 0, and never used again for another one. It lives until a coop_task_join that saw
/// the task's end, a coop_task_cancel that won, a coop_task_release, or until the pool is freed; from then on it is
/// stale.
pub type coop_task_id = u64;

/// The tasks of one pool that have an id.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Slots<Arc<Task<()>>>>);

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Slots<Arc<Task<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: coop_task_id) -> Result<Arc<Task<()>>> {
        self.lock().get_mut(id).cloned().ok_or(Error::Stale("task"))
    }

    /// The last hold may be this one: the caller drops it with no lock held.
    fn remove(&self, id: coop_task_id) -> Option<Arc<Task<()>>> {
        self.lock().remove(id)
    }
}

/// As coop_pool_submit, for a task that somebody waits for or cancels. Costs a little more.
///
/// id: set to the task's id, which ends with coop_task_join, coop_task_cancel or coop_task_release: call one of them,
/// or the id takes memory until the pool is freed. The task may run before id is set.
///
/// Any thread, also the pool's own tasks. The errors of coop_pool_submit, and COOP_E_NULL without id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_submit_task(
    pool: *mut coop_pool,
    options: *const coop_submit_options,
    task: coop_callback,
    id: *mut coop_task_id,
) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet. The task may free it: so not borrowed.
        let tasks = unsafe { coop_pool::tasks(pool) }?;
        // SAFETY: as above.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        wanted(id, "id")?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { submit_options(options) }?;
        let task = Foreign::of(task)?;
        let task = pool.submit_task(&options, move || task.call()).map_err(refused)?;
        let named = tasks.lock().insert(Arc::new(task));
        // SAFETY: a place for a number.
        unsafe { id.write(named) };
        Ok(())
    })
}

/// Waits until a task has ended: its fn has returned, and its argument is dropped.
///
/// timeout_ns: nanoseconds, 0 only looks, COOP_FOREVER waits as long as it takes. A worker of the pool that joins a
/// task which is still queued, and which it may run, runs it here and now, whatever the time, unless that is 0.
///
/// Once the end was seen the id is stale: COOP_OK if the task has run, COOP_E_CANCELLED if it was cancelled
/// meanwhile, COOP_E_CLOSED if a shutdown of the pool dropped it. The id lives on at COOP_E_TIMEOUT, and at
/// COOP_E_WOULD_DEADLOCK, which is the answer to the task itself and to one that it waits for and runs on its own
/// thread. Tasks of several threads that wait for one another in a ring are not noticed.
///
/// Any thread, also several at once: one is told how it ended. COOP_E_STALE, COOP_E_NULL, COOP_E_INVALID for another
/// time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_task_join(pool: *mut coop_pool, id: coop_task_id, timeout_ns: i64) -> coop_status {
    guard_wait!({
        // SAFETY: a pool that is not freed yet. It waits for tasks, which may free the pool: so not borrowed.
        let tasks = unsafe { coop_pool::tasks(pool) }?;
        let timeout = options::timeout(timeout_ns, "timeout_ns")?;
        let joined = tasks.find(id)?.join(timeout);
        if !matches!(joined, Err(Error::Timeout(_) | Error::WouldDeadlock(_) | Error::Forked(_))) {
            drop(tasks.remove(id));
        }
        joined
    })
}

/// Takes a task back that has not begun: its fn is not called, and its argument is dropped before this returns. The
/// id is stale then, and whoever waits in coop_task_join is answered COOP_E_CANCELLED.
///
/// Any thread, also the pool's own tasks. COOP_E_TIMEOUT if it is too late, which changes nothing: the message says
/// whether the task is running or has ended, and coop_task_join is still to come. COOP_E_STALE, COOP_E_NULL,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_task_cancel(pool: *mut coop_pool, id: coop_task_id) -> coop_status {
    guard_tell!({
        // SAFETY: a pool that is not freed yet; the drop of the argument may free it.
        let tasks = unsafe { coop_pool::tasks(pool) }?;
        let too_late = |why: &str| Err(Error::Timeout(format!("too late to cancel: the task {why}")));
        match tasks.find(id)?.cancel()? {
            Cancel::Cancelled => {
                drop(tasks.remove(id));
                Ok(())
            }
            Cancel::Running => too_late("is running"),
            Cancel::Ended => too_late("has ended"),
        }
    })
}

/// Gives an id up: the task goes on, and nobody waits for it or cancels it any more.
///
/// Any thread. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_task_release(pool: *mut coop_pool, id: coop_task_id) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet.
        let tasks = unsafe { coop_pool::tasks(pool) }?;
        tasks.remove(id).map(drop).ok_or(Error::Stale("task"))
    })
}
