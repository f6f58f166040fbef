//! Waking a loop that sleeps, and only then.
//!
//! # Invariant
//!
//! Before the loop sleeps it *announces* that (a store, then a full fence) and only then looks at its queues for the last time.
//! Whoever adds work adds it first, then (a full fence, then a load) looks at the announcement. One of the two
//! fences comes first in the one order of all such fences: either the loop's last look finds the work, or the adder finds
//! the announcement and wakes the loop. The swap lets one adder of many make the system call.

#![forbid(unsafe_code)]

use crate::primitive::{AtomicBool, Ordering, fence};

/// "The loop sleeps, or is about to."
#[derive(Debug)]
pub(super) struct WakeFlag(AtomicBool);

impl WakeFlag {
    pub(super) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The loop: before its last look at the queues.
    pub(super) fn announce_sleep(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The loop: it is awake, nobody needs to wake it.
    pub(super) fn awake(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// A hint: the loop sleeps, or is about to.
    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed)
    }

    /// Whoever added work, after it was added: whether to wake the loop.
    #[inline]
    pub(super) fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::primitive::{Arc, AtomicUsize, thread};

    /// If the loop's last look found nothing, somebody wakes it for what came later; and one wake-up serves all.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let (flag, work, wakes) =
                (Arc::new(WakeFlag::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let adders: Vec<_> = (0..2)
                .map(|_| {
                    let (flag, work, wakes) = (flag.clone(), work.clone(), wakes.clone());
                    thread::spawn(move || {
                        work.fetch_add(1, Ordering::Relaxed);
                        if flag.must_wake() {
                            wakes.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            flag.announce_sleep();
            let seen = work.load(Ordering::Relaxed);
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            let wakes = wakes.load(Ordering::Relaxed);
            assert!(seen == 2 || wakes >= 1, "work came after the last look and nobody woke the loop");
            assert!(wakes <= 1, "one announcement, one system call");
        });
    }
}
