//! Waiting for a future without the interpreter, and without a lock or a condition per future.
//!
//! Threads that wait stand in a table by the address of what they wait for. Who waits sets the bit in the state, under the
//! lock of its shelf, and looks at the state in the same step; who ends the future changes the state and looks at the bit in
//! one step, and then takes the shelf's lock. So either the waiter sees that it is over or it is found and woken. A shelf's lock
//! is held for nothing else, by threads that hold nothing.
//!
//! Before that it looks for a while: a small call is over sooner than the system puts a thread to sleep and wakes it. How
//! long is worth it is learned: twice as long after a success, a quarter after a failure, and now and then a new try.

use std::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use coop_core::cpu;
use pyo3::prelude::*;

use super::{Future, State, WAITED_FOR};
use crate::wait;

const SHELVES: usize = 64;
static WAITING: [Mutex<Vec<(usize, Thread)>>; SHELVES] = [const { Mutex::new(Vec::new()) }; SHELVES];

/// For how many nanoseconds a waiter looks before it sleeps, and the bounds of that.
static PATIENCE: AtomicU32 = AtomicU32::new(LONGEST);
const SHORTEST: u32 = 1_000;
const LONGEST: u32 = 50_000;

/// Waits that looked in vain since one did not; at every so many of them the patience is tried anew.
static IN_VAIN: AtomicU32 = AtomicU32::new(0);
const RETRY: u32 = 32;

fn shelf(address: usize) -> MutexGuard<'static, Vec<(usize, Thread)>> {
    // Objects lie at least 16 bytes apart.
    WAITING[(address >> 4) % SHELVES].lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(future: &Future) -> usize {
    std::ptr::from_ref(future).addr()
}

/// Wakes all who wait for it. It is done, or about to be looked at again.
pub(super) fn wake(future: &Future) {
    let address = address(future);
    for (_, thread) in shelf(address).extract_if(.., |(other, _)| *other == address) {
        thread.unpark();
    }
}

/// Stands in the table while it lives.
struct Standing<'a>(&'a Future);

impl<'a> Standing<'a> {
    /// `None`: it is done.
    fn new(future: &'a Future) -> Option<Self> {
        let mut shelf = shelf(address(future));
        if State::of(future.state.fetch_or(WAITED_FOR, Ordering::AcqRel)).is_done() {
            return None;
        }
        shelf.push((address(future), thread::current()));
        Some(Self(future))
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let (address, me) = (address(self.0), thread::current().id());
        let mut shelf = shelf(address);
        // One of them, for a signal handler may wait for it inside this wait.
        if let Some(place) = shelf.iter().position(|(other, thread)| *other == address && thread.id() == me) {
            shelf.swap_remove(place);
        }
    }
}

/// Looks at it for a while; true if it is done.
fn look(future: &Future, at_most: Duration) -> bool {
    let patience = PATIENCE.load(Ordering::Relaxed);
    let limit = Duration::from_nanos(patience.into()).min(at_most);
    let since = Instant::now();
    while !future.state().is_done() {
        if since.elapsed() >= limit {
            let again = (IN_VAIN.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(RETRY);
            PATIENCE.store(if again { LONGEST / 2 } else { (patience / 4).max(SHORTEST) }, Ordering::Relaxed);
            return false;
        }
        (0..16).for_each(|_| spin_loop());
    }
    IN_VAIN.store(0, Ordering::Relaxed);
    PATIENCE.store((patience * 2).min(LONGEST), Ordering::Relaxed);
    true
}

fn park(future: &Future, at_most: Duration) -> Result<(), ()> {
    let Some(_standing) = Standing::new(future) else { return Ok(()) };
    let since = Instant::now();
    while !future.state().is_done() {
        let left = at_most.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(());
        }
        thread::park_timeout(left);
    }
    Ok(())
}

/// Waits until it is done; false when the time is over. Ctrl-C ends it in the main thread.
pub(super) fn wait(py: Python<'_>, future: &Future, timeout: Option<f64>) -> PyResult<bool> {
    let timeout = wait::timeout(timeout)?;
    if future.state().is_done() {
        return Ok(true);
    }
    future.check_fork(py)?;
    if timeout.is_none() {
        future.check_thread(py)?;
    }
    let alone = cpu::usable_count() == 1;
    let at_most = timeout.unwrap_or(Duration::MAX);
    wait::wait(
        py,
        timeout,
        |slice| if !alone && look(future, at_most) { Ok(()) } else { park(future, slice) },
        |()| true,
    )
    .map(|answer| answer.is_ok())
}
