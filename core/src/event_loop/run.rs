//! Running a loop: who does it, and what one turn is.
//!
//! # One turn
//!
//! 1. With nothing to do, announce the sleep, look at posts and timers for the last time, sleep in the system until something is
//!    ready, a timer is due, or somebody wakes the loop (wake.rs). Otherwise only ask the system what is ready.
//! 2. The watches that are ready.
//! 3. The timers that are due.
//! 4. The posts that are there when this part begins, in order: what a watch or a timer woke runs in the same turn. Posts made by
//!    them come in the next turn, so that a chain of posts starves neither sockets nor timers.
//!
//! # Ending
//!
//! A stopped loop closes its posts when nobody is inside the gate: those that are left run, then the timers and watches, which
//! do not fire any more, are dropped, and the run ends. What their drops post is refused like all else. A loop that is stopped and
//! never run again drops all of it when it is freed.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use mio::Token;

use super::{
    observe::{CallbackKind, Meter},
    shared::Shared,
};
use super::{timer, watch};
use crate::{
    error::{Error, Result},
    job, thread,
    time::Deadline,
};

/// The waker's token; ids of watches are never 0.
pub(super) const WAKE: Token = Token(0);
const EVENTS: usize = 1024;
/// So many timers are fetched from memory at once.
const WARMED: usize = 16;

/// How long [`run`](super::Handle::run) goes on. Every mode returns when the loop was stopped or interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i32)]
pub enum RunMode {
    /// Until it is stopped.
    #[default]
    Default = 0,
    /// One turn that waits for something to do.
    Once = 1,
    /// One turn of what is ready now, without waiting.
    NoWait = 2,
    /// Until no post, timer or watch is left.
    UntilIdle = 3,
}

impl TryFrom<i32> for RunMode {
    type Error = Error;

    fn try_from(number: i32) -> Result<Self> {
        [Self::Default, Self::Once, Self::NoWait, Self::UntilIdle]
            .into_iter()
            .find(|mode| *mode as i32 == number)
            .ok_or_else(|| {
                let allowed = "DEFAULT is 0, ONCE is 1, NOWAIT is 2, UNTIL_IDLE is 3";
                Error::Invalid(format!("run mode {number} is out of range: {allowed}"))
            })
    }
}

/// What only the running thread touches.
#[derive(Debug)]
pub(super) struct Driver {
    poll: mio::Poll,
    events: mio::Events,
    expired: Vec<u64>,
    /// Timers that expired and have not been called yet: more than none only after an interrupted turn.
    due: VecDeque<u64>,
}

impl Driver {
    pub(super) fn new(poll: mio::Poll) -> Self {
        Self { poll, events: mio::Events::with_capacity(EVENTS), expired: Vec::new(), due: VecDeque::new() }
    }
}

/// Who runs the loop: at most one thread at a time.
#[derive(Debug)]
pub(super) struct Runner {
    /// 0: nobody; [`STARTING`]: claimed, not yet running; else the thread's number.
    thread: AtomicU64,
    interrupted: AtomicBool,
    /// The owner is gone: what is queued is dropped, not run.
    freed: AtomicBool,
}

const NOBODY: u64 = 0;
const STARTING: u64 = u64::MAX;

impl Runner {
    pub(super) fn new() -> Self {
        Self { thread: AtomicU64::new(NOBODY), interrupted: AtomicBool::new(false), freed: AtomicBool::new(false) }
    }

