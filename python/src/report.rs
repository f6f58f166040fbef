//! Exceptions of callbacks: reported once through `logging`, or handed to the `run` that the callback was called by.

use std::cell::RefCell;

use coop_core::event_loop::Handle;
use pyo3::{
    exceptions::{PyException, PyKeyboardInterrupt},
    prelude::*,
    types::PyDict,
};

/// A `run` that is going on in this thread: it breaks with the exception that is left here.
struct Running {
    handle: Handle,
    raised: Option<PyErr>,
}

thread_local!(static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) });

/// Calls `run`, which runs `handle`'s loop in this thread; answers with what a callback raised to leave it, if one did.
pub(crate) fn run_in_this_thread<R>(handle: &Handle, run: impl FnOnce() -> R) -> (R, Option<PyErr>) {
    RUNNING.with_borrow_mut(|running| running.push(Running { handle: handle.clone(), raised: None }));
    let result = run();
    let ended = RUNNING.with_borrow_mut(Vec::pop);
    (result, ended.and_then(|ended| ended.raised))
}

/// Breaks this thread's `run` with an exception; gives it back if there is none.
pub(crate) fn leave_run(error: PyErr) -> Option<PyErr> {
    RUNNING.with_borrow_mut(|running| match running.last_mut() {
        None => Some(error),
        Some(running) => {
            running.raised.get_or_insert(error);
            let _ = running.handle.interrupt();
            None
        }
    })
}

/// What becomes of a callback's exception.
pub(crate) fn callback_raised(py: Python<'_>, error: PyErr, what: &str) {
    let leaves = !error.is_instance_of::<PyException>(py);
    let error = if leaves { leave_run(error) } else { Some(error) };
    if let Some(error) = error {
        log(py, &error, what);
    }
}

fn log(py: Python<'_>, error: &PyErr, what: &str) {
    let logged = (|| {
        let details = PyDict::new(py);
        details.set_item("exc_info", error.clone_ref(py).into_value(py))?;
        let logger = py.import("logging")?.call_method1("getLogger", ("libcoop",))?;
        logger.call_method("error", ("%s raised", what), Some(&details))
    })();
    if let Err(failed) = logged {
        // A broken logging must not hide the exception itself.
        if !failed.is_instance_of::<PyKeyboardInterrupt>(py) {
            error.clone_ref(py).write_unraisable(py, None);
        }
        failed.write_unraisable(py, None);
    }
}
