//! The pool with real threads. Whatever is waited for is an event: a channel, a join, a shutdown.

mod bounded;
mod closing;
mod fork_join;
mod inside;
mod order;
mod process;
mod refused;
mod sets;
mod statistics;
mod tasks;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::{self, Receiver, Sender},
};
use std::time::Duration;

use super::*;
use crate::job::Job;

fn pool(workers: usize) -> Pool {
    Pool::new(PoolOptions { workers: Some(workers), ..PoolOptions::default() }).unwrap()
}

fn with(priority: Priority) -> SubmitOptions {
    SubmitOptions { priority, ..SubmitOptions::default() }
}

fn on(cpus: impl IntoIterator<Item = usize>) -> SubmitOptions {
    SubmitOptions { cpus: Some(CpuSet::new(cpus).unwrap()), ..SubmitOptions::default() }
}

/// Holds workers in a task each, until it is dropped.
struct Hold {
    _release: Vec<Sender<()>>,
}

impl Hold {
    /// Returns when a task of this kind is running.
    fn one(pool: &Pool, options: &SubmitOptions) -> Self {
        let mut hold = Self { _release: Vec::new() };
        hold.another(pool, options);
        hold
    }

    /// Returns when every worker is held: at HIGH, which is never claimed ahead.
    fn all(pool: &Pool) -> Self {
        let mut hold = Self { _release: Vec::new() };
        (0..pool.workers()).for_each(|_| hold.another(pool, &with(Priority::High)));
        hold
    }

    fn another(&mut self, pool: &Pool, options: &SubmitOptions) {
        let (release, released) = mpsc::channel::<()>();
        let (running, runs) = mpsc::channel();
        let task = Job::new(move || {
            running.send(()).unwrap();
            let _ = released.recv();
        });
        pool.submit_with(options, task).unwrap();
        runs.recv().unwrap();
        self._release.push(release);
    }
}

/// A batch of numbers behind a task that keeps the worker which has claimed them all, until what this gives is dropped: the other worker
/// has run them when this returns.
fn taken_over(pool: &Pool, numbers: usize) -> (Vec<usize>, Sender<()>) {
    let hold = Hold::all(pool);
    let (release, released) = mpsc::channel::<()>();
    let (say, said) = mpsc::channel();
    pool.submit(move || {
        let _ = released.recv();
    })
    .unwrap();
    for number in 0..numbers {
        let say = say.clone();
        pool.submit(move || say.send(number).unwrap()).unwrap();
    }
    drop(hold);
    (said.iter().take(numbers).collect(), release)
}