    /// Takes the right to run the loop.
    pub(super) fn claim(&self) -> Result<()> {
        match self.thread.compare_exchange(NOBODY, STARTING, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                // Here and not when the run begins: one that comes after `start` has returned is for this run.
                self.interrupted.store(false, Ordering::SeqCst);
                Ok(())
            }
            Err(runner) if runner == thread::number() => {
                Err(Error::WouldDeadlock("the event loop is running this callback: it cannot be run inside itself"))
            }
            // Its owner, who is dropping what it had.
            Err(_) if self.is_freed() => Err(Error::Closed("event loop")),
            Err(_) => Err(Error::Exists("the event loop is running on another thread already".into())),
        }
    }

    fn release(&self) {
        self.thread.store(NOBODY, Ordering::SeqCst);
    }

    pub(super) fn is_running(&self) -> bool {
        self.thread.load(Ordering::SeqCst) != NOBODY
    }

    pub(super) fn is_current(&self) -> bool {
        self.thread.load(Ordering::SeqCst) == thread::number()
    }

    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    /// The running thread, which alone takes it away: seldom more than a look.
    fn take_interrupt(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst) && self.interrupted.swap(false, Ordering::SeqCst)
    }

    pub(super) fn set_freed(&self) {
        self.freed.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(super) fn is_freed(&self) -> bool {
        self.freed.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Gives back the right to run, and tells those who wait for that: under the lock that they check and wait with.
    pub(super) fn give_back(&self, _locked: &mut MutexGuard<'_, Option<JoinHandle<()>>>) {
        self.runner.release();
        self.run_ended.notify_all();
    }

    /// Waits until nobody runs the loop. False at the deadline.
    pub(super) fn wait_run_ended(&self, deadline: Deadline) -> bool {
        let mut guard = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        while self.runner.is_running() {
            guard = match deadline.remaining() {
                None => self.run_ended.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => self.run_ended.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }
}

/// Gives the right to run back, also when a turn failed.
struct Release<'a>(&'a Shared);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        if self.0.fork.is_forked() {
            // A child that its parent's callback forked: no lock, and what is queued is the parent's.
            return self.0.runner.release();
        }
        if self.0.runner.is_freed() {
            // The owner freed the loop from inside a callback: this is the end of that callback.
            self.0.discard();
        }
        self.0.leave();
        self.0.give_back(&mut self.0.thread.lock().unwrap_or_else(PoisonError::into_inner));
        if self.0.runner.is_freed() {
            // Freed since the look above, by an owner that saw the loop run and left this to it.
            self.0.discard_if_idle();
        }
    }
}

impl Shared {
    /// Discards all, unless somebody runs the loop, who then does it when the run ends. To those whom this drops it is as if this
    /// thread ran the loop: what waits for that is refused.
    pub(super) fn discard_if_idle(&self) -> bool {
        if self.runner.claim().is_err() {
            return false;
        }
        self.runner.thread.store(thread::number(), Ordering::SeqCst);
        self.discard();
        self.give_back(&mut self.thread.lock().unwrap_or_else(PoisonError::into_inner));
        true
    }
}

/// Runs a loop whose right to run was claimed.
pub(super) fn run(shared: &Arc<Shared>, mode: RunMode) -> Result<()> {
    let release = Release(shared);
    shared.runner.thread.store(thread::number(), Ordering::SeqCst);
    if shared.has_finished() {
        return Err(Error::Closed("event loop"));
    }
    let result = {
        let mut driver = match shared.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => unreachable!("held only by the one runner"),
        };
        let _lent = shared.timers.lend();
        let result = turns(shared, &mut driver, mode);
        shared.overdue.store(!driver.due.is_empty(), Ordering::Relaxed);
        result
    };
    drop(release);
    result
}

fn turns(shared: &Arc<Shared>, driver: &mut Driver, mode: RunMode) -> Result<()> {
    let mut meter = Meter::default();
    loop {
        // A callback forked, and this is the child: the selector is the parent's.
        shared.fork.check()?;
        if shared.gate.is_closed() {
            finish(shared, &mut meter);
            return shared.fork.check();
        }
        if shared.runner.take_interrupt() {
            return Ok(());
        }
        shared.timers.publish_local();
        if mode == RunMode::UntilIdle && shared.is_idle() {
            return Ok(());
        }
        let worked = turn(shared, driver, &mut meter, mode)?;
        if !shared.fork.is_forked() {
            meter.end_turn(shared);
        }
        match mode {
            // Stopped meanwhile: it finishes first.
            _ if shared.gate.is_closed() => {}
            RunMode::NoWait => return Ok(()),
            RunMode::Once if worked => return Ok(()),
            _ => {}
        }
    }
}

