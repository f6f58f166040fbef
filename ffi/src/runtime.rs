//! `coop_runtime`: a loop and a pool as one.

use std::{mem::ManuallyDrop, sync::Arc};

use coop_core::{Pool, Result, Runtime, RuntimeOptions, StartMode, event_loop::Handle, fork::ForkGuard};

use crate::{
    event_loop::{coop_event_loop, coop_event_loop_options, event_loop_options},
    guard::{guard, guard_stop, guard_wait},
    handle::{borrow, give, take, wanted},
    options::{self, Options},
    pool::{coop_pool, coop_pool_options, pool_options},
    status::coop_status,
};

/// coop_runtime_start runs the loop in the calling thread, until the runtime is stopped.
pub const COOP_START_WAIT: i32 = 0;
/// coop_runtime_start has a thread of its own run the loop, and returns.
pub const COOP_START_RETURN: i32 = 1;

/// An event loop and a pool as one: the loop's timers and watches run their callbacks in the pool unless they say
/// otherwise, posts run on the loop's thread.
#[derive(Debug)]
pub struct coop_runtime {
    fork: ForkGuard,
    // C is given the addresses of these two.
    event_loop: coop_event_loop,
    pool: coop_pool,
    /// Taken by the free.
    owner: ManuallyDrop<Runtime>,
}

/// How a runtime is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_runtime_options {
    /// sizeof(coop_runtime_options).
    pub size: usize,
    /// Its pool, with its own size; NULL is all defaults.
    pub pool: *const coop_pool_options,
    /// Its loop, with its own size; NULL is all defaults.
    pub event_loop: *const coop_event_loop_options,
}

// SAFETY: three words (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_runtime_options {
    const NAME: &'static str = "coop_runtime_options";
    const FIRST: usize = size_of::<Self>();
}

/// Makes a runtime. It takes posts, timers, watches and tasks at once; tasks run at once, the loop after
/// coop_runtime_start.
///
/// options: copied; NULL is all defaults. out: set to the runtime, which the caller frees with coop_runtime_free.
///
/// Any thread. The errors of coop_pool_new and coop_event_loop_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_runtime_new(
    options: *const coop_runtime_options,
    out: *mut *mut coop_runtime,
) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let read = unsafe { options::read(options) }?;
        // SAFETY: as above.
        let pool = unsafe { pool_options(read.pool) }?;
        // SAFETY: as above.
        let event_loop = unsafe { event_loop_options(read.event_loop) }?;
        let owner = Runtime::new(RuntimeOptions { pool, event_loop })?;
        let handle = owner.event_loop().handle();
        let object = coop_runtime {
            fork: ForkGuard::new("runtime"),
            event_loop: coop_event_loop::new(handle, None),
            pool: coop_pool::of_runtime(owner.pool().clone()),
            owner: ManuallyDrop::new(owner),
        };
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(object, out) };
        Ok(())
    })
}

/// Stops the loop, discards what is queued in both (each is dropped, none is run), waits for the callbacks that
/// run, and releases the runtime, its loop and its pool.
///
/// From one of the runtime's own callbacks it returns at once, and the rest happens when the callbacks that run
/// have returned; the runtime, its loop and its pool must not be used after that, but the coop_runtime_start that
/// is under way returns as ever. NULL does nothing.
///
/// Any thread; once, with no call begun after it. In a forked child it releases memory and touches no thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_runtime_free(runtime: *mut coop_runtime) {
    guard_stop!({
        if runtime.is_null() {
            return Ok(());
        }
        // SAFETY: a runtime that is not freed yet; a field's place, nothing is borrowed.
        let owner = unsafe { &raw const (*runtime).owner };
        // SAFETY: nothing else looks at it, and the box does not drop it.
        let owner = ManuallyDrop::into_inner(unsafe { owner.read() });
        // Ends loop and pool. Callbacks and drops may still call both until then: so the box stays.
        drop(owner);
        // SAFETY: made by coop_runtime_new and freed once.
        drop(unsafe { take(runtime) });
        Ok(())
    });
}

/// Runs the loop, in this thread until the runtime is stopped, or in one of its own.
///
/// mode: COOP_START_WAIT or COOP_START_RETURN. A runtime that was stopped is not started again.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for another mode, COOP_E_EXISTS if it runs already,
/// COOP_E_WOULD_DEADLOCK from a callback on the loop's thread, COOP_E_CLOSED once it was stopped, COOP_E_OS,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_runtime_start(runtime: *mut coop_runtime, mode: i32) -> coop_status {
    guard_wait!({
        // SAFETY: a runtime that is not freed yet; a callback may free it, so nothing of it is borrowed while the loop runs.
        let (event_loop, _) = unsafe { coop_runtime::parts(runtime) }?;
        coop_core::runtime::start(&event_loop, StartMode::try_from(mode)?)
    })
}

/// Stops the loop, waits until it has run what it had accepted, then drains the pool and waits until its workers
/// have ended.
///
/// timeout_ns: nanoseconds for both, 0 does not wait, COOP_FOREVER waits as long as it takes.
///
/// At COOP_E_TIMEOUT both stay closed, tasks that are queued are dropped, and it may be called again. From one of
/// the runtime's own callbacks it closes both and returns at once, and they end when the callbacks have returned.
///
/// Any thread, any number of times. COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_runtime_stop(runtime: *mut coop_runtime, timeout_ns: i64) -> coop_status {
    guard_stop!({
        // SAFETY: a runtime that is not freed yet; it waits for callbacks, which may free it, so nothing of it is borrowed.
        let (event_loop, pool) = unsafe { coop_runtime::parts(runtime) }?;
        coop_core::runtime::stop(&event_loop, &pool, options::timeout(timeout_ns, "timeout_ns")?)
    })
}

/// The runtime's pool, which belongs to the runtime: it is valid until coop_runtime_free and is not freed by the
/// caller. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_runtime_pool(runtime: *mut coop_runtime) -> *mut coop_pool {
    if runtime.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: a runtime that is not freed yet; a field's place, nothing is borrowed.
    unsafe { &raw mut (*runtime).pool }
}

/// The runtime's loop, which belongs to the runtime: it is valid until coop_runtime_free and is not freed by the
/// caller. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_runtime_event_loop(runtime: *mut coop_runtime) -> *mut coop_event_loop {
    if runtime.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: a runtime that is not freed yet; a field's place, nothing is borrowed.
    unsafe { &raw mut (*runtime).event_loop }
}

impl coop_runtime {
    /// Its loop and its pool, kept alive.
    ///
    /// # Safety
    /// `pointer` is NULL or a runtime that is not freed yet.
    unsafe fn parts(pointer: *const Self) -> Result<(Handle, Arc<Pool>)> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "runtime") }?;
        object.fork.check()?;
        Ok((object.event_loop.own_handle().clone(), object.pool.pool().clone()))
    }
}
