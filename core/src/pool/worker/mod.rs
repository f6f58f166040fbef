//! A worker: what it runs next, and what it does when there is nothing.
//!
//! # Order
//!
//! The higher level first, over all lanes the worker belongs to; within a level the lanes take turns, so that none
//! starves; what other workers have and have not begun comes after them, level by level. Ageing is the one exception.
//!
//! In lane 0 parts of begun tasks go first. Tasks from outside (claimed in batches, see `stealing.rs`) and tasks that
//! tasks submitted take turns, at most [`BATCH`] of one before the other; now and then one task of another worker
//! goes first, for it may be stuck behind a long one there. So neither kind starves the other, however long its chain. A single
//! worker claims in the order of submission and runs in it.

#![forbid(unsafe_code)]

mod local;
mod stealing;

use std::{hint::spin_loop, rc::Rc};

pub use self::local::linger;
pub(crate) use self::local::{run_as, working_as};
use self::stealing::{BATCH, insist};
pub(super) use self::{
    local::{Context, Local, held, here, here_in, in_task, is_worker_of, spawn_all_here},
    stealing::{Offers, Queues},
};
use super::{
    Handle, Shared,
    lane::{HIGH, LEVELS, LOW, Lane, NORMAL, Newer},
};
use crate::{
    fork::ForkGuard,
    job::Job,
    primitive::{Ordering, full_fence},
};

/// How often a searcher looks before it sleeps, and the first and the longest pause before a look, as powers of two of
/// spin hints. Some 80 us in all. A shorter first pause finds tasks one by one as they arrive, and the submitter and
/// the searcher then spend their time passing cache lines to and fro: 10 M tasks/s instead of 16.
const LOOKS: u32 = 20;
const FIRST_PAUSE: u32 = 5;
const LONGEST_PAUSE: u32 = 8;

/// After how many searches in a row that found nothing a worker sleeps without one, and how often it tries again: where work
/// comes seldom, or the CPU is wanted by who would bring it, looking for it only takes time from others.
const FRUITLESS: u32 = 3;
const RETRY: u32 = 8;

/// After how many batches of tasks from outside a busy worker looks for one that is stuck elsewhere; after one from inside it always
/// does.
const LOOK_ROUND: u32 = 8;

/// Which of the two kinds of lane 0 goes first at a level, and for how many tasks more.
#[derive(Clone, Copy, Default)]
struct Turn {
    spawned: bool,
    left: usize,
}

/// The state of one worker's thread.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    index: usize,
    local: Rc<Local>,
    /// The lanes this worker belongs to; the first is lane 0.
    lanes: Vec<&'a Lane>,
    /// The place in the list where the first lane will be that this worker has not looked at.
    newer: &'a Newer,
    /// Per level, which lane's turn it is.
    turn: [usize; LEVELS],
    /// Per level, which kind's turn it is within lane 0.
    common: [Turn; LEVELS],
    batches: u32,
    /// Per level, how many tasks ran above it since it has had one that could run.
    passed: [u32; LEVELS],
    searching: bool,
    /// How many searches, or sleeps instead of one, there were since one found something.
    fruitless: u32,
}

impl<'a> Worker<'a> {
    /// The calling thread becomes this worker.
    pub(super) fn new(handle: &'a Handle, index: usize, queues: Queues) -> Self {
        let shared = &*handle.shared;
        Self {
            shared,
            index,
            local: Local::enter(handle, index, queues),
            lanes: vec![shared.lanes.first()],
            newer: shared.lanes.behind_first(),
            turn: [0; LEVELS],
            common: [Turn::default(); LEVELS],
            batches: 0,
            passed: [0; LEVELS],
            searching: false,
            fruitless: 0,
        }
    }

    /// Works until the pool is stopped. False in a child that a task has forked: queues and locks there are the parent's, and
    /// nothing of them may be touched any more.
    pub(super) fn run(mut self) -> bool {
        let fork = ForkGuard::new("pool");
        while !self.shared.is_stopped() {
            if !self.run_next() {
                self.idle();
            }
            if fork.is_forked() {
                self.local.stop_lingering();
                std::mem::forget(self);
                return false;
            }
        }
        self.local.stop_lingering();
        self.end();
        true
    }

    /// After the last task: parts of begun tasks run, for somebody waits for them; tasks are dropped.
    fn end(&mut self) {
        if (HIGH..LEVELS).any(|level| !self.local.queues.is_empty(level)) {
            // Both run the tasks' own code: the worker is busy while it lasts.
            self.shared.stats.of(self.index).busy.store(true, Ordering::Relaxed);
        }
        loop {
            if self.local.help(LOW) {
                continue;
            }
            match self.local.queues.pop_task() {
                Some(job) => self.shared.drop_unrun(job),
                None => break,
            }
        }
        Local::leave();
    }

