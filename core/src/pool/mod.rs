//! The pool: workers pinned to CPUs that run short tasks by priority, each task inside its set of CPUs.
//!
//! ```
//! use coop_core::pool::{Pool, PoolOptions, ShutdownMode};
//!
//! let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() })?;
//! pool.submit(|| { /* something short */ })?;
//! pool.shutdown(ShutdownMode::Drain, None)?;
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # What it guarantees
//!
//! * An accepted task runs once or is dropped without a run, and is dropped exactly once, with no lock held. A refused one
//!   comes back in [`Refused`].
//! * The higher level always goes first, but for ageing: a worker that has run 64 tasks above a level while it had one to run
//!   runs one of it, lowest first.
//! * A task with a CPU set runs only on workers pinned inside it.
//! * With one worker that may run them, tasks of one submitter at one level start in the order of submission.
//! * An idle pool does not wake up. A task wakes one sleeping worker of its set, unless one of the set is already looking.
//! * A panic in a task, or in its drop, is caught and reported once, and the worker goes on.
//! * Threads that a task makes inherit the CPU its worker is pinned to: the system does that.
//! * After `fork`, in the child, the pool answers [`Error::Forked`].
//!
//! # Where things are
//!
//! `lane.rs` holds the queues, `worker.rs` what a worker does next, `sleep.rs` who sleeps and who is woken, `shutdown.rs` the
//! end. README.md has the states, the wake protocol, the memory orderings, and why no wake-up is lost.

// The test of fork needs it.
#![cfg_attr(not(test), forbid(unsafe_code))]

mod lane;
mod shutdown;
mod sleep;
#[cfg(all(test, not(loom)))]
mod test;
mod worker;

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::Duration,
};

use crossbeam_utils::CachePadded;

use self::{
    lane::{Lanes, MAX_WORKERS, WorkerSet},
    shutdown::End,
    sleep::Sleep,
    worker::{Claimed, Locals, Worker},
};
use crate::{
    cpu::{self, CpuSet},
    error::{Error, Refused, Result},
    fork::ForkGuard,
    gate::Gate,
    job::Job,
    primitive::{AtomicBool, Ordering, fence},
    priority::Priority,
    time::Deadline,
};

/// How a pool is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// How many workers, 1 to 1024. `None`: as many as this process has CPUs to use, at least 4.
    pub workers: Option<usize>,
    /// Leaves the workers where the system puts them. Such a pool takes no CPU sets.
    pub no_pin: bool,
    /// After how many tasks above a level one of it runs. `None`: never, the order is strict.
    pub ageing: Option<u32>,
    /// What the threads are called: `name-0`, `name-1`, ...
    pub name: String,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { workers: None, no_pin: false, ageing: Some(64), name: "coop-pool".to_owned() }
    }
}

/// The queue of a lane that tasks of this priority go to.
fn level(priority: Priority) -> usize {
    match priority {
        Priority::High => lane::HIGH,
        Priority::Normal => lane::NORMAL,
        Priority::Low => lane::LOW,
    }
}

/// How a task is to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmitOptions {
    /// How urgent it is.
    pub priority: Priority,
    /// Where it may run. `None`: on every worker. CPUs that have no worker do no harm beside one that has.
    pub cpus: Option<CpuSet>,
}

/// What becomes of queued tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// They run, and so do those that they submit.
    Drain,
    /// They are dropped.
    Discard,
}

/// What the pool's handle and its threads have in common.
struct Shared {
    name: String,
    cpus: Vec<Option<usize>>,
    ageing: Option<u32>,
    lanes: Lanes,
    claimed: Claimed,
    sleep: Sleep,
    /// For everyone.
    outer: Gate,
    /// For the pool's own tasks once the outer gate is closed.
    inner: Gate,
    draining: AtomicBool,
    stopped: CachePadded<AtomicBool>,
    end: End,
}

impl Shared {
    #[inline]
    fn workers(&self) -> usize {
        self.cpus.len()
    }

