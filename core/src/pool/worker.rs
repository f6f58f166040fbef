//! A worker: what it runs next, and what it does when there is nothing.
//!
//! # Order
//!
//! The higher level first, over all lanes the worker belongs to; within a level the lanes take turns, so that none
//! starves; what other workers have claimed and not begun comes after them, level by level. Ageing is the one exception.
//!
//! # Local queues
//!
//! Tasks of lane 0 below [`HIGH`] are claimed in batches into a queue of the worker's own, one per level, and others steal
//! from it. Tasks of narrower lanes never are, so a thief never holds what it may not run. A single worker claims
//! in the order of submission and runs in it.

#![forbid(unsafe_code)]

use std::{cell::Cell, hint::spin_loop};

use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use crossbeam_utils::CachePadded;

use super::{
    Shared,
    lane::{HIGH, LEVELS, LOW, Lane, NORMAL, Node},
};
use crate::{
    fork::ForkGuard,
    job::Job,
    primitive::{AtomicU64, Ordering, fence},
};

/// How many tasks a worker claims at once.
const BATCH: usize = 32;
/// Levels that have local queues: all but HIGH.
const LOCALS: usize = LEVELS - 1;
/// How often a searcher looks before it sleeps, and the first and the longest pause before a look, as powers of two of
/// spin hints. Some 80 us in all. A shorter first pause finds tasks one by one as they arrive, and the submitter and
/// the searcher then spend their time passing cache lines to and fro: 10 M tasks/s instead of 16.
const LOOKS: u32 = 20;
const FIRST_PAUSE: u32 = 5;
const LONGEST_PAUSE: u32 = 8;

pub(super) type Locals = [Deque<Job>; LOCALS];

