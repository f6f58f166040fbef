//! How much may wait to be sent: to one connection, and to all of a port; and who waits for room.
//!
//! # What holds
//!
//! * A connection has room again when at most a quarter of what may wait for one does, and, if all together were in the way, half of what may for all.
//!   A write that was refused for all was so at more than that: what it waits for is still to come, or has come meanwhile, which is looked at again.
//! * Who waits is told with no lock held.

#![forbid(unsafe_code)]

use std::sync::{
    Mutex, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use super::link::Link;

/// The part of what a port may hold that one connection may.
const SHARE: usize = 8;
/// The part of what one connection may hold at which it has room again, and the part of what all may.
const LOW_OF_ONE: usize = 4;
const LOW_OF_ALL: usize = 2;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that wait, of all connections.
    waits: AtomicUsize,
    pub(super) most_of_one: usize,
    pub(super) low_of_one: usize,
    pub(super) most_of_all: usize,
    low_of_all: usize,
    /// Who was refused because of all.
    waiting: Mutex<Vec<Weak<Link>>>,
}

impl Room {
    pub(super) fn new(buffer_bytes: usize) -> Self {
        let most_of_one = buffer_bytes / SHARE;
        Self {
            waits: AtomicUsize::new(0),
            most_of_one,
            low_of_one: most_of_one / LOW_OF_ONE,
            most_of_all: buffer_bytes,
            low_of_all: buffer_bytes / LOW_OF_ALL,
            waiting: Mutex::default(),
        }
    }

    /// Takes room for so many bytes, if there is as much.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let add = |waits: usize| waits.checked_add(bytes).filter(|waits| *waits <= self.most_of_all);
        self.waits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok()
    }

    /// Gives it back.
    pub(super) fn give_back(&self, bytes: usize) {
        let before = self.waits.fetch_sub(bytes, Ordering::SeqCst);
        if before > self.low_of_all && before - bytes <= self.low_of_all {
            self.tell();
        }
    }

    /// This one looks again when there is room.
    pub(super) fn wait(&self, link: Weak<Link>) {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&link));
            waiting.push(link);
        }
        if self.waits.load(Ordering::SeqCst) <= self.low_of_all {
            self.tell();
        }
    }

    fn tell(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for link in waiting.iter().filter_map(Weak::upgrade) {
            link.look();
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn waits(&self) -> usize {
        self.waits.load(Ordering::SeqCst)
    }
}
