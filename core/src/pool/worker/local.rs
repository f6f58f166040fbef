//! What the tasks of a worker can reach: the worker's own queues, and in which lane and at which level they run.
//!
//! # Submitting inside
//!
//! A task of lane 0 below HIGH that a task submits goes into the worker's own queue, without a gate. The gate makes one look at
//! the queues final when the pool ends; here the worker itself takes the last look, on the same thread:
//!
//! * *Draining* ends when all workers sleep, and a worker looks at its own queues before it sleeps.
//! * *Stopped*: the worker reads the flag, leaves its loop, drops what its queues hold, and ends. What is submitted before
//!   it reads the flag is in the queue by then; what is submitted later, by the drop of one of those tasks, reads the flag
//!   too, for it is the same thread and a flag that is never cleared: it is refused. So a relaxed look is enough. Who discards
//!   may sweep the queue before such a task arrives; then it waits, for no longer than the task at hand, for the
//!   worker to drop it.

#![forbid(unsafe_code)]

use std::{
    cell::{Cell, OnceCell, RefCell},
    hint::spin_loop,
    rc::Rc,
    sync::Arc,
};

use super::{super::Shared, LONGEST_PAUSE, LOOKS, Queues};
use crate::{
    job::Job,
    pool::{
        Handle, Target,
        fork_join::{Fork, Parts},
        lane::{HIGH, LEVELS, Lane},
        stats::Counters,
    },
    primitive::full_fence,
};

/// Numbers from here on are those of lanes that a task which is run inside another one came with.
const VISITED: usize = usize::MAX / 2;

thread_local! {
    /// The address of the pool this thread works for, and which of its workers this is. It has no destructor, so that those
    /// who are no workers learn that in two instructions.
    static WORKS_FOR: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// A thread works for one pool in its life.
    static LOCAL: OnceCell<Rc<Local>> = const { OnceCell::new() };
}

/// Whether the calling thread is a worker of this pool.
#[inline]
pub(in super::super) fn is_worker_of(shared: &Shared) -> bool {
    index_in(shared).is_some()
}

/// Which worker of this pool the calling thread is.
#[inline]
pub(in super::super) fn index_in(shared: &Shared) -> Option<usize> {
    let (pool, index) = WORKS_FOR.try_with(Cell::get).ok()?;
    (pool == std::ptr::from_ref(shared).addr()).then_some(index)
}

/// Calls `f` with the calling worker's own state; `None` on a thread that is no worker.
#[inline]
pub(in super::super) fn here<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    if WORKS_FOR.try_with(Cell::get).ok()?.0 == 0 {
        return None;
    }
    LOCAL.try_with(|local| local.get().map(|local| f(local))).ok()?
}

/// As [`here`], but not in a forked child: nobody there takes what a worker offers, and its lanes are the parent's.
#[inline]
pub(in super::super) fn in_task<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    here(|local| (!local.handle.fork.is_forked()).then(|| f(local))).flatten()
}

/// As [`here`], for a worker of this pool only.
#[inline]
pub(in super::super) fn here_in<R>(shared: &Shared, f: impl FnOnce(&Local) -> R) -> Option<R> {
    is_worker_of(shared).then(|| here(f)).flatten()
}

/// The calling worker's own state, to be held: a closure that gets it would have to be given the task too, and copying one
/// costs more than a count.
#[inline]
pub(in super::super) fn held() -> Option<Rc<Local>> {
    LOCAL.try_with(|local| local.get().cloned()).ok()?
}

/// [`Local::spawn_all`] on the calling worker.
pub(in super::super) fn spawn_all_here(level: usize, count: usize, jobs: &mut impl Iterator<Item = Job>) -> bool {
    LOCAL.with(|local| local.get().is_some_and(|local| local.spawn_all(level, count, jobs)))
}

/// The identity of the pool that the calling thread works for, and which worker of it this is.
pub(crate) fn working_as() -> Option<(usize, usize)> {
    WORKS_FOR.try_with(Cell::get).ok().filter(|(pool, _)| *pool != 0)
}

/// Has the calling worker call `leave`, which does not unwind, once: before its next task unless that is a job of this [kind](Job::kind),
/// and before it looks for work longer than one look. What a task took and the next of its kind would take again it
/// can so keep in between: a lock that is dear to take, say. False on a thread that is no worker: `leave` is not called then.
pub fn linger(kind: usize, leave: fn()) -> bool {
    here(|local| local.lingering.set(Some(Lingering { kind, leave }))).is_some()
}

/// Calls `run`, which does not unwind, inside the task at hand as a task of this target: what it forks stays in that lane and
/// at that level. The caller knows that the worker may run it.
pub(crate) fn run_as(target: &Target, run: impl FnOnce()) {
    let mut run = Some(run);
    let mut call = || {
        if let Some(run) = run.take() {
            run();
        }
    };
    here(|local| local.run_inside(target.narrow_lane(), target.level(), &mut call));
    // On a thread that is no worker any more.
    call();
}

