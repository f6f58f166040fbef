//! Timers: callbacks at a time, once or repeating without drift.
//!
//! # What holds
//!
//! * A callback never runs before its time, and late by at most a tick (2^18 ns, about 0.26 ms), the system's
//!   millisecond of sleep, and what ran before it. The clock is the system's monotonic one: setting the time of day moves no timer.
//! * A repeating timer's times are its first time plus multiples of its period. Times that passed while its
//!   callback ran, or the loop was busy, are one call that is told how many they were.
//! * Adding and cancelling are O(1), from any thread, and answered at once: a cancelled timer's callback does not begin
//!   any more, though one that has begun on another thread may still be running.
//! * The lock is never held while a callback runs or is dropped.
//!
//! Timers of any thread are in a set behind a lock; those of the `_local` calls in one of the loop's thread's own (local.rs).

#![forbid(unsafe_code)]

mod local;
mod set;
mod wheel;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use self::{
    local::{LOCAL, Local},
    set::{Begun, Set, When},
};
use super::{
    dispatch::{On, Place},
    shared::Shared,
};
use crate::{
    error::{Error, Result},
    job::{self, Job},
};

/// Called with how many of its times have come: 1, and more when ticks of a repeating timer were missed.
pub(super) type Callback = job::Callback<u64>;

/// When a timer fires and where its callback runs.
#[derive(Debug, Clone, Default)]
pub struct TimerOptions {
    /// From now to the first time; zero is the loop's next turn.
    pub after: Duration,
    /// From one time to the next; `None` is once. Zero is refused.
    pub every: Option<Duration>,
    /// Where the callback runs.
    pub on: On,
    /// A loop that runs until it is idle does not wait for this timer.
    pub unref: bool,
}

/// Names a timer: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId(pub u64);

pub(super) struct Timers {
    epoch: Instant,
    set: Mutex<Set>,
    /// The local ones, while nobody runs the loop.
    parked: Mutex<Option<Box<Local>>>,
    /// What the loop's thread last made known of them; `u64::MAX`: there is none.
    local_next: AtomicU64,
    local_referenced: AtomicUsize,
    local_active: AtomicUsize,
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("active", &self.len()).finish()
    }
}

impl Timers {
    pub(super) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            set: Mutex::new(Set::new()),
            parked: Mutex::new(None),
            local_next: AtomicU64::new(u64::MAX),
            local_referenced: AtomicUsize::new(0),
            local_active: AtomicUsize::new(0),
        }
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        // Nothing under the lock runs foreign code, so a poisoned lock guards a whole set.
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when the loop was made.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(super) fn now_ns(&self) -> u64 {
        nanos(self.now())
    }

    /// How many there are; of the local ones, how many there were when the turn began.
    pub(super) fn len(&self) -> usize {
        self.set().len() + self.local_active.load(Ordering::Relaxed)
    }

    /// How many there are that a loop waits for before it is idle.
    pub(super) fn referenced(&self) -> usize {
        self.set().referenced() + self.local_referenced.load(Ordering::Relaxed)
    }

    /// Adds a timer; also answers whether it is the next one now, so that a sleeping loop must hear of it.
    pub(super) fn add(&self, options: &TimerOptions, place: Place, callback: Callback) -> (TimerId, bool) {
        let now_ns = self.now_ns();
        let when = options.when(now_ns, place);
        let (id, is_next) = self.set().add(now_ns, when, callback);
        (TimerId(id), is_next)
    }

    /// [`Timers::add`] by the loop's own thread; asks for the callback only if it is.
    #[inline]
    pub(super) fn add_local(&self, options: &TimerOptions, callback: impl FnOnce() -> Callback) -> Result<TimerId> {
        let added = self.local(|local| {
            let now_ns = local.now_ns(|| self.now_ns());
            let when = options.when(now_ns, Place::Loop);
            TimerId(local.set.add(now_ns, when, callback()).0 | LOCAL)
        });
        added.ok_or_else(elsewhere)
    }

    pub(super) fn cancel(&self, id: TimerId) -> Result<()> {
        // Bound first: the lock is free again when the callback is dropped.
        let removed = if id.0 & LOCAL == 0 {
            self.set().remove(id.0)
        } else {
            self.local_or_parked(|local| local.set.remove(id.0 & !LOCAL)).ok_or_else(elsewhere)?
        };
        removed.map(drop_callback).ok_or(Error::Stale("timer"))
    }

    /// [`Timers::cancel`] by the loop's own thread.
    #[inline]
    pub(super) fn cancel_local(&self, id: TimerId) -> Result<()> {
        let removed = self.local(|local| (id.0 & LOCAL != 0).then(|| local.set.remove(id.0 & !LOCAL)));
        match removed {
            None => Err(elsewhere()),
            Some(None) => self.cancel(id),
            Some(Some(removed)) => removed.map(drop_callback).ok_or(Error::Stale("timer")),
        }
    }

    pub(super) fn set_ref(&self, id: TimerId, referenced: bool) -> Result<()> {
        let found = if id.0 & LOCAL == 0 {
            self.set().set_ref(id.0, referenced)
        } else {
            self.local_or_parked(|local| local.set.set_ref(id.0 & !LOCAL, referenced)).ok_or_else(elsewhere)?
        };
        if found { Ok(()) } else { Err(Error::Stale("timer")) }
    }

    /// Drops every timer's callback.
    pub(super) fn clear(&self) {
        let mut callbacks = self.set().take_all();
        callbacks.append(&mut self.take_local());
        callbacks.into_iter().for_each(drop_callback);
    }

    /// How long the loop may sleep for the timers' sake: `None` is for ever.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let local = self.local_next.load(Ordering::Relaxed);
        let next = self.set().next_ns().unwrap_or(u64::MAX).min(local);
        (next != u64::MAX).then(|| Duration::from_nanos(next.saturating_sub(self.now_ns())))
    }

    /// Collects what is due now, by the loop's thread. Between local timers and others there is no order.
    pub(super) fn expire(&self, expired: &mut Vec<u64>) {
        let mut set = self.set();
        if set.len() > 0 {
            set.expire(self.now_ns(), expired);
        }
        drop(set);
        let others = expired.len();
        self.local(|local| {
            if local.set.len() > 0 {
                local.set.expire(self.now_ns(), expired);
            }
        });
        expired[others..].iter_mut().for_each(|id| *id |= LOCAL);
    }

    /// Has the processor fetch the timers that are to fire next.
    pub(super) fn warm(&self, ids: impl Iterator<Item = u64> + Clone) {
        self.set().warm(ids.clone().filter(|id| id & LOCAL == 0));
        self.local(|local| local.set.warm(ids.filter(|id| id & LOCAL != 0).map(|id| id & !LOCAL)));
    }

    fn begin(&self, id: u64) -> Option<Begun> {
        if id & LOCAL == 0 {
            self.set().begin(id, || self.now_ns())
        } else {
            self.local(|local| local.set.begin(id & !LOCAL, || self.now_ns())).flatten()
        }
    }

    /// Gives a repeating timer its callback back, for its next time; `None` if it took it.
    fn rearm(&self, id: u64, callback: Callback) -> Option<Callback> {
        if id & LOCAL == 0 {
            return self.set().rearm(id, callback);
        }
        let mut callback = Some(callback);
        self.local(|local| callback = callback.take().and_then(|callback| local.set.rearm(id & !LOCAL, callback)));
        callback
    }
}

