//! The end of a child process.

use std::{ffi::c_void, ptr};

use coop_core::{
    Result,
    event_loop::{ChildId, ExitStatus},
};

use crate::{
    error::{coop_error, told},
    event_loop::coop_event_loop,
    foreign::{Foreign, foreign},
    guard::guard,
    source::{self, coop_source_options},
    status::coop_status,
    tsan::Inside,
};

/// Names a wait for a child of one loop; never 0, and never used again for another one.
pub type coop_child_id = u64;

/// How a child ended. Later versions may add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_exit_status {
    /// The bytes of this struct that the library has filled in.
    pub size: usize,
    /// The child's process id, which the system may give to another process from now on.
    pub pid: i32,
    /// What it gave to exit(), 0 to 255; -1 if a signal ended it.
    pub code: i32,
    /// The signal that ended it; 0 if it exited.
    pub signal: i32,
    /// 1: it left a core dump.
    pub core_dumped: i32,
}

/// A function that runs once, when a child has ended. drop(arg) is called once: after that, when the wait is cancelled, or
/// with its loop. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_callback {
    /// error: NULL, and status says how the child ended; or why that is not known (somebody else has reaped it), and
    /// status is NULL. Both are there until the function returns. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, status: *const coop_exit_status)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

type Run = unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, status: *const coop_exit_status);

/// Has the loop reap a child when it ends, and call the function with how it did.
///
/// pid: a child of this process; one that has ended already, and was not reaped, is told at once. options: copied; NULL is
/// all defaults. callback: the loop owns callback.arg if this answers COOP_OK. id: set to the wait's id, for
/// coop_child_cancel; may be NULL. The function may run before id is set.
///
/// Exactly this child is reaped, once, without a handler of SIGCHLD: no other child is touched. A program that has SIGCHLD
/// ignored, or that reaps whatever ends (wait, waitpid(-1)), takes the status away; then the function is told so.
///
/// Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for pid, place or priority, COOP_E_AFFINITY for
/// a CPU set without a worker, COOP_E_OS: ESRCH if there is no such process (any more), ECHILD if it is not this
/// process's child, EMFILE; COOP_E_UNSUPPORTED for options, and on a system without pidfd_open (Linux before 5.4),
/// COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_child(
    event_loop: *mut coop_event_loop,
    pid: i32,
    options: *const coop_source_options,
    callback: coop_child_callback,
    id: *mut coop_child_id,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: options are NULL or as long as they say.
        let on = unsafe { source::read(options) }?;
        let foreign = foreign!(callback)?;
        let child = handle.child(pid, on, move |status| foreign.call_with(status));
        // SAFETY: NULL or a place for a number.
        unsafe { source::named(child.map(|id| id.0), id) }
    })
}

/// Ends the wait for a child, which is then the caller's to reap; the argument is dropped.
///
/// Any thread, also the loop's own callbacks. COOP_E_STALE if the child has been reaped (the function has begun, or has
/// run), the wait was cancelled, or the id is of no child of this loop; COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_child_cancel(event_loop: *mut coop_event_loop, id: coop_child_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of the argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.cancel_child(ChildId(id))
    })
}

impl Foreign<Run> {
    fn call_with(&self, ended: Result<ExitStatus>) {
        let status = ended.as_ref().ok().map(|ended| coop_exit_status {
            size: size_of::<coop_exit_status>(),
            pid: ended.pid,
            code: ended.code.unwrap_or(-1),
            signal: ended.signal.unwrap_or(0),
            core_dumped: i32::from(ended.core_dumped),
        });
        let status = status.as_ref().map_or(ptr::null(), ptr::from_ref);
        let _inside = Inside::once(self.arg);
        told(ended.as_ref().map(|_| ()), |error| {
            // SAFETY: C gave the function for this argument.
            unsafe { (self.run)(self.arg, error, status) };
        });
    }
}
