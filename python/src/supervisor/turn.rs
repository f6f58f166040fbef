//! Whose turn it is to run the loop that the services of a host share: one thread's at a time, then another's that waits.
//!
//! # What holds
//!
//! * The turn is taken where a [`Held`] is made, and free again when that is dropped, nowhere else. A signal handler that raises while a
//!   thread waits finds nothing half done: that is why this is no `threading.Condition`, whose lock stays locked then.
//! * No waker is called with the lock held.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use pyo3::{prelude::*, types::PyTuple};

use crate::wait;

/// Whose turn it is to run the loop that the services of a host share: one thread's at a time.
///
/// A signal handler that raises while a thread waits finds nothing half done.
#[pyclass(frozen, module = "libcoop._libcoop")]
#[derive(Default)]
pub(crate) struct Turn(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: bool,
    /// Who waits, by their numbers.
    waiting: BTreeMap<u64, Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has all who wait look again.
fn tell(state: &Mutex<State>, change: impl FnOnce(&mut State)) {
    let mut state = lock(state);
    change(&mut state);
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_values().for_each(Waker::wake);
}

#[pymethods]
impl Turn {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Asks for it, for a `with` statement, which waits at most `timeout` seconds and is told whether it has it.
    #[pyo3(signature = (timeout = None))]
    fn ask(&self, timeout: Option<f64>) -> PyResult<AskedTurn> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Ok(AskedTurn {
            turn: self.0.clone(),
            timeout: wait::timeout(timeout)?,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            forgone: AtomicBool::new(false),
            held: Mutex::new(None),
        })
    }
}

/// Who has the turn, until it is dropped.
struct Held(Arc<Mutex<State>>);

impl Drop for Held {
    fn drop(&mut self) {
        tell(&self.0, |state| state.taken = false);
    }
}

/// What `Turn.ask` answers: entered once.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct AskedTurn {
    turn: Arc<Mutex<State>>,
    timeout: Option<Duration>,
    number: u64,
    /// Set and looked at under the turn's lock: whoever forgoes it between the look and the wait finds the waker.
    forgone: AtomicBool,
    held: Mutex<Option<Held>>,
}

impl AskedTurn {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Held>> {
        let mut turn = lock(&self.turn);
        if self.forgone.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        if turn.taken {
            turn.waiting.insert(self.number, cx.waker().clone());
            return Poll::Pending;
        }
        turn.taken = true;
        drop(turn);
        Poll::Ready(Some(Held(self.turn.clone())))
    }
}

#[pymethods]
impl AskedTurn {
    /// The turn is not wanted any more: who waits for it goes on without.
    #[pyo3(signature = (*_done))]
    fn forgo(&self, _done: &Bound<'_, PyTuple>) {
        tell(&self.turn, |_| self.forgone.store(true, Ordering::Relaxed));
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        let waited = wait::until(py, self.timeout, poll_fn(|cx| self.poll(cx)));
        lock(&self.turn).waiting.remove(&self.number);
        let held = waited?.flatten();
        let has = held.is_some();
        let before = std::mem::replace(&mut *lock(&self.held), held);
        drop(before);
        Ok(has)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) {
        let held = lock(&self.held).take();
        drop(held);
    }
}
