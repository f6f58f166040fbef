//! Calls that lie ready, and how one of several workers takes one, any of which may be killed at any instruction.
//!
//! # A slot's word
//!
//! `generation | run | worker | state`. The pool's process alone fills a slot (`FREE` to `QUEUED`, with the next generation) and empties it; a worker
//! **claims** it (`QUEUED` to `CLAIMED`, with its own number and run) and says that it has finished (`CLAIMED` to `DONE`); whoever wants a call that runs
//! to end **dooms** it (`CLAIMED` to `DOOMED`). Each is one compare-and-swap. So a slot is `QUEUED` in a generation at most once, and
//! from there on its word says who has it, whatever becomes of that one.
//!
//! # A queue
//!
//! A ring of entries, `generation | slot`, of which one process writes the next ones and the end. They are hints: an entry is dead once its slot
//! is not `QUEUED` in its generation, and that it stays. `head` says that all entries before it are dead. Whoever finds the entry at `head` dead, or has made
//! it so, moves `head` by one swap: nobody needs to, and one who is killed before it has not taken anything along.
//!
//! * The bytes of a slot are there before its word says `QUEUED` (Release), which a claim reads (Acquire); and the word before the queue's `tail`.
//! * An entry is written when `head` has passed the one that was in its place. A worker that has read an old `head` may
//!   find a younger entry in it: it claims that, and its swap of `head` fails.
//! * A full ring is made short by its writer: what is alive is moved towards the end, and `head` behind what was dead. An entry
//!   is written to its new place before it goes from its old one, so it can be found all the time, in the wrong order for a moment at worst.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use crate::{
    error::{Error, Result},
    shm::word::Word,
};

/// Who claims: a worker, and which run of it, of as many bits as the word has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claimant {
    worker: u16,
    run: u16,
}

const BITS: u32 = 12;
const LOW: u64 = (1 << BITS) - 1;

impl Claimant {
    pub(super) fn new(worker: usize, run: u64) -> Self {
        Self { worker: (worker as u64 & LOW) as u16, run: (run & LOW) as u16 }
    }

    fn bits(self) -> u64 {
        u64::from(self.run) << (8 + BITS) | u64::from(self.worker) << 8
    }

    pub(super) fn worker(self) -> usize {
        self.worker.into()
    }
}

/// What a slot's word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Queued,
    Claimed(Claimant),
    Done(Claimant),
    Doomed(Claimant),
}

impl State {
    pub(super) fn word(self, generation: u32) -> u64 {
        let (state, claimant) = match self {
            Self::Free => (0, 0),
            Self::Queued => (1, 0),
            Self::Claimed(by) => (2, by.bits()),
            Self::Done(by) => (3, by.bits()),
            Self::Doomed(by) => (4, by.bits()),
        };
        u64::from(generation) << 32 | claimant | state
    }

    /// `None` for a word that nobody who keeps to the rules has written, or for another generation.
    #[expect(clippy::cast_possible_truncation, reason = "cut to its bits")]
    pub(super) fn of(word: u64, generation: u32) -> Option<Self> {
        if (word >> 32) as u32 != generation {
            return None;
        }
        let by = Claimant { worker: ((word >> 8) & LOW) as u16, run: ((word >> (8 + BITS)) & LOW) as u16 };
        let state = match word as u8 {
            0 => Self::Free,
            1 => Self::Queued,
            2 => Self::Claimed(by),
            3 => Self::Done(by),
            4 => Self::Doomed(by),
            _ => return None,
        };
        (state.word(generation) == word).then_some(state)
    }
}

/// From one state to another, if it is in that.
pub(super) fn change(word: &impl Word, generation: u32, from: State, to: State) -> bool {
    word.swap_if(from.word(generation), to.word(generation))
}

/// A call in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl Entry {
    fn word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    #[expect(clippy::cast_possible_truncation, reason = "two halves")]
    fn of(word: u64) -> Self {
        Self { slot: word as u32, generation: (word >> 32) as u32 }
    }
}

