//! Timers of a loop.

use std::ffi::c_void;

use coop_core::{
    Result,
    event_loop::{TimerId, TimerOptions},
};

use crate::{
    cpu_set::coop_cpu_set,
    event_loop::{coop_event_loop, place},
    foreign::{Foreign, refused},
    guard::guard,
    options::{self, Options},
    status::coop_status,
    tsan::Inside,
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

type Run = unsafe extern "C" fn(arg: *mut c_void, expirations: u64);

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
}

// SAFETY: numbers and a set of them, six fields that fill 48 bytes (tests/c/layout.c), any bytes are a value.
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
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { options::read(options) }?;
        // SAFETY: its CPU set is as long as it says.
        let options = unsafe { timer_options(options) }?;
        let run: Option<Run> = callback.r#fn;
        let foreign = Foreign::new(run, callback.arg, callback.drop)?;
        let timer = handle.timer(options, move |expirations| foreign.call_with(expirations)).map_err(refused)?;
        if !id.is_null() {
            // SAFETY: a place for a number.
            unsafe { id.write(timer.0) };
        }
        Ok(())
    })
}

/// Ends a timer: its function does not begin any more, and its argument is dropped now; if it is running (it may
/// be the caller), when it returns.
///
/// Any thread, also the loop's own callbacks. COOP_E_STALE if it has fired its only time or was cancelled, or is
/// of no timer of this loop; COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_timer_cancel(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of the argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.cancel_timer(TimerId(id))
    })
}

/// # Safety
/// The CPU set is as [`coop_cpu_set::read`] wants it.
unsafe fn timer_options(read: coop_timer_options) -> Result<TimerOptions> {
    let after = options::duration(read.after_ns, "coop_timer_options.after_ns")?;
    let every = options::duration(read.every_ns, "coop_timer_options.every_ns")?;
    // SAFETY: the caller's promise.
    let on = unsafe { place(read.on, read.priority, read.cpus) }?;
    Ok(TimerOptions { after, every: (!every.is_zero()).then_some(every), on, ..TimerOptions::default() })
}

impl Foreign<Run> {
    fn call_with(&self, expirations: u64) {
        let _inside = Inside::after_others(self.arg);
        // SAFETY: C gave the function for this argument.
        unsafe { (self.run)(self.arg, expirations) };
    }
}
