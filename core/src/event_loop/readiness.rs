//! The readiness record of a socket: what it is ready for, and who waits for that.
//!
//! The socket is registered once, edge-triggered and for both directions. The loop's thread tells the record what
//! has changed; whoever reads or writes clears a direction that would block, and waits for it here.
//!
//! # Invariants
//!
//! * One word holds the directions that are ready and a count of what was told. A direction is cleared only if nothing was told since
//!   the look that came before the system call ([`Seen`]): what arrives between the two is never lost.
//! * A waiter looks at the word once more under the lock it is stored under; the loop changes the word first and takes the
//!   waiters, under that lock, second. So one of the two finds the other.
//! * Wakers run on the loop's thread, and are cloned and dropped anywhere, with no lock held.
//! * All who wait for a direction when it is told are woken, so a wake-up that finds its future dropped was nobody else's. Who waits anew
//!   meanwhile is not among them: those who wait again at once do not keep the loop.
//! * What the system tells only once, that a direction has ended, stays, until an attempt that would block shows that it was not so:
//!   the last writer of a FIFO has gone and another one has come, or a socket had an error beside its stream.

#![forbid(unsafe_code)]

#[cfg(all(test, loom))]
mod model;

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU32, AtomicUsize},
    },
    task::{Context, Poll, Waker},
};

use mio::event::Event;

use crate::{
    error::{Error, Result},
    job::caught,
    primitive::{AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Reads, and accepts.
    Read = 0,
    /// Writes, and connects.
    Write = 1,
}

const READ: u64 = 1;
const WRITE: u64 = 2;
const READ_ENDED: u64 = 4;
const WRITE_ENDED: u64 = 8;
/// Urgent data has come: a read stops at it, so a short one is no sign that nothing is left.
const URGENT: u64 = 16;
/// The loop has ended: nothing will be told any more.
const GONE: u64 = 32;
/// What is above counts.
const TOLD: u64 = 64;

/// How often in a row a direction is found ready before the others go first: a peer that never pauses does not keep the loop.
const BURST: u32 = 64;
/// Wakers that are taken at a time.
const AT_ONCE: usize = 8;

impl Direction {
    const fn bit(self) -> u64 {
        match self {
            Self::Read => READ,
            Self::Write => WRITE,
        }
    }

    /// What says that an attempt would not block.
    const fn mask(self) -> u64 {
        match self {
            Self::Read => READ | READ_ENDED,
            Self::Write => WRITE | WRITE_ENDED,
        }
    }
}

/// The state of a record as it was seen before a system call.
#[derive(Debug, Clone, Copy)]
pub struct Seen(u64);

impl Seen {
    /// Whether a short read means that the socket is drained.
    pub(super) fn is_short_drained(self) -> bool {
        self.0 & URGENT == 0
    }
}

/// Who waits for one direction.
#[derive(Default)]
struct Waiters {
    /// The last who asked with `poll_*`.
    polled: Option<Waker>,
    /// Futures, each with a name of its own, in the order of their names.
    named: Vec<(u64, Waker)>,
}

#[derive(Default)]
struct Waiting {
    directions: [Waiters; 2],
    last_name: u64,
    /// Whether the loop was told that somebody waits.
    counted: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.directions.iter().all(|waiters| waiters.polled.is_none() && waiters.named.is_empty())
    }
}

/// See the module's text.
pub(super) struct Record {
    word: AtomicU64,
    /// How often each direction was found ready since somebody had to wait for it.
    streaks: [AtomicU32; 2],
    waiting: Mutex<Waiting>,
    /// How many sources the loop waits for before it is idle. A socket is one while somebody waits for it.
    referenced: Arc<AtomicUsize>,
}

impl Record {
    /// At first both directions are ready: an attempt tells more than a wait.
    pub(super) fn new(referenced: Arc<AtomicUsize>) -> Self {
        Self {
            word: AtomicU64::new(READ | WRITE),
            streaks: Default::default(),
            waiting: Mutex::new(Waiting::default()),
            referenced,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing foreign runs under it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> Seen {
        Seen(self.word.load(Ordering::Acquire))
    }

    /// The attempt has used up what there was. An end is still to be found.
    pub(super) fn clear(&self, direction: Direction, seen: Seen) {
        self.clear_bits(direction.bit(), seen);
    }

    /// The attempt would have blocked: there is no end either.
    pub(super) fn clear_all(&self, direction: Direction, seen: Seen) {
        self.clear_bits(direction.mask(), seen);
    }

    fn clear_bits(&self, bits: u64, seen: Seen) {
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
            (now / TOLD == seen.0 / TOLD).then_some(now & !bits)
        });
    }

    /// The loop's thread: what the system has told.
    pub(super) fn tell_event(&self, event: &Event) {
        let flag = |is: bool, bits: u64| if is { bits } else { 0 };
        // An error is fetched by the next attempt, in either direction.
        self.tell(
            flag(event.is_readable(), READ)
                | flag(event.is_writable(), WRITE)
                | flag(event.is_error(), READ | WRITE)
                | flag(event.is_read_closed(), READ | READ_ENDED)
                | flag(event.is_write_closed(), WRITE | WRITE_ENDED)
                | flag(event.is_priority(), READ | URGENT),
        );
    }

