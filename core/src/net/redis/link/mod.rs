//! A connection as its callers see it: what waits to be sent, and what waits for replies.
//!
//! # Invariants
//!
//! * Calls have numbers in the order in which they were accepted, and go out in that order. `flight` holds those that were handed to the
//!   connection, `queue` those behind them, each ascending; `bytes` is what the queue's commands are, one after another.
//! * Replies come in the order of the commands. So a reply is that of the first in `flight`, whoever still waits for it: a call that was
//!   cancelled, or has passed its deadline, stays there as an empty place until its reply has come and is dropped.
//! * A call ends by having its [`Done`] taken out, under the lock; so it ends once. It is told without the lock, on the loop's thread; by the
//!   end of the loop, wherever that is.
//! * `awake` is true while the driver runs or is about to: whoever adds work, ends a call or closes while it is false makes it true and wakes.
//!   The driver makes it false only if nothing of that has happened since it began its turn (`called`), under the lock: what it looked at then, the
//!   first of the deadlines included, is still so.

#![forbid(unsafe_code)]

mod driver;
mod state;
#[cfg(all(test, not(loom)))]
mod test;

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(super) use self::state::Moved;
use self::state::{Entry, State};
use super::{
    call::Done,
    group::Group,
    options::Options,
    reply::Reply,
    stats::{Stats, Tally},
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{Handle, news::Teller},
    fork::ForkGuard,
};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Calls of many.
    Shared,
    /// Calls of one, who may change the connection's state.
    Own,
    /// Messages.
    Messages,
}

/// How a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closing {
    /// When the calls have ended.
    Drain,
    Now,
}

/// See the module's text.
pub(super) struct Link {
    event_loop: Handle,
    fork: ForkGuard,
    pub(super) options: Arc<Options>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::net::tls::Connector>,
    pub(super) used_for: Use,
    /// Where what the server says unasked goes.
    pub(super) on_push: Option<Box<dyn Fn(Reply) + Send + Sync>>,
    /// Called when the link has ended.
    pub(super) on_end: Option<Box<dyn Fn() + Send + Sync>>,
    /// Something was said that the next user of this connection would notice.
    changed: AtomicBool,
    /// How often keys were watched or a transaction was begun, and up to which of those the server has said that it is over.
    opened: AtomicU64,
    closed: AtomicU64,
    /// What a new connection says first; see `pubsub.rs`.
    pub(super) greeting: Mutex<super::pubsub::Subscribed>,
    tally: Arc<Tally>,
    state: Mutex<State>,
}

thread_local!(static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });

/// Calls `f` with a vector of the thread's that is empty.
#[inline]
fn with_scratch<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    const KEPT: usize = 64 * 1024;
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.clear();
    let result = f(&mut scratch);
    if scratch.capacity() <= KEPT {
        let _ = SCRATCH.try_with(|place| place.set(scratch));
    }
    result
}

impl Link {
    pub(super) fn new(event_loop: &Handle, options: Arc<Options>, used_for: Use, tally: Arc<Tally>) -> Self {
        Self {
            event_loop: event_loop.clone(),
            fork: ForkGuard::new("redis client"),
            options,
            #[cfg(feature = "tls")]
            tls: None,
            used_for,
            on_push: None,
            on_end: None,
            changed: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            greeting: Mutex::default(),
            tally,
            state: Mutex::new(State { awake: true, ..State::default() }),
        }
    }