/// Counts its drops, and whether it was dropped by a run.
#[derive(Clone, Default)]
struct Tally {
    ran: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Tally {
    fn job(&self) -> Job {
        struct OnDrop(Tally);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.dropped.fetch_add(1, Ordering::SeqCst);
            }
        }
        let on_drop = OnDrop(self.clone());
        Job::new(move || {
            on_drop.0.ran.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn ran_and_dropped(&self) -> (usize, usize) {
        (self.ran.load(Ordering::SeqCst), self.dropped.load(Ordering::SeqCst))
    }
}

/// A place where tasks write down that they ran.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Priority, usize)>>>);

impl Log {
    fn job(&self, priority: Priority, number: usize) -> Job {
        let log = self.clone();
        Job::new(move || log.0.lock().unwrap().push((priority, number)))
    }

    fn of(&self, priority: Priority) -> Vec<usize> {
        self.0.lock().unwrap().iter().filter(|(p, _)| *p == priority).map(|(_, number)| *number).collect()
    }

    fn priorities(&self) -> Vec<Priority> {
        self.0.lock().unwrap().iter().map(|(priority, _)| *priority).collect()
    }
}

#[test]
fn the_number_of_workers_is_checked_and_named() {
    for workers in [0, 1025] {
        let error = Pool::new(PoolOptions { workers: Some(workers), ..PoolOptions::default() }).unwrap_err();
        assert_eq!(error, Error::Invalid(format!("{workers} workers: allowed are 1..=1024")));
    }
    let default = Pool::new(PoolOptions::default()).unwrap();
    assert_eq!(default.workers(), cpu::usable_count().max(4));
    assert!(default.worker_cpus().iter().enumerate().all(|(worker, cpu)| *cpu == Some(cpu::placement(worker))));
}

#[test]
fn a_thousand_workers_start_and_run() {
    let pool = pool(1024);
    let tally = Tally::default();
    (0..5000).for_each(|_| pool.submit_with(&SubmitOptions::default(), tally.job()).unwrap());
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (5000, 5000));
}

#[test]
fn a_name_with_nul_is_refused_and_threads_carry_the_name() {
    let named = |name: &str| PoolOptions { workers: Some(1), name: name.to_owned(), ..PoolOptions::default() };
    assert!(matches!(Pool::new(named("a\0b")), Err(Error::Invalid(text)) if text.contains("NUL")));
    let pool = Pool::new(named("mill")).unwrap();
    let (say, said) = mpsc::channel();
    pool.submit(move || say.send(std::thread::current().name().map(str::to_owned)).unwrap()).unwrap();
    assert_eq!(said.recv().unwrap().as_deref(), Some("mill-0"));
}

#[test]
fn eight_submitters_and_each_task_runs_once() {
    const SUBMITTERS: usize = 8;
    const EACH: usize = 100_000;
    let pool = pool(3);
    let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..SUBMITTERS * EACH).map(|_| AtomicUsize::new(0)).collect());
    std::thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let (pool, runs) = (&pool, &runs);
            scope.spawn(move || {
                let cpus = [pool.worker_cpus()[0].unwrap()];
                for number in 0..EACH {
                    let (runs, place) = (runs.clone(), submitter * EACH + number);
                    let job = Job::new(move || {
                        runs[place].fetch_add(1, Ordering::Relaxed);
                    });
                    let priority = [Priority::Low, Priority::Normal, Priority::High][number % 3];
                    let cpus = (number % 7 == 0).then(|| CpuSet::new(cpus).unwrap());
                    pool.submit_with(&SubmitOptions { priority, cpus, ..SubmitOptions::default() }, job).unwrap();
                }
            });
        }
    });
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
}

#[test]
fn a_task_submits_and_knows_that_it_is_one() {
    let pool = Arc::new(pool(2));
    assert!(!pool.is_worker_thread());
    let other = self::pool(1);
    let (say, said) = mpsc::channel();
    let inner = pool.clone();
    pool.submit(move || {
        let knows = (inner.is_worker_thread(), other.is_worker_thread());
        inner.submit(move || say.send(knows).unwrap()).unwrap();
        drop((inner, other));
    })
    .unwrap();
    assert_eq!(said.recv().unwrap(), (true, false));
}

#[test]
fn a_chain_of_single_tasks_never_stalls() {
    // Each is submitted when the one before has run, so that workers keep falling asleep: a lost wake-up hangs here.
    let pool = pool(3);
    let (say, said) = mpsc::channel();
    let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
    for number in 0..20_000 {
        let options = if number % 2 == 0 { SubmitOptions::default() } else { on([cpus[number % cpus.len()]]) };
        let say = say.clone();
        pool.submit_with(&options, Job::new(move || say.send(number).unwrap())).unwrap();
        assert_eq!(said.recv().unwrap(), number);
    }
}

#[test]
fn tasks_that_wait_for_one_another_all_get_a_worker() {
    // Two tasks per round that can only end together: a second worker has to be woken although one is up.
    let pool = pool(2);
    for _ in 0..2_000 {
        let barrier = Arc::new(std::sync::Barrier::new(3));
        for _ in 0..2 {
            let barrier = barrier.clone();
            pool.submit(move || {
                barrier.wait();
            })
            .unwrap();
        }
        barrier.wait();
    }
}

#[test]
fn a_panic_in_a_task_or_in_its_drop_spares_the_worker() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "dropped, on purpose");
        }
    }
    let pool = pool(1);
    let (say, said): (Sender<()>, Receiver<()>) = mpsc::channel();
    pool.submit(|| panic!("ran, on purpose")).unwrap();
    let bomb = Bomb;
    pool.submit(move || drop(bomb)).unwrap();
    pool.submit(move || say.send(()).unwrap()).unwrap();
    said.recv().unwrap();
    let hold = Hold::all(&pool);
    let (bomb, tally) = (Bomb, Tally::default());
    pool.submit(move || drop(bomb)).unwrap();
    pool.submit_with(&SubmitOptions::default(), tally.job()).unwrap();
    assert!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).is_err());
    assert_eq!(tally.ran_and_dropped(), (0, 1));
    drop(hold);
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
}