    /// Runs a task of this level. Not inlined, and called where a task is found: one that is handed up from function to function is
    /// copied at each, and the first copy waits for what the queue has just written.
    #[inline(never)]
    fn execute(&mut self, level: usize, job: Job) {
        self.local.linger_for(&job);
        self.count(level);
        if self.searching {
            self.searching = false;
            self.shared.sleep.found(self.index);
            self.wake_next();
        }
        self.shared.leave_room(1);
        let counters = self.shared.stats.of(self.index);
        counters.executed.add(1);
        counters.busy.store(true, Ordering::Relaxed);
        job.run_caught("pool");
        counters.busy.store(false, Ordering::Relaxed);
    }

    /// Looks for a while, then sleeps.
    #[cold]
    fn idle(&mut self) {
        self.local.stop_lingering();
        let sleep = &self.shared.sleep;
        // Only half of the workers look: more do not find more, and take CPU time from who submits.
        // And none looks on a CPU where another worker is at work.
        let worth_it = self.fruitless < FRUITLESS || self.fruitless.is_multiple_of(RETRY);
        if !self.searching
            && worth_it
            && 2 * sleep.searchers() < self.shared.workers().max(2)
            && !sleep.shares_with_running(self.index)
        {
            sleep.search(self.index);
            self.searching = true;
        }
        self.fruitless = self.fruitless.wrapping_add(1);
        if self.searching && worth_it {
            for look in 0..LOOKS {
                (0..1 << (FIRST_PAUSE + look).min(LONGEST_PAUSE)).for_each(|_| spin_loop());
                if self.has_work() {
                    self.fruitless = 0;
                    return;
                }
            }
        }
        let shared = self.shared;
        let parks = |worker: &mut Self| {
            let idle = !worker.has_work();
            shared.stats.of(worker.index).parked.add(u64::from(idle));
            !idle
        };
        sleep.sleep(self.index, || parks(self), || shared.all_asleep());
        self.searching = true;
    }

    /// Runs the next task, by level, turn and age; false if there is none.
    #[inline(always)]
    fn run_next(&mut self) -> bool {
        self.learn_lanes();
        if let Some(limit) = self.shared.ageing
            && (self.passed[LOW] >= limit || self.passed[NORMAL] >= limit)
            && self.run_aged(limit)
        {
            return true;
        }
        self.run_at(HIGH) || self.run_at(NORMAL) || self.run_low()
    }

    #[inline(never)]
    fn run_low(&mut self) -> bool {
        self.run_at(LOW)
    }

    /// One of a level that was passed over too often, lowest first.
    #[inline(never)]
    fn run_aged(&mut self, limit: u32) -> bool {
        [LOW, NORMAL].into_iter().any(|level| {
            self.passed[level] >= limit && {
                self.passed[level] = 0;
                self.run_at(level)
            }
        })
    }

    /// One of `ran` runs: the levels below that have a task that could run were passed over once more.
    #[inline(always)]
    fn count(&mut self, ran: usize) {
        self.passed[ran] = 0;
        for level in ran + 1..LEVELS {
            self.passed[level] = if self.has_work_at(level) { self.passed[level] + 1 } else { 0 };
        }
    }

    /// Something of this level.
    #[inline(always)]
    fn run_at(&mut self, level: usize) -> bool {
        let ran = if self.lanes.len() == 1 { self.run_common(level) } else { self.run_by_turns(level) };
        ran || self.run_stolen(level)
    }

    #[inline(never)]
    fn run_by_turns(&mut self, level: usize) -> bool {
        let lanes = self.lanes.len();
        let mut lane = self.turn[level];
        for _ in 0..lanes {
            let ran = if lane == 0 { self.run_common(level) } else { self.run_narrow(lane, level) };
            lane = if lane + 1 == lanes { 0 } else { lane + 1 };
            if ran {
                self.turn[level] = lane;
                return true;
            }
        }
        false
    }

    fn run_narrow(&mut self, lane: usize, level: usize) -> bool {
        let Some(job) = self.lanes[lane].take(level) else { return false };
        self.local.begin(Context { lane, level });
        self.execute(level, job);
        true
    }

    /// Something of lane 0.
    #[inline(always)]
    fn run_common(&mut self, level: usize) -> bool {
        self.local.begin(Context { lane: 0, level });
        if self.local.forked[level].get() {
            // A task of a scope may leave others behind when it ends.
            if let Some(fork) = self.local.pop_fork(level) {
                self.shared.take_room(1);
                self.execute(level, fork.into_job());
                return true;
            }
            self.local.forked[level].set(false);
        }
        let ran = if level == HIGH { self.run_urgent() } else { self.run_in_turn(level) };
        if !ran {
            self.local.withdraw(level);
        }
        ran
    }

    #[inline(always)]
    fn run_urgent(&mut self) -> bool {
        let Some(job) = self.shared.lanes.first().take(HIGH) else { return false };
        self.execute(HIGH, job);
        true
    }

