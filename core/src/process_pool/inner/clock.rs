//! What a pool does when its own thread cannot: on the loop of its host, where no callback of its user's runs.
//!
//! # What holds
//!
//! * A deadline is a timer of that loop, of which there is one, for the earliest. It is set under `alarm` alone: whoever has added an earlier one
//!   finds it set so late, or sets it.
//! * Who is told of calls (`done`) may take its time. It is looked after then, every [`PATIENCE`]: one that has been told of the same batch since the last look
//!   is stood in for. What workers have told is heard, and what waits for room goes to the table; what has ended waits for `done`.
//! * Nobody looks when nothing is told. `watched` and `telling` are written before the other one is read, on both sides: so the last look, or who begins to tell, sees
//!   the other.

#![forbid(unsafe_code)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Inner, lock};
use crate::{event_loop::TimerId, process_pool::front::Kills};

/// So long `done` may take for one batch before it is stood in for.
const PATIENCE: Duration = Duration::from_millis(20);
/// So many times are all rings looked at in one turn of the host's loop, which has others to serve.
const ROUNDS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Clock {
    alarm: Mutex<Option<(Instant, TimerId)>>,
    /// The batch that `done` is told of, by its number; 0: none.
    telling: AtomicU64,
    batches: AtomicU64,
    /// Somebody looks after that.
    watched: AtomicBool,
}

impl<T: Send + 'static> Inner<T> {
    /// Has the loop's timer be there for the earliest deadline.
    pub(in super::super) fn set_alarm(self: &Arc<Self>) {
        let mut alarm = lock(&self.clock.alarm);
        let Some(next) = self.front().next_deadline() else { return };
        if alarm.is_some_and(|(at, _)| at <= next) {
            return;
        }
        let Ok(event_loop) = self.host.event_loop() else { return };
        let inner = Arc::downgrade(self);
        let added = event_loop.call_later(next.saturating_duration_since(Instant::now()), move || {
            if let Some(inner) = inner.upgrade() {
                inner.ring_alarm();
            }
        });
        // Refused by a loop that has ended, and all runs with it.
        let Ok(id) = added else { return };
        if let Some((_, later)) = alarm.replace((next, id)) {
            let _ = event_loop.cancel_timer(later);
        }
    }

    /// On the host's thread: ends the calls whose time is over.
    fn ring_alarm(self: &Arc<Self>) {
        // First: a deadline that is added from here on is not taken for one that has its timer.
        *lock(&self.clock.alarm) = None;
        let mut kills = Kills::new();
        self.front().overdue(Instant::now(), &mut kills);
        self.kill(kills);
        self.alert();
        self.set_alarm();
    }

    /// The pool's own thread: tells of these calls, looked after.
    pub(super) fn told_of(self: &Arc<Self>, tell: impl FnOnce()) {
        let batch = self.clock.batches.fetch_add(1, Ordering::Relaxed) + 1;
        self.clock.telling.store(batch, Ordering::SeqCst);
        if !self.clock.watched.swap(true, Ordering::SeqCst) {
            self.look_later(0);
        }
        tell();
        self.clock.telling.store(0, Ordering::SeqCst);
    }

    /// `seen` is what was told at the last look.
    fn look_later(self: &Arc<Self>, seen: u64) {
        let inner = Arc::downgrade(self);
        let look = move || {
            if let Some(inner) = inner.upgrade() {
                inner.look_after(seen);
            }
        };
        // Refused by a loop that has ended, and all runs with it.
        let _ = self.host.event_loop().and_then(|event_loop| event_loop.call_later(PATIENCE, look));
    }

    /// On the host's thread.
    fn look_after(self: &Arc<Self>, seen: u64) {
        let telling = self.clock.telling.load(Ordering::SeqCst);
        if telling == 0 && seen == 0 {
            self.clock.watched.store(false, Ordering::SeqCst);
            let begun = self.clock.telling.load(Ordering::SeqCst) != 0;
            if !begun || self.clock.watched.swap(true, Ordering::SeqCst) {
                return;
            }
        } else if telling != 0 && telling == seen {
            for _ in 0..ROUNDS {
                self.hear_all();
                self.refill();
                if !self.full.any() {
                    break;
                }
            }
            // What has ended is for the pool's own thread to tell, which did not hear of it.
            self.alert();
        }
        self.look_later(telling);
    }
}