/// What a queue is in; see the module's text.
pub(super) struct Queue<'a, W> {
    pub(super) head: &'a W,
    pub(super) tail: &'a W,
    /// A power of two.
    pub(super) entries: &'a [W],
}

fn damaged(head: u64, tail: u64) -> Error {
    Error::Failed(format!("the queue of calls is damaged: it goes from {head} to {tail}"))
}

impl<'a, W: Word> Queue<'a, W> {
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is asked for")]
    fn entry(&self, position: u64) -> &'a W {
        &self.entries[position as usize & (self.entries.len() - 1)]
    }

    /// Whether there may be something.
    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire) == self.tail.load(Ordering::Acquire)
    }

    /// A worker: takes the first call that is still queued. `word` is that of a slot, if there is one of that number.
    pub(super) fn claim<'w>(&self, by: Claimant, word: impl Fn(u32) -> Option<&'w W>) -> Result<Option<Entry>>
    where
        W: 'w,
    {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let tail = self.tail.load(Ordering::Acquire);
            if head == tail {
                return Ok(None);
            }
            if tail.wrapping_sub(head) > self.entries.len() as u64 {
                // Else it was moved on between the two looks.
                if self.head.load(Ordering::Acquire) == head {
                    return Err(damaged(head, tail));
                }
                continue;
            }
            let entry = Entry::of(self.entry(head).load(Ordering::Relaxed));
            let found = match word(entry.slot) {
                Some(word) => change(word, entry.generation, State::Queued, State::Claimed(by)),
                // One that was written over, or a queue that was.
                None if self.head.load(Ordering::Acquire) == head => return Err(damaged(head, tail)),
                None => false,
            };
            self.head.swap_if(head, head.wrapping_add(1));
            if found {
                return Ok(Some(entry));
            }
        }
    }

    /// The writer: adds an entry behind the last one, at `tail`, which is its own. False if there is no room.
    pub(super) fn push(&self, tail: &mut u64, entry: Entry) -> Result<bool> {
        let head = self.head.load(Ordering::Acquire);
        let there = tail.wrapping_sub(head);
        if there > self.entries.len() as u64 {
            return Err(damaged(head, *tail));
        }
        if there == self.entries.len() as u64 {
            return Ok(false);
        }
        self.entry(*tail).store(entry.word(), Ordering::Relaxed);
        *tail = tail.wrapping_add(1);
        self.tail.store(*tail, Ordering::Release);
        Ok(true)
    }

    /// The writer: makes room, by what is dead.
    pub(super) fn shorten(&self, tail: u64, is_alive: impl Fn(Entry) -> bool) {
        let head = self.head.load(Ordering::Acquire);
        let count = tail.wrapping_sub(head).min(self.entries.len() as u64);
        // From the end: what is alive goes to `to`, from at or before it.
        let mut to = tail;
        for back in 1..=count {
            let from = tail.wrapping_sub(back);
            let entry = Entry::of(self.entry(from).load(Ordering::Relaxed));
            if is_alive(entry) {
                to = to.wrapping_sub(1);
                // Release: whoever finds it gone from its old place, in a word written later, finds it here.
                self.entry(to).store(entry.word(), Ordering::Release);
            }
        }
        // Those before `to` are dead, or copies of what is behind it. Fails if somebody has moved it meanwhile: again, from there.
        let mut seen = head;
        while to.wrapping_sub(seen) <= count && seen != to && !self.head.swap_if(seen, to) {
            seen = self.head.load(Ordering::Acquire);
        }
    }

    /// The writer, when nobody else looks at it or what is in it cannot be right: empties it.
    pub(super) fn clear(&self, tail: u64) {
        self.tail.store(tail, Ordering::Release);
        self.head.store(tail, Ordering::Release);
    }
}
