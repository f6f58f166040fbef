//! One thread state for each library thread that runs Python code, for as long as the thread lives.
//!
//! Attaching a thread that the interpreter does not know makes a thread state, and the matching detach destroys it, with
//! all `threading.local` values in it. A library thread attaches for every callback, so it would pay for that each time and
//! forget its thread-locals. Instead its first attach is left open, and closed when the thread ends.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicBool, Ordering},
};

use pyo3::{ffi, prelude::*};

/// The interpreter is about to finalize: thread states are left to it.
static LEFT: AtomicBool = AtomicBool::new(false);

/// From now on ending threads leave their thread states to the interpreter. Called at exit, after everything was joined.
#[pyfunction]
#[pyo3(name = "_leave_threads")]
pub(crate) fn leave_threads() {
    LEFT.store(true, Ordering::SeqCst);
}

/// The open attach of a thread.
struct Kept {
    gil: ffi::PyGILState_STATE,
    state: *mut ffi::PyThreadState,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if LEFT.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: the state is this thread's own, from the `PyEval_SaveThread` in `attach`, and nobody took it up since: every
        // attach in between was undone. The interpreter is there, since it is left only after `leave_threads`.
        unsafe { ffi::PyEval_RestoreThread(self.state) };
        // SAFETY: the thread is attached, by the line above; this undoes the `PyGILState_Ensure` in `attach`.
        unsafe { ffi::PyGILState_Release(self.gil) };
    }
}

thread_local!(static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) });

/// Runs `f` attached, on a library's thread, whose thread state is kept from the first time on. `None`: the interpreter
/// is gone or going.
pub(crate) fn attach<R>(f: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    if LEFT.load(Ordering::Relaxed) {
        return None;
    }
    // A thread that is ending has no thread-locals left, and attaches as it is.
    let _ = KEPT.try_with(|kept| {
        let Ok(mut kept) = kept.try_borrow_mut() else { return };
        // SAFETY: asks for this thread's state and changes nothing.
        let known = unsafe { ffi::PyGILState_GetThisThreadState() };
        // A thread that the interpreter made itself has one of its own.
        if kept.is_none() && known.is_null() {
            // SAFETY: `Python::try_attach` below and the check above say that the interpreter is up; the attach is undone in
            // `Kept::drop`.
            let gil = unsafe { ffi::PyGILState_Ensure() };
            // SAFETY: the thread is attached by the line above, and holds nothing of the interpreter's.
            let state = unsafe { ffi::PyEval_SaveThread() };
            *kept = Some(Kept { gil, state });
        }
    });
    Python::try_attach(f)
}
