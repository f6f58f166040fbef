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
//! * With one worker that may run them, tasks of one submitter at one level start in the order of submission. Parts of a task
//!   ([`fork`], [`scope`]) go before tasks that have not begun, the newest first.
//! * Within a level nothing starves: tasks from outside and those that tasks submit take turns, and so do CPU sets.
//! * An idle pool does not wake up. A task wakes one sleeping worker of its set, unless one of the set is already looking.
//! * A panic in a task, or in its drop, is caught and reported once, and the worker goes on.
//! * Threads that a task makes inherit the CPU its worker is pinned to: the system does that.
//! * After `fork`, in the child, the pool answers [`Error::Forked`].
//!
//! # Where things are
//!
//! `handle.rs` has the calls, `task.rs` those of tasks with a handle, `batch.rs` those of many at once, `room.rs`
//! bounded pools, `stats.rs` what is counted; `lane.rs` holds the queues, `worker/` what a worker does next, `fork_join/`
//! how a task splits itself, `sleep.rs` who sleeps and who is woken, `shutdown.rs` the end. README.md has the states, the
//! wake protocol, the memory orderings, and why no wake-up is lost.

// fork_join needs it, and the test of fork.
#![deny(unsafe_code)]

mod batch;
mod fork_join;
mod handle;
mod lane;
mod room;
mod shutdown;
mod sleep;
mod stats;
mod task;
#[cfg(all(test, not(loom)))]
mod test;
mod worker;

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, mpsc},
    time::Duration,
};

use crossbeam_utils::CachePadded;

