//! What the processes of a pool share: one segment, in which the calls lie that are ready, in queues, with the words of the blocks and the bells; and
//! for each worker a ring of its results.

#![forbid(unsafe_code)]

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{bits::Bits, table::Queue};
use crate::{
    error::{Error, Result},
    priority::Priority,
    shm::{Doorbell, Receiver, Segment, Sender, Word32, Words, ring, word::WORD},
};

/// What is in the segment: a process pool, in the first form of it.
const KIND: u64 = u64::from_le_bytes(*b"ppool\0\0\x01");
const LINE: usize = Segment::LINE / WORD;

/// Blocks of the pool's process, and of each worker.
pub(super) const PARENTS_BLOCKS: usize = 128;
pub(super) const WORKERS_BLOCKS: usize = 64;
/// Words at the beginning of a slot: its state, and where the parts are.
pub(super) const SLOT_HEADER: usize = 8;

/// Where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) workers: usize,
    pub(super) slots: usize,
    pub(super) inline_bytes: usize,
    pub(super) ring_bytes: usize,
    /// Each worker has queues of its own.
    pub(super) pinned: bool,
}

/// The number of a level's queue.
pub(super) fn level(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

pub(super) const LEVELS: usize = 3;

impl Layout {
    /// Words for a bit of each worker.
    pub(super) fn bits(&self) -> usize {
        self.workers.div_ceil(64)
    }

    fn queue_bytes(&self) -> usize {
        2 * Segment::LINE + self.entries() * WORD
    }

    /// More than there are slots: what is dead need not be looked for with each call.
    fn entries(&self) -> usize {
        self.slots * 2
    }

    fn idle(&self) -> usize {
        Segment::FIRST
    }

    fn full(&self) -> usize {
        self.idle() + Segment::space(self.bits() * WORD)
    }

    fn parents_bell(&self) -> usize {
        self.full() + Segment::space(self.bits() * WORD)
    }

    fn parents_blocks(&self) -> usize {
        self.parents_bell() + Segment::space(Doorbell::SPACE)
    }

    /// The shared queues, then those of each worker.
    fn queue(&self, number: usize) -> usize {
        self.parents_blocks()
            + Segment::space(PARENTS_BLOCKS * WORD)
            + number.saturating_mul(Segment::space(self.queue_bytes()))
    }

    fn queues(&self) -> usize {
        LEVELS * if self.pinned { 1 + self.workers } else { 1 }
    }

    fn slot_bytes(&self) -> usize {
        Segment::space(SLOT_HEADER * WORD + self.inline_bytes)
    }

    fn slot(&self, slot: usize) -> usize {
        self.queue(self.queues()).saturating_add(slot.saturating_mul(self.slot_bytes()))
    }

    fn worker_bytes(&self) -> Result<usize> {
        let places = [Segment::LINE, Doorbell::SPACE, WORKERS_BLOCKS * WORD, ring::space(self.ring_bytes)?];
        Ok(places.iter().map(|place| Segment::space(*place)).sum())
    }

    fn worker(&self, worker: usize) -> Result<usize> {
        Ok(self.slot(self.slots).saturating_add(worker.saturating_mul(self.worker_bytes()?)))
    }

    fn ring(&self, worker: usize) -> Result<usize> {
        let before = [Segment::LINE, Doorbell::SPACE, WORKERS_BLOCKS * WORD];
        Ok(self.worker(worker)?.saturating_add(before.iter().map(|place| Segment::space(*place)).sum()))
    }
}

/// A queue's words.
#[derive(Debug, Clone)]
pub(super) struct QueueWords(Words);

impl QueueWords {
    #[inline]
    pub(super) fn queue(&self) -> Queue<'_, AtomicU64> {
        Queue { head: &self.0[0], tail: &self.0[LINE], entries: &self.0[2 * LINE..] }
    }
}

/// The words that only one worker writes.
#[derive(Debug, Clone)]
pub(super) struct Marks(Words);

impl Marks {
    /// This run of it can work.
    pub(super) fn set_ready(&self, run: u64) {
        self.0[0].store(run, Ordering::Release);
    }

    /// The last run that was.
    pub(super) fn last_ready(&self) -> u64 {
        self.0[0].load(Ordering::Acquire)
    }

    pub(super) fn is_ready(&self, run: u64) -> bool {
        self.0[0].load(Ordering::Acquire) == run
    }
}

/// See the module's text; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    segment: Arc<Segment>,
    layout: Layout,
}

