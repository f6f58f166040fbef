//! The word of a block, `use | state`, and how the block goes to and fro by it.
//!
//! # What holds
//!
//! * In one use it is lent once (`OWN` to `OUT`), and comes back at most once: by one swap of the borrower's, from `OUT` to `FREE`, or from `ASKED` to `FREE`.
//! * The owner alone goes from `OUT` to `ASKED`, and never back. So the borrower tries `OUT` first: whatever the owner does meanwhile, one of its two swaps
//!   finds what is there, or the block was given up.
//! * Whoever has asked and then finds the block not there, after having said that it sleeps (and a full fence), is told: the swap from `ASKED` comes before the
//!   borrower's look at who sleeps. A request that was not made in time needs none to be told: the block is there.
//! * Release in what the borrower writes, Acquire in what the owner reads: all looks at the block come before its next use.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use crate::shm::word::Word;

const OWN: u64 = 0;
const OUT: u64 = 1;
const FREE: u64 = 2;
const GONE: u64 = 3;
/// As `OUT`, and its owner is to be told when it is given back.
const ASKED: u64 = 4;

fn at(usage: u32, state: u64) -> u64 {
    u64::from(usage) << 32 | state
}

/// Which use a word is in, as whoever owns the block finds it who has not had it before.
pub(in super::super) fn usage(word: &impl Word) -> u32 {
    (word.load(Ordering::Acquire) >> 32) as u32
}

/// The owner: nobody has it, in this use, which is the next one. A swap, since its borrower may be giving it back: one of the two comes first.
pub(in super::super) fn own(word: &impl Word, usage: u32) {
    word.swap(at(usage, OWN));
}

/// The owner: it is lent, in this use, which is the next one.
pub(in super::super) fn lend(word: &impl Word, usage: u32) {
    word.store(at(usage, OUT), Ordering::Release);
}

/// The owner: there is nothing under this number any more.
pub(in super::super) fn end(word: &impl Word, usage: u32) {
    word.store(at(usage, GONE), Ordering::Release);
}

/// The owner: it wants to be told when this use is over. Nothing for one that was asked for before, or has been given back.
pub(in super::super) fn ask(word: &impl Word, usage: u32) {
    word.swap_if(at(usage, OUT), at(usage, ASKED));
}

/// The owner: whether it was given back.
pub(in super::super) fn is_back(word: &impl Word, usage: u32) -> bool {
    word.load(Ordering::Acquire) == at(usage, FREE)
}

/// The borrower: nobody looks at it any more, in this use. Whether its owner is to be told. It changes nothing for one that was given up.
pub(in super::super) fn give_back(word: &impl Word, usage: u32) -> bool {
    !word.swap_if(at(usage, OUT), at(usage, FREE)) && word.swap_if(at(usage, ASKED), at(usage, FREE))
}

/// The borrower: whether there is nothing under this number any more.
pub(in super::super) fn is_gone(word: &impl Word) -> bool {
    word.load(Ordering::Acquire) & u64::from(u32::MAX) == GONE
}
