//! A link as its driver sees it.

#![forbid(unsafe_code)]

use std::{
    mem,
    sync::atomic::Ordering,
    task::Context,
    time::{Duration, Instant},
};

use super::{
    super::{
        call::Done,
        group::{Finish, Group},
        pubsub,
        reply::Reply,
    },
    Closing, Link, Use,
    state::{Ended, Entry, Moved},
};
use crate::error::Error;

/// What the driver is to know before it goes on.
pub(in crate::net::redis) struct Tended {
    pub(in crate::net::redis) is_over: bool,
    /// The server owes a reply for too long.
    pub(in crate::net::redis) is_stalled: bool,
    pub(in crate::net::redis) earliest: Option<Instant>,
}

impl Link {
    /// Begins a turn of the driver: tells what has ended, ends what has passed its time.
    pub(in crate::net::redis) fn tend(&self) -> Tended {
        loop {
            let mut state = self.lock();
            state.awake = true;
            state.called = false;
            let mut is_stalled = false;
            if let Some(earliest) = state.earliest {
                let now = Instant::now();
                if earliest <= now {
                    is_stalled = state.expire(now, &self.options);
                }
            }
            let ended = mem::take(&mut state.ended);
            if ended.is_empty() || is_stalled {
                let is_over = match state.closing {
                    None => false,
                    Some(Closing::Now) => true,
                    Some(Closing::Drain) => ended.is_empty() && !state.has_calls(),
                };
                let earliest = state.earliest;
                let quiet = state.take_quiet();
                drop(state);
                tell(ended);
                quiet.into_iter().for_each(|teller| _ = teller.tell(()));
                return Tended { is_over, is_stalled, earliest };
            }
            drop(state);
            tell(ended);
        }
    }

    /// The end of a turn that has found nothing to do: false if something was added after it had begun.
    pub(in crate::net::redis) fn rest(&self, cx: &Context<'_>) -> bool {
        let mut fresh = None;
        loop {
            let mut state = self.lock();
            if state.called {
                return false;
            }
            if state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.awake = false;
                return true;
            }
            if let Some(fresh) = fresh.take() {
                let before = state.waker.replace(fresh);
                state.awake = false;
                drop(state);
                drop(before);
                return true;
            }
            // Cloned, as it is dropped, with no lock held.
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }

