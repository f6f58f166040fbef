//! The calls of a pool, as its own process knows them: those that lie in the table, and those that wait for room there.
//!
//! # What holds
//!
//! * All of it is under one lock, and nothing foreign is called under it: what has ended is put aside, and told by the pool's own thread.
//! * A slot's generation and whose it is are remembered here; what the shared memory says is compared with that, and believed only where it fits.
//! * A call is in exactly one place: waiting, with its bytes; or in a slot. What leaves `calls` is put aside once, or handed out by
//!   a cancel.
//! * Calls of one level go to the table in the order in which they came, the higher level first; one that finds the table full takes the place of one of a lower level.

#![forbid(unsafe_code)]

mod endings;
mod placing;
mod waiting;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use self::waiting::Waiting;
use super::{
    Completion,
    blocks::{BlockRef, Lender},
    layout::{LEVELS, Memory, QueueWords, Slots as Table, level},
    parts::{self, Pieces},
    pool::Shutdown,
    table::{Claimant, Entry, State},
};
use crate::{
    error::{Error, Result},
    priority::Priority,
    slots::Slots,
};

/// Each level has one in so many slots of the table.
const SHARES: usize = 16;

/// Why a call that runs is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Deadline,
    Kill,
}

#[derive(Debug)]
enum Place {
    Waiting { body: Vec<u8>, count: usize },
    Slot { slot: u32, block: Option<(BlockRef, usize)> },
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placed {
    Ready,
    NoSlot,
    NoMemory,
}

#[derive(Debug)]
pub(super) struct Call<T> {
    context: T,
    priority: Priority,
    /// Its number among all.
    arrival: u64,
    /// The workers that may run it.
    within: Option<Arc<[u64]>>,
    has_deadline: bool,
    place: Place,
    ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Shadow {
    generation: u32,
    /// 0: none.
    call: u64,
    order: u64,
}

/// The bytes of a call.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Parts(Pieces<'a>, usize),
    Body(&'a [u8], usize),
}

impl Source<'_> {
    fn space(&self) -> usize {
        match self {
            Self::Parts(_, space) => *space,
            Self::Body(body, _) => body.len(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Parts(parts, _) => parts.len(),
            Self::Body(_, count) => *count,
        }
    }

    fn put(&self, mut put: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        match self {
            Self::Parts(parts, _) => parts::lay(parts, put),
            Self::Body(body, _) => put(0, body),
        }
    }
}

fn is_in(within: &[u64], worker: usize) -> bool {
    within.get(worker / 64).is_some_and(|word| word >> (worker % 64) & 1 != 0)
}

/// Runs that are to be killed, each for a call that it was doomed for.
pub(super) type Kills = Vec<(Claimant, Entry)>;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) submitted: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) started: u64,
    pub(super) died: u64,
}

pub(super) struct Front<T> {
    table: Table,
    /// The shared ones, then those of each worker; with the ends that this process has written.
    queues: Vec<(QueueWords, u64)>,
    pinned: usize,
    calls: Slots<Call<T>>,
    shadows: Vec<Shadow>,
    free: Vec<u32>,
    waiting: [Waiting; LEVELS],
    waits: usize,
    /// How many there are in the table.
    of_level: [usize; LEVELS],
    /// So many of each level stay there, whatever is above it.
    share: usize,
    next_order: u64,
    inline_bytes: usize,
    pub(super) lender: Lender,
    out_bytes: [usize; LEVELS],
    most_out: usize,
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Ended, and not told yet.
    outbox: Vec<Completion<T>>,
    /// For the log.
    reports: Vec<String>,
    pub(super) closing: Option<Shutdown>,
    pub(super) broken: Option<String>,
    pub(super) counts: Counts,
}

