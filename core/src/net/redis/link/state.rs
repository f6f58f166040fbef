//! What a link knows of its calls, under its lock.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    mem,
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    super::{
        call::Done,
        command::encode,
        group::{Finish, Group},
        options::Options,
        reply::Reply,
        stats::Stats,
    },
    Closing,
};
use crate::{
    error::{Error, Result},
    event_loop::news::Teller,
};

pub(super) struct Entry {
    pub(super) id: u64,
    /// `None`: it has ended, and its reply goes nowhere.
    pub(super) done: Option<Done>,
    pub(super) group: Option<Box<Group>>,
    /// Bytes of the command.
    pub(super) length: usize,
    /// In flight: where in the connection's bytes the command begins.
    pub(super) at: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) timeout: Duration,
    /// Unsent, it ends then with the reason why there is no connection.
    pub(super) waits_until: Option<Instant>,
}

impl Entry {
    pub(super) fn is_confirmed(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.finish() == Finish::Confirm)
    }
}

/// A call that has ended and is to be told.
pub(super) type Ended = (Done, Result<Reply>);

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Entry>,
    pub(super) bytes: Vec<u8>,
    /// Places in the queue whose calls have ended.
    pub(super) empty: usize,
    pub(super) flight: VecDeque<Entry>,
    pub(super) last_id: u64,
    pub(super) ended: Vec<Ended>,
    pub(super) waker: Option<Waker>,
    /// The driver runs, or is about to.
    pub(super) awake: bool,
    /// Something was added since the driver has begun its turn.
    pub(super) called: bool,
    pub(super) connected: bool,
    /// Why the last attempt to connect has failed, or the last connection ended.
    pub(super) reason: Option<Error>,
    /// Bytes that the connection was handed and could not write yet.
    pub(super) unwritten: usize,
    /// Bytes that the connection was handed so far.
    pub(super) handed: u64,
    /// No deadline comes before this.
    pub(super) earliest: Option<Instant>,
    /// The empty place at the front, and since when the server owes its reply and says nothing.
    pub(super) owes: Option<(u64, Instant)>,
    /// Of a connection for messages: when it last said something, and since when it owes the answer to a PING.
    pub(super) heard: Option<Instant>,
    pub(super) asked: Option<Instant>,
    pub(super) closing: Option<Closing>,
    pub(super) closed: Option<Error>,
    pub(super) drained: Vec<Teller<()>>,
    /// Told when there is no call.
    pub(super) quiet: Vec<Teller<()>>,
    pub(super) stats: Stats,
    /// The figures are those of the client by now.
    pub(super) is_tallied: bool,
}

/// What one read or write has moved.
#[derive(Default)]
pub(in crate::net::redis) struct Moved {
    pub(in crate::net::redis) writes: u64,
    pub(in crate::net::redis) reads: u64,
    pub(in crate::net::redis) bytes_out: u64,
    pub(in crate::net::redis) bytes_in: u64,
}

impl State {
    #[inline]
    pub(super) fn wake(&mut self) -> Option<Waker> {
        self.called = true;
        if mem::replace(&mut self.awake, true) { None } else { self.waker.take() }
    }

    pub(super) fn find(&mut self, id: u64) -> Option<(&mut Entry, bool)> {
        let in_flight = self.flight.back().is_some_and(|last| id <= last.id);
        let row = if in_flight { &mut self.flight } else { &mut self.queue };
        let at = row.binary_search_by_key(&id, |entry| entry.id).ok()?;
        Some((&mut row[at], in_flight))
    }

    /// Takes out who is told of a call; `None` if it has ended.
    pub(super) fn take(&mut self, id: u64) -> Option<Done> {
        let (entry, in_flight) = self.find(id)?;
        let done = entry.done.take()?;
        if in_flight {
            self.has_emptied();
        } else {
            self.empty += 1;
            if self.empty * 2 > self.queue.len() {
                self.compact();
            }
        }
        Some(done)
    }

    /// Takes the places of ended calls out of the queue, and their commands.
    pub(super) fn compact(&mut self) {
        if self.empty == 0 {
            return;
        }
        let (mut from, mut to) = (0, 0);
        let bytes = &mut self.bytes;
        self.queue.retain(|entry| {
            let keeps = entry.done.is_some();
            if keeps {
                bytes.copy_within(from..from + entry.length, to);
                to += entry.length;
            }
            from += entry.length;
            keeps
        });
        bytes.truncate(to);
        self.empty = 0;
    }

    /// A place in flight is empty from now on: whether the server stays silent is to be looked at.
    pub(super) fn has_emptied(&mut self) {
        if self.owes.is_none() {
            self.sooner(Instant::now());
        }
    }

    #[inline]
    pub(super) fn sooner(&mut self, at: Instant) {
        if self.earliest.is_none_or(|earliest| at < earliest) {
            self.earliest = Some(at);
        }
    }

    pub(super) fn count_moved(&mut self, moved: &Moved) {
        self.stats.writes += moved.writes;
        self.stats.reads += moved.reads;
        self.stats.bytes_out += moved.bytes_out;
        self.stats.bytes_in += moved.bytes_in;
    }

