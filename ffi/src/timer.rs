//! Timers of a loop.

use std::ffi::c_void;

use coop_core::{
    Result,
    event_loop::{TimerId, TimerOptions},
};

use crate::{
    cpu_set::coop_cpu_set,
    event_loop::{coop_event_loop, place},
    foreign::foreign,
    guard::guard,
    options::{self, Options},
    source,
    status::coop_status,
};

/// Names a timer of one loop; never 0, and never used again for another one.
pub type coop_timer_id = u64;

/// A function that runs at its times. drop(arg) is called once: after the only run of a timer that does not
/// repeat, when the timer is cancelled, or when the loop has finished, stopped or
/// freed. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_timer_callback {
    /// expirations: how many of the timer's times have come, 1, and more if times of a repeating timer were
    /// missed. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, expirations: u64)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// When a timer fires and where its callback runs. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_timer_options {
    /// sizeof(coop_timer_options).
    pub size: usize,
    /// Nanoseconds from now to the first time; 0 is the loop's next turn. The clock is monotonic; a timer never
    /// fires early.
    pub after_ns: i64,
    /// Nanoseconds from one time to the next, without drift; 0 is once.
    pub every_ns: i64,
    /// One of COOP_ON_*.
    pub on: i32,
    /// One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
    pub priority: i32,
    /// On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
    pub cpus: coop_cpu_set,
    /// 1: a COOP_RUN_UNTIL_IDLE does not wait for this timer.
    pub unref: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: numbers and a set of them, eight fields that fill 56 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_timer_options {
    const NAME: &'static str = "coop_timer_options";
    const FIRST: usize = 32;
}

/// Has the loop call the function at a time, once or repeatedly.
///
/// options: copied; NULL is once, at the loop's next turn. callback: the loop owns callback.arg if this answers
/// COOP_OK. id: set to the timer's id, for coop_timer_cancel; may be NULL. The function may run before id is set.
///
/// Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for a time, place or priority,
/// COOP_E_AFFINITY for a CPU set without a worker, COOP_E_UNSUPPORTED for options, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_timer(
    event_loop: *mut coop_event_loop,
    options: *const coop_timer_options,
    callback: coop_timer_callback,
    id: *mut coop_timer_id,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: options are NULL or as long as they say, and so is their CPU set.
        let options = unsafe { timer_options(options) }?;
        let foreign = foreign!(callback)?;
        let timer = handle.timer(options, move |expirations| foreign.call_with(expirations));
        // SAFETY: NULL or a place for a number.
        unsafe { source::named(timer.map(|id| id.0), id) }
    })
}

/// Ends a timer: its function does not begin any more, and its argument is dropped now; if it is running (it may
/// be the caller), when it returns.
///
/// Any thread, also the loop's own callbacks. COOP_E_STALE if it has fired its only time or was cancelled, or is
/// of no timer of this loop; COOP_E_INVALID for a local timer of a loop that another thread runs; COOP_E_NULL,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_timer_cancel(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of the argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.cancel_timer(TimerId(id))
    })
}

/// coop_event_loop_timer for the loop's own callbacks, on its thread: without a lock and without a look at the clock.
///
/// The delay counts from the first such call of this turn of the loop, so that the timer may fire earlier by as long as
/// the turn has lasted since. The function runs on the loop's thread, whatever the default is; between such timers and
/// others that are due in one turn there is no order. options, callback and id: as for coop_event_loop_timer.
///
/// COOP_E_INVALID from anywhere else, for COOP_ON_POOL and for a time, COOP_E_NULL, COOP_E_UNSUPPORTED for options,
/// COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_timer_local(
    event_loop: *mut coop_event_loop,
    options: *const coop_timer_options,
    callback: coop_timer_callback,
    id: *mut coop_timer_id,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet, and no other callback of its thread runs before this returns.
        let handle = unsafe { coop_event_loop::borrowed(event_loop) }?;
        // SAFETY: options are NULL or as long as they say, and so is their CPU set.
        let options = unsafe { timer_options(options) }?;
        let foreign = foreign!(callback)?;
        let timer = handle.timer_local(&options, move |expirations| foreign.call_with(expirations));
        // SAFETY: NULL or a place for a number.
        unsafe { source::named(timer.map(|id| id.0), id) }
    })
}

/// coop_timer_cancel for the loop's own callbacks, on its thread: without a lock if the timer is of
/// coop_event_loop_timer_local. While a loop runs, its own thread alone cancels such timers, by either function.
///
/// COOP_E_INVALID from anywhere else, COOP_E_STALE if it has fired its only time or was cancelled, or is of no timer of
/// this loop; COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_timer_cancel_local(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; a free by the drop of the argument, on the loop's thread, ends after this call.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.cancel_timer_local(TimerId(id))
    })
}

/// A COOP_RUN_UNTIL_IDLE waits for the timer, as it does for each that is not made with unref. It does not count: once is enough.
///
/// Any thread. COOP_E_STALE as coop_timer_cancel, COOP_E_INVALID for a local timer of a loop that another thread runs,
/// COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_timer_ref(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.set_timer_ref(TimerId(id), true)
    })
}

/// A COOP_RUN_UNTIL_IDLE does not wait for the timer; one that waits for nothing else ends.
///
/// Any thread. COOP_E_STALE as coop_timer_cancel, COOP_E_INVALID for a local timer of a loop that another thread runs,
/// COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_timer_unref(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.set_timer_ref(TimerId(id), false)
    })
}

/// # Safety
/// `options` is NULL or as long as it says, and the CPU set is as [`coop_cpu_set::read`] wants it.
unsafe fn timer_options(options: *const coop_timer_options) -> Result<TimerOptions> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    let after = options::duration(read.after_ns, "coop_timer_options.after_ns")?;
    let every = options::duration(read.every_ns, "coop_timer_options.every_ns")?;
    // SAFETY: the caller's promise.
    let on = unsafe { place(read.on, read.priority, read.cpus) }?;
    let unref = options::flag(read.unref, "coop_timer_options.unref")?;
    options::reserved(read.reserved, "coop_timer_options.reserved")?;
    Ok(TimerOptions { after, every: (!every.is_zero()).then_some(every), on, unref })
}
