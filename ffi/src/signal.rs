//! Signals of the process.

use std::ffi::c_void;

use coop_core::event_loop::SignalId;

use crate::{
    event_loop::coop_event_loop,
    foreign::foreign,
    guard::guard,
    source::{self, coop_source_options},
    status::coop_status,
};

/// Names a watcher of a signal of one loop; never 0, and never used again for another one.
pub type coop_signal_id = u64;

/// A function that runs when the process has got a signal: not in a signal handler, so it may do anything. drop(arg) is
/// called once: when the watcher is cancelled, or with its loop. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_signal_callback {
    /// signum: which. times: how many of it have come since the last call, from 1. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, signum: i32, times: u64)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// Has the loop call the function whenever the process gets a signal.
///
/// signum: SIGTERM, SIGHUP, SIGRTMIN + n; not SIGKILL and SIGSTOP, which the system lets nobody handle, nor SIGSEGV, SIGBUS,
/// SIGFPE, SIGILL, SIGTRAP and SIGSYS, which are faults of the instruction at hand. options: copied; NULL is all defaults.
/// callback: the loop owns callback.arg if this answers COOP_OK. id: set to the watcher's id, for coop_signal_cancel; may
/// be NULL. The function may run before id is set.
///
/// Any number of watchers, in any loops, watch one signal, and each is told of each. The first one replaces what the
/// signal did before (its default, a handler); the last one that is cancelled gives that back. Until then nobody else
/// sets an action for it. A forked child does what the signal did before, until it watches it itself. System calls that the signal
/// interrupts go on (SA_RESTART), but for those that never do. The library's own threads block the program's signals,
/// so some thread of the program must have it unblocked: in a program that blocks nothing, the first.
///
/// Any thread, also the loop's own callbacks; not from a signal handler. COOP_E_NULL, COOP_E_INVALID for signum, place or
/// priority, COOP_E_AFFINITY for a CPU set without a worker, COOP_E_OS if the process has no file descriptor left,
/// COOP_E_UNSUPPORTED for options and on other systems than Linux, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_signal(
    event_loop: *mut coop_event_loop,
    signum: i32,
    options: *const coop_source_options,
    callback: coop_signal_callback,
    id: *mut coop_signal_id,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: options are NULL or as long as they say.
        let on = unsafe { source::read(options) }?;
        let foreign = foreign!(callback)?;
        let watcher = handle.signal(signum, on, move |signum, times| foreign.call_with_both(signum, times));
        // SAFETY: NULL or a place for a number.
        unsafe { source::named(watcher.map(|id| id.0), id) }
    })
}

/// Ends a watcher: its function does not begin any more, and its argument is dropped now; if it is running (it may
/// be the caller), when it returns. The last watcher of a signal gives the signal back when its argument is dropped.
///
/// Any thread, also the loop's own callbacks. COOP_E_STALE if it was cancelled or is of no signal of this loop;
/// COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_signal_cancel(event_loop: *mut coop_event_loop, id: coop_signal_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of the argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.cancel_signal(SignalId(id))
    })
}
