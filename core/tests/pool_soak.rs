//! Several pools, some of them bounded, under a mixed load, round after round: from outside and from inside, with CPU sets and
//! priorities, with forks, scopes and loops, in batches and with handles that are joined, cancelled or dropped, until a
//! shutdown of either kind. Every task runs once, or in a pool that is discarded runs or is dropped, once.
//!
//! Two seconds, or as many as `COOP_POOL_SOAK_SECONDS` says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use coop_core::{
    CpuSet, Error, Job, Pool, PoolOptions, Priority, ShutdownMode, SubmitOptions,
    pool::{self, Cancel, Handle},
};

/// Numbers that are different each time and the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    /// A task takes no for an answer from a full pool; others wait.
    fn options(&mut self, pool: &Handle) -> SubmitOptions {
        let priority = [Priority::Low, Priority::Normal, Priority::High][self.roll(3)];
        let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
        let cpus = if self.roll(4) == 0 && !cpus.is_empty() {
            Some(CpuSet::new([cpus[self.roll(cpus.len())], cpus[self.roll(cpus.len())]]).unwrap())
        } else {
            None
        };
        let timeout = if pool.is_worker_thread() { Some(Duration::ZERO) } else { None };
        SubmitOptions { priority, cpus, timeout }
    }
}

/// What came of the tasks of one pool.
#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    ran: AtomicUsize,
    dropped: AtomicUsize,
    /// Each accepted task adds its number here, and each run takes it away.
    sum: AtomicU64,
}

