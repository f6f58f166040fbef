//! Waking a loop that sleeps, and only then.
//!
//! # Invariant
//!
//! Before the loop sleeps it *announces* that (a change of its flag, then a full fence) and only then looks at its queues for the
//! last time. Whoever adds work adds it first, then (a full fence, then a load) looks at the announcement. One of the two
//! fences comes first in the one order of all such fences: either the loop's last look finds the work, or the adder finds
//! the announcement and wakes the loop. The swap lets one adder of many make the system call.
//!
//! # A loop inside a foreign one
//!
//! There the foreign loop sleeps, on the selector's descriptor, while nobody runs this one (embed.rs). So the announcement must
//! stand for all of that time: a run ends by *leaving*, which is announcing and looking once more, and what that look finds
//! wakes the loop too, since nobody will run it before the descriptor is readable. The argument is the same with the end of
//! the run in the place of the sleep. What was added before the look is found by it; what comes after the look finds the
//! announcement, or finds that somebody has taken it, who makes the descriptor readable. And readable it stays: only a run
//! reads the wake-up from the selector, and each run ends by leaving. An announcement that nobody needed costs a turn that finds
//! nothing. A loop that was never embedded does not leave, and a post to it while nobody runs it makes no system call.

#![forbid(unsafe_code)]

#[cfg(loom)]
use crate::primitive::fence;
use crate::primitive::{AtomicBool, Ordering, full_fence};

/// "The loop sleeps, or is about to." Every change of it is a swap, also where a store would do, so that a late one, of an adder
/// that takes nothing any more, stands before the next announcement in the flag's order and not behind it.
#[derive(Debug)]
pub(super) struct WakeFlag(AtomicBool);

impl WakeFlag {
    pub(super) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The loop: before its last look at the queues.
    pub(super) fn announce_sleep(&self) {
        // Release: whoever takes this announcement wakes the loop after the run has read what woke it before.
        self.0.swap(true, Ordering::AcqRel);
        full_fence();
    }

    /// The loop: it is awake, nobody needs to wake it.
    pub(super) fn awake(&self) {
        self.0.swap(false, Ordering::Relaxed);
    }

    /// The end of a run of an embedded loop. True if the caller must wake it: there is work that nobody else wakes it for.
    pub(super) fn leave(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.announce_sleep();
        has_work() && self.must_wake()
    }

    /// A hint: the loop sleeps, or is about to.
    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        full_fence();
        self.0.load(Ordering::Relaxed)
    }

    /// Whether the loop sleeps, or is about to, for whoever added work by a sequentially consistent change just now: that and this
    /// load take the place of the fence.
    #[inline]
    pub(super) fn is_announced(&self) -> bool {
        // loom knows an order of fences only.
        #[cfg(loom)]
        fence(Ordering::SeqCst);
        self.0.load(Ordering::SeqCst)
    }

    /// Whoever added work, after it was added: whether to wake the loop.
    #[inline]
    pub(super) fn must_wake(&self) -> bool {
        full_fence();
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Acquire)
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
    /// While a foreign loop sleeps on the descriptor, it is readable if there is work: at first, and after each run.
    #[test]
    fn no_work_is_left_behind_an_unreadable_descriptor() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let (flag, work, readable) =
                (Arc::new(WakeFlag::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let adders: Vec<_> = (0..2)
                .map(|_| {
                    let (flag, work, readable) = (flag.clone(), work.clone(), readable.clone());
                    thread::spawn(move || {
                        work.fetch_add(1, Ordering::Relaxed);
                        if flag.must_wake() {
                            readable.store(true, Ordering::Release);
                        }
                    })
                })
                .collect();
            let leave = || {
                if flag.leave(|| work.load(Ordering::Relaxed) > 0) {
                    readable.store(true, Ordering::Release);
                }
            };
            leave();
            // A run without waiting: the system's wake-up is read, and what is there is done.
            flag.announce_sleep();
            flag.awake();
            readable.swap(false, Ordering::AcqRel);
            let seen = work.load(Ordering::Relaxed);
            work.fetch_sub(seen, Ordering::Relaxed);
            leave();
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            let left = work.load(Ordering::Relaxed);
            assert!(left == 0 || readable.load(Ordering::Acquire), "the foreign loop sleeps over {left} posts");
        });
    }
}
