//! Timers in a wheel, and what each of them has beside its callback. Pure: no lock and no clock; no callback runs or is dropped here.

#![forbid(unsafe_code)]

use super::{Callback, wheel::Wheel};
use crate::event_loop::dispatch::Place;

/// A tick is 2^18 ns.
const TICK_SHIFT: u32 = 18;

/// Kept small: a million of them are walked through when they fire.
struct Timer {
    /// Out while it runs.
    callback: Option<Callback>,
    /// None: once, on the loop's thread.
    more: Option<Box<More>>,
}

struct More {
    at_ns: u64,
    every_ns: Option<u64>,
    place: Place,
    unref: bool,
}

/// When a timer is due and how.
pub(super) struct When {
    /// None: in the loop's next turn.
    pub(super) at_ns: Option<u64>,
    pub(super) every_ns: Option<u64>,
    pub(super) place: Place,
    pub(super) unref: bool,
}

/// A callback that is to run now.
pub(super) struct Begun {
    pub(super) callback: Callback,
    /// How many of the timer's times have come.
    pub(super) times: u64,
    /// It has more times, and is to be given back with [`Set::rearm`].
    pub(super) again: bool,
    pub(super) place: Place,
}

pub(super) struct Set {
    wheel: Wheel<Timer>,
    unref: usize,
}

impl Set {
    pub(super) fn new() -> Self {
        Self { wheel: Wheel::new(), unref: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.wheel.len()
    }

    /// How many there are that a loop waits for before it is idle.
    pub(super) fn referenced(&self) -> usize {
        self.wheel.len() - self.unref
    }

    /// Adds a timer; also answers whether it is the next one now.
    #[inline]
    pub(super) fn add(&mut self, now_ns: u64, when: When, callback: Callback) -> (u64, bool) {
        let plain = when.every_ns.is_none() && !when.unref && matches!(when.place, Place::Loop);
        // A zero delay is the loop's next turn, not the next tick.
        let tick = when.at_ns.map_or(0, tick_of);
        let more = (!plain).then(|| {
            self.unref += usize::from(when.unref);
            let at_ns = when.at_ns.unwrap_or(now_ns);
            Box::new(More { at_ns, every_ns: when.every_ns, place: when.place, unref: when.unref })
        });
        let before = self.wheel.next_tick();
        let id = self.wheel.insert(tick, Timer { callback: Some(callback), more });
        (id, before.is_none_or(|before| tick < before))
    }

    /// Ends a timer; `None` if the id is stale. Its callback is out while it runs.
    #[inline]
    pub(super) fn remove(&mut self, id: u64) -> Option<Option<Callback>> {
        let timer = self.wheel.remove(id)?;
        self.forget(&timer);
        Some(timer.callback)
    }

    fn forget(&mut self, timer: &Timer) {
        self.unref -= usize::from(timer.more.as_ref().is_some_and(|more| more.unref));
    }

    /// See [`Wheel::warm`].
    pub(super) fn warm(&self, ids: impl Iterator<Item = u64>) {
        self.wheel.warm(ids);
    }

    /// Whether it has ended.
    pub(super) fn is_stale(&mut self, id: u64) -> bool {
        self.wheel.get_mut(id).is_none()
    }

    /// Takes the callback of a timer that has expired; `None` if it was cancelled meanwhile. One that has no more times is stale from
    /// here on, also for its own callback.
    #[inline]
    pub(super) fn begin(&mut self, id: u64, now_ns: impl FnOnce() -> u64) -> Option<Begun> {
        let timer = self.wheel.get_mut(id)?;
        let (times, again, place) = match timer.more.as_deref_mut() {
            None => (1, false, Place::Loop),
            Some(More { every_ns: None, place, .. }) => (1, false, place.clone()),
            Some(More { at_ns, every_ns: Some(every), place, .. }) => {
                let times = 1 + now_ns().saturating_sub(*at_ns) / *every;
                *at_ns = at_ns.saturating_add(every.saturating_mul(times));
                (times, true, place.clone())
            }
        };
        let callback = if again { timer.callback.take() } else { self.remove(id)? }?;
        Some(Begun { callback, times, again, place })
    }

    /// Gives back the callback of a repeating timer, for its next time; gets it back if the timer was cancelled meanwhile.
    pub(super) fn rearm(&mut self, id: u64, callback: Callback) -> Option<Callback> {
        let Some(timer) = self.wheel.get_mut(id) else { return Some(callback) };
        timer.callback = Some(callback);
        let tick = tick_of(timer.more.as_ref().map_or(0, |more| more.at_ns));
        self.wheel.reinsert(id, tick);
        None
    }

    /// Whether a run until idle waits for it. False if the id is stale.
    pub(super) fn set_ref(&mut self, id: u64, referenced: bool) -> bool {
        let Some(timer) = self.wheel.get_mut(id) else { return false };
        let more = timer
            .more
            .get_or_insert_with(|| Box::new(More { at_ns: 0, every_ns: None, place: Place::Loop, unref: false }));
        match (std::mem::replace(&mut more.unref, !referenced), referenced) {
            (true, true) => self.unref -= 1,
            (false, false) => self.unref += 1,
            _ => {}
        }
        true
    }

    /// Takes every timer out.
    pub(super) fn take_all(&mut self) -> Vec<Option<Callback>> {
        self.unref = 0;
        self.wheel.take_all().into_iter().map(|timer| timer.callback).collect()
    }

    /// The moment at which [`Set::expire`] has something to do next.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.wheel.next_tick().map(|tick| tick << TICK_SHIFT)
    }

    /// Appends the ids of what is due.
    pub(super) fn expire(&mut self, now_ns: u64, expired: &mut Vec<u64>) {
        self.wheel.advance(now_ns >> TICK_SHIFT, expired);
    }
}

/// The first tick that is not before this moment.
fn tick_of(at_ns: u64) -> u64 {
    at_ns.div_ceil(1 << TICK_SHIFT)
}
