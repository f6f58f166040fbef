//! One thread state for each library thread that runs Python code, for as long as the thread lives.
//!
//! Attaching a thread that the interpreter does not know makes a thread state, and the matching detach destroys it, with
//! all `threading.local` values in it. A library thread attaches for every callback, so it would pay for that each time and
//! forget its thread-locals. Instead its first attach is left open, and closed when the thread ends.
//!
//! # The end
//!
//! A thread that waits to attach while the interpreter finalizes is ended by it, through our frames. So every way in counts
//! itself before it looks whether the door is shut, and whoever shuts it waits for those inside.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use coop_core::pool;
use pyo3::{ffi, prelude::*};

use crate::wait;

/// The interpreter is about to finalize: nobody enters any more, and thread states are left to it.
static LEFT: AtomicBool = AtomicBool::new(false);
/// How many are inside, or about to look at `LEFT`; one thread may be so more than once.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// Told of departures, once `LEFT` is set.
static DEPARTURES: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

// The share of the calling thread in `INSIDE`.
thread_local!(static MINE: Cell<usize> = const { Cell::new(0) });

/// Shuts the door and waits for those inside; false if some are still there after `patience` seconds: then finalizing would
/// crash. Called at exit, after everything was joined.
#[pyfunction]
#[pyo3(name = "_leave_threads")]
pub(crate) fn leave_threads(py: Python<'_>, patience: f64) -> PyResult<bool> {
    LEFT.store(true, Ordering::SeqCst);
    // A child that was forked in a callback exits inside it.
    let mine = MINE.get();
    let all_left = |slice| {
        let (lock, told) = &DEPARTURES;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |_: &mut ()| INSIDE.load(Ordering::SeqCst) > mine;
        let waited = told.wait_timeout_while(guard, slice, inside);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() { Err(()) } else { Ok(()) }
    };
    Ok(wait::wait(py, wait::timeout(Some(patience))?, all_left, |()| true)?.is_ok())
}

/// In a forked child: of the threads only this one is left.
#[pyfunction]
#[pyo3(name = "_after_fork")]
pub(crate) fn after_fork() {
    INSIDE.store(MINE.get(), Ordering::SeqCst);
}

/// Being inside.
struct Inside;

impl Inside {
    fn enter() -> Option<Self> {
        // Counted first: either the one who leaves sees the count, or this sees that it has left.
        INSIDE.fetch_add(1, Ordering::SeqCst);
        MINE.set(MINE.get() + 1);
        let inside = Self;
        (!LEFT.load(Ordering::SeqCst)).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        MINE.set(MINE.get() - 1);
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        if LEFT.load(Ordering::SeqCst) {
            // Under the lock that the waiter checks with, so that it does not miss this.
            let _guard = DEPARTURES.0.lock().unwrap_or_else(PoisonError::into_inner);
            DEPARTURES.1.notify_all();
        }
    }
}

/// The open attach of a thread.
struct Kept {
    gil: ffi::PyGILState_STATE,
    state: *mut ffi::PyThreadState,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(_inside) = Inside::enter() else { return };
        // SAFETY: the state is this thread's own, from the `PyEval_SaveThread` in `attach`, and nobody took it up since: every
        // attach in between was undone. The interpreter is there: it waits for those inside.
        unsafe { ffi::PyEval_RestoreThread(self.state) };
        // SAFETY: the thread is attached, by the line above; this undoes the `PyGILState_Ensure` in `attach`.
        unsafe { ffi::PyGILState_Release(self.gil) };
    }
}

thread_local!(static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) });

/// This thread's kept state, made at its first attach; `None` for a thread that the interpreter made itself, which has one of
/// its own, or that is ending and has no thread-locals left.
fn kept_state() -> Option<*mut ffi::PyThreadState> {
    let find = |kept: &RefCell<Option<Kept>>| {
        let mut kept = kept.try_borrow_mut().ok()?;
        // SAFETY: asks for this thread's state and changes nothing.
        let known = unsafe { ffi::PyGILState_GetThisThreadState() };
        if kept.is_none() && known.is_null() {
            // SAFETY: the interpreter is there, since it waits for those inside; the attach is undone in `Kept::drop`.
            let gil = unsafe { ffi::PyGILState_Ensure() };
            // SAFETY: the thread is attached by the line above, and holds nothing of the interpreter's.
            let state = unsafe { ffi::PyEval_SaveThread() };
            *kept = Some(Kept { gil, state });
        }
        kept.as_ref().map(|kept| kept.state)
    };
    KEPT.try_with(find).ok()?
}

/// Runs `f` attached, on a library's thread, whose thread state is kept from the first time on. `None`: the interpreter
/// is gone or going, and `f` was dropped.
pub(crate) fn attach<R>(f: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _inside = Inside::enter()?;
    let _ = kept_state();
    Python::try_attach(f)
}

thread_local! {
    /// Since when this thread has stayed attached between two jobs of one kind.
    static STAYS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The interpreter's switch interval in nanoseconds, as it was when a thread last gave way.
static INTERVAL: AtomicU64 = AtomicU64::new(5_000_000);

/// As [`attach`], from a job of a pool. The thread stays attached when `f` has returned, for the pool's next job if that is of this
/// kind, too, for one attach costs more than a small call; it gives way to other threads after the interpreter's switch
/// interval, as a thread that runs Python code does, and detaches before the worker does anything else.
pub(crate) fn attach_for_many<R>(kind: usize, f: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    match STAYS.get() {
        None => {
            let inside = Inside::enter()?;
            let Some(state) = kept_state() else { return Python::try_attach(f) };
            if pool::linger(kind, detach_after_many) {
                // SAFETY: the state is this thread's own and nobody has taken it up: every attach was undone. The interpreter is
                // there: it waits for those inside, and this thread stays so until `detach_after_many`.
                unsafe { ffi::PyEval_RestoreThread(state) };
                STAYS.set(Some(Instant::now()));
                std::mem::forget(inside);
            }
        }
        Some(since) if since.elapsed().as_nanos() >= u128::from(INTERVAL.load(Ordering::Relaxed)) => give_way(),
        Some(_) => {}
    }
    Python::try_attach(f)
}

/// Lets a thread that waits for the interpreter have it.
fn give_way() {
    let interval = Python::try_attach(|py| {
        let seconds = py.import("sys")?.call_method0("getswitchinterval")?.extract::<f64>()?;
        py.detach(|| ());
        PyResult::Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    });
    if let Some(Ok(interval)) = interval {
        INTERVAL.store(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    STAYS.set(Some(Instant::now()));
}

fn detach_after_many() {
    if STAYS.take().is_some() {
        // SAFETY: the thread is attached since `attach_for_many`, and what was nested in that was undone. The state stays kept.
        unsafe { ffi::PyEval_SaveThread() };
        // As it was counted there.
        drop(Inside);
    }
}