pub(crate) use self::worker::{run_as, working_as};
pub use self::{
    batch::RefusedBatch,
    fork_join::{Scope, fork, scope},
    handle::{Handle, Target},
    stats::{PoolStats, WaitStats, WorkerStats},
    task::{Cancel, Task},
    worker::linger,
};
use self::{
    lane::{Lanes, MAX_WORKERS, WorkerSet},
    room::Room,
    shutdown::End,
    sleep::Sleep,
    stats::Stats,
    worker::{Offers, Queues, Worker},
};
use crate::{
    cpu::{self, CpuSet},
    error::{Error, Result},
    gate::Gate,
    job::Job,
    primitive::{AtomicBool, AtomicUsize, Ordering, full_fence},
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
    /// After how many tasks above a level, at least 1, one of it runs. `None`: never, the order is strict.
    pub ageing: Option<u32>,
    /// What the threads are called: `name-0`, `name-1`, ...
    pub name: String,
    /// How many tasks may be queued at once, at least 1. `None`: as many as there is memory for. What continues a coroutine is
    /// queued all the same.
    pub capacity: Option<usize>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { workers: None, no_pin: false, ageing: Some(64), name: "coop-pool".to_owned(), capacity: None }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitOptions {
    /// How urgent it is.
    pub priority: Priority,
    /// Where it may run. `None`: on every worker. CPUs that have no worker do no harm beside one that has.
    pub cpus: Option<CpuSet>,
    /// How long to wait for room in a pool that is full. Zero, the default: not at all. `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self { priority: Priority::default(), cpus: None, timeout: Some(Duration::ZERO) }
    }
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
    offers: Offers,
    sleep: Sleep,
    /// For everyone.
    outer: Gate,
    /// For the pool's own tasks once the outer gate is closed.
    inner: Gate,
    draining: AtomicBool,
    stopped: CachePadded<AtomicBool>,
    end: End,
    /// Tasks that a shutdown dropped, or refused to one of the pool's own.
    unrun: AtomicUsize,
    /// None: unbounded.
    room: Option<Room>,
    stats: Stats,
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

    /// Takes places for what is queued, or begins, without being asked whether there is room.
    #[inline]
    fn take_room(&self, count: usize) {
        if let Some(room) = &self.room {
            room.take_exempt(count);
        }
    }

    /// Gives up the places of so many tasks, which are not queued (any more).
    #[inline]
    fn leave_room(&self, count: usize) {
        if let Some(room) = &self.room {
            room.give(count);
        }
    }

    fn capacity(&self) -> Option<usize> {
        self.room.as_ref().map(Room::capacity)
    }

    /// How many tasks wait at a level.
    fn depth(&self, level: usize) -> usize {
        self.lanes.iter().map(|lane| lane.queues[level].len()).sum::<usize>() + self.offers.len(level)
    }

    /// Queues a part of a begun task, past the gates: as long as that task runs, a worker is awake, and the pool has not ended. A
    /// part that comes too late to be run is dropped with the lane; whoever offers it does not need it.
    fn push_part(&self, lane: &lane::Lane, level: usize, part: Job) {
        self.take_room(1);
        lane.queues[level].push(part);
        full_fence();
        self.sleep.wake_one(&lane.members);
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
///
/// Its calls are those of [`Handle`].
pub struct Pool {
    handle: Handle,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.describe(f, "Pool")
    }
}

impl Pool {
    /// Starts the workers and pins them. When a thread cannot be started or pinned, those that were are ended first.
    pub fn new(options: PoolOptions) -> Result<Self> {
        let count = options.workers.unwrap_or_else(|| cpu::usable_count().clamp(4, MAX_WORKERS));
        if !(1..=MAX_WORKERS).contains(&count) {
            return Err(Error::Invalid(format!("{count} workers: allowed are 1..={MAX_WORKERS}")));
        }
        if options.capacity == Some(0) {
            return Err(Error::Invalid(
                "capacity 0: a pool holds at least 1 task, or any number without one".to_owned(),
            ));
        }
        if options.ageing == Some(0) {
            return Err(Error::Invalid(
                "ageing 0: a task waits for at least 1 above it, or, without ageing, for all".to_owned(),
            ));
        }
        if options.name.contains('\0') {
            return Err(Error::Invalid(format!("pool name {:?} contains a NUL byte", options.name)));
        }
        let (queues, offers) = Offers::new(count);
        let cpus: Vec<_> = (0..count).map(|worker| (!options.no_pin).then(|| cpu::placement(worker))).collect();
        let shared = Arc::new(Shared {
            sleep: Sleep::new(&cpus),
            cpus,
            name: options.name,
            ageing: options.ageing,
            lanes: Lanes::new(count),
            offers,
            outer: Gate::new(),
            inner: Gate::new(),
            draining: AtomicBool::new(false),
            stopped: CachePadded::new(AtomicBool::new(false)),
            end: End::default(),
            unrun: AtomicUsize::new(0),
            room: options.capacity.map(Room::new),
            stats: Stats::new(count),
        });
        let pool = Self { handle: Handle::new(shared) };
        // An error drops the pool, and that ends what has started.
        pool.start(queues)?;
        Ok(pool)
    }

    /// Another way to the pool.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    fn start(&self, queues: Vec<Queues>) -> Result<()> {
        let (ready, started) = mpsc::channel();
        for (worker, queues) in queues.into_iter().enumerate() {
            let own = &self.handle.shared;
            let (handle, ready) = (self.handle.clone(), ready.clone());
            own.end.started(worker);
            let thread = crate::thread::spawn(&format!("{}-{worker}", own.name), move || {
                let shared = &handle.shared;
                let pinned = shared.cpus[worker].map_or(Ok(()), cpu::pin_current_thread);
                let go_on = pinned.is_ok();
                // Pool::new may have given up, and then this thread ends too: it sees that the pool is stopped.
                let _ = ready.send(pinned);
                drop(ready);
                shared.sleep.register(worker);
                if go_on && !Worker::new(&handle, worker, queues).run() {
                    return std::mem::forget(handle);
                }
                shared.end.ended(worker);
            });
            match thread {
                Ok(handle) => own.end.keep(handle),
                Err(error) => {
                    own.end.ended(worker);
                    return Err(error);
                }
            }
        }
        drop(ready);
        started.iter().collect()
    }
}

impl Deref for Pool {
    type Target = Handle;

    #[inline]
    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let Handle { fork, shared } = &self.handle;
        if fork.is_forked() {
            std::mem::forget(shared.clone());
            return;
        }
        shared.discard();
        if !self.is_worker_thread() {
            shared.wait_ended(Deadline::NEVER);
        }
    }
}
