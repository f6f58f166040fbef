//! Timers: callbacks at a time, once or repeating without drift.
//!
//! # What holds
//!
//! * A callback never runs before its time, and late by at most a tick (2^18 ns, about 0.26 ms), the system's
//!   millisecond of sleep, and what ran before it.
//! * A repeating timer's times are its first time plus multiples of its period. Times that passed while its
//!   callback ran, or the loop was busy, are one call that is told how many they were.
//! * Adding and cancelling are O(1), from any thread, and answered at once: a cancelled timer's callback does not begin
//!   any more, though one that has begun on another thread may still be running.
//! * The lock is never held while a callback runs or is dropped.

#![forbid(unsafe_code)]

mod wheel;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use self::wheel::Wheel;
use super::{
    dispatch::{On, Place},
    shared::Shared,
};
use crate::{
    error::{Error, Result},
    job::{self, Job},
};

/// A tick is 2^18 ns.
const TICK_SHIFT: u32 = 18;

/// Called with how many of its times have come: 1, and more when ticks of a repeating timer were missed.
pub(super) type Callback = Box<dyn FnMut(u64) + Send>;

/// When a timer fires and where its callback runs.
#[derive(Debug, Clone, Default)]
pub struct TimerOptions {
    /// From now to the first time; zero is the loop's next turn.
    pub after: Duration,
    /// From one time to the next; `None` is once. Zero is refused.
    pub every: Option<Duration>,
    /// Where the callback runs.
    pub on: On,
}

/// Names a timer: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId(pub u64);

struct Timer {
    at_ns: u64,
    every_ns: Option<u64>,
    place: Place,
    /// Out while it runs.
    callback: Option<Callback>,
}

pub(super) struct Timers {
    epoch: Instant,
    wheel: Mutex<Wheel<Timer>>,
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("active", &self.len()).finish()
    }
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), wheel: Mutex::new(Wheel::new()) }
    }

    fn wheel(&self) -> std::sync::MutexGuard<'_, Wheel<Timer>> {
        // Nothing under the lock runs foreign code, so a poisoned lock guards a whole wheel.
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when the loop was made.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn now_ns(&self) -> u64 {
        nanos(self.now())
    }

    pub(super) fn len(&self) -> usize {
        self.wheel().len()
    }

    /// Adds a timer; also answers whether it is the next one now, so that a sleeping loop must hear of it.
    pub(super) fn add(&self, options: &TimerOptions, place: Place, callback: Callback) -> (TimerId, bool) {
        let at_ns = self.now_ns().saturating_add(nanos(options.after));
        let timer = Timer { at_ns, every_ns: options.every.map(nanos), place, callback: Some(callback) };
        // A zero delay is the loop's next turn, not the next tick.
        let tick = if options.after.is_zero() { 0 } else { tick_of(at_ns) };
        let mut wheel = self.wheel();
        let before = wheel.next_tick();
        let id = wheel.insert(tick, timer);
        (TimerId(id), before.is_none_or(|before| tick < before))
    }

    pub(super) fn cancel(&self, id: TimerId) -> Result<()> {
        // Bound first: the lock is free again when the callback is dropped.
        let timer = self.wheel().remove(id.0);
        timer.map(|timer| drop_callback(timer.callback)).ok_or(Error::Stale("timer"))
    }

    /// Drops every timer's callback.
    pub(super) fn clear(&self) {
        let timers = self.wheel().take_all();
        timers.into_iter().for_each(|timer| drop_callback(timer.callback));
    }

    /// How long the loop may sleep for the timers' sake: `None` is for ever.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let tick = self.wheel().next_tick()?;
        Some(Duration::from_nanos((tick << TICK_SHIFT).saturating_sub(self.now_ns())))
    }

    /// Collects what is due now.
    pub(super) fn expire(&self, expired: &mut Vec<u64>) {
        let now = self.now_ns() >> TICK_SHIFT;
        self.wheel().advance(now, expired);
    }
}

/// Runs the callback of a timer that has expired, here or in the pool.
pub(super) fn fire(shared: &Arc<Shared>, id: u64) {
    let fired = {
        let mut wheel = shared.timers.wheel();
        // Cancelled by a callback that ran before it in the same turn.
        let Some(timer) = wheel.get_mut(id) else { return };
        let Some(callback) = timer.callback.take() else { return };
        let place = timer.place.clone();
        let (mut times, again) = (1, timer.every_ns.is_some());
        match timer.every_ns {
            Some(every) => {
                let missed = shared.timers.now_ns().saturating_sub(timer.at_ns) / every;
                times += missed;
                timer.at_ns = timer.at_ns.saturating_add(every.saturating_mul(times));
            }
            // Stale from here on, also for its own callback.
            None => drop(wheel.remove(id)),
        }
        drop(wheel);
        (Fired { shared: shared.clone(), id, callback: Some(callback), times, again }, place)
    };
    match fired {
        (fired, Place::Loop) => fired.run(),
        (fired, Place::Pool(pool)) => {
            let fired = Box::new(fired);
            if let Err(refused) = pool.dispatch(Job::new(move || fired.run())) {
                tracing::error!(target: "coop", "a timer's callback was dropped: {}", refused.error);
            }
        }
    }
}

/// A callback on its way: returns to its timer after it ran, or ends it if it never runs.
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
        // Cancelled while it was queued in the pool: `Drop` drops the callback. From this look on it has begun.
        if self.again && self.shared.timers.wheel().get_mut(self.id).is_none() {
            return;
        }
        let Some(mut callback) = self.callback.take() else { return };
        job::caught("timer", || callback(self.times));
        if self.shared.fork.is_forked() {
            // It forked, and this is the child: the lock may be held for ever.
            return std::mem::forget(callback);
        }
        let rearmed = {
            let mut wheel = self.shared.timers.wheel();
            match wheel.get_mut(self.id) {
                Some(timer) => {
                    let tick = tick_of(timer.at_ns);
                    timer.callback = Some(callback);
                    wheel.reinsert(self.id, tick);
                    None
                }
                None => Some(callback),
            }
        };
        match rearmed {
            // Run from the pool: the loop may sleep past the next time.
            None => self.shared.wake_if_asleep(),
            ended => drop_callback(ended),
        }
    }
}

impl Drop for Fired {
    fn drop(&mut self) {
        if self.callback.is_some() {
            // Dropped unrun, with the pool that it was queued in; or cancelled there.
            drop_callback(self.callback.take());
            let timer = self.shared.timers.wheel().remove(self.id);
            drop(timer);
            self.shared.wake_if_idle();
        }
    }
}

fn drop_callback(callback: Option<Callback>) {
    job::caught("timer", || drop(callback));
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The first tick that is not before this moment.
fn tick_of(at_ns: u64) -> u64 {
    at_ns.div_ceil(1 << TICK_SHIFT)
}
