//! `coop_pool`.

use std::{ffi::c_char, sync::Arc};

use coop_core::{Error, Job, Pool, PoolOptions, Priority, Result, ShutdownMode, SubmitOptions, fork::ForkGuard};

use crate::{
    cpu_set::coop_cpu_set,
    foreign::{Foreign, coop_callback, refused},
    guard::{answer, guard, guard_stop, guard_tell, guard_wait},
    handle::{borrow, give, take, wanted},
    options::{self, Options},
    status::{COOP_NONE, coop_status},
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
}

// SAFETY: numbers and a pointer, six fields that fill 40 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_pool_options {
    const NAME: &'static str = "coop_pool_options";
    const FIRST: usize = size_of::<Self>();
}

/// How a task is to run. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_submit_options {
    /// sizeof(coop_submit_options).
    pub size: usize,
    /// One of COOP_PRIORITY_*.
    pub priority: i32,
    /// Must be 0.
    pub reserved: i32,
    /// Where it may run: on the workers whose CPU is in the set. CPUs without a worker do no harm beside one that
    /// has one.
    pub cpus: coop_cpu_set,
}

// SAFETY: numbers and a pointer, five fields that fill 32 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_submit_options {
    const NAME: &'static str = "coop_submit_options";
    const FIRST: usize = size_of::<Self>();
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
        let object = coop_pool { fork: ForkGuard::new("pool"), pool: Arc::new(Pool::new(options)?), owned: true };
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
/// priority or an empty CPU set, COOP_E_AFFINITY for a CPU set without a worker, COOP_E_UNSUPPORTED,
/// COOP_E_FORKED, and COOP_E_CLOSED once the pool was shut down (its own tasks may submit while it drains).
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
        let options = if options.is_null() {
            SubmitOptions::default()
        } else {
            // SAFETY: options are as long as they say.
            let read = unsafe { options::read(options) }?;
            options::reserved(read.reserved, "coop_submit_options.reserved")?;
            // SAFETY: the words are as many as counted.
            let cpus = unsafe { read.cpus.read() }?;
            SubmitOptions { priority: Priority::try_from(read.priority)?, cpus }
        };
        let task = Foreign::of(task)?;
        object.pool.submit_with(&options, Job::new(move || task.call())).map_err(refused)
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
    /// A runtime's pool.
    pub(crate) fn of_runtime(pool: Arc<Pool>) -> Self {
        Self { fork: ForkGuard::new("pool"), pool, owned: false }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// A hold of its own for a call that waits, or lets tasks start which may free the pool.
    ///
    /// # Safety
    /// `pointer` is NULL or a pool that is not freed yet.
    unsafe fn cloned(pointer: *const Self) -> Result<Arc<Pool>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "pool") }?;
        object.fork.check()?;
        Ok(object.pool.clone())
    }
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
    })
}
