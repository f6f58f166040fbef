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
    primitive::{Ordering, fence},
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

    /// Has a worker of the target run `job`. The target must be one of this pool's.
    ///
    /// # Errors
    /// [`Error::Closed`], as [`Handle::submit_with`]; [`Error::Forked`].
    #[inline]
    pub fn submit_to(&self, target: &Target, job: Job) -> Result<(), Refused<Job>> {
        match self.fork.check() {
            Ok(()) => self.push(target.lane(&self.shared), target.level, job),
            Err(error) => Err(Refused::new(error, job)),
        }
    }

    /// Whether a task of this target may go on at once on the calling thread: it is a worker inside the set, and nothing of a
    /// higher level waits for it.
    pub fn may_run_here(&self, target: &Target) -> bool {
        if self.fork.is_forked() {
            return false;
        }
        let shared = &*self.shared;
        worker::index_in(shared).is_some_and(|worker| {
            let lanes = || shared.lanes.iter().filter(|lane| lane.members.contains(worker));
            target.lane(shared).members.contains(worker)
                && (lane::HIGH..target.level).all(|level| lanes().all(|lane| lane.queues[level].is_empty()))
        })
    }

    /// Has a worker call `f`, at normal priority, on any worker.
    #[inline]
    pub fn submit<F: FnOnce() + Send + 'static>(&self, f: F) -> Result<(), Refused<Job>> {
        let job = Job::new(f);
        match self.fork.check() {
            Ok(()) => self.push(self.shared.lanes.first(), lane::NORMAL, job),
            Err(error) => Err(Refused::new(error, job)),
        }
    }

    /// Has a worker run `job`.
    ///
    /// [`Error::Closed`] after shutdown began, unless one of the pool's own tasks submits and the pool drains;
    /// [`Error::Affinity`] for a CPU set without a worker, [`Error::Invalid`] for an empty one.
    pub fn submit_with(&self, options: &SubmitOptions, job: Job) -> Result<(), Refused<Job>> {
        match self.target(options) {
            Ok(target) => self.push(target.lane(&self.shared), target.level, job),
            Err(error) => Err(Refused::new(error, job)),
        }
    }

    #[inline(always)]
    fn push(&self, lane: &Lane, level: usize, job: Job) -> Result<(), Refused<Job>> {
        let shared = &*self.shared;
        let Some(_inside) = shared.outer.enter().or_else(|| self.enter_as_worker()) else {
            return Err(Refused::new(Error::Closed("pool"), job));
        };
        lane.queues[level].push(job);
        // Still inside the gate: when it is closed and quiet, nobody outside is about to wake a worker either.
        fence(Ordering::SeqCst);
        shared.sleep.wake_one(&lane.members);
        Ok(())
    }

    #[cold]
    fn enter_as_worker(&self) -> Option<crate::gate::Inside<'_>> {
        if self.is_worker_thread() { self.shared.inner.enter() } else { None }
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.shared.workers()
    }

    /// The CPU that each worker is pinned to.
    pub fn worker_cpus(&self) -> Vec<Option<usize>> {
        self.shared.cpus.clone()
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
    /// names their workers; another call waits for them.
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
    #[inline]
    fn lane<'a>(&'a self, shared: &'a Shared) -> &'a Lane {
        self.lane.as_deref().unwrap_or_else(|| shared.lanes.first())
    }
}
