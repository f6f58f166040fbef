//! Lanes: where a task waits, by the set of workers that may run it and by level.
//!
//! A task's CPU set resolves to the set of workers pinned inside it, and each distinct set of workers has one [`Lane`],
//! made at its first use. Lane 0 holds the tasks that every worker may run.
//!
//! # Invariant
//!
//! [`Lanes`] only grows: a lane is published once, at the end of the list, and stays where it is as long as the pool. So
//! readers need no lock, and a worker that remembers the last lane it knows finds newer ones behind it.

#![forbid(unsafe_code)]

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crossbeam_deque::{Injector, Steal};

use crate::job::Job;

/// The most workers a pool may have.
pub(super) const MAX_WORKERS: usize = 1024;
pub(super) const WORD_BITS: usize = 32;
const WORDS: usize = MAX_WORKERS / WORD_BITS;

/// Levels, in the order in which they are looked at.
pub(super) const HIGH: usize = 0;
pub(super) const NORMAL: usize = 1;
pub(super) const LOW: usize = 2;
pub(super) const LEVELS: usize = 3;

/// A set of worker indices.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WorkerSet {
    words: [u32; WORDS],
}

impl WorkerSet {
    /// The first `count` workers.
    pub(super) fn first(count: usize) -> Self {
        let mut set = Self::default();
        (0..count).for_each(|worker| set.insert(worker));
        set
    }

    pub(super) fn insert(&mut self, worker: usize) {
        self.words[worker / WORD_BITS] |= 1 << (worker % WORD_BITS);
    }

    pub(super) fn remove(&mut self, worker: usize) {
        self.words[worker / WORD_BITS] &= !(1 << (worker % WORD_BITS));
    }

    #[inline]
    pub(super) fn contains(&self, worker: usize) -> bool {
        self.words[worker / WORD_BITS] & (1 << (worker % WORD_BITS)) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The members by words of [`WORD_BITS`] workers.
    #[inline]
    pub(super) fn words(&self) -> &[u32; WORDS] {
        &self.words
    }
}

/// `{0, 2}`
impl fmt::Display for WorkerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..MAX_WORKERS).filter(|worker| self.contains(*worker))).finish()
    }
}

/// The queues of the tasks that one set of workers may run.
pub(super) struct Lane {
    pub(super) members: WorkerSet,
    pub(super) queues: [Injector<Job>; LEVELS],
}

impl Lane {
    fn new(members: WorkerSet) -> Self {
        Self { members, queues: std::array::from_fn(|_| Injector::new()) }
    }

    /// Whether no task waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(Injector::is_empty)
    }

    /// The oldest task of a level. Looks before it steals: a steal from an empty queue costs a fence.
    #[inline]
    pub(super) fn take(&self, level: usize) -> Option<Job> {
        let queue = &self.queues[level];
        while !queue.is_empty() {
            match queue.steal() {
                Steal::Success(job) => return Some(job),
                Steal::Empty => return None,
                Steal::Retry => std::hint::spin_loop(),
            }
        }
        None
    }
}

/// A lane in the list, and the one published after it.
pub(super) struct Node {
    lane: Arc<Lane>,
    next: OnceLock<Box<Node>>,
}

/// All lanes of a pool; the first is that of every worker.
pub(super) struct Lanes {
    first: Lane,
    others: OnceLock<Box<Node>>,
    append: Mutex<()>,
}

impl Lanes {
    pub(super) fn new(workers: usize) -> Self {
        Self { first: Lane::new(WorkerSet::first(workers)), others: OnceLock::new(), append: Mutex::new(()) }
    }

    /// Lane 0.
    #[inline]
    pub(super) fn first(&self) -> &Lane {
        &self.first
    }

    /// The place behind this lane in the list; `None` is lane 0.
    #[inline]
    fn behind<'a>(&'a self, last: Option<&'a Node>) -> &'a OnceLock<Box<Node>> {
        last.map_or(&self.others, |node| &node.next)
    }

    /// The lane published after this one; `None` is lane 0.
    #[inline]
    pub(super) fn after<'a>(&'a self, last: Option<&'a Node>) -> Option<(&'a Node, &'a Lane)> {
        self.behind(last).get().map(|node| (&**node, &*node.lane))
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.others.get(), |node| node.next.get()).map(|node| &**node)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        std::iter::once(&self.first).chain(self.nodes().map(|node| &*node.lane))
    }

    /// The lane of this set of workers, made if there is none yet; `None` is lane 0.
    pub(super) fn of(&self, members: &WorkerSet) -> Option<Arc<Lane>> {
        if self.first.members == *members {
            return None;
        }
        let known = || self.nodes().find(|node| node.lane.members == *members).map(|node| node.lane.clone());
        known().or_else(|| {
            let _appending = self.append.lock().unwrap_or_else(PoisonError::into_inner);
            // Again: somebody may have been first.
            known().or_else(|| {
                let lane = Arc::new(Lane::new(*members));
                let node = Node { lane: lane.clone(), next: OnceLock::new() };
                let published = self.behind(self.nodes().last()).set(Box::new(node));
                debug_assert!(published.is_ok(), "only the holder of the lock appends");
                Some(lane)
            })
        })
    }
}

impl Drop for Lanes {
    /// One after another: a list of boxes that drops itself recurses as deep as it is long.
    fn drop(&mut self) {
        let mut next = self.others.take();
        while let Some(mut node) = next {
            next = node.next.take();
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_worker_set_prints_its_members() {
        let mut set = WorkerSet::first(2);
        set.insert(1023);
        set.remove(0);
        assert_eq!(set.to_string(), "{1, 1023}");
        assert!(set.contains(1) && !set.contains(0) && !set.is_empty());
    }

    #[test]
    fn each_set_has_one_lane_and_all_workers_have_the_first() {
        let lanes = Lanes::new(3);
        let pair = WorkerSet::first(2);
        std::thread::scope(|scope| {
            let found: Vec<_> = (0..4).map(|_| scope.spawn(|| Arc::as_ptr(&lanes.of(&pair).unwrap()).addr())).collect();
            let found: Vec<_> = found.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert!(found.iter().all(|lane| *lane == found[0]));
        });
        assert!(lanes.of(&WorkerSet::first(3)).is_none());
        assert_eq!(lanes.iter().count(), 2);
    }
}
