//! Sleep: who is searching, who is asleep, and whom to wake for a task that only some may run.
//!
//! An event count over bitmaps. Each worker is *running*, *searching* or *asleep*; README.md holds the protocol and the
//! argument why no wake-up is lost. In short:
//!
//! * Whoever makes a task visible then passes a `SeqCst` fence and looks here ([`Sleep::wake_one`]). A searcher among the
//!   task's workers will find it; else one sleeper among them is turned into a searcher, *by the waker*, and unparked.
//! * Whoever goes to sleep is marked asleep, passes a `SeqCst` fence and looks at the queues once more.
//! * A worker that waits inside a task for a part of it is marked as waiting, passes the fence and looks whether it has ended; whoever
//!   ends a part passes the fence and looks at the mark.
//! * A searcher that found something stops searching, passes a `SeqCst` fence and looks for what else is there.
//!
//! # Invariant
//!
//! Both bits of a worker stand in one word, so "asleep to searching" is one step, and it is made by exactly one thread:
//! the one whose exchange succeeded. All other steps of a worker's bits are its own.
//!
//! `awake` is at least the number of workers that are not asleep: a waker counts the sleeper before it claims it, and
//! the sleeper counts itself out after its last look. It is 0 only when every worker sleeps and nobody is waking one.

#![forbid(unsafe_code)]

use std::sync::OnceLock;

use crossbeam_utils::CachePadded;

use super::lane::{WORD_BITS, WorkerSet};
use crate::{
    cpu,
    primitive::{
        AtomicU64, AtomicUsize, Ordering, fence,
        thread::{self, Thread},
    },
};

const WAITING_BITS: usize = 64;

fn asleep(worker: usize) -> u64 {
    1 << (worker % WORD_BITS)
}

