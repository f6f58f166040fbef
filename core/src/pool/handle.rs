//! The calls of a pool: a [`Handle`] submits, waits and shuts down, from any thread.

#![forbid(unsafe_code)]

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Shared, ShutdownMode, SubmitOptions,
    lane::{self, Lane},
    level, worker,
};
use crate::{
    error::{Error, Refused, Result},
    fork::ForkGuard,
    job::Job,
    primitive::full_fence,
    time::Deadline,
};

/// A way to a pool, from any thread; cheap to clone. It does not keep the pool open: when the [`Pool`](super::Pool) is gone,
/// its calls answer [`Error::Closed`].
#[derive(Clone)]
pub struct Handle {
    // First, and outside the allocation: a child looks at nothing else.
    pub(super) fork: ForkGuard,
    pub(super) shared: Arc<Shared>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "pool::Handle")
    }
}

/// Where a task goes, looked up once: a set of workers of one pool, and a level. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    /// None: lane 0.
    lane: Option<Arc<Lane>>,
    level: usize,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.lane.as_ref().map_or_else(|| "any".to_owned(), |lane| lane.members.to_string());
        f.debug_struct("Target").field("workers", &workers).field("level", &self.level).finish()
    }
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { fork: ForkGuard::new("pool"), shared }
    }

    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name).field("name", &self.shared.name).field("cpus", &self.shared.cpus).finish_non_exhaustive()
    }

    /// Looks up where tasks with these options go, for those who submit many: see [`Handle::submit_to`].
    ///
    /// # Errors
    /// [`Error::Affinity`] for a CPU set without a worker, [`Error::Invalid`] for an empty one, [`Error::Forked`].
    pub fn target(&self, options: &SubmitOptions) -> Result<Target> {
        self.fork.check()?;
        let lane = match &options.cpus {
            None => None,
            Some(cpus) => self.shared.lanes.of(&self.shared.resolve(cpus)?),
        };
        Ok(Target { lane, level: level(options.priority) })
    }

    /// Has a worker of the target run `job`. The target must be one of this pool's. Does not wait for room.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::QueueFull`], as [`Handle::submit_with`]; [`Error::Forked`].
    #[inline(always)]
    pub fn submit_to(&self, target: &Target, job: Job) -> Result<(), Refused<Job>> {
        match self.fork.check() {
            Ok(()) => self.submit_made(target, Some(Duration::ZERO), job, |job| job),
            Err(error) => Err(Refused::new(error, job)),
        }
    }

    /// As [`Handle::submit_to`], for what goes on rather than begins, as a coroutine does: a full pool takes it all the same.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    #[inline]
    pub fn resume_on(&self, target: &Target, job: Job) -> Result<(), Refused<Job>> {
        self.resume_made(target, job, |job| job)
    }

    /// If the caller is a worker that tasks of this target may run on: runs one, inside the task at hand. `run` does not unwind, and
    /// says whether there was one.
    pub(super) fn run_here(&self, target: &Target, run: impl FnOnce() -> bool) {
        worker::here_in(&self.shared, |local| {
            if target.lane(&self.shared).members.contains(local.index) {
                local.run_inside(target.lane.as_ref(), target.level, || {
                    if run() {
                        local.counters().executed.add(1);
                    }
                });
            }
        });
    }

    /// Whether a task that the caller submits now is refused.
    pub(crate) fn is_closed(&self) -> bool {
        let shared = &*self.shared;
        shared.outer.is_closed() && (shared.inner.is_closed() || !self.is_worker_thread())
    }

    /// Whether a task of this target may go on at once on the calling thread: it is a worker inside the set, and nothing of a
    /// higher level waits for it.
    pub fn may_run_here(&self, target: &Target) -> bool {
        if self.fork.is_forked() {
            return false;
        }
        worker::here_in(&self.shared, |local| {
            target.lane(&self.shared).members.contains(local.index)
                && !(lane::HIGH..target.level).any(|level| local.has_work_at(level))
        })
        .unwrap_or(false)
    }

    /// Whether the calling worker has something else to run, of any level, or is to stop.
    pub(crate) fn others_wait(&self) -> bool {
        worker::here_in(&self.shared, |local| local.has_work_from(lane::LOW)).unwrap_or(true)
    }

    /// Has a worker call `f`, at normal priority, on any worker.
    #[inline]
    pub fn submit<F: FnOnce() + Send + 'static>(&self, f: F) -> Result<(), Refused<Job>> {
        self.submit_to(&Target { lane: None, level: lane::NORMAL }, Job::new(f))
    }

    /// Has a worker run `job`.
    ///
    /// A full pool answers [`Error::QueueFull`], or waits for room as long as the options say and then answers
    /// [`Error::Timeout`]; to one of its own tasks that would wait, [`Error::WouldDeadlock`].
    /// [`Error::Closed`] after shutdown began, unless one of the pool's own tasks submits and the pool drains;
    /// [`Error::Affinity`] for a CPU set without a worker, [`Error::Invalid`] for an empty one.
    pub fn submit_with(&self, options: &SubmitOptions, job: Job) -> Result<(), Refused<Job>> {
        match self.target(options) {
            Ok(target) => self.submit_made(&target, options.timeout, job, |job| job),
            Err(error) => Err(Refused::new(error, job)),
        }
    }

    /// As [`Handle::resume_on`], for a job that is made when nothing can be refused any more; `make` runs no foreign code.
    #[inline]
    pub(crate) fn resume_made<V>(
        &self,
        target: &Target,
        value: V,
        make: impl FnOnce(V) -> Job,
    ) -> Result<(), Refused<V>> {
        match self.fork.check() {
            Ok(()) => self.push_part(target, value, make),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// As [`Handle::resume_on`], many at once: one wake-up for all, and those of one of the pool's own tasks go to its worker's queue. They come from an
    /// iterator of the library's own, and on an error none was taken.
    pub(crate) fn resume_many(
        &self,
        target: &Target,
        count: usize,
        jobs: &mut impl Iterator<Item = Job>,
    ) -> Result<()> {
        self.fork.check()?;
        let shared = &*self.shared;
        if target.level == lane::HIGH || target.lane.is_some() || !self.is_worker_thread() {
            return self.push_parts(target, count, jobs);
        }
        shared.take_room(count);
        if worker::spawn_all_here(target.level, count, jobs) {
            return Ok(());
        }
        shared.leave_room(count);
        shared.count_unrun();
        Err(Error::Closed("pool"))
    }

    /// Queues what is part of something that was accepted: a full pool takes it all the same.
    #[inline]
    pub(super) fn push_part<V>(
        &self,
        target: &Target,
        value: V,
        make: impl FnOnce(V) -> Job,
    ) -> Result<(), Refused<V>> {
        self.shared.take_room(1);
        self.push_made(target, value, make)
    }

    /// Queues a task that has its place.
    #[inline(always)]
    pub(super) fn push_made<V>(
        &self,
        target: &Target,
        value: V,
        make: impl FnOnce(V) -> Job,
    ) -> Result<(), Refused<V>> {
        if worker::is_worker_of(&self.shared) {
            return self.push_inside(target, value, make);
        }
        self.push_outside(target, value, make)
    }

    #[inline(never)]
    fn push_inside<V>(&self, target: &Target, value: V, make: impl FnOnce(V) -> Job) -> Result<(), Refused<V>> {
        if target.level == lane::HIGH || target.lane.is_some() {
            return self.push_outside(target, value, make);
        }
        let shared = &*self.shared;
        match worker::held() {
            Some(local) if !shared.is_stopped() => {
                local.spawn(target.level, make(value));
                Ok(())
            }
            _ => {
                shared.leave_room(1);
                shared.count_unrun();
                Err(Refused::new(Error::Closed("pool"), value))
            }
        }
    }

    #[inline(always)]
    fn push_outside<V>(&self, target: &Target, value: V, make: impl FnOnce(V) -> Job) -> Result<(), Refused<V>> {
        let shared = &*self.shared;
        let Some(_inside) = shared.outer.enter().or_else(|| self.enter_as_worker()) else {
            shared.leave_room(1);
            return Err(Refused::new(Error::Closed("pool"), value));
        };
        let lane = target.lane(shared);
        let queue = &lane.queues[target.level];
        shared.stats.sample(make(value), |job| queue.push(job));
        // Still inside the gate: when it is closed and quiet, nobody outside is about to wake a worker either.
        full_fence();
        shared.sleep.wake_one(&lane.members);
        Ok(())
    }

    /// Pushes all of these at once: one gate, one fence, and as many workers are woken as there are tasks for. They come from
    /// an iterator of the library's own: it runs inside the gate. On an error none was taken.
    pub(super) fn push_all(&self, target: &Target, jobs: &mut impl Iterator<Item = Job>) -> Result<()> {
        let shared = &*self.shared;
        if shared.workers() == 1 && target.level != lane::HIGH && self.is_worker_thread() {
            // It keeps the order of what one task submits: all of that goes the same way.
            return if worker::spawn_all_here(target.level, 0, jobs) {
                Ok(())
            } else {
                shared.count_unrun();
                Err(Error::Closed("pool"))
            };
        }
        let lane = target.lane(shared);
        let Some(_inside) = shared.outer.enter().or_else(|| self.enter_as_worker()) else {
            return Err(Error::Closed("pool"));
        };
        let queue = &lane.queues[target.level];
        let count = jobs.map(|job| shared.stats.sample(job, |job| queue.push(job))).count();
        full_fence();
        shared.sleep.wake_many(&lane.members, count);
        Ok(())
    }

    /// As [`Handle::push_all`], so many parts of one call, which a full pool takes all the same.
    pub(super) fn push_parts(&self, target: &Target, count: usize, jobs: &mut impl Iterator<Item = Job>) -> Result<()> {
        self.shared.take_room(count);
        self.push_all(target, jobs).inspect_err(|_| self.shared.leave_room(count))
    }

    #[cold]
    fn enter_as_worker(&self) -> Option<crate::gate::Inside<'_>> {
        if !self.is_worker_thread() {
            return None;
        }
        let inside = self.shared.inner.enter();
        if inside.is_none() {
            self.shared.count_unrun();
        }
        inside
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.shared.workers()
    }

    /// The CPU that each worker is pinned to.
    pub fn worker_cpus(&self) -> Vec<Option<usize>> {
        self.shared.cpus.clone()
    }

    /// Tells this pool from others for as long as it lives: see [`working_as`](super::working_as).
    pub(crate) fn identity(&self) -> usize {
        std::ptr::from_ref(&*self.shared).addr()
    }

    /// The worker that may run what has this target, if it is only one.
    pub(crate) fn only_worker(&self, target: &Target) -> Option<u16> {
        let is_member = |worker: &usize| target.lane.as_ref().is_none_or(|lane| lane.members.contains(*worker));
        let mut members = (0..self.workers()).filter(is_member);
        let first = members.next()?;
        members.next().is_none().then(|| u16::try_from(first).ok())?
    }

    /// Whether the caller is one of the pool's own tasks.
    pub fn is_worker_thread(&self) -> bool {
        worker::is_worker_of(&self.shared)
    }

    /// Closes the pool and returns at once: what is queued still runs, and what that submits, and then the workers end.
    pub fn close(&self) -> Result<()> {
        self.fork.check()?;
        self.shared.begin_drain();
        Ok(())
    }

    /// Waits until a pool that was closed has ended, and joins its threads.
    ///
    /// [`Error::Timeout`] changes nothing; [`Error::WouldDeadlock`] is the answer to one of the pool's own tasks.
    pub fn join(&self, timeout: Option<Duration>) -> Result<()> {
        self.fork.check()?;
        if self.is_worker_thread() {
            return Err(Error::WouldDeadlock("a pool's own task cannot wait for the pool to end"));
        }
        if self.shared.wait_ended(Deadline::after(timeout)) {
            return Ok(());
        }
        Err(Error::Timeout(format!("pool {:?} has not ended: tasks of it are still running", self.shared.name)))
    }

    /// Closes the pool, has what is queued run or dropped, waits for what runs, and joins the threads.
    ///
    /// Outside submissions are refused at once. A draining pool takes those of its own tasks and ends when nothing is left. At the
    /// timeout the pool stays closed, queued tasks are dropped, running ones go on, and [`Error::Timeout`]
    /// names their workers, or, if none is left, says how many tasks a drain has not begun; another call waits for the workers.
    ///
    /// Called by one of the pool's own tasks it returns at once, and the pool ends when that task has returned
    /// (dropping the handle before that discards what is still queued, as it always does). Any number
    /// of calls may be made, also at the same time; the strictest mode and the shortest timeout decide.
    pub fn shutdown(&self, mode: ShutdownMode, timeout: Option<Duration>) -> Result<()> {
        self.fork.check()?;
        self.shared.shutdown(mode, Deadline::after(timeout))
    }
}

impl Target {
    /// Its lane, unless that is the one of all workers.
    pub(super) fn narrow_lane(&self) -> Option<&Arc<Lane>> {
        self.lane.as_ref()
    }

    #[inline]
    pub(super) fn lane<'a>(&'a self, shared: &'a Shared) -> &'a Lane {
        self.lane.as_deref().unwrap_or_else(|| shared.lanes.first())
    }

    pub(super) fn level(&self) -> usize {
        self.level
    }
}