struct Task {
    counts: Arc<Counts>,
    number: u64,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Submits a task that may submit others; false if it was refused.
fn submit(pool: &Handle, counts: &Arc<Counts>, seed: u64, depth: usize) -> bool {
    let mut dice = Dice(seed | 1);
    let options = dice.options(pool);
    counts.accepted.fetch_add(1, Ordering::Relaxed);
    counts.sum.fetch_add(seed, Ordering::Relaxed);
    let task = Task { counts: counts.clone(), number: seed };
    let inner = pool.clone();
    let refused = pool.submit_with(&options, Job::new(move || run(&inner, &task, depth)));
    if refused.is_err() {
        // Its drop was counted when it came back.
        drop(refused);
        counts.accepted.fetch_sub(1, Ordering::Relaxed);
        counts.sum.fetch_sub(seed, Ordering::Relaxed);
        counts.dropped.fetch_sub(1, Ordering::Relaxed);
        return false;
    }
    true
}

/// A task that the counts know of.
fn counted(counts: &Arc<Counts>, number: u64) -> Task {
    counts.accepted.fetch_add(1, Ordering::Relaxed);
    counts.sum.fetch_add(number, Ordering::Relaxed);
    Task { counts: counts.clone(), number }
}

/// Takes back what was counted of a refused task that has been dropped, or a cancelled one.
fn uncount(counts: &Counts, number: u64) {
    counts.accepted.fetch_sub(1, Ordering::Relaxed);
    counts.sum.fetch_sub(number, Ordering::Relaxed);
    counts.dropped.fetch_sub(1, Ordering::Relaxed);
}

/// Submits some at once; false if not all were taken.
fn submit_batch(pool: &Handle, counts: &Arc<Counts>, seed: u64, depth: usize) -> bool {
    let mut dice = Dice(seed | 1);
    let (options, count) = (dice.options(pool), 1 + dice.roll(100) as u64);
    let jobs = (0..count).map(|number| {
        let (task, inner) = (counted(counts, seed.wrapping_add(number)), pool.clone());
        Job::new(move || run(&inner, &task, depth))
    });
    let Err(refused) = pool.submit_batch(&options, jobs.collect()) else { return true };
    assert_eq!(refused.accepted + refused.rest.len(), usize::try_from(count).unwrap());
    let first = refused.accepted as u64;
    drop(refused);
    (first..count).for_each(|number| uncount(counts, seed.wrapping_add(number)));
    false
}

/// Submits one with a handle, and joins it, cancels it, or lets the handle go; false if it was refused.
fn submit_task(pool: &Handle, counts: &Arc<Counts>, seed: u64, join: bool) -> bool {
    let mut dice = Dice(seed | 1);
    let (task, inner) = (counted(counts, seed), pool.clone());
    let submitted = pool.submit_task(&dice.options(pool), move || {
        run(&inner, &task, 0);
        seed
    });
    let Ok(task) = submitted.map_err(drop) else {
        uncount(counts, seed);
        return false;
    };
    match dice.roll(3) {
        0 if join => match task.join(None) {
            Ok(answer) => assert_eq!(answer, seed),
            // Dropped by a shutdown: that is seen in the counts.
            Err(error) => assert_eq!(error, Error::Closed("pool")),
        },
        1 if task.cancel() == Ok(Cancel::Cancelled) => {
            assert_eq!(task.join(None), Err(Error::Cancelled("task")));
            uncount(counts, seed);
        }
        _ => {}
    }
    true
}

fn run(pool: &Handle, task: &Task, depth: usize) {
    task.counts.ran.fetch_add(1, Ordering::Relaxed);
    task.counts.sum.fetch_sub(task.number, Ordering::Relaxed);
    let mut dice = Dice(task.number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    match dice.roll(16) {
        0 => assert_eq!(fib(10), 55),
        1 => {
            let count = AtomicUsize::new(0);
            pool::scope(|s| {
                for _ in 0..8 {
                    s.spawn(|| {
                        count.fetch_add(1, Ordering::Relaxed);
                        s.spawn(|| drop(count.fetch_add(1, Ordering::Relaxed).to_string()));
                    });
                }
            });
            assert_eq!(count.into_inner(), 16);
        }
        2 => {
            let sum = AtomicUsize::new(0);
            let add = |piece: std::ops::Range<usize>| {
                sum.fetch_add(piece.len(), Ordering::Relaxed);
            };
            // Refused in a pool that is being discarded; then nothing of it ran, for only this task's worker could have begun.
            match pool.parallel_for(&SubmitOptions::default(), 0..100, 3, add) {
                Ok(()) => assert_eq!(sum.into_inner(), 100),
                Err(_) => assert_eq!(sum.into_inner(), 0),
            }
        }
        3 if depth > 0 => {
            submit_batch(pool, &task.counts, dice.0 >> 8, 0);
        }
        // One that waits for another may have it run below itself, and that may be stuck under a third that waits: so none joins.
        4 | 5 if depth > 0 => {
            submit_task(pool, &task.counts, dice.0 >> 8, false);
        }
        _ => {}
    }
    if depth > 0 {
        for _ in 0..dice.roll(4) {
            submit(pool, &task.counts, dice.0 >> 8, depth - 1);
            dice.roll(2);
        }
    }
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool::fork(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn round(seed: u64) -> usize {
    let mut dice = Dice(seed | 1);
    let pools: Vec<_> = (0..3)
        .map(|_| {
            let options = PoolOptions {
                workers: Some(1 + dice.roll(4)),
                no_pin: dice.roll(4) == 0,
                ageing: [None, Some(1), Some(64)][dice.roll(3)],
                capacity: [None, Some(1), Some(100)][dice.roll(3)],
                ..PoolOptions::default()
            };
            (Pool::new(options).unwrap(), Arc::new(Counts::default()))
        })
        .collect();
    let drained = dice.roll(3) > 0;
    thread::scope(|threads| {
        for (which, (pool, counts)) in pools.iter().enumerate() {
            for submitter in 0..2 {
                let seed = seed.wrapping_mul(31).wrapping_add(which as u64 * 2 + submitter) << 16;
                threads.spawn(move || {
                    for number in 0..2000 {
                        let seed = seed.wrapping_add(number);
                        match number % 200 {
                            0 => match pool.fork(|| fib(8), || fib(9)) {
                                Ok(both) => assert_eq!(both, (21, 34)),
                                Err(_) => return,
                            },
                            1 => {
                                let done = pool.parallel_for(&SubmitOptions::default(), 0..64, 0, |_| ());
                                if done.is_err() {
                                    return;
                                }
                            }
                            3 | 4 if submit_batch(pool, counts, seed, 2) => {}
                            5..10 if submit_task(pool, counts, seed, true) => {}
                            // Long enough for workers to fall asleep.
                            2 => thread::sleep(Duration::from_micros(300)),
                            _ if submit(pool, counts, seed, 3) => {}
                            _ => return,
                        }
                    }
                });
            }
        }
        if !drained {
            // In the middle of it all.
            for (pool, counts) in &pools {
                while counts.ran.load(Ordering::Relaxed) < 500 {
                    thread::yield_now();
                }
                pool.shutdown(ShutdownMode::Discard, None).unwrap();
            }
        }
    });
    let mut tasks = 0;
    for (pool, counts) in pools {
        pool.shutdown(ShutdownMode::Drain, None).unwrap();
        let of = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        let (accepted, ran, dropped) = (of(&counts.accepted), of(&counts.ran), of(&counts.dropped));
        assert_eq!(accepted, dropped, "seed {seed}: each was dropped once");
        if drained {
            assert_eq!((accepted, 0), (ran, counts.sum.load(Ordering::SeqCst)), "seed {seed}: each ran once");
        } else {
            assert!(ran <= accepted, "seed {seed}: {ran} ran of {accepted}");
        }
        tasks += ran;
    }
    tasks
}

#[test]
fn every_task_of_a_mixed_load_runs_once() {
    let seconds = std::env::var("COOP_POOL_SOAK_SECONDS").map_or(2, |seconds| seconds.parse().expect("whole seconds"));
    let (end, mut rounds, mut tasks) = (Instant::now() + Duration::from_secs(seconds), 0, 0);
    while rounds == 0 || Instant::now() < end {
        rounds += 1;
        tasks += round(rounds);
    }
    assert!(tasks > 0, "{rounds} rounds ran nothing");
    #[expect(clippy::print_stderr, reason = "what a long run has to show for itself")]
    {
        eprintln!("{tasks} tasks in {rounds} rounds");
    }
}