fn searching(worker: usize) -> u64 {
    asleep(worker) << WORD_BITS
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(word: u64) -> u32 {
    word as u32
}

fn high(word: u64) -> u32 {
    low(word >> WORD_BITS)
}

/// The states of a pool's workers.
pub(super) struct Sleep {
    /// Low half: asleep. High half: searching. Neither: running.
    words: Box<[CachePadded<AtomicU64>]>,
    awake: CachePadded<AtomicUsize>,
    /// Workers that wait inside a task for a part of it, 64 to a word. They count as running.
    waiting: Box<[CachePadded<AtomicU64>]>,
    threads: Box<[OnceLock<Thread>]>,
    /// The CPU each worker is pinned to, and the workers of each CPU.
    cpus: Box<[Option<usize>]>,
    homes: Box<[Vec<usize>]>,
}

impl Sleep {
    /// All workers running.
    pub(super) fn new(cpus: &[Option<usize>]) -> Self {
        let workers = cpus.len();
        let mut homes = vec![Vec::new(); cpus.iter().flatten().max().map_or(0, |last| last + 1)];
        for (worker, cpu) in cpus.iter().enumerate() {
            if let Some(cpu) = cpu {
                homes[*cpu].push(worker);
            }
        }
        let words = (0..workers.div_ceil(WORD_BITS)).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
        let threads = (0..workers).map(|_| OnceLock::new()).collect();
        let waiting = (0..workers.div_ceil(WAITING_BITS)).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
        let awake = CachePadded::new(AtomicUsize::new(workers));
        Self { words, awake, waiting, threads, cpus: cpus.into(), homes: homes.into() }
    }

    /// The calling thread is this worker; before anything else it does here.
    pub(super) fn register(&self, worker: usize) {
        let first = self.threads[worker].set(thread::current()).is_ok();
        debug_assert!(first, "worker {worker} was registered twice");
    }

    /// Marks a running worker as searching.
    pub(super) fn search(&self, worker: usize) {
        self.word(worker).fetch_or(searching(worker), Ordering::Relaxed);
    }

    /// Marks a searcher as running. It must then look for what is left and wake the next: that look is after the fence.
    pub(super) fn found(&self, worker: usize) {
        self.word(worker).fetch_and(!searching(worker), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Puts the calling worker to sleep until somebody wakes it, unless `has_work`, called when everyone can see that it
    /// sleeps, finds some. Afterwards the worker is searching.
    ///
    /// `last` is called when no worker is left awake.
    pub(super) fn sleep(&self, worker: usize, has_work: impl FnOnce() -> bool, last: impl FnOnce()) {
        let word = self.word(worker);
        let (sleep, search) = (asleep(worker), searching(worker));
        // One step, or a waker in between would have its searcher unmarked. Until now the bits are this thread's own.
        let was_searching = word.load(Ordering::Relaxed) & search;
        word.fetch_xor(sleep | was_searching, Ordering::Release);
        fence(Ordering::SeqCst);
        if has_work() {
            if !self.claim(worker) {
                // Somebody else woke it, and counted it for that.
                self.awake.fetch_sub(1, Ordering::SeqCst);
            }
            return;
        }
        if self.awake.fetch_sub(1, Ordering::SeqCst) == 1 {
            fence(Ordering::SeqCst);
            last();
        }
        while word.load(Ordering::Acquire) & sleep != 0 {
            thread::park();
        }
    }

    /// Wakes one of `members`, unless one of them is searching or all are running. The caller has passed a `SeqCst` fence since
    /// it made the work visible. True if it woke one.
    #[inline]
    pub(super) fn wake_one(&self, members: &WorkerSet) -> bool {
        let mut sleepers = false;
        for (word, members) in self.words.iter().zip(members.words()) {
            let now = word.load(Ordering::Relaxed);
            if high(now) & members != 0 {
                return false;
            }
            sleepers |= low(now) & members != 0;
        }
        sleepers && self.wake_any(members)
    }

    /// Wakes as many of `members` as there are new tasks that no searcher will find. As [`Sleep::wake_one`] otherwise.
    pub(super) fn wake_many(&self, members: &WorkerSet, tasks: usize) {
        let both = self.words.iter().zip(members.words());
        let searchers: usize =
            both.map(|(word, members)| (high(word.load(Ordering::Relaxed)) & members).count_ones() as usize).sum();
        for _ in searchers..tasks {
            if !self.wake_any(members) {
                return;
            }
        }
    }

    /// A sleeper on the caller's own CPU first: it needs no other CPU to be woken up, and runs when the caller waits.
    #[cold]
    fn wake_any(&self, members: &WorkerSet) -> bool {
        let near = cpu::current().and_then(|cpu| self.homes.get(cpu)).map_or(&[][..], Vec::as_slice);
        if near.iter().any(|worker| members.contains(*worker) && self.is_asleep(*worker) && self.wake(*worker)) {
            return true;
        }
        for (index, word) in self.words.iter().enumerate() {
            loop {
                let sleepers = low(word.load(Ordering::Relaxed)) & members.words()[index];
                if sleepers == 0 {
                    break;
                }
                if self.wake(index * WORD_BITS + sleepers.trailing_zeros() as usize) {
                    return true;
                }
            }
        }
        false
    }

    /// A part of a begun task is there for whoever has time: as [`Sleep::wake_one`], and if there is neither a searcher nor a
    /// sleeper, one of those that wait inside a task. Without a fence before it this may miss a sleeper.
    #[inline]
    pub(super) fn wake_helper(&self, members: &WorkerSet) {
        let mut sleepers = false;
        for (word, members) in self.words.iter().zip(members.words()) {
            let now = word.load(Ordering::Relaxed);
            if high(now) & members != 0 {
                return;
            }
            sleepers |= low(now) & members != 0;
        }
        if sleepers && self.wake_any(members) {
            return;
        }
        for (index, word) in self.waiting.iter().enumerate() {
            let now = word.load(Ordering::Relaxed);
            if now != 0 && self.wake_waiter(index * WAITING_BITS + now.trailing_zeros() as usize) {
                return;
            }
        }
    }

    /// Has the calling worker, which is inside a task, wait until somebody wakes it ([`Sleep::wake_waiter`]), unless `ready`,
    /// called when everyone can see that it waits, says that there is no need.
    pub(super) fn wait(&self, worker: usize, ready: impl FnOnce() -> bool) {
        let (word, bit) = (&self.waiting[worker / WAITING_BITS], 1 << (worker % WAITING_BITS));
        word.fetch_or(bit, Ordering::Release);
        fence(Ordering::SeqCst);
        if ready() {
            // Whoever took the bit away before also unparks; that makes one later pause short.
            word.fetch_and(!bit, Ordering::Relaxed);
            return;
        }
        while word.load(Ordering::Acquire) & bit != 0 {
            thread::park();
        }
    }

    /// Wakes this worker if it waits inside a task. The caller has passed a `SeqCst` fence since it made the reason visible.
    pub(super) fn wake_waiter(&self, worker: usize) -> bool {
        let (word, bit) = (&self.waiting[worker / WAITING_BITS], 1 << (worker % WAITING_BITS));
        let woken = word.load(Ordering::Relaxed) & bit != 0 && word.fetch_and(!bit, Ordering::AcqRel) & bit != 0;
        if woken && let Some(thread) = self.threads[worker].get() {
            thread.unpark();
        }
        woken
    }

    /// Wakes everyone who sleeps.
    pub(super) fn wake_all(&self) {
        for worker in 0..self.threads.len() {
            self.wake(worker);
        }
    }

    /// Whether every worker sleeps; final when nobody outside can wake one.
    pub(super) fn all_asleep(&self) -> bool {
        self.awake.load(Ordering::SeqCst) == 0
    }

    /// Whether this worker is neither searching nor asleep.
    pub(super) fn is_running(&self, worker: usize) -> bool {
        self.word(worker).load(Ordering::Acquire) & (asleep(worker) | searching(worker)) == 0
    }

    /// Whether this worker waits inside a task.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_waiting(&self, worker: usize) -> bool {
        self.waiting[worker / WAITING_BITS].load(Ordering::Relaxed) & (1 << (worker % WAITING_BITS)) != 0
    }

    fn is_asleep(&self, worker: usize) -> bool {
        self.word(worker).load(Ordering::Relaxed) & asleep(worker) != 0
    }

    /// Whether another worker that is pinned to the same CPU as this one is running.
    pub(super) fn shares_with_running(&self, worker: usize) -> bool {
        self.cpus[worker]
            .is_some_and(|cpu| self.homes[cpu].iter().any(|other| *other != worker && self.is_running(*other)))
    }

    /// How many workers are searching, about.
    pub(super) fn searchers(&self) -> usize {
        self.words.iter().map(|word| high(word.load(Ordering::Relaxed)).count_ones() as usize).sum()
    }

    fn wake(&self, worker: usize) -> bool {
        // Before the claim: from its claim on the worker may run, and must be counted.
        self.awake.fetch_add(1, Ordering::SeqCst);
        if self.claim(worker) {
            if let Some(thread) = self.threads[worker].get() {
                thread.unpark();
            }
            true
        } else {
            self.awake.fetch_sub(1, Ordering::SeqCst);
            false
        }
    }

    /// Turns a sleeper into a searcher; false if it is not asleep (any more).
    fn claim(&self, worker: usize) -> bool {
        let (word, sleep, search) = (self.word(worker), asleep(worker), searching(worker));
        let mut now = word.load(Ordering::Relaxed);
        while now & sleep != 0 {
            match word.compare_exchange_weak(now, (now & !sleep) | search, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(newer) => now = newer,
            }
        }
        false
    }

    fn word(&self, worker: usize) -> &AtomicU64 {
        &self.words[worker / WORD_BITS]
    }
}

#[cfg(all(test, loom))]
mod model;
