//! What a worker has in queues of its own, and the other end of them, from which others steal.
//!
//! # Which queues
//!
//! * *claimed*: tasks of lane 0 below HIGH that were taken from the lane in a batch;
//! * *spawned*: tasks of lane 0 below HIGH that a task of this worker submitted, the oldest [`NEAR`] of them;
//! * *overflow*: those behind them, in blocks: a queue that doubles moves all that is in it, again and again;
//! * *forks*: halves of forks and tasks of scopes, of all levels: work that is part of a task that has begun. Last in, first out.
//!
//! Every worker may run what is in any of them, so a thief never holds what it may not run.
//!
//! # Invariant
//!
//! A worker whose queues of a level hold something has its bit in `offered`, set before it passes the fence after which it
//! looks for a sleeper. Only the owner clears the bit, when it finds the queues empty.

#![forbid(unsafe_code)]

use std::{cell::Cell, hint::spin_loop, sync::Arc};

use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};
use crossbeam_utils::CachePadded;

use super::super::{
    fork_join::Fork,
    lane::{HIGH, LEVELS},
};
use crate::{
    job::Job,
    primitive::{AtomicU64, Ordering},
};

/// How many tasks a worker claims at once, and how many it takes from one of claimed and spawned before it turns to the other.
pub(super) const BATCH: usize = 32;
/// How many tasks of a level that were submitted inside stay near.
const NEAR: usize = 256;
/// Levels that have queues of tasks: all but HIGH.
const LOCALS: usize = LEVELS - 1;

/// The queues of one worker.
pub(in super::super) struct Queues {
    claimed: [Deque<Job>; LOCALS],
    spawned: [Deque<Job>; LOCALS],
    overflow: Arc<[Injector<Job>; LOCALS]>,
    /// Whether the overflow may hold something.
    overflows: [Cell<bool>; LOCALS],
    forks: [Deque<Fork>; LEVELS],
}

impl Queues {
    fn new() -> Self {
        Self {
            claimed: std::array::from_fn(|_| Deque::new_fifo()),
            spawned: std::array::from_fn(|_| Deque::new_fifo()),
            overflow: Arc::new(std::array::from_fn(|_| Injector::new())),
            overflows: Default::default(),
            forks: std::array::from_fn(|_| Deque::new_lifo()),
        }
    }

    /// What was claimed of a level below HIGH.
    #[inline(always)]
    pub(super) fn claimed(&self, level: usize) -> &Deque<Job> {
        &self.claimed[level - 1]
    }

    /// Takes a task that was submitted inside, of a level below HIGH.
    #[inline]
    pub(super) fn push_spawned(&self, level: usize, job: Job) {
        let (near, overflows) = (&self.spawned[level - 1], &self.overflows[level - 1]);
        if !overflows.get() {
            if near.len() < NEAR {
                return near.push(job);
            }
            overflows.set(true);
        }
        self.overflow[level - 1].push(job);
    }

    /// The oldest task that was submitted inside, of a level below HIGH.
    #[inline(always)]
    pub(super) fn pop_spawned(&self, level: usize) -> Option<Job> {
        let near = self.spawned[level - 1].pop();
        if near.is_none() && self.overflows[level - 1].get() { self.refill(level) } else { near }
    }

    #[inline(never)]
    fn refill(&self, level: usize) -> Option<Job> {
        let far = &self.overflow[level - 1];
        let job = insist(|| far.steal_batch_with_limit_and_pop(&self.spawned[level - 1], BATCH));
        if job.is_none() {
            self.overflows[level - 1].set(false);
        }
        job
    }

    /// Parts of tasks that have begun.
    #[inline(always)]
    pub(super) fn forks(&self, level: usize) -> &Deque<Fork> {
        &self.forks[level]
    }

    /// Whether nothing of this level waits here.
    #[inline]
    pub(super) fn is_empty(&self, level: usize) -> bool {
        self.forks(level).is_empty()
            && (level == HIGH
                || (self.claimed(level).is_empty()
                    && self.spawned[level - 1].is_empty()
                    && (!self.overflows[level - 1].get() || self.overflow[level - 1].is_empty())))
    }

    /// How many tasks of this level wait here.
    pub(super) fn len(&self, level: usize) -> usize {
        if level == HIGH { 0 } else { self.claimed(level).len() + self.spawned[level - 1].len() }
    }

    /// Takes any task, but no fork.
    pub(super) fn pop_task(&self) -> Option<Job> {
        (HIGH + 1..LEVELS).find_map(|level| self.claimed(level).pop().or_else(|| self.pop_spawned(level)))
    }

    fn ends(&self) -> Ends {
        Ends {
            claimed: std::array::from_fn(|level| self.claimed[level].stealer()),
            spawned: std::array::from_fn(|level| self.spawned[level].stealer()),
            overflow: self.overflow.clone(),
            forks: std::array::from_fn(|level| self.forks[level].stealer()),
        }
    }
}

/// The other ends of one worker's queues.
struct Ends {
    claimed: [Stealer<Job>; LOCALS],
    spawned: [Stealer<Job>; LOCALS],
    overflow: Arc<[Injector<Job>; LOCALS]>,
    forks: [Stealer<Fork>; LEVELS],
}

impl Ends {
    fn is_empty(&self, level: usize) -> bool {
        self.forks[level].is_empty()
            && (level == HIGH
                || (self.claimed[level - 1].is_empty()
                    && self.spawned[level - 1].is_empty()
                    && self.overflow[level - 1].is_empty()))
    }

