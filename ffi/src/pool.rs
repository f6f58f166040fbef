//! `coop_pool`.

use std::{ffi::c_char, mem, sync::Arc, time::Duration};

use coop_core::{Error, Job, Pool, PoolOptions, Priority, Result, ShutdownMode, SubmitOptions, fork::ForkGuard};

use crate::{
    cpu_set::coop_cpu_set,
    foreign::{Foreign, coop_callback, refused},
    guard::{answer, guard, guard_stop, guard_tell, guard_wait},
    handle::{borrow, give, null, take, wanted},
    options::{self, Options},
    status::{COOP_NONE, coop_status},
    task::Tasks,
};

/// When there is nothing better to do.
pub const COOP_PRIORITY_LOW: i32 = -1;
/// What most tasks are.
pub const COOP_PRIORITY_NORMAL: i32 = 0;
/// Before everything else.
pub const COOP_PRIORITY_HIGH: i32 = 1;

/// What is queued runs, and so do the tasks that it submits.
pub const COOP_SHUTDOWN_DRAIN: i32 = 0;
/// What is queued is dropped.
pub const COOP_SHUTDOWN_DISCARD: i32 = 1;

/// A pool of worker threads, pinned to CPUs, that run short tasks: the higher priority first, each task inside its
/// CPU set.
#[derive(Debug)]
pub struct coop_pool {
    fork: ForkGuard,
    pool: Arc<Pool>,
    /// Those that were submitted with an id.
    tasks: Arc<Tasks>,
    /// False for a runtime's, which the runtime frees.
    owned: bool,
}

/// How a pool is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_pool_options {
    /// sizeof(coop_pool_options).
    pub size: usize,
    /// How many workers, up to 1024. 0: as many as this process has CPUs to use, at least 4 (a runtime's pool:
    /// half, at least 4).
    pub workers: usize,
    /// 1 leaves the workers where the system puts them; such a pool takes no CPU sets. 0 pins each to a CPU.
    pub no_pin: i32,
    /// After how many tasks above a priority one of it runs, if it has one. 0: 64. COOP_NONE: never, the order is
    /// strict.
    pub ageing: i32,
    /// What the threads are called, "name-0", "name-1" and so on: UTF-8, copied. NULL: "coop-pool".
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// How many tasks may be queued at once; a pool that is full refuses tasks, or has the submitter wait (timeout_ns of
    /// coop_submit_options). 0: as many as there is memory for.
    pub capacity: usize,
}

// SAFETY: numbers and a pointer, seven fields that fill 48 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_pool_options {
    const NAME: &'static str = "coop_pool_options";
    const FIRST: usize = 40;
}

/// How a task is to run. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_submit_options {
    /// sizeof(coop_submit_options).
    pub size: usize,
    /// One of COOP_PRIORITY_*.
    pub priority: i32,
    /// 1: it goes on with what the pool took before, as a coroutine does, so a pool that is full takes it all the same. Else 0.
    /// For coop_pool_submit only; the others answer COOP_E_UNSUPPORTED.
    pub continues: i32,
    /// Where it may run: on the workers whose CPU is in the set. CPUs without a worker do no harm beside one that
    /// has one.
    pub cpus: coop_cpu_set,
    /// How long to wait for room in a pool that is full, in nanoseconds. 0: not at all. COOP_FOREVER: as long as it takes.
    pub timeout_ns: i64,
}

// SAFETY: numbers and a pointer, six fields that fill 40 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_submit_options {
    const NAME: &'static str = "coop_submit_options";
    const FIRST: usize = 32;
}

/// Makes a pool and starts its workers.
///
/// options: copied; NULL is all defaults. out: set to the pool, which the caller frees with coop_pool_free.
///
/// Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_AFFINITY or
/// COOP_E_UNSUPPORTED if a worker cannot be pinned (see no_pin), COOP_E_OS if the system has no thread left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_new(options: *const coop_pool_options, out: *mut *mut coop_pool) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { pool_options(options) }?;
        let object = coop_pool::new(Arc::new(Pool::new(options)?), true);
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(object, out) };
        Ok(())
    })
}