    pub(super) fn stats(&self) -> Stats {
        let wide = |count: usize| count as u64;
        Stats {
            queued: wide(self.queue.len() - self.empty),
            in_flight: wide(self.flight.len()),
            connected: u64::from(self.connected),
            ..self.stats
        }
    }

    /// Who is told now that there is no call.
    pub(super) fn take_quiet(&mut self) -> Vec<Teller<()>> {
        if self.quiet.is_empty() || self.has_calls() { Vec::new() } else { mem::take(&mut self.quiet) }
    }

    /// Whether somebody waits for the end of a call.
    pub(super) fn has_calls(&self) -> bool {
        let alive = |row: &VecDeque<Entry>| row.iter().any(|entry| entry.done.is_some());
        !self.ended.is_empty() || alive(&self.flight) || alive(&self.queue)
    }

    pub(super) fn count(&self) -> usize {
        self.queue.len() + self.flight.len()
    }

    /// Ends what has passed its time.
    pub(super) fn expire(&mut self, now: Instant, options: &Options) -> bool {
        self.earliest = None;
        let mut next = None::<Instant>;
        let mut sooner = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        let reason = self.reason.clone();
        for (entry, unsent) in
            self.flight.iter_mut().map(|entry| (entry, false)).chain(self.queue.iter_mut().map(|entry| (entry, true)))
        {
            if entry.done.is_none() {
                continue;
            }
            let waits_until = entry.waits_until.filter(|_| unsent);
            let outcome = if entry.deadline.is_some_and(|deadline| deadline <= now) {
                let why = match (unsent, &reason) {
                    (true, Some(reason)) => format!(", of which it waited for a connection ({reason})"),
                    _ => String::new(),
                };
                self.stats.timed_out += 1;
                Err(Error::Timeout(format!("redis at {}: no reply within {:?}{why}", options.server, entry.timeout)))
            } else if waits_until.is_some_and(|until| until <= now) {
                self.stats.lost += 1;
                let none = || Error::Timeout(format!("redis at {}: there is no connection yet", options.server));
                Err(reason.clone().unwrap_or_else(none))
            } else {
                entry.deadline.into_iter().chain(waits_until).for_each(&mut sooner);
                continue;
            };
            if let Some(done) = entry.done.take() {
                self.ended.push((done, outcome));
                self.empty += usize::from(unsent);
            }
        }
        let owes = self.look_for_stall(now, options, &mut sooner);
        let is_stalled = self.look_for_silence(now, options, &mut sooner) || owes;
        self.earliest = next;
        if self.empty * 2 > self.queue.len() {
            self.compact();
        }
        is_stalled
    }

    fn look_for_stall(&mut self, now: Instant, options: &Options, sooner: &mut impl FnMut(Instant)) -> bool {
        let empty = self.flight.front().filter(|front| front.done.is_none()).map(|front| front.id);
        let Some((id, limit)) = empty.zip(options.stalled_after) else {
            self.owes = None;
            return false;
        };
        let since = match self.owes {
            Some((owed, since)) if owed == id => since,
            _ => now,
        };
        self.owes = Some((id, since));
        match since.checked_add(limit) {
            Some(until) if until <= now => return true,
            Some(until) => sooner(until),
            None => {}
        }
        false
    }

    /// A connection for messages that says nothing is asked, and is given up if it does not answer either.
    fn look_for_silence(&mut self, now: Instant, options: &Options, sooner: &mut impl FnMut(Instant)) -> bool {
        let Some((heard, limit)) = self.heard.filter(|_| self.connected).zip(options.stalled_after) else {
            return false;
        };
        let Some(until) = self.asked.unwrap_or(heard).checked_add(limit) else { return false };
        if until > now {
            sooner(until);
            return false;
        }
        if self.asked.is_some() {
            // Looked at again if it has answered meanwhile.
            sooner(now);
            return true;
        }
        self.asked = Some(now);
        now.checked_add(limit).into_iter().for_each(sooner);
        self.ping();
        false
    }

    fn ping(&mut self) {
        self.last_id += 1;
        let length = self.bytes.len();
        encode(&["PING"], &mut self.bytes);
        self.queue.push_back(Entry {
            id: self.last_id,
            done: Some(Done::Nobody),
            group: None,
            length: self.bytes.len() - length,
            at: 0,
            deadline: None,
            timeout: Duration::MAX,
            waits_until: None,
        });
    }

    /// Takes everything that is not told yet, for an end.
    pub(super) fn take_all(&mut self, error: &Error, ended: &mut Vec<Ended>) {
        ended.append(&mut self.ended);
        for entry in self.flight.drain(..).chain(self.queue.drain(..)) {
            if let Some(done) = entry.done {
                self.stats.lost += u64::from(!matches!(done, Done::Nobody));
                ended.push((done, Err(error.clone())));
            }
        }
        self.bytes = Vec::new();
        self.empty = 0;
    }
}
