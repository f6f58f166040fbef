//! Statistics: what waits, what each worker did, and how long tasks waited.
//!
//! Counters belong to one worker each and stand in a cache line of its own: it adds with a load and a store, nobody
//! else writes. Waiting is sampled: of every 64 tasks that a thread submits, the first one takes the time with it, in
//! a closure around it. The others are what they are without statistics.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;

use super::{Handle, Shared, lane::LEVELS};
use crate::{
    error::{Error, Result},
    job::Job,
};

/// One of so many tasks is timed.
const ONE_IN: u32 = 64;

/// What a pool did so far, and what waits in it. Counts of a moment in which other threads go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStats {
    /// How many tasks wait: at HIGH, at NORMAL, at LOW.
    pub depth: [usize; LEVELS],
    /// How many may wait; `None`: any number.
    pub capacity: Option<usize>,
    /// Each worker.
    pub workers: Vec<WorkerStats>,
    /// From submission to start.
    pub wait: WaitStats,
}

/// What one worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerStats {
    /// Where it is pinned, if it is.
    pub cpu: Option<usize>,
    /// How many tasks it has begun, parts of tasks that it took as its next one, and turns of a loop among them.
    pub executed: u64,
    /// How many of them, and of those it still holds, it took from what another worker had claimed.
    pub stolen: u64,
    /// How often it went to sleep.
    pub parked: u64,
}

/// How long tasks waited, of every 64th one. Percentiles are those of all since the pool was made, up to an eighth
/// too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitStats {
    /// How many were timed.
    pub samples: u64,
    /// The mean.
    pub mean: Duration,
    /// Half of them waited no longer.
    pub p50: Duration,
    /// 99 of 100 waited no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// A number that one thread counts and others read.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Called by its owner only.
    #[inline]
    pub(super) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    /// Called by its owner only, for what it has added.
    pub(super) fn take_back(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_sub(count), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a worker counts.
#[derive(Default)]
pub(super) struct Counters {
    /// Whether it is in a task, or dropping some: user code.
    pub(super) busy: AtomicBool,
    pub(super) executed: Counter,
    pub(super) stolen: Counter,
    pub(super) parked: Counter,
}

/// The counters of a pool.
pub(super) struct Stats {
    workers: Box<[CachePadded<Counters>]>,
    waits: Arc<Waits>,
}

impl Stats {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| CachePadded::default()).collect(), waits: Arc::default() }
    }

    /// The counters of one worker, which alone adds to them.
    #[inline]
    pub(super) fn of(&self, worker: usize) -> &Counters {
        &self.workers[worker]
    }

    /// Pushes the job as it is, or, if it is this thread's turn, with the time it was submitted at. Two pushes, for a job that is
    /// one or the other is copied once more.
    #[inline(always)]
    pub(super) fn sample(&self, job: Job, push: impl Fn(Job)) {
        thread_local!(static TURN: Cell<u32> = const { Cell::new(0) });
        // A thread that is ending has no thread-locals left: its tasks are not timed.
        let turn = TURN.try_with(|turn| turn.replace((turn.get() + 1) % ONE_IN)).unwrap_or(1);
        if turn == 0 { self.push_timed(job, push) } else { push(job) }
    }

    #[cold]
    fn push_timed(&self, job: Job, push: impl Fn(Job)) {
        let (waits, submitted) = (self.waits.clone(), Instant::now());
        push(Job::new(move || {
            waits.record(submitted.elapsed());
            drop(waits);
            job.run();
        }));
    }
}

/// Buckets per power of two: a bucket is an eighth as wide as its time is long.
const STEPS: usize = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS;

/// A histogram of nanoseconds.
struct Waits {
    buckets: [AtomicU64; BUCKETS],
    total: AtomicU64,
    max: AtomicU64,
}

impl Default for Waits {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), total: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

