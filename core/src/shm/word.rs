//! Words that processes share, and bytes in them: all access to shared memory that a peer may be writing is by whole words.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

/// Bytes of a word.
pub(crate) const WORD: usize = 8;

/// A word that processes share: `std`'s, and under loom loom's as well, so that what is built on it can be checked.
pub(crate) trait Word {
    fn load(&self, ordering: Ordering) -> u64;
    fn store(&self, value: u64, ordering: Ordering);
    /// Whether it was what it should be, and is the new one now.
    fn swap_if(&self, current: u64, new: u64) -> bool;
    /// What it was.
    fn swap(&self, new: u64) -> u64;
    fn add_bits(&self, bits: u64);
}

macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            #[inline(always)]
            fn load(&self, ordering: Ordering) -> u64 {
                self.load(ordering)
            }

            #[inline(always)]
            fn store(&self, value: u64, ordering: Ordering) {
                self.store(value, ordering);
            }

            #[inline(always)]
            fn swap_if(&self, current: u64, new: u64) -> bool {
                self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
            }

            #[inline(always)]
            fn swap(&self, new: u64) -> u64 {
                self.swap(new, Ordering::AcqRel)
            }

            #[inline(always)]
            fn add_bits(&self, bits: u64) {
                self.fetch_or(bits, Ordering::AcqRel);
            }
        }
    };
}

word!(std::sync::atomic::AtomicU64);
#[cfg(loom)]
word!(loom::sync::atomic::AtomicU64);

/// Writes bytes from the first word on, as many as there is room for. What is left of the last word is zeros.
#[inline]
pub(crate) fn store<W: Word>(words: &[W], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.get(whole.len())) {
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}

/// Reads bytes from the first word on, as many as there are.
#[inline]
pub(crate) fn load<W: Word>(words: &[W], into: &mut [u8]) {
    let (whole, rest) = into.as_chunks_mut::<WORD>();
    for (word, into) in words.iter().zip(whole.iter_mut()) {
        *into = word.load(Ordering::Relaxed).to_ne_bytes();
    }
    if let (false, Some(word)) = (rest.is_empty(), words.get(whole.len())) {
        let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        rest.copy_from_slice(&bytes[..rest.len()]);
    }
}
