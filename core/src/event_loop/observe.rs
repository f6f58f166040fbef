//! What a loop does, for those who ask: counts, how long its callbacks take, and hooks for those that take too long.
//!
//! Counts are kept always, by the loop's thread alone, once a turn. Times cost a look at the clock for each callback; they are
//! taken from the first [`Handle::stats`] on, and while a hook is set. They are of callbacks on the loop's thread: one that
//! runs in the pool holds up nobody here.
//!
//! # Hooks
//!
//! They run on the loop's thread, after the callback or the turn that they are told of, with no lock held; a panic in one is caught and
//! reported like a callback's. What they take counts for nothing. So a callback that never returns is never reported by
//! the hook: [`LoopStats::at_hand`] tells another thread how long it has run.

#![forbid(unsafe_code)]

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Handle, shared::Shared};
use crate::{
    error::{Error, Refused, Result},
    job::{self, Callback},
};

/// What a loop did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoopStats {
    /// Turns.
    pub iterations: u64,
    /// Descriptors that were ready.
    pub events: u64,
    /// Posts that have begun.
    pub posts: u64,
    /// Timers that have fired, each repetition anew.
    pub timers_fired: u64,
    /// Timers there are.
    pub timers: usize,
    /// Watches there are, and sockets of streams.
    pub watches: usize,
    /// The longest that a callback has run on the loop's thread. Measured from the first call of `stats` on, or while a hook is set, as
    /// the rest is.
    pub longest_callback: Duration,
    /// In the last turn: from when the loop woke up to when its last callback began, which is how long the last of what was ready
    /// waited.
    pub lag: Duration,
    /// The longest such time of all turns.
    pub longest_lag: Duration,
    /// For how long the callback at hand has run so far; zero if there is none.
    pub at_hand: Duration,
}

/// Of what kind a callback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum CallbackKind {
    /// A post, or what was woken by one.
    Post = 0,
    /// A timer's.
    Timer = 1,
    /// A watch's, a socket's, or that of another source that a descriptor stands for.
    Watch = 2,
}

/// A callback that has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowCallback {
    /// Of what kind.
    pub what: CallbackKind,
    /// How long.
    pub took: Duration,
}

/// A hook, and from when on it is called.
#[derive(Debug)]
struct Hook<A: 'static> {
    /// Nanoseconds; [`OFF`]: there is none.
    threshold: AtomicU64,
    state: Mutex<State<A>>,
}

#[derive(Debug)]
struct State<A: 'static> {
    /// Out while it runs.
    callback: Option<Callback<A>>,
    /// Counts settings: one that was replaced while it ran is not put back.
    setting: u64,
}

const OFF: u64 = u64::MAX;