/// The bucket that holds this time: below [`STEPS`] each has its own, above it the leading bit and the three after it
/// say which.
fn bucket_of(ns: u64) -> usize {
    if ns < STEPS as u64 {
        return usize::try_from(ns).unwrap_or_default();
    }
    let exponent = ns.ilog2() - STEP_BITS;
    let step = usize::try_from(ns >> exponent).unwrap_or_default() - STEPS;
    (exponent as usize + 1) * STEPS + step
}

/// The longest time in a bucket.
fn longest_in(bucket: usize) -> u64 {
    let next = bucket + 1;
    if next < 2 * STEPS {
        return bucket as u64;
    }
    let (exponent, step) = (next / STEPS - 1, next % STEPS);
    // The last bucket ends where the numbers end.
    let end = (u128::from(STEPS as u64) + step as u128) << exponent;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

impl Waits {
    fn record(&self, waited: Duration) {
        let ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(ns)].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(ns, Ordering::Relaxed);
        self.max.fetch_max(ns, Ordering::Relaxed);
    }

    fn read(&self) -> WaitStats {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let samples: u64 = counts.iter().sum();
        if samples == 0 {
            return WaitStats::default();
        }
        let max = self.max.load(Ordering::Relaxed);
        let percentile = |percent: u64| {
            let wanted = (samples * percent).div_ceil(100).max(1);
            let mut seen = 0;
            let bucket = counts.iter().position(|count| {
                seen += count;
                seen >= wanted
            });
            Duration::from_nanos(longest_in(bucket.unwrap_or(BUCKETS - 1)).min(max))
        };
        WaitStats {
            samples,
            mean: Duration::from_nanos(self.total.load(Ordering::Relaxed) / samples),
            p50: percentile(50),
            p99: percentile(99),
            max: Duration::from_nanos(max),
        }
    }
}

impl Shared {
    fn worker_stats(&self, worker: usize) -> WorkerStats {
        let counters = self.stats.of(worker);
        WorkerStats {
            cpu: self.cpus[worker],
            executed: counters.executed.get(),
            stolen: counters.stolen.get(),
            parked: counters.parked.get(),
        }
    }
}

impl Handle {
    /// What the pool did so far, and what waits in it. Costs a look at every worker and every queue.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stats(&self) -> Result<PoolStats> {
        self.fork.check()?;
        let shared = &*self.shared;
        Ok(PoolStats {
            depth: std::array::from_fn(|level| shared.depth(level)),
            capacity: shared.capacity(),
            workers: (0..shared.workers()).map(|worker| shared.worker_stats(worker)).collect(),
            wait: shared.stats.waits.read(),
        })
    }

    /// What one worker did so far.
    ///
    /// # Errors
    /// [`Error::Invalid`] past the last worker, [`Error::Forked`].
    pub fn worker_stats(&self, worker: usize) -> Result<WorkerStats> {
        self.fork.check()?;
        let workers = self.shared.workers();
        if worker >= workers {
            return Err(Error::Invalid(format!("worker {worker} is out of range: this pool has {workers}, from 0")));
        }
        Ok(self.shared.worker_stats(worker))
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;

    #[test]
    fn every_time_has_a_bucket_that_is_at_most_an_eighth_too_long() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for ns in edges.chain([9, 100, 1000, 123_456_789, u64::MAX - 1, u64::MAX]) {
            let longest = longest_in(bucket_of(ns));
            assert!(longest >= ns, "{ns} is past the end of its bucket, {longest}");
            assert!(longest - ns <= ns / 8, "{ns} is answered as {longest}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let waits = Waits::default();
        assert_eq!(waits.read(), WaitStats::default());
        (1..=100).for_each(|us| waits.record(Duration::from_micros(us)));
        let read = waits.read();
        assert_eq!((read.samples, read.max), (100, Duration::from_micros(100)));
        assert_eq!(read.mean, Duration::from_nanos(50_500));
        let close =
            |read: Duration, us| read >= Duration::from_micros(us) && read <= Duration::from_micros(us + us / 8);
        assert!(close(read.p50, 50) && close(read.p99, 99) && read.p99 <= read.max, "{read:?}");
    }
}