impl TimerOptions {
    #[inline]
    fn when(&self, now_ns: u64, place: Place) -> When {
        When {
            at_ns: (!self.after.is_zero()).then(|| now_ns.saturating_add(nanos(self.after))),
            every_ns: self.every.map(nanos),
            place,
            unref: self.unref,
        }
    }
}

#[cold]
fn elsewhere() -> Error {
    Error::Invalid(
        "the caller is none of the event loop's callbacks on its thread: only those have local timers".into(),
    )
}

/// Runs the callback of a timer that has expired, here or in the pool. True if it was still to run.
pub(super) fn fire(shared: &Arc<Shared>, id: u64) -> bool {
    // None: cancelled by a callback that ran before it in the same turn.
    let Some(begun) = shared.timers.begin(id) else { return false };
    match begun.place {
        Place::Loop => call(shared, id, begun.callback, begun.times, begun.again),
        Place::Pool(pool) => {
            let Begun { callback, times, again, .. } = begun;
            let fired = Box::new(Fired { shared: shared.clone(), id, callback: Some(callback), times, again });
            if let Err(refused) = pool.dispatch(Job::new(move || fired.run())) {
                tracing::error!(target: "coop", "a timer's callback was dropped: {}", refused.error);
            }
        }
    }
    true
}

fn call(shared: &Shared, id: u64, mut callback: Callback, times: u64, again: bool) {
    job::caught("timer", || callback.call(times));
    if shared.fork.is_forked() {
        // It forked, and this is the child: the lock may be held for ever.
        return std::mem::forget(callback);
    }
    let ended = if again { shared.timers.rearm(id, callback) } else { Some(callback) };
    if ended.is_some() {
        drop_callback(ended);
    }
}

/// A callback on its way through the pool: returns to its timer after it ran, or ends it if it never runs.
struct Fired {
    shared: Arc<Shared>,
    id: u64,
    callback: Option<Callback>,
    times: u64,
    /// It has more times, and can be cancelled until it begins.
    again: bool,
}

impl Fired {
    fn run(mut self) {
        // Cancelled while it was queued: `Drop` drops the callback. From this look on it has begun.
        if self.again && self.shared.timers.set().is_stale(self.id) {
            return;
        }
        if let Some(callback) = self.callback.take() {
            call(&self.shared, self.id, callback, self.times, self.again);
            if self.again && !self.shared.fork.is_forked() {
                // The loop may sleep past the next time.
                self.shared.wake_if_asleep();
            }
        }
    }
}

impl Drop for Fired {
    fn drop(&mut self) {
        if self.callback.is_some() {
            // Dropped unrun, with the pool that it was queued in; or cancelled there.
            drop_callback(self.callback.take());
            let timer = self.shared.timers.set().remove(self.id);
            drop(timer);
            self.shared.wake_if_idle();
        }
    }
}

fn drop_callback(callback: Option<Callback>) {
    job::caught("timer", || drop(callback));
}

#[inline]
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