    /// An attempt in this direction is worth while again.
    pub(super) fn tell_ready(&self, direction: Direction) {
        self.tell(direction.bit());
    }

    /// Nothing will be told any more.
    pub(super) fn tell_gone(&self) {
        self.tell(GONE);
    }

    fn tell(&self, bits: u64) {
        let _ =
            self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| Some((now | bits).wrapping_add(TOLD)));
        let mut taken: [Option<Waker>; AT_ONCE] = Default::default();
        let mut last_name = None;
        loop {
            let mut is_more = false;
            {
                let mut waiting = self.waiting();
                let last_name = *last_name.get_or_insert(waiting.last_name);
                let mut places = taken.iter_mut();
                for direction in [Direction::Read, Direction::Write] {
                    if bits & (direction.mask() | GONE) != 0 {
                        is_more |= waiting.directions[direction as usize].take_into(&mut places, last_name);
                    }
                }
                self.count(&mut waiting);
            }
            // Foreign code.
            for waker in taken.iter_mut().filter_map(Option::take) {
                caught("waker", || waker.wake());
            }
            if !is_more {
                return;
            }
        }
    }

    /// Tells the loop whether somebody waits.
    fn count(&self, waiting: &mut Waiting) {
        let waits = !waiting.is_empty();
        if waits != waiting.counted {
            waiting.counted = waits;
            if waits {
                self.referenced.fetch_add(1, Ordering::Relaxed);
            } else {
                self.referenced.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Ready when an attempt is worth while. Who waits is the last who asked; with a name (0 at first), each who asked under its own,
    /// until [`Record::forget`].
    pub(super) fn poll(
        &self,
        direction: Direction,
        name: Option<&mut u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Seen>> {
        let streak = &self.streaks[direction as usize];
        let look = || {
            let seen = self.seen();
            match seen.0 {
                word if word & direction.mask() != 0 => Some(Ok(seen)),
                word if word & GONE != 0 => Some(Err(Error::Closed("event loop"))),
                _ => None,
            }
        };
        if let Some(found) = look() {
            // A race of two tasks loses a count, which only makes the turn longer.
            let times = streak.load(Ordering::Relaxed) + 1;
            streak.store(times % BURST, Ordering::Relaxed);
            if times == BURST && found.is_ok() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(found);
        }
        streak.store(0, Ordering::Relaxed);
        let mut new = Some(cx.waker().clone());
        let found = {
            let mut waiting = self.waiting();
            let found = look();
            if found.is_none() {
                waiting.store(direction, name, &mut new);
                self.count(&mut waiting);
            }
            found
        };
        // What it replaced.
        drop(new);
        found.map_or(Poll::Pending, Poll::Ready)
    }

    /// The future of this name waits no longer.
    pub(super) fn forget(&self, direction: Direction, name: u64) {
        let mut waiting = self.waiting();
        let named = &mut waiting.directions[direction as usize].named;
        let waker = named.iter().position(|(other, _)| *other == name).map(|index| named.remove(index));
        self.count(&mut waiting);
        drop(waiting);
        drop(waker);
    }

    /// Who polled last waits no longer.
    pub(super) fn forget_polled(&self, direction: Direction) {
        let mut waiting = self.waiting();
        let waker = waiting.directions[direction as usize].polled.take();
        self.count(&mut waiting);
        drop(waiting);
        drop(waker);
    }

    /// The socket is closed or leaves the loop.
    pub(super) fn forget_all(&self) {
        let mut waiting = self.waiting();
        let wakers = std::mem::take(&mut waiting.directions);
        self.count(&mut waiting);
        drop(waiting);
        drop(wakers);
    }
}

impl Waiters {
    /// Takes those up to this name. True if there was no place for all.
    fn take_into<'a>(&mut self, places: &mut impl Iterator<Item = &'a mut Option<Waker>>, last_name: u64) -> bool {
        if self.polled.is_some() {
            let Some(place) = places.next() else { return true };
            *place = self.polled.take();
        }
        let count = self.named.partition_point(|(name, _)| *name <= last_name);
        let mut taken = 0;
        for ((_, waker), place) in self.named[..count].iter_mut().zip(places) {
            taken += 1;
            *place = Some(std::mem::replace(waker, Waker::noop().clone()));
        }
        self.named.drain(..taken);
        taken < count
    }
}

impl Waiting {
    /// Stores the waker; what it stands in for is left in its place.
    fn store(&mut self, direction: Direction, name: Option<&mut u64>, waker: &mut Option<Waker>) {
        let waiters = &mut self.directions[direction as usize];
        let Some(name) = name else { return std::mem::swap(&mut waiters.polled, waker) };
        if let Some((_, old)) = waiters.named.iter_mut().find(|(other, _)| other == name) {
            let new = waker.take();
            *waker = new.map(|new| std::mem::replace(old, new));
            return;
        }
        self.last_name += 1;
        *name = self.last_name;
        waiters.named.extend(waker.take().map(|waker| (self.last_name, waker)));
    }
}
