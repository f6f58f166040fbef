//! Waking a loop that sleeps, and only then.
//!
//! # Invariant
//!
//! Before the loop sleeps it *announces* that, in the word of its posts, and only then looks for the last time at what there is
//! to do. A post changes the same word (posts.rs): either it comes before the announcement in the word's order and the last
//! look counts it, or it finds the announcement, takes it away with the change that makes the post, and wakes the loop.
//!
//! What is not in the word (a timer, the end of a source) is added first; then, behind a full fence, the adder looks at
//! the word. The announcement is followed by a full fence too, and one of the two comes first in the one order of all such
//! fences: either the loop's last look finds the work, or the adder finds the announcement. Who takes it away wakes the loop,
//! so one of many makes the system call.
//!
//! A turn that has something to do does not sleep, announces nothing, and no post meanwhile makes a system call.
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

use crate::primitive::{AtomicU64, Ordering, fence};

/// "The loop sleeps, or is about to."
const SLEEPING: u64 = 1;
const CLOSED: u64 = 2;
const INSTALLING: u64 = 4;
const POST: u64 = 8;

/// How many posts there were, whether more are taken, and whether the loop sleeps, in one order of changes: each is a
/// read-modify-write, so a late one, of an adder that takes nothing any more, stands before the next announcement and not behind
/// it. See posts.rs for the bits that are not told of here.
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

impl Word {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The loop: before its last look.
    pub(super) fn announce_sleep(&self) {
        // Release: whoever takes this announcement wakes the loop after the run has read what woke it before.
        self.0.fetch_or(SLEEPING, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// The loop: it is awake, nobody needs to wake it. What it does not see here at worst costs somebody a system call.
    pub(super) fn awake(&self) {
        if self.0.load(Ordering::Relaxed) & SLEEPING != 0 {
            self.0.fetch_and(!SLEEPING, Ordering::Relaxed);
        }
    }

    /// The end of a run of an embedded loop. True if the caller must wake it: there is work that nobody else wakes it for.
    pub(super) fn leave(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.announce_sleep();
        has_work() && self.must_wake()
    }

    /// A hint: the loop sleeps, or is about to.
    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        fence(Ordering::SeqCst);
        Self::is_sleeping(self.0.load(Ordering::Relaxed))
    }

    /// Whoever added work that is not in the word, after it was added: whether to wake the loop.
    #[inline]
    pub(super) fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        Self::is_sleeping(self.0.load(Ordering::Relaxed))
            && Self::is_sleeping(self.0.fetch_and(!SLEEPING, Ordering::Acquire))
    }

    #[inline]
    pub(super) fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// One more post, if the word is still this one, which is neither closed nor installing; otherwise the word that it is now. Takes the
    /// announcement away: who posts knows from the old word that the loop is to be woken. The last post of a block is to
    /// install the next one.
    #[inline]
    pub(super) fn post(&self, old: u64, last: bool) -> Result<(), u64> {
        let new = ((old + POST) & !SLEEPING) | if last { INSTALLING } else { 0 };
        self.0.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    pub(super) fn installed(&self) {
        self.0.fetch_and(!INSTALLING, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    #[inline]
    pub(super) fn is_sleeping(word: u64) -> bool {
        word & SLEEPING != 0
    }

    #[inline]
    pub(super) fn is_closed(word: u64) -> bool {
        word & CLOSED != 0
    }

    /// Neither closed nor installing.
    #[inline]
    pub(super) fn is_open(word: u64) -> bool {
        word & (CLOSED | INSTALLING) == 0
    }

    #[inline]
    pub(super) fn is_installing(word: u64) -> bool {
        word & INSTALLING != 0
    }

    #[inline]
    pub(super) fn posts(word: u64) -> u64 {
        word / POST
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::primitive::{Arc, AtomicBool, AtomicUsize, thread};

    /// If the loop's last look found nothing, somebody wakes it for what came later; and one wake-up serves all.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let (word, work, wakes) =
                (Arc::new(Word::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let adders: Vec<_> = (0..2)
                .map(|_| {
                    let (word, work, wakes) = (word.clone(), work.clone(), wakes.clone());
                    thread::spawn(move || {
                        work.fetch_add(1, Ordering::Relaxed);
                        if word.must_wake() {
                            wakes.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            word.announce_sleep();
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
            let (word, work, readable) =
                (Arc::new(Word::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let adders: Vec<_> = (0..2)
                .map(|_| {
                    let (word, work, readable) = (word.clone(), work.clone(), readable.clone());
                    thread::spawn(move || {
                        work.fetch_add(1, Ordering::Relaxed);
                        if word.must_wake() {
                            readable.store(true, Ordering::Release);
                        }
                    })
                })
                .collect();
            let leave = || {
                if word.leave(|| work.load(Ordering::Relaxed) > 0) {
                    readable.store(true, Ordering::Release);
                }
            };
            leave();
            // A run without waiting: the system's wake-up is read, and what is there is done.
            word.awake();
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
