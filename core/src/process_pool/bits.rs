//! One bit for each worker: who sleeps, and whose side has something for the pool's process.
//!
//! # Why no bit is lost
//!
//! Whoever has made something visible passes a full fence and sets its bit, unless it finds it set; whoever takes the bits away passes a full fence
//! and then looks for what they stand for. One of the two fences comes first: either the look finds it, or the bit is found taken away, and is
//! set again.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    primitive::full_fence,
    shm::{Words, word::Word},
};

/// After something was made visible, and a full fence: its bit is there, or is taken away by somebody who looks from then on.
#[inline]
pub(super) fn set(word: &impl Word, bit: u64) {
    if word.load(Ordering::Relaxed) & bit == 0 {
        word.add_bits(bit);
    }
}

/// All that were there, before a look for what they stand for.
#[inline]
pub(super) fn take(word: &impl Word) -> u64 {
    if word.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    let bits = word.swap(0);
    full_fence();
    bits
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Bits {
    words: Words,
    workers: usize,
}

impl Bits {
    pub(super) fn new(words: Words, workers: usize) -> Self {
        Self { words, workers }
    }

    /// Those of a word that stand for a worker: whatever is written there.
    fn known(&self, index: usize) -> u64 {
        let workers = self.workers - index * 64;
        if workers >= 64 { u64::MAX } else { (1 << workers) - 1 }
    }

    /// After a full fence.
    pub(super) fn set(&self, worker: usize) {
        set(&self.words[worker / 64], 1 << (worker % 64));
    }

    /// Whether it was set.
    pub(super) fn clear(&self, worker: usize) -> bool {
        let bit = 1 << (worker % 64);
        self.words[worker / 64].fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }

    /// Takes one of them away, if there is one within the mask of words.
    #[inline]
    pub(super) fn take_one(&self, within: Option<&[u64]>) -> Option<usize> {
        for (index, word) in self.words.iter().enumerate() {
            let mask = within.map_or(u64::MAX, |within| within.get(index).copied().unwrap_or(0)) & self.known(index);
            let mut bits = word.load(Ordering::Relaxed) & mask;
            while bits != 0 {
                let worker = index * 64 + bits.trailing_zeros() as usize;
                if self.clear(worker) {
                    return Some(worker);
                }
                bits = word.load(Ordering::Relaxed) & mask;
            }
        }
        None
    }

    #[inline]
    pub(super) fn any(&self) -> bool {
        self.words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    pub(super) fn count(&self) -> usize {
        let of = |(index, word): (usize, &AtomicU64)| word.load(Ordering::Relaxed) & self.known(index);
        self.words.iter().enumerate().map(|each| of(each).count_ones() as usize).sum()
    }

    /// Takes all away, and calls with each.
    pub(super) fn take_all(&self, mut each: impl FnMut(usize)) {
        for (index, word) in self.words.iter().enumerate() {
            let mut bits = take(word) & self.known(index);
            while bits != 0 {
                each(index * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

/// Wakes one idle worker, within a mask of them, if there is one. After something has been made visible that they look for.
#[inline]
pub(super) fn wake_one(idle: &Bits, within: Option<&[u64]>, ring: impl FnOnce(usize)) {
    full_fence();
    if let Some(worker) = idle.take_one(within) {
        ring(worker);
    }
}