impl<A> Hook<A> {
    fn new() -> Self {
        Self { threshold: AtomicU64::new(OFF), state: Mutex::new(State { callback: None, setting: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, State<A>> {
        // Nothing under the lock runs foreign code.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threshold(&self) -> u64 {
        self.threshold.load(Ordering::Relaxed)
    }

    /// The one before is dropped now; if it is running, when it returns.
    fn set(&self, threshold: u64, callback: Option<Callback<A>>) {
        let before = {
            let mut state = self.state();
            state.setting += 1;
            self.threshold.store(threshold, Ordering::Relaxed);
            std::mem::replace(&mut state.callback, callback)
        };
        job::caught("hook", || drop(before));
    }

    /// False if there is no hook to call.
    fn call(&self, shared: &Shared, argument: A) -> bool {
        let (taken, setting) = {
            let mut state = self.state();
            (state.callback.take(), state.setting)
        };
        let Some(mut callback) = taken else { return false };
        job::caught("hook", || callback.call(argument));
        if shared.fork.is_forked() {
            // It forked, and this is the child: the lock may be held for ever.
            std::mem::forget(callback);
            return true;
        }
        let mut state = self.state();
        let replaced = if state.setting == setting { state.callback.replace(callback) } else { Some(callback) };
        drop(state);
        job::caught("hook", || drop(replaced));
        true
    }
}

/// What is known of a loop; written by its thread, but for the hooks.
#[derive(Debug)]
pub(super) struct Observed {
    iterations: AtomicU64,
    events: AtomicU64,
    posts: AtomicU64,
    timers_fired: AtomicU64,
    longest_callback: AtomicU64,
    lag: AtomicU64,
    longest_lag: AtomicU64,
    /// When the callback at hand began; 0: there is none.
    began: AtomicU64,
    asked: AtomicBool,
    slow: Hook<SlowCallback>,
    late: Hook<Duration>,
}

impl Observed {
    pub(super) fn new() -> Self {
        Self {
            iterations: AtomicU64::new(0),
            events: AtomicU64::new(0),
            posts: AtomicU64::new(0),
            timers_fired: AtomicU64::new(0),
            longest_callback: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            longest_lag: AtomicU64::new(0),
            began: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            slow: Hook::new(),
            late: Hook::new(),
        }
    }

    fn is_timed(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.slow.threshold() != OFF || self.late.threshold() != OFF
    }

    /// Drops the hooks: the loop has ended.
    pub(super) fn clear(&self) {
        self.slow.set(OFF, None);
        self.late.set(OFF, None);
    }
}

/// Only the loop's thread writes these: no locked instruction is needed.
fn add(to: &AtomicU64, by: u64) {
    if by > 0 {
        to.store(to.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }
}

fn raise(to: &AtomicU64, value: u64) {
    if value > to.load(Ordering::Relaxed) {
        to.store(value, Ordering::Relaxed);
    }
}

/// One run's measurements: what has not been published yet.
#[derive(Debug, Default)]
pub(super) struct Meter {
    timed: bool,
    /// When the loop woke up.
    woke: u64,
    /// When the last callback ended; the next one begins there.
    mark: u64,
    lag: u64,
    counts: [u64; 3],
}

impl Meter {
    /// The loop is awake and begins its turn's work.
    pub(super) fn begin_turn(&mut self, shared: &Shared) {
        self.timed = shared.observed.is_timed();
        if self.timed {
            self.woke = shared.timers.now_ns();
            self.mark = self.woke;
            self.lag = 0;
            shared.observed.began.store(self.mark, Ordering::Relaxed);
        }
    }

    /// A callback has returned.
    #[inline]
    pub(super) fn ran(&mut self, shared: &Shared, kind: CallbackKind) {
        self.counts[kind as usize] += 1;
        if self.timed {
            self.measure(shared, kind);
        }
    }

    #[cold]
    fn measure(&mut self, shared: &Shared, what: CallbackKind) {
        let observed = &shared.observed;
        let now = shared.timers.now_ns();
        let took = now.saturating_sub(self.mark);
        self.lag = self.mark - self.woke;
        self.mark = now;
        raise(&observed.longest_callback, took);
        if took >= observed.slow.threshold() {
            let took = Duration::from_nanos(took);
            if !observed.slow.call(shared, SlowCallback { what, took }) {
                let (name, what) = (&shared.name, what.text());
                tracing::warn!(target: "coop", "a {what} has held up event loop {name:?} for {took:?}");
            }
            // What the hook took is no callback's; it is in nobody's lag either.
            let after = shared.timers.now_ns();
            self.woke += after - self.mark;
            self.mark = after;
        }
        observed.began.store(self.mark, Ordering::Relaxed);
    }

    /// The turn's work is done.
    pub(super) fn end_turn(&mut self, shared: &Shared) {
        let observed = &shared.observed;
        let [posts, timers, events] = std::mem::take(&mut self.counts);
        let worked = posts + timers + events > 0;
        add(&observed.iterations, 1);
        add(&observed.posts, posts);
        add(&observed.timers_fired, timers);
        add(&observed.events, events);
        if !self.timed {
            return;
        }
        observed.began.store(0, Ordering::Relaxed);
        if worked {
            observed.lag.store(self.lag, Ordering::Relaxed);
            raise(&observed.longest_lag, self.lag);
            if self.lag >= observed.late.threshold() {
                let lag = Duration::from_nanos(self.lag);
                if !observed.late.call(shared, lag) {
                    tracing::warn!(target: "coop", "what was ready in event loop {:?} waited for {lag:?}", shared.name);
                }
            }
        }
    }
}

impl CallbackKind {
    fn text(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Timer => "timer's callback",
            Self::Watch => "watch's callback",
        }
    }
}

impl Handle {
    /// What the loop did so far. The first call has the times measured from then on.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stats(&self) -> Result<LoopStats> {
        let shared = &*self.shared;
        shared.fork.check()?;
        let observed = &shared.observed;
        observed.asked.store(true, Ordering::Relaxed);
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let time = |of: &AtomicU64| Duration::from_nanos(count(of));
        let at_hand = match count(&observed.began) {
            0 => 0,
            began => shared.timers.now_ns().saturating_sub(began),
        };
        Ok(LoopStats {
            iterations: count(&observed.iterations),
            events: count(&observed.events),
            posts: count(&observed.posts),
            timers_fired: count(&observed.timers_fired),
            timers: shared.timers.len(),
            watches: shared.watches.len(),
            longest_callback: time(&observed.longest_callback),
            lag: time(&observed.lag),
            longest_lag: time(&observed.longest_lag),
            at_hand: Duration::from_nanos(at_hand),
        })
    }

    /// Has `f` called whenever a callback has run on the loop's thread for `threshold` or longer. It replaces the hook before, which is
    /// dropped; see the module's text for where it runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a threshold of zero, [`Error::Closed`], [`Error::Forked`].
    pub fn set_slow_hook<F>(&self, threshold: Duration, f: F) -> Result<(), Refused<F>>
    where
        F: FnMut(SlowCallback) + Send + 'static,
    {
        self.set_hook(&self.shared.observed.slow, threshold, f)
    }

    /// As [`Handle::set_slow_hook`] with a message in the log in the place of a hook. `None`: nothing any more.
    ///
    /// # Errors
    /// As [`Handle::set_slow_hook`].
    pub fn set_slow_log(&self, threshold: Option<Duration>) -> Result<()> {
        self.set_log(&self.shared.observed.slow, threshold)
    }

    /// Has `f` called after every turn in which the last of what was ready waited for `threshold` or longer until its callback began. It
    /// replaces the hook before, which is dropped.
    ///
    /// # Errors
    /// As [`Handle::set_slow_hook`].
    pub fn set_lag_hook<F>(&self, threshold: Duration, f: F) -> Result<(), Refused<F>>
    where
        F: FnMut(Duration) + Send + 'static,
    {
        self.set_hook(&self.shared.observed.late, threshold, f)
    }

    /// As [`Handle::set_lag_hook`] with a message in the log in the place of a hook. `None`: nothing any more.
    ///
    /// # Errors
    /// As [`Handle::set_slow_hook`].
    pub fn set_lag_log(&self, threshold: Option<Duration>) -> Result<()> {
        self.set_log(&self.shared.observed.late, threshold)
    }

    fn set_hook<A, F>(&self, hook: &Hook<A>, threshold: Duration, f: F) -> Result<(), Refused<F>>
    where
        F: FnMut(A) + Send + 'static,
    {
        match self.enter().and_then(|inside| Ok((threshold_ns(threshold)?, inside))) {
            Ok((threshold, _inside)) => {
                hook.set(threshold, Some(Callback::new(f)));
                Ok(())
            }
            Err(error) => Err(Refused::new(error, f)),
        }
    }

    fn set_log<A>(&self, hook: &Hook<A>, threshold: Option<Duration>) -> Result<()> {
        let _inside = self.enter()?;
        hook.set(threshold.map_or(Ok(OFF), threshold_ns)?, None);
        Ok(())
    }
}

fn threshold_ns(threshold: Duration) -> Result<u64> {
    match u64::try_from(threshold.as_nanos()).unwrap_or(OFF).min(OFF - 1) {
        0 => Err(Error::Invalid("a threshold must be longer than 0".into())),
        ns => Ok(ns),
    }
}