/// Discards the queued tasks (each is dropped, none is run), waits for those that run, ends the workers and
/// releases the pool.
///
/// From one of the pool's own tasks it discards and returns at once, and the workers end when their tasks have
/// returned; the pool must not be used after that, nor by tasks that still run. A runtime's pool belongs to the
/// runtime and is left alone, with a warning. NULL does nothing.
///
/// Any thread; once, with no call begun after it. In a forked child it releases memory and touches no thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_free(pool: *mut coop_pool) {
    guard_stop!({
        if pool.is_null() {
            return Ok(());
        }
        {
            // SAFETY: a pool that is not freed yet; the borrow ends with this block.
            let object = unsafe { borrow(pool, "pool") }?;
            if !object.owned {
                tracing::warn!(target: "coop", "coop_pool_free was called for a runtime's pool, which the runtime frees");
                return Ok(());
            }
            // Shared until nothing of it runs any more: tasks and drops may still call it. Refused in a forked child only.
            let _ = object.pool.shutdown(ShutdownMode::Discard, None);
        }
        // SAFETY: made by coop_pool_new and freed once.
        drop(unsafe { take(pool) });
        Ok(())
    });
}

/// Has a worker run the task, once.
///
/// options: copied; NULL is normal priority, any worker. task: the pool owns task.arg if this answers COOP_OK; see
/// coop_callback. A task must be short and must not wait for another task of its pool.
///
/// Any thread, also the pool's own tasks. COOP_E_NULL for pool, task.fn or cpus.words, COOP_E_INVALID for another
/// priority, time or an empty CPU set, COOP_E_AFFINITY for a CPU set without a worker, COOP_E_UNSUPPORTED,
/// COOP_E_FORKED, and COOP_E_CLOSED once the pool was shut down (its own tasks may submit while it drains).
///
/// A pool with a capacity that is full: COOP_E_QUEUE_FULL; with timeout_ns it waits for room, those who came first being
/// served first, until COOP_E_TIMEOUT. To one of the pool's own tasks that would wait: COOP_E_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_submit(
    pool: *mut coop_pool,
    options: *const coop_submit_options,
    task: coop_callback,
) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet. The task may free it at once: a free waits for submissions that are under way
        // (Pool::submit_with touches nothing of the pool after it has left the gate), so this borrow holds that long.
        let object = unsafe { borrow(pool, "pool") }?;
        object.fork.check()?;
        // SAFETY: options are NULL or as long as they say.
        let (options, continues) = unsafe { any_submit_options(options) }?;
        if continues {
            let target = object.pool.target(&options)?;
            // Last of what may fail: from here on the argument is owned.
            let task = Foreign::of(task)?;
            return object.pool.resume_on(&target, Job::new(move || task.call())).map_err(refused);
        }
        // A task may free the pool while this call waits for room in it.
        let waits = (options.timeout != Some(Duration::ZERO)).then(|| object.pool.clone());
        let task = Foreign::of(task)?;
        let pool = waits.as_ref().unwrap_or(&object.pool);
        pool.submit_with(&options, Job::new(move || task.call())).map_err(refused)
    })
}

/// Has workers run these tasks, each once, in order as far as coop_pool_submit keeps it, and cheaper than one by one.
///
/// options: copied, for all of them; NULL is normal priority, any worker. tasks: count of them, copied; the pool owns the
/// arguments of those that it took. accepted: set to how many it took: the first ones. Fewer than count if the pool
/// became full (with timeout_ns: and was so until then) or was closed after it had taken some; the others are the caller's,
/// and the next call says why.
///
/// Any thread, also the pool's own tasks. When it fails it has taken none: COOP_E_INVALID for a count of 0, COOP_E_NULL for
/// pool, tasks, accepted, or a task's fn, and the errors of coop_pool_submit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_submit_batch(
    pool: *mut coop_pool,
    options: *const coop_submit_options,
    tasks: *const coop_callback,
    count: usize,
    accepted: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet. The first tasks may free it while the others are queued: so not borrowed.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        wanted(accepted, "accepted")?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { submit_options(options) }?;
        // SAFETY: the tasks are as many as counted.
        let tasks = unsafe { options::array(tasks, count, "tasks") }?;
        if let Some(at) = tasks.iter().position(|task| task.r#fn.is_none()) {
            return Err(null(&format!("tasks[{at}].fn")));
        }
        let jobs = tasks.iter().map(|task| {
            let task = Foreign::of(*task)?;
            Ok(Job::new(move || task.call()))
        });
        let taken = match pool.submit_batch(&options, jobs.collect::<Result<_>>()?) {
            Ok(()) => count,
            Err(refused) => {
                refused.rest.into_iter().for_each(mem::forget);
                if refused.accepted == 0 {
                    return Err(refused.error);
                }
                refused.accepted
            }
        };
        // SAFETY: a place for a number.
        unsafe { accepted.write(taken) };
        Ok(())
    })
}

