//! The core's messages, in Python's `logging` (logger `libcoop`).
//!
//! A message may come from any thread, with the interpreter far away. So it is queued, and one thread, made when the first
//! message comes, attaches and hands the messages on. The queue is bounded; what it has no room for is counted, and told
//! with the next message.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use coop_core::{
    fork::{ForkGuard, Process},
    log::{self, Level},
    thread,
};
use pyo3::prelude::*;

use crate::thread_state;

/// Messages that may wait.
const ROOM: usize = 1024;

enum Item {
    Message(Level, String),
    /// Answered once everything before it was handed on.
    Flush(SyncSender<()>),
}

type Queue = Option<(ForkGuard, SyncSender<Item>)>;

/// The way to the thread, and the process that it is in: a forked child has none of its parent's threads.
static QUEUE: Mutex<Queue> = Mutex::new(None);
static LOST: AtomicUsize = AtomicUsize::new(0);

/// The process that this was loaded in.
static HERE: OnceLock<Process> = OnceLock::new();

/// From now on `logging` gets the core's warnings and errors.
pub(crate) fn install() {
    let _ = HERE.set(Process::current());
    let sink = |level, message: &str| {
        if !send(Item::Message(level, message.to_owned())) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    };
    // Refused only if this process has a subscriber already, which then has the messages.
    let _ = log::set_sink(Some((Level::WARN, Arc::new(sink))));
}

/// The lock is held for a moment, with nobody's code run. In a forked child a thread that is gone may have held it at the fork: there it
/// is not waited for.
fn lock() -> Option<MutexGuard<'static, Queue>> {
    if HERE.get().is_some_and(|here| !here.is_forked()) {
        return Some(QUEUE.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let attempt = |_| match QUEUE.try_lock() {
        Err(TryLockError::WouldBlock) => {
            std::thread::yield_now();
            None
        }
        Err(TryLockError::Poisoned(queue)) => Some(queue.into_inner()),
        Ok(queue) => Some(queue),
    };
    (0..100).find_map(attempt)
}

/// Never waits for room.
fn send(item: Item) -> bool {
    let Some(mut queue) = lock() else { return false };
    if queue.as_ref().is_some_and(|(guard, _)| guard.is_forked()) {
        // Not dropped: its other end is the parent's.
        std::mem::forget(queue.take());
    }
    if queue.is_none() {
        let (sender, receiver) = sync_channel(ROOM);
        if thread::spawn("coop-log", move || hand_on(&receiver)).is_ok() {
            *queue = Some((ForkGuard::new("log"), sender));
        }
    }
    queue.as_ref().is_some_and(|(_, sender)| sender.try_send(item).is_ok())
}

fn hand_on(receiver: &Receiver<Item>) {
    while let Ok(item) = receiver.recv() {
        match item {
            Item::Flush(done) => drop(done.try_send(())),
            Item::Message(level, message) => {
                thread_state::attach(|py| {
                    if let Err(error) = tell(py, level, &message) {
                        error.write_unraisable(py, None);
                    }
                });
            }
        }
    }
}

fn tell(py: Python<'_>, level: Level, message: &str) -> PyResult<()> {
    // As `logging` numbers them.
    let number = match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        _ => 10,
    };
    let logger = py.import("logging")?.call_method1("getLogger", ("libcoop",))?;
    logger.call_method1("log", (number, "%s", message))?;
    match LOST.swap(0, Ordering::Relaxed) {
        0 => Ok(()),
        lost => logger.call_method1("log", (30, "%d messages were lost", lost)).map(drop),
    }
}

/// Waits until what was said so far has reached `logging`, for at most so many seconds.
#[pyfunction]
#[pyo3(name = "_flush_log")]
pub(crate) fn flush(py: Python<'_>, patience: f64) -> PyResult<()> {
    let patience = crate::wait::delay("patience", patience)?;
    py.detach(|| {
        let started = matches!(lock().as_deref(), Some(Some((guard, _))) if !guard.is_forked());
        let (done, wait) = sync_channel(1);
        if started && send(Item::Flush(done)) {
            let _ = wait.recv_timeout(patience.min(Duration::from_secs(60)));
        }
    });
    Ok(())
}