    /// Hands the queue's commands to the connection, appended to `out`. False if there is none.
    pub(in crate::net::redis) fn hand_over(&self, out: &mut Vec<u8>) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.compact();
        if state.queue.is_empty() {
            return false;
        }
        if out.is_empty() {
            mem::swap(out, &mut state.bytes);
        } else {
            out.append(&mut state.bytes);
        }
        for mut entry in state.queue.drain(..) {
            entry.at = state.handed;
            state.handed += entry.length as u64;
            state.flight.push_back(entry);
        }
        true
    }

    /// There is a connection: what waits goes out, what it greets with first.
    pub(in crate::net::redis) fn connected(&self, greeting: Vec<(Vec<u8>, usize)>) {
        let mut state = self.lock();
        state.connected = true;
        state.reason = None;
        state.handed = 0;
        state.owes = None;
        state.stats.connects += 1;
        state.asked = None;
        if self.is_watched() {
            let now = Instant::now();
            state.heard = Some(now);
            // It says when to look next.
            state.sooner(now);
        }
        for entry in &mut state.queue {
            entry.waits_until = None;
        }
        for (command, replies) in greeting.into_iter().rev() {
            state.bytes.splice(0..0, command.iter().copied());
            let group = Some(Box::new(Group::new(Finish::Confirm, replies)));
            let (length, timeout) = (command.len(), Duration::MAX);
            // No number of a call: 0 comes before all of them.
            let done = Some(Done::Nobody);
            state.queue.push_front(Entry {
                id: 0,
                done,
                group,
                length,
                at: 0,
                deadline: None,
                timeout,
                waits_until: None,
            });
        }
    }

    /// Whether it is asked when it says nothing.
    fn is_watched(&self) -> bool {
        self.used_for == Use::Messages && self.options.stalled_after.is_some()
    }

    /// Whether an attempt had a connection since the last loss is the driver's to know; here a connection has ended. Calls of whose
    /// commands nothing was written wait for the next one, with their bytes out of `unwritten`, which follow the first `written` ones; the others
    /// end.
    pub(in crate::net::redis) fn lost(&self, error: &Error, written: u64, unwritten: &[u8]) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.connected = false;
        state.unwritten = 0;
        state.owes = None;
        state.reason = Some(error.clone());
        state.stats.disconnects += 1;
        let first_unsent = state.flight.partition_point(|entry| entry.at < written);
        let mut unsent = state.flight.split_off(first_unsent);
        let mut kept = Vec::new();
        if let Some(first) = unsent.front() {
            let skipped = usize::try_from(first.at - written).unwrap_or(usize::MAX);
            kept.extend_from_slice(unwritten.get(skipped..).unwrap_or_default());
        }
        let mut ended = Vec::new();
        for entry in mem::take(&mut state.flight) {
            if let Some(done) = entry.done {
                let outcome = Err(error.clone());
                state.stats.lost += u64::from(!matches!(done, Done::Nobody));
                ended.push((done, outcome));
            }
        }
        // The next connection greets anew.
        while let Some(first) = unsent.front()
            && first.id == 0
        {
            kept.drain(..first.length);
            unsent.pop_front();
        }
        kept.append(&mut state.bytes);
        state.bytes = kept;
        unsent.append(&mut state.queue);
        state.queue = unsent;
        // What was asked of this connection is not asked of the next one.
        for entry in &mut state.queue {
            entry.done.take_if(|done| matches!(done, Done::Nobody));
        }
        state.empty = state.queue.iter().filter(|entry| entry.done.is_none()).count();
        let until = self.options.patience.and_then(|patience| Instant::now().checked_add(patience));
        for entry in &mut state.queue {
            entry.waits_until = until;
        }
        if let (Some(until), false) = (until, state.queue.is_empty()) {
            state.sooner(until);
        }
        drop(guard);
        tell(ended);
    }

    /// An attempt to connect has failed; if for good, those who wait are told.
    pub(in crate::net::redis) fn failed(&self, error: &Error, for_good: bool) {
        let mut state = self.lock();
        state.stats.connect_failures += 1;
        state.reason = Some(error.clone());
        let mut ended = Vec::new();
        if for_good {
            state.take_all(error, &mut ended);
        }
        drop(state);
        tell(ended);
    }

    /// So many bytes of commands the connection was handed, and could not write yet.
    pub(in crate::net::redis) fn stuck_with(&self, unwritten: usize) {
        self.lock().unwritten = unwritten;
    }

    /// Counts what was written since something was read.
    pub(in crate::net::redis) fn count_moved(&self, moved: &Moved) {
        self.lock().count_moved(moved);
    }

    /// Gives replies to those who wait for them, in order.
    ///
    /// # Errors
    /// A reply that nobody has asked for.
    pub(in crate::net::redis) fn answer(&self, replies: &mut Vec<Reply>, moved: &Moved) -> Result<(), String> {
        let mut told: Vec<Told> = Vec::with_capacity(replies.len());
        let mut outcome = Ok(());
        let heard = self.is_watched().then(Instant::now);
        let mut state = self.lock();
        state.owes = None;
        if heard.is_some() {
            state.heard = heard;
            state.asked = None;
        }
        state.count_moved(moved);
        for reply in replies.drain(..) {
            if pubsub::is_message(self.used_for, &reply) {
                state.stats.pushes += 1;
                told.push(Told::Push(reply));
                continue;
            }
            let confirmed = self.used_for == Use::Messages && pubsub::confirms(&reply);
            if confirmed && !state.flight.front().is_some_and(Entry::is_confirmed) {
                // Unasked: a channel of a shard that has moved.
                continue;
            }
            let Some(first) = state.flight.front_mut() else {
                outcome = Err("a reply that was not asked for".to_owned());
                break;
            };
            let whole = match &mut first.group {
                None => Some(reply),
                Some(group) => group.take(reply),
            };
            let Some(whole) = whole else { continue };
            if let Some(group) = &first.group {
                self.closed.fetch_max(group.closed(&whole), Ordering::Relaxed);
            }
            let done = state.flight.pop_front().and_then(|first| first.done);
            if let Some(done) = done {
                if !matches!(done, Done::Nobody) {
                    state.stats.answered += 1;
                    state.stats.server_errors += u64::from(whole.as_error().is_some());
                }
                told.push(Told::Ended(done, whole));
            }
        }
        // The next one may owe its reply as well.
        if state.flight.front().is_some_and(|front| front.done.is_none()) {
            state.has_emptied();
        }
        drop(state);
        for one in told {
            match one {
                Told::Ended(done, reply) => done.tell(Ok(reply)),
                Told::Push(reply) => {
                    if let Some(on_push) = &self.on_push {
                        crate::job::caught("redis client", || on_push(reply));
                    }
                }
            }
        }
        outcome
    }

    /// The end: everyone who waits is told.
    pub(in crate::net::redis) fn end(&self) {
        if self.fork.is_forked() {
            return;
        }
        let mut ended = Vec::new();
        let mut state = self.lock();
        let error = match (state.closing, &state.reason) {
            (Some(_), _) => Error::Closed("redis client"),
            // A connection of one's own ends with it.
            (None, Some(reason)) if self.used_for == Use::Own => reason.clone(),
            _ => Error::Closed("event loop"),
        };
        state.closed = Some(error.clone());
        state.connected = false;
        state.take_all(&error, &mut ended);
        let (waker, mut drained) = (state.waker.take(), mem::take(&mut state.drained));
        drained.append(&mut state.quiet);
        drop(state);
        tell(ended);
        for teller in drained {
            teller.tell(());
        }
        drop(waker);
        self.tally.left(self);
        if let Some(on_end) = &self.on_end {
            on_end();
        }
    }
}

enum Told {
    Ended(Done, Reply),
    Push(Reply),
}

fn tell(ended: Vec<Ended>) {
    for (done, outcome) in ended {
        done.tell(outcome);
    }
}