    #[inline]
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The workers that may run a task with this CPU set.
    fn resolve(&self, cpus: &CpuSet) -> Result<WorkerSet> {
        let mut members = WorkerSet::default();
        for (worker, cpu) in self.cpus.iter().enumerate() {
            if cpu.is_some_and(|cpu| cpus.contains(cpu)) {
                members.insert(worker);
            }
        }
        if !members.is_empty() {
            return Ok(members);
        }
        let workers = CpuSet::new(self.cpus.iter().filter_map(|cpu| *cpu))?;
        Err(match (cpus.is_empty(), workers.is_empty()) {
            (true, true) => {
                Error::Invalid("cpu set {} is empty, and the workers of a no_pin pool take none".to_owned())
            }
            (true, false) => Error::Invalid(format!("cpu set {{}} is empty: name a CPU of {workers}, or give no set")),
            (false, true) => {
                Error::Affinity(format!("cpu set {cpus} names no worker; workers are not pinned (no_pin)"))
            }
            (false, false) => Error::Affinity(format!("cpu set {cpus} names no worker; workers are on {workers}")),
        })
    }
}

/// A pool of worker threads. See the module's text.
///
/// Dropping it discards what is queued and waits for what runs; dropped by one of its own tasks it returns at once
/// and ends when that task returns. In a forked child it touches no thread and leaks the queues on purpose: a thread of the
/// parent may have been in the middle of a push.
pub struct Pool {
    // First, and outside the allocation: a child looks at nothing else.
    fork: ForkGuard,
    shared: Arc<Shared>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.shared.name).field("cpus", &self.shared.cpus).finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts the workers and pins them. When a thread cannot be started or pinned, those that were are ended first.
    pub fn new(options: PoolOptions) -> Result<Self> {
        let count = options.workers.unwrap_or_else(|| cpu::usable_count().clamp(4, MAX_WORKERS));
        if !(1..=MAX_WORKERS).contains(&count) {
            return Err(Error::Invalid(format!("{count} workers: allowed are 1..={MAX_WORKERS}")));
        }
        if options.name.contains('\0') {
            return Err(Error::Invalid(format!("pool name {:?} contains a NUL byte", options.name)));
        }
        let (locals, claimed) = Claimed::new(count);
        let shared = Arc::new(Shared {
            cpus: (0..count).map(|worker| (!options.no_pin).then(|| cpu::placement(worker))).collect(),
            name: options.name,
            ageing: options.ageing,
            lanes: Lanes::new(count),
            claimed,
            sleep: Sleep::new(count),
            outer: Gate::new(),
            inner: Gate::new(),
            draining: AtomicBool::new(false),
            stopped: CachePadded::new(AtomicBool::new(false)),
            end: End::default(),
        });
        let pool = Self { fork: ForkGuard::new("pool"), shared };
        // An error drops the pool, and that ends what has started.
        pool.start(locals)?;
        Ok(pool)
    }

    fn start(&self, locals: Vec<Locals>) -> Result<()> {
        let (ready, started) = mpsc::channel();
        for (worker, local) in locals.into_iter().enumerate() {
            let (shared, ready) = (self.shared.clone(), ready.clone());
            self.shared.end.started(worker);
            let thread = crate::thread::spawn(&format!("{}-{worker}", self.shared.name), move || {
                let pinned = shared.cpus[worker].map_or(Ok(()), cpu::pin_current_thread);
                let go_on = pinned.is_ok();
                // Pool::new may have given up, and then this thread ends too: it sees that the pool is stopped.
                let _ = ready.send(pinned);
                drop(ready);
                shared.sleep.register(worker);
                if go_on && !Worker::new(&shared, worker, local).run() {
                    return std::mem::forget(shared);
                }
                shared.end.ended(worker);
            });
            match thread {
                Ok(handle) => self.shared.end.keep(handle),
                Err(error) => {
                    self.shared.end.ended(worker);
                    return Err(error);
                }
            }
        }
        drop(ready);
        started.iter().collect()
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
        if let Err(error) = self.fork.check() {
            return Err(Refused::new(error, job));
        }
        let lanes = &self.shared.lanes;
        let lane = match options.cpus.as_ref().map(|cpus| self.shared.resolve(cpus)) {
            None => lanes.first(),
            Some(Ok(members)) => lanes.of(&members),
            Some(Err(error)) => return Err(Refused::new(error, job)),
        };
        self.push(lane, level(options.priority), job)
    }

    #[inline(always)]
    fn push(&self, lane: &lane::Lane, level: usize, job: Job) -> Result<(), Refused<Job>> {
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

impl Drop for Pool {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            std::mem::forget(self.shared.clone());
            return;
        }
        self.shared.discard();
        if !self.is_worker_thread() {
            self.shared.wait_ended(Deadline::NEVER);
        }
    }
}