/// Whether a task with these options may go on at once on the calling thread: it is a worker of the pool inside the CPU set, and
/// nothing of a higher priority waits for it.
///
/// options: copied; NULL is normal priority, any worker. False outside the pool's own tasks, for NULL and for wrong options, and
/// in a forked child. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_may_run_here(pool: *const coop_pool, options: *const coop_submit_options) -> bool {
    answer(false, || {
        // SAFETY: a pool that is not freed yet.
        let object = unsafe { borrow(pool, "pool") }?;
        object.fork.check()?;
        // SAFETY: options are NULL or as long as they say.
        let (options, _) = unsafe { any_submit_options(options) }?;
        Ok(object.pool.may_run_here(&object.pool.target(&options)?))
    })
}

/// Says how many workers the pool has.
///
/// out: set to the number. Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_workers(pool: *const coop_pool, out: *mut usize) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet.
        let object = unsafe { borrow(pool, "pool") }?;
        wanted(out, "out")?;
        object.fork.check()?;
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(object.pool.workers()) };
        Ok(())
    })
}

/// Says which CPU a worker is pinned to.
///
/// index: which worker, from 0. out: set to the CPU's number, or to COOP_NONE if the pool was made with no_pin.
/// Any thread. COOP_E_NULL, COOP_E_INVALID past the last worker, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_worker_cpu(pool: *const coop_pool, index: usize, out: *mut i32) -> coop_status {
    guard!({
        // SAFETY: a pool that is not freed yet.
        let object = unsafe { borrow(pool, "pool") }?;
        wanted(out, "out")?;
        object.fork.check()?;
        let cpus = object.pool.worker_cpus();
        let cpu = cpus.get(index).ok_or_else(|| {
            Error::Invalid(format!("worker {index} is out of range: this pool has {}, from 0", cpus.len()))
        })?;
        let cpu = cpu.and_then(|cpu| i32::try_from(cpu).ok()).unwrap_or(COOP_NONE);
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(cpu) };
        Ok(())
    })
}

/// Whether the caller is one of the pool's own tasks. False for NULL and in a forked child. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_is_worker_thread(pool: *const coop_pool) -> bool {
    answer(false, || {
        // SAFETY: a pool that is not freed yet.
        let object = unsafe { borrow(pool, "pool") }?;
        object.fork.check()?;
        Ok(object.pool.is_worker_thread())
    })
}

/// Closes the pool and returns at once: what is queued still runs, and what that submits, and then the workers end.
///
/// Any thread, any number of times. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_close(pool: *mut coop_pool) -> coop_status {
    guard_tell!({
        // SAFETY: a pool that is not freed yet.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        pool.close()
    })
}

/// Closes the pool, has what is queued run or dropped, waits for what runs, and ends the workers.
///
/// mode: COOP_SHUTDOWN_DRAIN or COOP_SHUTDOWN_DISCARD. timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER
/// waits as long as it takes.
///
/// At COOP_E_TIMEOUT the pool stays closed, queued tasks are dropped, running ones go on, and it may be called
/// again. From one of the pool's own tasks it returns at once, and the workers end when their tasks have returned.
///
/// Any thread, any number of times. COOP_E_NULL, COOP_E_INVALID for another mode or time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_shutdown(pool: *mut coop_pool, mode: i32, timeout_ns: i64) -> coop_status {
    guard_stop!({
        // SAFETY: a pool that is not freed yet. It waits for tasks, which may free the pool: so not borrowed.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        let mode = match mode {
            COOP_SHUTDOWN_DRAIN => ShutdownMode::Drain,
            COOP_SHUTDOWN_DISCARD => ShutdownMode::Discard,
            _ => {
                let allowed = "COOP_SHUTDOWN_DRAIN is 0, COOP_SHUTDOWN_DISCARD is 1";
                return Err(Error::Invalid(format!("shutdown mode {mode} is out of range: {allowed}")));
            }
        };
        pool.shutdown(mode, options::timeout(timeout_ns, "timeout_ns")?)
    })
}

