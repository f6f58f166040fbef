//! The host's events: numbered, kept for late observers, handed to those that want them.
//!
//! # What holds
//!
//! * Numbers go up by one. An event is in the history, and in the queue of each observer that wants it, or of none yet: an observer that
//!   begins takes over from the history under the lock that events are added under, so it misses none and gets none twice.
//! * Adding waits for no observer: it pushes, and drops what does not fit; wakers are called with no lock held.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::SystemTime,
};

use super::{
    event::{Event, What},
    filter::Filter,
    observer::Item,
};
use crate::{job, slots::Slots};

#[derive(Debug)]
pub(super) struct Journal {
    state: Mutex<State>,
    quiet: bool,
}

#[derive(Debug)]
struct State {
    last: u64,
    history: usize,
    kept: VecDeque<Arc<Event>>,
    queues: Slots<Arc<Queue>>,
    ids: Vec<u64>,
    closed: bool,
}

/// What one observer has not taken yet.
#[derive(Debug)]
pub(super) struct Queue {
    filter: Filter,
    capacity: usize,
    pub(super) state: Mutex<Pending>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) items: VecDeque<Item>,
    /// Before the first of them.
    pub(super) lost: u64,
    pub(super) closed: bool,
    /// Of those who wait for something to be there: all are woken, and look for themselves.
    pub(super) wakers: Slots<Waker>,
}

impl Queue {
    /// Of an observer that no journal knows: events come by [`Queue::add`].
    pub(super) fn apart(capacity: usize) -> Arc<Self> {
        let filter = Filter::default();
        Arc::new(Self { filter, capacity, state: Mutex::default(), changed: Condvar::new() })
    }

    /// An item of somebody else's journal.
    pub(super) fn add(&self, item: Item) {
        wake(self.push(item));
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        wake(self.closed());
    }

    fn closed(&self) -> Vec<Waker> {
        let mut pending = self.lock();
        pending.closed = true;
        self.changed.notify_all();
        pending.woken()
    }

    /// Nothing comes any more, and what is there is not wanted.
    pub(super) fn forget(&self) -> VecDeque<Item> {
        let (items, wakers) = {
            let mut pending = self.lock();
            pending.closed = true;
            pending.lost = 0;
            self.changed.notify_all();
            (mem::take(&mut pending.items), pending.woken())
        };
        wake(wakers);
        items
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Pending> {
        // Nothing foreign runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: Item) -> Vec<Waker> {
        let mut pending = self.lock();
        pending.push(item, self.capacity);
        self.changed.notify_one();
        pending.woken()
    }
}

impl Pending {
    fn push(&mut self, item: Item, capacity: usize) {
        if self.closed {
            return;
        }
        if self.items.len() >= capacity {
            self.lost += match self.items.pop_front() {
                Some(Item::Lost(count)) => count,
                _ => 1,
            };
        }
        self.items.push_back(item);
    }

    fn woken(&mut self) -> Vec<Waker> {
        self.wakers.take_all().into_iter().map(|(_, waker)| waker).collect()
    }
}

/// With no lock held.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        job::caught("waker", || waker.wake());
    }
}

impl Journal {
    pub(super) fn new(history: usize) -> Self {
        let (kept, queues, ids) = (VecDeque::new(), Slots::new(), Vec::new());
        Self { state: Mutex::new(State { last: 0, history, kept, queues, ids, closed: false }), quiet: false }
    }

    /// Whether ends that are trouble are no warnings.
    pub(super) fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers an event and hands it on. Called by one thread at a time, so that the log has them in order too.
    pub(super) fn add(&self, id: u64, path: &str, run: u64, what: What) {
        let time = SystemTime::now();
        let mut event = Event { number: 0, time, id, path: path.to_owned(), run, what };
        let mut wakers = Vec::new();
        let event = {
            let mut state = self.lock();
            state.last += 1;
            event.number = state.last;
            let event = Arc::new(event);
            if state.history > 0 {
                if state.kept.len() == state.history {
                    state.kept.pop_front();
                }
                state.kept.push_back(event.clone());
            }
            for at in 0..state.ids.len() {
                let id = state.ids[at];
                if let Some(queue) = state.queues.get_mut(id).filter(|queue| queue.filter.wants(&event)) {
                    wakers.extend(queue.push(Item::Event(event.clone())));
                }
            }
            event
        };
        wake(wakers);
        log(&event, self.quiet);
    }

    /// Begins a queue with the last `replay` of the kept events that it wants.
    pub(super) fn observe(&self, filter: Filter, capacity: usize, replay: usize) -> (u64, Arc<Queue>) {
        let queue = Queue { filter, capacity, state: Mutex::default(), changed: Condvar::new() };
        let mut state = self.lock();
        {
            let mut pending = queue.lock();
            let wanted = state.kept.iter().rev().filter(|event| queue.filter.wants(event));
            let wanted: Vec<_> = wanted.take(replay).cloned().collect();
            wanted.into_iter().rev().for_each(|event| pending.push(Item::Event(event), capacity));
            pending.closed = state.closed;
        }
        let queue = Arc::new(queue);
        if state.closed {
            return (0, queue);
        }
        let id = state.queues.insert(queue.clone());
        state.ids.push(id);
        (id, queue)
    }

    /// How many observe.
    #[cfg(test)]
    pub(super) fn observers(&self) -> usize {
        self.lock().ids.len()
    }

    pub(super) fn leave(&self, id: u64) {
        let mut state = self.lock();
        state.ids.retain(|each| *each != id);
        let queue = state.queues.remove(id);
        drop(state);
        drop(queue);
    }

    /// No event comes any more.
    pub(super) fn close(&self) {
        let mut wakers = Vec::new();
        {
            let mut state = self.lock();
            state.closed = true;
            state.ids.clear();
            for (_, queue) in state.queues.take_all() {
                wakers.extend(queue.closed());
            }
        }
        wake(wakers);
    }
}

/// Trouble is a warning, with its details below, unless the owner tells of ends; the rest is for who looks closely.
fn log(event: &Event, quiet: bool) {
    match &event.what {
        What::Ended { .. } if quiet => tracing::debug!(target: "coop", "{event}"),
        What::Ended { normal: false, details: Some(details), .. }
        | What::StartFailed { details: Some(details), .. } => {
            tracing::warn!(target: "coop", "{event}\n{}", details.trim_end());
        }
        What::Ended { normal: false, .. }
        | What::StartFailed { .. }
        | What::Parked { .. }
        | What::Unresponsive
        | What::GaveUp => tracing::warn!(target: "coop", "{event}"),
        _ => tracing::debug!(target: "coop", "{event}"),
    }
}