/// See [`linger`].
#[derive(Clone, Copy)]
struct Lingering {
    kind: usize,
    leave: fn(),
}

/// Where the task at hand runs: what it forks stays there.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Context {
    /// Which of the worker's lanes; 0 is that of all workers.
    pub(in super::super) lane: usize,
    pub(in super::super) level: usize,
}

/// See the module's text.
pub(in super::super) struct Local {
    handle: Handle,
    pub(in super::super) index: usize,
    pub(super) queues: Queues,
    pub(super) context: Cell<Context>,
    /// Per level, whether the queues may hold something; the bit in `offered` says the same to others.
    offers: [Cell<bool>; LEVELS],
    /// Per level, whether a fork was pushed since the queue was last found empty between two tasks.
    pub(super) forked: [Cell<bool>; LEVELS],
    /// The narrower lanes this worker belongs to, from number 1.
    lanes: RefCell<Vec<Arc<Lane>>>,
    /// Those of tasks that are run inside the task at hand, from number [`VISITED`].
    visited: RefCell<Vec<Arc<Lane>>>,
    /// See [`linger`].
    lingering: Cell<Option<Lingering>>,
}

impl Local {
    /// What comes next is this job.
    #[inline(always)]
    pub(super) fn linger_for(&self, job: &Job) {
        if let Some(Lingering { kind, .. }) = self.lingering.get()
            && kind != job.kind()
        {
            self.stop_lingering();
        }
    }

    /// What comes next is no task.
    #[cold]
    pub(super) fn stop_lingering(&self) {
        if let Some(Lingering { leave, .. }) = self.lingering.take() {
            leave();
        }
    }

    /// The calling thread is this worker from now on.
    pub(super) fn enter(handle: &Handle, index: usize, queues: Queues) -> Rc<Self> {
        let local = Rc::new(Self {
            handle: handle.clone(),
            index,
            queues,
            context: Cell::default(),
            offers: Default::default(),
            forked: Default::default(),
            lanes: RefCell::default(),
            visited: RefCell::default(),
            lingering: Cell::default(),
        });
        LOCAL.with(|place| {
            let first = place.set(local.clone()).is_ok();
            debug_assert!(first, "a thread works for one pool in its life");
        });
        WORKS_FOR.set((std::ptr::from_ref(&*handle.shared).addr(), index));
        local
    }

    /// It is none any more.
    pub(super) fn leave() {
        WORKS_FOR.set((0, 0));
    }

    pub(in super::super) fn handle(&self) -> &Handle {
        &self.handle
    }

    #[inline(always)]
    pub(in super::super) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    pub(in super::super) fn context(&self) -> Context {
        self.context.get()
    }

    /// The narrower lane of this number.
    pub(in super::super) fn lane(&self, number: usize) -> Option<Arc<Lane>> {
        if let Some(index) = number.checked_sub(VISITED) {
            return self.visited.borrow().get(index).cloned();
        }
        number.checked_sub(1).and_then(|index| self.lanes.borrow().get(index).cloned())
    }

    /// Runs another task inside the one at hand, as what it is: its parts stay in its lane (`None`: that of all workers), at its
    /// level. `run` does not unwind.
    pub(in super::super) fn run_inside(&self, lane: Option<&Arc<Lane>>, level: usize, run: impl FnOnce()) {
        let number = lane.map_or(0, |lane| {
            let mut visited = self.visited.borrow_mut();
            visited.push(lane.clone());
            VISITED + visited.len() - 1
        });
        let context = self.context.replace(Context { lane: number, level });
        run();
        self.context.set(context);
        if lane.is_some() {
            self.visited.borrow_mut().pop();
        }
    }

    pub(super) fn learn(&self, lane: Arc<Lane>) {
        self.lanes.borrow_mut().push(lane);
    }

    /// Takes a task that a task of this worker submits to lane 0, below HIGH. The caller has seen that the pool is not stopped.
    #[inline(always)]
    pub(in super::super) fn spawn(&self, level: usize, job: Job) {
        let shared = self.shared();
        shared.stats.sample(job, |job| self.queues.push_spawned(level, job));
        self.offer(level);
        if shared.workers() > 1 {
            full_fence();
            shared.sleep.wake_one(&shared.lanes.first().members);
        }
    }

    /// As [`Local::spawn`], all of these, for which so many workers may be woken; false, and none is taken, if the pool is stopped.
    fn spawn_all(&self, level: usize, count: usize, jobs: &mut impl Iterator<Item = Job>) -> bool {
        let goes_on = !self.shared().is_stopped();
        if goes_on {
            jobs.for_each(|job| self.shared().stats.sample(job, |job| self.queues.push_spawned(level, job)));
            self.offer(level);
            if self.shared().workers() > 1 {
                full_fence();
                self.shared().sleep.wake_many(&self.shared().lanes.first().members, count);
            }
        }
        goes_on
    }