    fn len(&self, level: usize) -> usize {
        let tasks = |level: usize| self.claimed[level].len() + self.spawned[level].len() + self.overflow[level].len();
        if level == HIGH { 0 } else { tasks(level - 1) }
    }
}

/// The other end of every worker's queues.
pub(in super::super) struct Offers {
    workers: Vec<Ends>,
    /// It saves looking at each of 1024 workers.
    offered: [Box<[CachePadded<AtomicU64>]>; LEVELS],
}

pub(super) fn insist<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => spin_loop(),
        }
    }
}

impl Offers {
    /// The queues of so many workers, and their other ends.
    pub(in super::super) fn new(workers: usize) -> (Vec<Queues>, Self) {
        let queues: Vec<Queues> = (0..workers).map(|_| Queues::new()).collect();
        let bits = || (0..workers.div_ceil(64)).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
        let offers =
            Self { workers: queues.iter().map(Queues::ends).collect(), offered: std::array::from_fn(|_| bits()) };
        (queues, offers)
    }

    /// Says that this worker's queues of the level may hold something.
    pub(super) fn offer(&self, level: usize, worker: usize) {
        self.offered[level][worker / 64].fetch_or(1 << (worker % 64), Ordering::Relaxed);
    }

    /// Says that they hold nothing.
    pub(super) fn withdraw(&self, level: usize, worker: usize) {
        self.offered[level][worker / 64].fetch_and(!(1 << (worker % 64)), Ordering::Relaxed);
    }

    /// Whether no worker has anything of this level to give.
    #[inline(always)]
    pub(super) fn none_offered(&self, level: usize) -> bool {
        self.offered[level].iter().all(|bits| bits.load(Ordering::Relaxed) == 0)
    }

    /// The first worker after `thief`, going round, for whose non-empty queues `visit` answers something.
    fn find<T>(&self, level: usize, thief: usize, visit: impl FnMut(&Ends) -> Option<T>) -> Option<T> {
        let workers = self.workers.len();
        let offered = &self.offered[level];
        (1..=workers)
            .map(|step| (thief + step) % workers)
            .filter(|worker| offered[worker / 64].load(Ordering::Relaxed) & (1 << (worker % 64)) != 0)
            .map(|worker| &self.workers[worker])
            .filter(|ends| !ends.is_empty(level))
            .find_map(visit)
    }

    /// Whether any queue of this level holds something.
    #[inline(always)]
    pub(super) fn any(&self, level: usize) -> bool {
        !self.none_offered(level) && self.any_offered(level)
    }

    #[inline(never)]
    fn any_offered(&self, level: usize) -> bool {
        self.find(level, 0, |_| Some(())).is_some()
    }

    /// Whether any worker has a part of a begun task of this level to give.
    #[inline]
    pub(super) fn any_fork(&self, level: usize) -> bool {
        !self.none_offered(level) && self.find(level, 0, |ends| (!ends.forks[level].is_empty()).then_some(())).is_some()
    }

    /// A part of a begun task of this level.
    #[inline]
    pub(super) fn steal_fork(&self, level: usize, thief: usize) -> Option<Fork> {
        if self.none_offered(level) {
            return None;
        }
        self.find(level, thief, |ends| insist(|| ends.forks[level].steal()))
    }

    /// Something of this level, parts of begun tasks first (`part` is called for one); with a task come some of those behind it, into
    /// `own`.
    pub(super) fn steal(&self, level: usize, thief: usize, own: &Queues, part: impl Fn()) -> Option<Job> {
        self.find(level, thief, |ends| {
            if let Some(fork) = insist(|| ends.forks[level].steal()) {
                part();
                return Some(fork.into_job());
            }
            if level == HIGH {
                return None;
            }
            // Half of what is there, and no more than half a batch of what is claimed: the owner is about to run it.
            let level = level - 1;
            insist(|| ends.claimed[level].steal_batch_with_limit_and_pop(&own.claimed[level], BATCH / 2))
                .or_else(|| insist(|| ends.overflow[level].steal_batch_with_limit_and_pop(&own.spawned[level], BATCH)))
                .or_else(|| insist(|| ends.spawned[level].steal_batch_with_limit_and_pop(&own.spawned[level], BATCH)))
        })
    }

    /// One task of this level below HIGH that another worker has not begun.
    pub(super) fn steal_one(&self, level: usize, thief: usize) -> Option<Job> {
        if self.none_offered(level) {
            return None;
        }
        self.find(level, thief, |ends| {
            let level = level - 1;
            insist(|| ends.claimed[level].steal())
                .or_else(|| insist(|| ends.spawned[level].steal()))
                .or_else(|| insist(|| ends.overflow[level].steal()))
        })
    }

    /// How many tasks of this level wait in the workers' queues.
    pub(in super::super) fn len(&self, level: usize) -> usize {
        self.workers.iter().map(|ends| ends.len(level)).sum()
    }

    /// Takes every task out of every worker's queues. Parts of begun tasks stay: they run.
    pub(in super::super) fn sweep(&self, mut each: impl FnMut(Job)) {
        for ends in &self.workers {
            for queue in ends.claimed.iter().chain(&ends.spawned) {
                while let Some(job) = insist(|| queue.steal()) {
                    each(job);
                }
            }
            for queue in &*ends.overflow {
                while let Some(job) = insist(|| queue.steal()) {
                    each(job);
                }
            }
        }
    }
}