impl Memory {
    pub(super) fn new(layout: Layout) -> Result<Self> {
        let segment = Arc::new(Segment::new("coop-process-pool", KIND, layout.worker(layout.workers)?)?);
        let memory = Self { segment, layout };
        (0..layout.workers).try_for_each(|worker| memory.make_ring(worker))?;
        Ok(memory)
    }

    /// What another process has made, as a manifest has said.
    pub(super) fn attach(fd: OwnedFd, layout: Layout) -> Result<Self> {
        let segment = Arc::new(Segment::attach_known(fd)?);
        let (found, needed) = (segment.bytes(), layout.worker(layout.workers)?);
        if found != needed {
            let text = format!("{found} bytes of shared memory are not those of this pool, which are {needed}");
            return Err(Error::Invalid(text));
        }
        Ok(Self { segment, layout })
    }

    /// For another process.
    pub(super) fn fd(&self) -> Result<OwnedFd> {
        self.segment.as_fd().try_clone_to_owned().map_err(|error| Error::os("the memory of a process pool", &error))
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        self.segment.check()
    }

    /// Workers that wait for calls.
    pub(super) fn idle(&self) -> Result<Bits> {
        self.bits(self.layout.idle())
    }

    /// Workers whose rings may have something.
    pub(super) fn full(&self) -> Result<Bits> {
        self.bits(self.layout.full())
    }

    fn bits(&self, offset: usize) -> Result<Bits> {
        Ok(Bits::new(self.segment.words(offset, self.layout.bits())?, self.layout.workers))
    }

    pub(super) fn parents_bell(&self) -> Result<Doorbell> {
        Doorbell::attach(&self.segment, self.layout.parents_bell(), None)
    }

    pub(super) fn parents_blocks(&self) -> Result<Words> {
        self.segment.words(self.layout.parents_blocks(), PARENTS_BLOCKS)
    }

    /// The shared queue of a level, or a worker's own.
    pub(super) fn queue(&self, level: usize, of: Option<usize>) -> Result<QueueWords> {
        let number = level + LEVELS * of.map_or(0, |worker| worker + 1);
        self.segment.words(self.layout.queue(number), self.layout.queue_bytes() / WORD).map(QueueWords)
    }

    pub(super) fn slots(&self) -> Result<Slots> {
        let stride = self.layout.slot_bytes() / WORD;
        let words = self.segment.words(self.layout.slot(0), self.layout.slots * stride)?;
        Ok(Slots { words, stride, count: self.layout.slots })
    }

    pub(super) fn marks(&self, worker: usize) -> Result<Marks> {
        self.segment.words(self.layout.worker(worker)?, LINE).map(Marks)
    }

    pub(super) fn bell(&self, worker: usize) -> Result<Doorbell> {
        Doorbell::attach(&self.segment, self.layout.worker(worker)? + Segment::LINE, None)
    }

    /// Set when the worker is to stop.
    pub(super) fn stop(&self, worker: usize) -> Result<Word32> {
        self.segment.word32(self.layout.worker(worker)? + Segment::LINE / 2)
    }

    pub(super) fn blocks(&self, worker: usize) -> Result<Words> {
        let at = self.layout.worker(worker)? + Segment::LINE + Segment::space(Doorbell::SPACE);
        self.segment.words(at, WORKERS_BLOCKS)
    }

    pub(super) fn make_ring(&self, worker: usize) -> Result<()> {
        ring::create(&self.segment, self.layout.ring(worker)?, self.layout.ring_bytes)
    }

    pub(super) fn sender(&self, worker: usize) -> Result<Sender> {
        Sender::attach(&self.segment, self.layout.ring(worker)?)
    }

    pub(super) fn receiver(&self, worker: usize) -> Result<Receiver> {
        Receiver::attach(&self.segment, self.layout.ring(worker)?)
    }
}

/// The places of calls.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    words: Words,
    stride: usize,
    count: usize,
}

impl Slots {
    /// The word of a slot, if there is one of this number.
    #[inline]
    pub(super) fn word(&self, slot: u32) -> Option<&AtomicU64> {
        self.slot(slot).map(|words| &words[0])
    }

    /// All its words.
    #[inline]
    pub(super) fn slot(&self, slot: u32) -> Option<&[AtomicU64]> {
        let slot = slot as usize;
        (slot < self.count).then(|| &self.words[slot * self.stride..(slot + 1) * self.stride])
    }
}