    /// What this worker counts.
    pub(in super::super) fn counters(&self) -> &Counters {
        self.shared().stats.of(self.index)
    }

    /// Makes a part of the task at hand visible to others, who may run it meanwhile. The caller takes it back or waits for it, so
    /// nothing hangs when nobody notices; the first part that is visible is worth a fence all the same, for it is the
    /// largest.
    #[inline]
    pub(in super::super) fn push_fork(&self, level: usize, fork: Fork) {
        let shared = self.shared();
        let queue = self.queues.forks(level);
        let first = queue.is_empty();
        queue.push(fork);
        self.forked[level].set(true);
        self.offer(level);
        if shared.workers() > 1 {
            if first {
                full_fence();
            }
            shared.sleep.wake_helper(&shared.lanes.first().members);
        }
    }

    /// The last fork that was pushed at this level, if nobody has taken it.
    #[inline]
    pub(in super::super) fn pop_fork(&self, level: usize) -> Option<Fork> {
        self.queues.forks(level).pop()
    }

    /// Runs a part of some task of lane 0; afterwards the one at hand goes on.
    pub(in super::super) fn run_fork(&self, level: usize, fork: Fork) {
        self.run_part(Context { lane: 0, level }, fork);
    }

    /// Runs a part of some task that runs there.
    pub(in super::super) fn run_part(&self, there: Context, part: Fork) {
        let context = self.context.replace(there);
        part.run();
        self.context.set(context);
    }

    /// Waits until `done`, inside a task. Meanwhile it runs these parts of its own, and parts of tasks no less urgent; when there
    /// are none, it parks. Whoever makes `done` true, or adds to `parts`, wakes it
    /// ([`Sleep::wake_waiter`](super::super::sleep::Sleep::wake_waiter)).
    pub(in super::super) fn wait_until(&self, done: impl Fn() -> bool, parts: Option<&Parts>) {
        let context = self.context.get();
        let level = context.level;
        let mut looks = 0;
        while !done() {
            if let Some(part) = parts.and_then(Parts::take) {
                self.run_part(context, part);
            } else if self.help(level) {
                looks = 0;
            } else if looks < LOOKS {
                (0..1 << looks.min(LONGEST_PAUSE)).for_each(|_| spin_loop());
                looks += 1;
            } else {
                self.shared().sleep.wait(self.index, || {
                    done() || parts.is_some_and(|parts| !parts.is_empty()) || self.can_help(level)
                });
            }
        }
    }

    /// Runs one part of a begun task, no less urgent than `least`; false if there is none.
    pub(in super::super) fn help(&self, least: usize) -> bool {
        let found = (HIGH..=least).find_map(|level| {
            let own = if self.forked[level].get() { self.pop_fork(level) } else { None };
            let fork = own.or_else(|| self.shared().offers.steal_fork(level, self.index))?;
            Some((level, fork))
        });
        found.map(|(level, fork)| self.run_fork(level, fork)).is_some()
    }

    /// Whether [`Local::help`] would find something.
    pub(in super::super) fn can_help(&self, least: usize) -> bool {
        (HIGH..=least).any(|level| self.shared().offers.any_fork(level))
    }

    /// Whether something of this level waits for this worker.
    pub(in super::super) fn has_work_at(&self, level: usize) -> bool {
        let shared = self.shared();
        !shared.lanes.first().queues[level].is_empty()
            || self.has_common_at(level)
            || shared.lanes.others().any(|lane| !lane.queues[level].is_empty() && lane.members.contains(self.index))
    }

    /// Whether something of this level or a more urgent one waits for this worker, or the pool is to stop.
    pub(in super::super) fn has_work_from(&self, least: usize) -> bool {
        self.shared().is_stopped() || (HIGH..=least).any(|level| self.has_work_at(level))
    }

    /// Whether something of this level waits in a worker's own queues.
    #[inline(always)]
    pub(super) fn has_common_at(&self, level: usize) -> bool {
        (self.offers[level].get() && !self.queues.is_empty(level)) || self.shared().offers.any(level)
    }

    /// A task begins.
    #[inline(always)]
    pub(super) fn begin(&self, context: Context) {
        self.context.set(context);
    }

    /// This level's queues may hold something, and others may look at them.
    #[inline(always)]
    pub(super) fn offer(&self, level: usize) {
        if !self.offers[level].get() {
            self.offers[level].set(true);
            if self.shared().workers() > 1 {
                self.shared().offers.offer(level, self.index);
            }
        }
    }

    /// They need not: all are empty.
    #[inline(always)]
    pub(super) fn withdraw(&self, level: usize) {
        if self.offers[level].get() && self.queues.is_empty(level) {
            self.offers[level].set(false);
            if self.shared().workers() > 1 {
                self.shared().offers.withdraw(level, self.index);
            }
        }
    }
}