    /// A task from outside or one from inside.
    #[inline(always)]
    fn run_in_turn(&mut self, level: usize) -> bool {
        if self.common[level].left == 0 {
            let Turn { spawned, .. } = self.common[level];
            self.common[level] = Turn { spawned: !spawned, left: BATCH };
            self.batches = self.batches.wrapping_add(1);
            if (spawned || self.batches.is_multiple_of(LOOK_ROUND)) && self.run_stuck(level) {
                return true;
            }
        }
        let Turn { spawned, left } = self.common[level];
        self.common[level].left = left - 1;
        if self.run_kind(level, spawned) {
            return true;
        }
        self.common[level] = Turn { spawned: !spawned, left: BATCH - 1 };
        self.run_kind(level, !spawned)
    }

    /// One that waits behind the task at hand of another worker.
    #[inline(never)]
    fn run_stuck(&mut self, level: usize) -> bool {
        let Some(job) = self.shared.offers.steal_one(level, self.index) else { return false };
        self.shared.stats.of(self.index).stolen.add(1);
        self.execute(level, job);
        true
    }

    #[inline(always)]
    fn run_kind(&mut self, level: usize, spawned: bool) -> bool {
        if spawned { self.run_spawned(level) } else { self.run_claimed(level) }
    }

    #[inline(always)]
    fn run_spawned(&mut self, level: usize) -> bool {
        let Some(job) = self.local.queues.pop_spawned(level) else { return false };
        self.execute(level, job);
        true
    }

    /// A task from outside: claimed before, or at the head of a new batch.
    #[inline(always)]
    fn run_claimed(&mut self, level: usize) -> bool {
        if let Some(job) = self.local.queues.claimed(level).pop() {
            self.execute(level, job);
            return true;
        }
        !self.shared.lanes.first().queues[level].is_empty() && self.claim(level)
    }

    #[inline(never)]
    fn claim(&mut self, level: usize) -> bool {
        let claimed = self.local.queues.claimed(level);
        let queue = &self.shared.lanes.first().queues[level];
        let Some(job) = insist(|| queue.steal_batch_with_limit_and_pop(claimed, BATCH)) else { return false };
        self.offer(level);
        self.execute(level, job);
        true
    }

    /// What another worker has, with some of what waits behind it.
    #[inline(always)]
    fn run_stolen(&mut self, level: usize) -> bool {
        !self.shared.offers.none_offered(level) && self.steal(level)
    }

    #[inline(never)]
    fn steal(&mut self, level: usize) -> bool {
        // A part of a begun task has no place.
        let part = || self.shared.take_room(1);
        let Some(job) = self.shared.offers.steal(level, self.index, &self.local.queues, part) else { return false };
        // There was nothing of its own.
        let behind = self.local.queues.len(level) as u64;
        self.shared.stats.of(self.index).stolen.add(1 + behind);
        self.local.begin(Context { lane: 0, level });
        self.offer(level);
        self.execute(level, job);
        true
    }

    /// Tells the others about what was just claimed, if it was more than one task.
    #[inline]
    fn offer(&mut self, level: usize) {
        if self.local.queues.is_empty(level) {
            return;
        }
        self.local.offer(level);
        if self.shared.workers() == 1 {
            return;
        }
        // A searcher looks round when it stops searching. Others must: who went to sleep a moment ago may have seen
        // neither the lane nor this queue hold these tasks.
        if !self.searching {
            full_fence();
            self.shared.sleep.wake_one(&self.lanes[0].members);
        }
    }

    /// After a searcher found something: for each lane with more to do, one more worker.
    fn wake_next(&self) {
        let sleep = &self.shared.sleep;
        for lane in &self.lanes {
            if !lane.is_empty() {
                sleep.wake_one(&lane.members);
            }
        }
        if (HIGH..LEVELS).any(|level| self.shared.offers.any(level)) {
            sleep.wake_one(&self.lanes[0].members);
        }
    }

    /// Whether there is a reason not to sleep.
    fn has_work(&mut self) -> bool {
        self.learn_lanes();
        self.shared.is_stopped() || (HIGH..LEVELS).any(|level| self.has_work_at(level))
    }

    #[inline(always)]
    fn has_work_at(&self, level: usize) -> bool {
        if self.lanes.len() == 1 {
            return !self.shared.lanes.first().queues[level].is_empty() || self.local.has_common_at(level);
        }
        self.lanes.iter().any(|lane| !lane.queues[level].is_empty()) || self.local.has_common_at(level)
    }

    /// Takes notice of lanes made since the last look.
    #[inline(always)]
    fn learn_lanes(&mut self) {
        if self.newer.get().is_some() {
            self.learn();
        }
    }

    #[cold]
    fn learn(&mut self) {
        while let Some(node) = self.newer.get() {
            self.newer = node.behind();
            let lane = node.lane();
            if lane.members.contains(self.index) {
                self.lanes.push(lane);
                self.local.learn(lane.clone());
            }
        }
    }
}
