//! What is stopped and joined when the interpreter exits: whatever runs Python code on threads of the library.
//!
//! Objects that are still there are stopped by `libcoop._exit`. One that is collected while its threads are still inside a
//! callback becomes an *orphan*: it is kept here until it has ended, since finalizing the interpreter under a thread that runs
//! Python code would crash.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use coop_core::{EventLoop, Pool, Runtime, port::PortSet};
use pyo3::prelude::*;

/// How long the end of an object that is collected may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The order of stopping: what brings work before what does it.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    PortSet = 0,
    EventLoop = 1,
    Runtime = 2,
}

/// Has `libcoop._exit` call the object's `_stop_at_exit`, if it is still there then. Again is fine.
pub(crate) fn register(object: &Bound<'_, PyAny>, order: Order) -> PyResult<()> {
    object.py().import("libcoop._exit")?.call_method1("register", (object, order as u8)).map(drop)
}

/// What nobody owns any more.
pub(crate) enum Orphan {
    Pool(Pool),
    EventLoop(EventLoop),
    Runtime(Runtime),
    PortSet(PortSet),
}

impl Orphan {
    /// Tells it to end, and waits. Ended: nothing of it runs any more, and dropping it takes no time.
    fn end(&self, patience: Duration) -> bool {
        let ended = match self {
            // What it had accepted still runs, as with concurrent.futures.
            Self::Pool(pool) => pool.close().and_then(|()| pool.join(Some(patience))),
            Self::EventLoop(event_loop) => event_loop.stop().and_then(|()| event_loop.join(Some(patience))),
            Self::Runtime(runtime) => end_runtime(runtime, patience),
            Self::PortSet(set) => set.stop(Some(patience)),
        };
        // In a forked child there is nothing to wait for.
        !matches!(ended, Err(coop_core::Error::Timeout(_) | coop_core::Error::WouldDeadlock(_)))
    }
}

/// Not its own stop, which drops what is queued when the time is over.
fn end_runtime(runtime: &Runtime, patience: Duration) -> coop_core::Result<()> {
    runtime.event_loop().stop()?;
    runtime.event_loop().join(Some(patience))?;
    runtime.pool().close()?;
    runtime.pool().join(Some(patience))
}

static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());
/// How many there are, those included that a thread has in hand.
static LEFT: AtomicUsize = AtomicUsize::new(0);

fn orphans() -> MutexGuard<'static, Vec<Orphan>> {
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends what was collected; what does not end soon is kept. Detached, since its threads may be waiting to attach.
pub(crate) fn collected(orphan: Orphan) {
    let patience = if matches!(orphan, Orphan::Pool(_)) { Duration::ZERO } else { PATIENCE };
    LEFT.fetch_add(1, Ordering::SeqCst);
    let mut orphan = Some(orphan);
    let mut end = || {
        end_or_keep(orphan.take(), patience);
        sweep();
    };
    if Python::try_attach(|py| py.detach(&mut end)).is_none() {
        end();
    }
}

fn end_or_keep(orphan: Option<Orphan>, patience: Duration) {
    let Some(orphan) = orphan else { return };
    if orphan.end(patience) {
        drop(orphan);
        LEFT.fetch_sub(1, Ordering::SeqCst);
    } else {
        orphans().push(orphan);
    }
}

/// Lets go of those that have ended meanwhile. The lock is not held while one is told to end: that may run Python code, which may
/// collect another.
fn sweep() {
    let all = std::mem::take(&mut *orphans());
    all.into_iter().for_each(|orphan| end_or_keep(Some(orphan), Duration::ZERO));
}

/// Ends all orphans, waiting so many seconds in all; false if some are left.
#[pyfunction]
#[pyo3(name = "_end_orphans")]
pub(crate) fn end_orphans(py: Python<'_>, patience: f64) -> PyResult<bool> {
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + crate::wait::delay("patience", patience)?;
    loop {
        py.detach(sweep);
        if LEFT.load(Ordering::SeqCst) == 0 {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        py.check_signals()?;
        py.detach(|| std::thread::sleep(LOOK_AGAIN));
    }
}
