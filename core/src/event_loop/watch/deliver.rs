//! Callbacks on their way: to the loop's thread or the pool, and back to their watch.

#![forbid(unsafe_code)]

use std::{mem, sync::Arc};

use mio::event::Event;

use super::{
    Callback, Readiness,
    table::{Entry, drop_callback},
};
use crate::{
    event_loop::{dispatch::Place, shared::Shared},
    job::{self, Job},
};

/// Runs the callback of a watch whose fd is ready, here or in the pool.
pub(in super::super) fn ready(shared: &Arc<Shared>, event: &Event) {
    let id = event.token().0 as u64;
    let record = match shared.watches.table().entries.get_mut(id) {
        Some(Entry::Socket(_, record)) => Some(record.clone()),
        _ => None,
    };
    match record {
        Some(record) => record.tell_event(event),
        None => deliver(shared, id, Readiness::of(event)),
    }
}

fn deliver(shared: &Arc<Shared>, id: u64, readiness: Readiness) {
    let (ready, place) = {
        let mut table = shared.watches.table();
        // Cancelled by a callback that ran before it in the same turn; or told of a file that a duplicate keeps open, while the
        // number is another watch's.
        let Some(watch) = table.watch(id).filter(|watch| !watch.lost) else { return };
        let Some(callback) = watch.callback.take() else {
            watch.missed = Some(watch.missed.unwrap_or_default().and(readiness));
            return;
        };
        (Ready { shared: shared.clone(), id, readiness, callback: Some(callback) }, watch.place.clone())
    };
    match place {
        Place::Loop => ready.run(),
        Place::Pool(pool) => {
            let ready = Box::new(ready);
            if let Err(refused) = pool.dispatch(Job::new(move || ready.run())) {
                tracing::error!(target: "coop", "a watch's callback was dropped: {}", refused.error);
            }
        }
    }
}

/// A callback on its way: returns to its watch after it ran, or ends it if it never runs.
struct Ready {
    shared: Arc<Shared>,
    id: u64,
    readiness: Readiness,
    callback: Option<Callback>,
}

impl Ready {
    fn run(mut self) {
        // Cancelled while it was queued in the pool: `Drop` drops the callback. From this look on it has begun.
        if self.shared.watches.table().watch(self.id).is_none() {
            return;
        }
        let Some(mut callback) = self.callback.take() else { return };
        job::caught("watch", || callback(&self.shared, self.id, self.readiness));
        if self.shared.fork.is_forked() {
            // It forked, and this is the child: the lock may be held for ever.
            return mem::forget(callback);
        }
        let mut table = self.shared.watches.table();
        let Some(watch) = table.watch(self.id) else {
            drop(table);
            return drop_callback(Some(callback));
        };
        watch.callback = Some(callback);
        let missed = watch.missed.take();
        if !watch.edge {
            // What was missed shows again now if it still holds.
            let armed = self.shared.watches.rearm(&mut table, self.id);
            drop(table);
            self.shared.watches.report();
            if !armed {
                // It may have been the last one that a run until idle waited for.
                self.shared.wake_if_idle();
            }
            return;
        }
        drop(table);
        if let Some(missed) = missed {
            deliver(&self.shared, self.id, missed);
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if self.callback.is_some() {
            // Dropped unrun, with the pool that it was queued in; or cancelled there.
            drop_callback(self.callback.take());
            self.shared.watches.end(self.id);
            self.shared.wake_if_idle();
        }
    }
}