/// One turn; true if a callback ran.
fn turn(shared: &Arc<Shared>, driver: &mut Driver, meter: &mut Meter, mode: RunMode) -> Result<bool> {
    let interrupted = || shared.gate.is_closed() || shared.runner.interrupted.load(Ordering::SeqCst);
    let sleep = {
        let due = !driver.due.is_empty();
        let busy = || due || !shared.posts.is_empty() || interrupted();
        match mode {
            _ if busy() => Some(Duration::ZERO),
            RunMode::NoWait => Some(Duration::ZERO),
            _ => {
                shared.posts.word().announce_sleep();
                // Whoever ended the last source before the announcement has not woken this run until idle.
                if busy() || (mode == RunMode::UntilIdle && shared.is_idle()) {
                    Some(Duration::ZERO)
                } else {
                    shared.timers.next_timeout()
                }
            }
        }
    };
    if sleep == Some(Duration::ZERO) {
        shared.posts.word().awake();
    }
    let mut polled = driver.poll.poll(&mut driver.events, sleep);
    shared.posts.word().awake();
    if polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        // A signal, or the end of a stop by one: what is ready goes before the timers that are due all the same.
        polled = driver.poll.poll(&mut driver.events, Some(Duration::ZERO));
    }
    match polled {
        // Once more: the loop goes on with the next turn.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => driver.events.clear(),
        Err(error) => return Err(Error::os("wait for events", &error)),
        Ok(()) => {}
    }
    shared.timers.begin_turn();
    meter.begin_turn(shared);

    let mut worked = false;
    for event in &driver.events {
        // A callback of this turn has stopped or freed the loop, or this is the child that it forked. An interrupted turn still tells every event: the selector is
        // edge-triggered and would not tell it again.
        if shared.gate.is_closed() || shared.fork.is_forked() {
            return Ok(worked);
        }
        if event.token() != WAKE {
            worked = true;
            watch::ready(shared, event);
        }
        if shared.fork.is_forked() {
            break;
        }
        if event.token() != WAKE {
            meter.ran(shared, CallbackKind::Watch);
        }
    }
    let breaks = || interrupted() || shared.fork.is_forked();
    if !breaks() {
        shared.timers.expire(&mut driver.expired);
        driver.due.extend(driver.expired.drain(..));
    }
    // What an interrupt leaves is due in the next turn, what a stop leaves is dropped.
    while !breaks() {
        if driver.due.len() > 1 && driver.due.len().is_multiple_of(WARMED) {
            shared.timers.warm(driver.due.iter().copied().take(WARMED));
        }
        let Some(id) = driver.due.pop_front() else { break };
        if timer::fire(shared, id) {
            worked = true;
            if !shared.fork.is_forked() {
                meter.ran(shared, CallbackKind::Timer);
            }
        }
    }
    if !breaks() {
        let posts = shared.posts.len();
        worked |= posts > 0 && run_posts(shared, meter, posts);
    }
    Ok(worked)
}

/// Runs up to `count` posts, fewer if the loop was freed or interrupted, or the process is a new one. True if one ran.
fn run_posts(shared: &Shared, meter: &mut Meter, count: usize) -> bool {
    let (mut left, mut taker) = (count, shared.posts.take());
    loop {
        // One catch for all of them, but for those that panic.
        let before = left;
        let returned = job::caught("event loop", || {
            while left > 0 && !shared.runner.is_interrupted() && !shared.runner.is_freed() && !shared.fork.is_forked() {
                let Some(job) = taker.next() else { break };
                left -= 1;
                job.run();
                if shared.fork.is_forked() {
                    break;
                }
                meter.ran(shared, CallbackKind::Post);
            }
        });
        if returned || shared.fork.is_forked() {
            return left < count;
        }
        debug_assert!(left < before, "only a post panics");
        meter.ran(shared, CallbackKind::Post);
    }
}

/// The end of a stopped loop: all that was accepted runs, interrupted or not, unless the owner freed the loop; then what waits
/// is dropped.
fn finish(shared: &Shared, meter: &mut Meter) {
    shared.runner.interrupted.store(false, Ordering::SeqCst);
    // Whoever stopped it may be about to.
    shared.close();
    meter.begin_turn(shared);
    while !shared.fork.is_forked() && run_posts(shared, meter, usize::MAX) {
        shared.runner.interrupted.store(false, Ordering::SeqCst);
    }
    // Freed: the end of the run drops them behind the posts.
    if !shared.fork.is_forked() && !shared.runner.is_freed() {
        shared.drop_sources();
        meter.end_turn(shared);
    }
}