/// Waits until a pool that was closed has ended, and joins its threads.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.
///
/// Any thread but the pool's own tasks: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT changes nothing, and it may be
/// called again; COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_join(pool: *mut coop_pool, timeout_ns: i64) -> coop_status {
    guard_wait!({
        // SAFETY: a pool that is not freed yet. It waits for tasks, which may free the pool: so not borrowed.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        pool.join(options::timeout(timeout_ns, "timeout_ns")?)
    })
}

impl coop_pool {
    fn new(pool: Arc<Pool>, owned: bool) -> Self {
        Self { fork: ForkGuard::new("pool"), pool, tasks: Arc::default(), owned }
    }

    /// A runtime's pool.
    pub(crate) fn of_runtime(pool: Arc<Pool>) -> Self {
        Self::new(pool, false)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// A hold of its own for a call that waits, or lets tasks start which may free the pool.
    ///
    /// # Safety
    /// `pointer` is NULL or a pool that is not freed yet.
    pub(crate) unsafe fn cloned(pointer: *const Self) -> Result<Arc<Pool>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "pool") }?;
        object.fork.check()?;
        Ok(object.pool.clone())
    }

    /// A hold of the tasks with an id.
    ///
    /// # Safety
    /// `pointer` is NULL or a pool that is not freed yet.
    pub(crate) unsafe fn tasks(pointer: *const Self) -> Result<Arc<Tasks>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "pool") }?;
        object.fork.check()?;
        Ok(object.tasks.clone())
    }
}

/// The options in the core's terms, for what begins.
///
/// # Safety
/// As [`any_submit_options`].
pub(crate) unsafe fn submit_options(options: *const coop_submit_options) -> Result<SubmitOptions> {
    // SAFETY: the caller's promise.
    match unsafe { any_submit_options(options) }? {
        (options, false) => Ok(options),
        (_, true) => {
            Err(Error::Unsupported("coop_submit_options.continues is 1: only coop_pool_submit takes it".into()))
        }
    }
}

/// The options in the core's terms, and whether the task goes on rather than begins.
///
/// # Safety
/// As [`options::read`], and the words of the CPU set are as many as counted.
unsafe fn any_submit_options(options: *const coop_submit_options) -> Result<(SubmitOptions, bool)> {
    if options.is_null() {
        return Ok((SubmitOptions::default(), false));
    }
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    let continues = options::flag(read.continues, "coop_submit_options.continues")?;
    // SAFETY: the caller's promise.
    let cpus = unsafe { read.cpus.read() }?;
    let timeout = options::timeout(read.timeout_ns, "coop_submit_options.timeout_ns")?;
    Ok((SubmitOptions { priority: Priority::try_from(read.priority)?, cpus, timeout }, continues))
}

/// The options in the core's terms.
///
/// # Safety
/// As [`options::read`], and `name` points to `name_length` bytes.
pub(crate) unsafe fn pool_options(options: *const coop_pool_options) -> Result<PoolOptions> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    // SAFETY: the caller's promise.
    let name = unsafe { options::text(read.name, read.name_length, "coop_pool_options.name") }?;
    let defaults = PoolOptions::default();
    Ok(PoolOptions {
        workers: (read.workers > 0).then_some(read.workers),
        no_pin: options::flag(read.no_pin, "coop_pool_options.no_pin")?,
        ageing: match read.ageing {
            0 => defaults.ageing,
            COOP_NONE => None,
            after => Some(u32::try_from(after).map_err(|_| {
                Error::Invalid(format!(
                    "coop_pool_options.ageing is {after}: allowed are tasks from 1, 0 and COOP_NONE"
                ))
            })?),
        },
        name: name.unwrap_or(defaults.name),
        capacity: (read.capacity > 0).then_some(read.capacity),
    })
}