impl<T> Front<T> {
    pub(super) fn new(memory: &Memory, most_out: usize, most_kept: usize) -> Result<Self> {
        let layout = memory.layout();
        let pinned = if layout.pinned { layout.workers } else { 0 };
        let shared = (0..LEVELS).map(|level| (level, None));
        let own = (0..pinned).flat_map(|worker| (0..LEVELS).map(move |level| (level, Some(worker))));
        let queues = shared.chain(own).map(|(level, of)| Ok((memory.queue(level, of)?, 0)));
        let slots = u32::try_from(layout.slots).unwrap_or(u32::MAX);
        Ok(Self {
            table: memory.slots()?,
            queues: queues.collect::<Result<_>>()?,
            pinned,
            calls: Slots::new(),
            shadows: vec![Shadow::default(); layout.slots],
            free: (0..slots).rev().collect(),
            waiting: Default::default(),
            waits: 0,
            of_level: [0; LEVELS],
            share: (layout.slots / SHARES).max(1),
            next_order: 0,
            inline_bytes: layout.inline_bytes,
            lender: Lender::new(memory.parents_blocks()?, most_kept),
            out_bytes: [0; LEVELS],
            most_out,
            timers: BinaryHeap::new(),
            outbox: Vec::new(),
            reports: Vec::new(),
            closing: None,
            broken: None,
            counts: Counts::default(),
        })
    }

    /// Calls that are not over.
    pub(super) fn unfinished(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn out_bytes(&self) -> usize {
        self.out_bytes.iter().sum()
    }

    pub(super) fn report(&mut self, text: String) {
        self.reports.push(text);
    }

    pub(super) fn take_reports(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reports)
    }

    pub(super) fn take_outbox(&mut self) -> Vec<Completion<T>> {
        std::mem::take(&mut self.outbox)
    }

    /// How many are queued, and how many run.
    pub(super) fn queued_and_running(&self) -> (usize, usize) {
        let queued = self.in_table().filter(|(_, shadow, word)| *word == State::Queued.word(shadow.generation));
        let queued = self.waits + queued.count();
        (queued, self.calls.len().saturating_sub(queued))
    }

    /// Each slot that has a call, with what its word says.
    fn in_table(&self) -> impl Iterator<Item = (u32, &Shadow, u64)> {
        let words = (0..).map(|slot| (slot, self.table.word(slot).map_or(0, |word| word.load(Ordering::Acquire))));
        let all = self.shadows.iter().zip(words).map(|(shadow, (slot, word))| (slot, shadow, word));
        all.filter(|(_, shadow, _)| shadow.call != 0)
    }

    /// Takes a call; whether it lies ready.
    ///
    /// # Errors
    /// With the context: there is no memory for it.
    pub(super) fn add(
        &mut self,
        context: T,
        priority: Priority,
        within: Option<Arc<[u64]>>,
        deadline: Option<Instant>,
        source: Source<'_>,
    ) -> Result<(u64, bool), (Error, T)> {
        let place = Place::Waiting { body: Vec::new(), count: 0 };
        let (has_deadline, arrival) = (deadline.is_some(), self.counts.submitted);
        let id = self.calls.insert(Call { context, priority, arrival, within, has_deadline, place, ending: None });
        let (its, is_long) = (level(priority), source.space() > self.inline_bytes);
        let behind = (0..=its).any(|level| self.waiting[level].is_ahead_of(is_long && level == its));
        let placed = if behind { Ok(Placed::NoSlot) } else { self.place(id, source) };
        let placed = match placed {
            Ok(placed) => placed,
            Err(error) => match self.calls.remove(id) {
                Some(call) => return Err((error, call.context)),
                None => unreachable!("it was put there"),
            },
        };
        let is_ready = placed == Placed::Ready;
        if !is_ready {
            let mut body = Vec::with_capacity(source.space());
            let _ = source.put(|at, piece| {
                body.resize(at, 0);
                body.extend_from_slice(piece);
                Ok(())
            });
            body.resize(source.space(), 0);
            if let Some(call) = self.calls.get_mut(id) {
                call.place = Place::Waiting { body, count: source.count() };
            }
            self.waiting[its].is_stuck |= placed == Placed::NoMemory;
            self.waiting[its].add(is_long, arrival, id);
            self.waits += 1;
        }
        if let Some(at) = deadline {
            self.add_timer(at, id);
        }
        self.counts.submitted += 1;
        Ok((id, is_ready))
    }

    fn add_timer(&mut self, at: Instant, id: u64) {
        // Those of calls that are over are left until they are many.
        if self.timers.len() > 2 * self.calls.len() + 1024 {
            let calls = &mut self.calls;
            self.timers.retain(|Reverse((_, id))| calls.get_mut(*id).is_some());
        }
        self.timers.push(Reverse((at, id)));
    }

    /// When the next deadline is.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if self.calls.get_mut(id).is_some() {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }
}
