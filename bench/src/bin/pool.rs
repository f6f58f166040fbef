//! The pool beside its peers: `cargo run --release -p coop-bench --bin pool [rounds]`.
//!
//! Small tasks from one thread outside, two workers pinned to two CPUs. Each task adds a word that it carries to a
//! counter of its thread's own, the same for all. Peers: a channel of boxed closures and two threads, a channel of four-word
//! structs and two threads, rayon.

use std::{hint::black_box, thread, time::Instant};

use coop_bench::{Contestant, Spread, interleave, report, tick, ticks, wait_for_ticks};
use coop_core::{
    cpu,
    pool::{Pool, PoolOptions},
};

const TASKS: u64 = 1_000_000;
const WORKERS: usize = 2;

type Boxed = Box<dyn FnOnce() + Send>;

struct ByValue {
    call: fn(u64),
    arg: u64,
    _rest: [u64; 2],
}

/// Voluntary and involuntary context switches of this process so far.
fn context_switches() -> i64 {
    // SAFETY: rusage is a struct of integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the answer.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(failed, 0, "getrusage");
    usage.ru_nvcsw + usage.ru_nivcsw
}

/// Threads pinned as the pool's are, that take from a channel until it is closed.
fn channel<T: Send + 'static>(run: impl Fn(T) + Copy + Send + 'static) -> crossbeam_channel::Sender<T> {
    let (sender, receiver) = crossbeam_channel::unbounded::<T>();
    for worker in 0..WORKERS {
        let receiver = receiver.clone();
        thread::spawn(move || {
            cpu::pin_current_thread(cpu::placement(worker)).expect("pinned");
            receiver.iter().for_each(run);
        });
    }
    sender
}

/// Millions of tasks per second, from the first submission until all have run, and switches per 1000 tasks.
fn measure(submit: impl Fn(u64)) -> (f64, f64) {
    let (goal, switches) = (ticks() + TASKS, context_switches());
    let start = Instant::now();
    for _ in 0..TASKS {
        submit(black_box(1));
    }
    let seconds = (wait_for_ticks(goal) - start).as_secs_f64();
    let switches = context_switches() - switches;
    (TASKS as f64 / seconds / 1e6, switches as f64 * 1000.0 / TASKS as f64)
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn main() {
    let rounds = std::env::args().nth(1).map_or(21, |rounds| rounds.parse().expect("rounds: a number"));
    let pool = Pool::new(PoolOptions { workers: Some(WORKERS), ..PoolOptions::default() }).expect("a pool");
    let boxed = channel(|task: Boxed| task());
    let by_value = channel(|task: ByValue| (task.call)(task.arg));
    let rayon = rayon::ThreadPoolBuilder::new()
        .num_threads(WORKERS)
        .start_handler(|worker| cpu::pin_current_thread(cpu::placement(worker)).expect("pinned"))
        .build()
        .expect("a rayon pool");

    let mut switches = Vec::new();
    let mut contestants = [
        Contestant::new("coop", || {
            let (rate, switched) = measure(|by| pool.submit(move || tick(by)).expect("open"));
            switches.push(switched);
            rate
        }),
        Contestant::new("crossbeam-channel, boxed", || {
            measure(|by| boxed.send(Box::new(move || tick(by))).expect("open")).0
        }),
        Contestant::new("crossbeam-channel, by value", || {
            measure(|by| by_value.send(ByValue { call: tick, arg: by, _rest: [0; 2] }).expect("open")).0
        }),
        Contestant::new("rayon", || measure(|by| rayon.spawn(move || tick(by))).0),
    ];
    println!("1e6 empty tasks from one outside thread, {WORKERS} workers, {rounds} rounds");
    let figures = interleave(rounds, &mut contestants);
    report("M/s", &contestants, &figures);
    drop(contestants);
    println!("context switches per 1000 tasks (coop): {}", Spread::of(switches));
}