    pub(super) fn event_loop(&self) -> &Handle {
        &self.event_loop
    }

    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        self.fork.check()
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing foreign runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a call. `encode` may be foreign code.
    #[inline]
    pub(super) fn send(
        &self,
        timeout: Option<Duration>,
        group: Option<Group>,
        done: Done,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, Refused<Done>> {
        if let Err(error) = self.check() {
            return Err(Refused::new(error, done));
        }
        with_scratch(|command| {
            encode(command);
            self.send_bytes(timeout, group, done, command, false)
        })
    }

    /// What a call that was accepted still has to say, in its reply's turn: a full row does not end it, and neither does a client that waits for its calls.
    pub(super) fn send_more(
        &self,
        timeout: Option<Duration>,
        done: Done,
        command: &[u8],
    ) -> Result<u64, Refused<Done>> {
        self.send_bytes(timeout, None, done, command, true)
    }

    #[inline]
    fn send_bytes(
        &self,
        timeout: Option<Duration>,
        group: Option<Group>,
        done: Done,
        command: &[u8],
        is_accepted: bool,
    ) -> Result<u64, Refused<Done>> {
        let timeout = timeout.or(self.options.timeout).unwrap_or(Duration::MAX);
        // The clock is asked only for a time that can come.
        let deadline = if timeout == Duration::MAX { None } else { Instant::now().checked_add(timeout) };
        let options = &*self.options;
        let mut state = self.lock();
        if let Some(error) = self.refusal(&state, command.len(), is_accepted) {
            state.stats.refused += 1;
            let is_tallied = state.is_tallied;
            drop(state);
            if is_tallied {
                self.tally.refused();
            }
            return Err(Refused::new(error, done));
        }
        let mut waits_until = None;
        if !state.connected {
            waits_until = options.patience.and_then(|patience| Instant::now().checked_add(patience));
        }
        for at in deadline.into_iter().chain(waits_until) {
            state.sooner(at);
        }
        state.last_id += 1;
        let id = state.last_id;
        let (length, group) = (command.len(), group.map(Box::new));
        state.bytes.extend_from_slice(command);
        let entry = Entry { id, done: Some(done), group, length, at: 0, deadline, timeout, waits_until };
        state.queue.push_back(entry);
        state.stats.calls += 1;
        let waker = state.wake();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(id)
    }

    #[inline]
    fn refusal(&self, state: &State, length: usize, is_accepted: bool) -> Option<Error> {
        let options = &*self.options;
        if let Some(error) = &state.closed {
            return Some(error.clone());
        }
        if state.closing == Some(Closing::Now) || state.closing.is_some() && !is_accepted {
            return Some(Error::Closed("redis client"));
        }
        if is_accepted {
            return None;
        }
        if state.count() >= options.max_calls {
            return Some(Error::QueueFull { what: "redis client", capacity: format!("{} calls", options.max_calls) });
        }
        let waiting = state.bytes.len() + state.unwritten;
        if waiting > 0 && waiting.saturating_add(length) > options.max_queued_bytes {
            let capacity = format!("{} bytes of commands", options.max_queued_bytes);
            return Some(Error::QueueFull { what: "redis client", capacity });
        }
        None
    }

    /// Ends a call that nobody waits for any more, untold.
    pub(super) fn forget(&self, id: u64) {
        let mut state = self.lock();
        let done = state.take(id);
        state.stats.cancelled += u64::from(done.is_some());
        let waker = if done.is_some() { state.wake() } else { None };
        drop(state);
        drop(done);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends a call, which is told so. False if it has ended.
    pub(super) fn cancel(&self, id: u64) -> bool {
        let mut state = self.lock();
        let Some(done) = state.take(id) else { return false };
        state.stats.cancelled += 1;
        state.ended.push((done, Err(Error::Cancelled("redis call"))));
        let waker = state.wake();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Accepts no more calls; who is told when all have ended, may be.
    pub(super) fn close(&self, closing: Closing, drained: Option<Teller<()>>) {
        let mut state = self.lock();
        state.closing = state.closing.max(Some(closing));
        let mut late = None;
        if state.closed.is_some() {
            late = drained;
        } else {
            state.drained.extend(drained);
        }
        let waker = state.wake();
        drop(state);
        if let Some(teller) = late {
            teller.tell(());
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has somebody told when it has no call, those being told that had one, or has ended.
    pub(super) fn when_quiet(&self, teller: Teller<()>) {
        let mut state = self.lock();
        if state.closed.is_some() {
            drop(state);
            teller.tell(());
            return;
        }
        state.quiet.push(teller);
        let waker = state.wake();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        // In a forked child its loop is not there, and the lock may be somebody's who is not either.
        if self.check().is_err() {
            return true;
        }
        let state = self.lock();
        state.closed.is_some() || state.closing.is_some()
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats()
    }

    /// Its figures are the client's from now on.
    pub(super) fn count(self: &Arc<Self>) {
        self.tally.add(self);
    }

    /// The figures, if they are not counted with the client's yet.
    pub(super) fn untallied(&self) -> Option<Stats> {
        let state = self.lock();
        (!state.is_tallied).then(|| state.stats())
    }

    /// The figures of a link that has ended, to be counted with the client's.
    pub(super) fn tallied(&self) -> Stats {
        let mut state = self.lock();
        state.is_tallied = true;
        state.stats()
    }

    /// How many calls there are, for who chooses among links.
    pub(super) fn load(&self) -> usize {
        self.lock().count()
    }

    /// A command of this name may be about to change the connection's state. What it undoes is known by its reply only: see [`Link::ends`].
    pub(super) fn changes(&self, name: &[u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("MULTI") || is("WATCH") {
            self.opened.fetch_add(1, Ordering::Relaxed);
        } else if !(is("EXEC") || is("DISCARD") || is("UNWATCH")) {
            self.changed.store(true, Ordering::Relaxed);
        }
    }

    /// The group of a command that ends a transaction, of so many replies; made before it is sent.
    pub(super) fn ends(&self, replies: usize) -> Group {
        Group::exec(replies, self.opened.load(Ordering::Relaxed))
    }

    /// Whether the connection's next user would notice what this one has done.
    pub(super) fn is_changed(&self) -> bool {
        let is_open = self.opened.load(Ordering::Relaxed) > self.closed.load(Ordering::Relaxed);
        is_open || self.changed.load(Ordering::Relaxed)
    }
}