thread_local! {
    /// The address of the pool this thread works for, and which of its workers this is.
    static WORKS_FOR: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether the calling thread is a worker of this pool.
pub(super) fn is_worker_of(shared: &Shared) -> bool {
    index_in(shared).is_some()
}

/// Which worker of this pool the calling thread is.
pub(super) fn index_in(shared: &Shared) -> Option<usize> {
    let (pool, index) = WORKS_FOR.try_with(Cell::get).ok()?;
    (pool == std::ptr::from_ref(shared).addr()).then_some(index)
}

/// The other end of every worker's local queues.
pub(super) struct Claimed {
    stealers: Vec<[Stealer<Job>; LOCALS]>,
    /// Per level, which workers' local queues may hold tasks: set by the owner before others are woken for them,
    /// cleared by the owner when it finds the queue empty. It saves looking at each of 1024 workers.
    offered: [Box<[CachePadded<AtomicU64>]>; LOCALS],
}

impl Claimed {
    /// The local queues of so many workers, and their other ends.
    pub(super) fn new(workers: usize) -> (Vec<Locals>, Self) {
        let locals: Vec<Locals> = (0..workers).map(|_| std::array::from_fn(|_| Deque::new_fifo())).collect();
        let stealers = locals.iter().map(|local| std::array::from_fn(|level| local[level].stealer())).collect();
        let bits = || (0..workers.div_ceil(64)).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
        (locals, Self { stealers, offered: std::array::from_fn(|_| bits()) })
    }

    /// The first worker at or after `from`, going round, for whose non-empty local queue `visit` answers something.
    #[inline]
    fn find<T>(&self, level: usize, visit: impl FnMut(&Stealer<Job>) -> Option<T>, from: usize) -> Option<T> {
        if self.offered[level - 1].iter().all(|bits| bits.load(Ordering::Relaxed) == 0) {
            return None;
        }
        self.find_offered(level, visit, from)
    }

    fn find_offered<T>(
        &self,
        level: usize,
        mut visit: impl FnMut(&Stealer<Job>) -> Option<T>,
        from: usize,
    ) -> Option<T> {
        let workers = self.stealers.len();
        let offered = &self.offered[level - 1];
        (0..workers)
            .map(|step| (from + step) % workers)
            .filter(|worker| offered[worker / 64].load(Ordering::Relaxed) & (1 << (worker % 64)) != 0)
            .map(|worker| &self.stealers[worker][level - 1])
            .filter(|stealer| !stealer.is_empty())
            .find_map(&mut visit)
    }

    /// Whether any local queue of this level holds a task.
    #[inline]
    fn any(&self, level: usize) -> bool {
        self.find(level, |_| Some(()), 0).is_some()
    }

    /// Takes every task out of every local queue; no worker claims any more.
    pub(super) fn sweep(&self, mut each: impl FnMut(Job)) {
        for stealer in self.stealers.iter().flatten() {
            loop {
                match stealer.steal() {
                    Steal::Success(job) => each(job),
                    Steal::Empty => break,
                    Steal::Retry => spin_loop(),
                }
            }
        }
    }
}

/// The state of one worker's thread.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    index: usize,
    local: Locals,
    offers: [bool; LOCALS],
    /// The lanes this worker belongs to; the first is lane 0.
    lanes: Vec<&'a Lane>,
    /// The last one in the list that this worker has looked at; `None` is lane 0.
    last_known: Option<&'a Node>,
    /// Per level, which lane's turn it is.
    turn: [usize; LEVELS],
    /// Per level, how many tasks ran above it since it has had one that could run.
    passed: [u32; LEVELS],
    searching: bool,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared, index: usize, local: Locals) -> Self {
        let first = shared.lanes.first();
        Self {
            shared,
            index,
            local,
            offers: [false; LOCALS],
            lanes: vec![first],
            last_known: None,
            turn: [0; LEVELS],
            passed: [0; LEVELS],
            searching: false,
        }
    }

    /// Works until the pool is stopped. False in a child that a task has forked: queues and locks there are the parent's, and
    /// nothing of them may be touched any more.
    pub(super) fn run(mut self) -> bool {
        let fork = ForkGuard::new("pool");
        WORKS_FOR.set((std::ptr::from_ref(self.shared).addr(), self.index));
        while !self.shared.is_stopped() {
            match self.next() {
                Some(job) => self.execute(job),
                None => self.idle(),
            }
            if fork.is_forked() {
                std::mem::forget(self);
                return false;
            }
        }
        let left = self.local.iter().any(|queue| !queue.is_empty());
        if left && self.searching {
            // Dropping runs the tasks' own code: the worker is busy while it lasts.
            self.shared.sleep.found(self.index);
        }
        for queue in &self.local {
            while let Some(job) = queue.pop() {
                job.drop_caught("pool");
            }
        }
        WORKS_FOR.set((0, 0));
        true
    }

    #[inline]
    fn execute(&mut self, job: Job) {
        if self.searching {
            self.searching = false;
            self.shared.sleep.found(self.index);
            self.wake_next();
        }
        job.run_caught("pool");
    }

    /// Looks for a while, then sleeps.
    #[cold]
    fn idle(&mut self) {
        let sleep = &self.shared.sleep;
        // Only half of the workers look: more do not find more, and take CPU time from who submits.
        if !self.searching && 2 * sleep.searchers() < self.shared.workers().max(2) {
            sleep.search(self.index);
            self.searching = true;
        }
        if self.searching {
            for look in 0..LOOKS {
                (0..1 << (FIRST_PAUSE + look).min(LONGEST_PAUSE)).for_each(|_| spin_loop());
                if self.has_work() {
                    return;
                }
            }
        }
        let shared = self.shared;
        sleep.sleep(self.index, || self.has_work(), || shared.all_asleep());
        self.searching = true;
    }

    /// The next task, by level, turn and age.
    #[inline(always)]
    fn next(&mut self) -> Option<Job> {
        self.learn_lanes();
        let Some(limit) = self.shared.ageing else {
            return (HIGH..LEVELS).find_map(|level| self.take(level));
        };
        for level in [LOW, NORMAL] {
            if self.passed[level] >= limit {
                self.passed[level] = 0;
                if let Some(job) = self.take(level) {
                    self.count(level);
                    return Some(job);
                }
            }
        }
        for level in HIGH..LEVELS {
            if let Some(job) = self.take(level) {
                self.count(level);
                return Some(job);
            }
        }
        None
    }

    /// One of `ran` runs: the levels below that have a task that could run were passed over once more.
    #[inline]
    fn count(&mut self, ran: usize) {
        self.passed[ran] = 0;
        for level in ran + 1..LEVELS {
            self.passed[level] = if self.has_work_at(level) { self.passed[level] + 1 } else { 0 };
        }
    }

    #[inline(always)]
    fn take(&mut self, level: usize) -> Option<Job> {
        let lanes = self.lanes.len();
        let mut turn = self.turn[level];
        for _ in 0..lanes {
            let job = if turn == 0 { self.take_common(level) } else { self.lanes[turn].take(level) };
            turn = if turn + 1 == lanes { 0 } else { turn + 1 };
            if job.is_some() {
                self.turn[level] = turn;
                return job;
            }
        }
        if level == HIGH { None } else { self.steal(level) }
    }

    /// A task of lane 0: claimed before, or at the head of a new batch.
    #[inline(always)]
    fn take_common(&mut self, level: usize) -> Option<Job> {
        if level == HIGH {
            return self.lanes[0].take(HIGH);
        }
        let local = &self.local[level - 1];
        if let Some(job) = local.pop() {
            return Some(job);
        }
        let queue = &self.lanes[0].queues[level];
        while !queue.is_empty() {
            match queue.steal_batch_with_limit_and_pop(local, BATCH) {
                Steal::Success(job) => {
                    self.offer(level);
                    return Some(job);
                }
                Steal::Empty => break,
                Steal::Retry => spin_loop(),
            }
        }
        self.withdraw(level);
        None
    }

    /// A task that another worker claimed, with some of what it claimed behind it.
    #[inline(never)]
    fn steal(&mut self, level: usize) -> Option<Job> {
        let local = &self.local[level - 1];
        let steal_from = |stealer: &Stealer<Job>| {
            loop {
                match stealer.steal_batch_with_limit_and_pop(local, BATCH / 2) {
                    Steal::Success(job) => return Some(job),
                    Steal::Empty => return None,
                    Steal::Retry => spin_loop(),
                }
            }
        };
        let job = self.shared.claimed.find(level, steal_from, self.index + 1)?;
        self.offer(level);
        Some(job)
    }

    /// Tells the others about what was just claimed, if it was more than one task.
    #[inline]
    fn offer(&mut self, level: usize) {
        if self.shared.workers() == 1 || self.local[level - 1].is_empty() {
            return;
        }
        if !self.offers[level - 1] {
            self.offers[level - 1] = true;
            self.offered(level).fetch_or(1 << (self.index % 64), Ordering::Relaxed);
        }
        // A searcher looks round when it stops searching. Others must: who went to sleep a moment ago may have seen
        // neither the lane nor this queue hold these tasks.
        if !self.searching {
            fence(Ordering::SeqCst);
            self.shared.sleep.wake_one(&self.lanes[0].members);
        }
    }

    #[inline]
    fn withdraw(&mut self, level: usize) {
        if self.offers[level - 1] {
            self.offers[level - 1] = false;
            self.offered(level).fetch_and(!(1 << (self.index % 64)), Ordering::Relaxed);
        }
    }

    fn offered(&self, level: usize) -> &AtomicU64 {
        &self.shared.claimed.offered[level - 1][self.index / 64]
    }

    /// After a searcher found something: for each lane with more to do, one more worker.
    fn wake_next(&self) {
        let sleep = &self.shared.sleep;
        for lane in &self.lanes {
            if !lane.is_empty() {
                sleep.wake_one(&lane.members);
            }
        }
        if (NORMAL..LEVELS).any(|level| self.shared.claimed.any(level)) {
            sleep.wake_one(&self.lanes[0].members);
        }
    }

    /// Whether there is a reason not to sleep.
    fn has_work(&mut self) -> bool {
        self.learn_lanes();
        self.shared.is_stopped() || (HIGH..LEVELS).any(|level| self.has_work_at(level))
    }

    #[inline]
    fn has_work_at(&self, level: usize) -> bool {
        self.lanes.iter().any(|lane| !lane.queues[level].is_empty())
            || (level != HIGH && (!self.local[level - 1].is_empty() || self.shared.claimed.any(level)))
    }

    /// Takes notice of lanes made since the last look.
    #[inline]
    fn learn_lanes(&mut self) {
        while let Some((node, lane)) = self.shared.lanes.after(self.last_known) {
            self.last_known = Some(node);
            if lane.members.contains(self.index) {
                self.lanes.push(lane);
            }
        }
    }
}
