//! What tasks do inside the pool, beside rayon: `cargo run --release -p coop-bench --bin inside [rounds]`.
//!
//! Two workers pinned to two CPUs. *Spawned inside*: one task submits a million empty ones. *Fork-join*: fib(25) by forks all
//! the way down, 121,392 of them.

use std::{hint::black_box, time::Instant};

use coop_bench::{Contestant, interleave, report, tick, ticks, wait_for_ticks};
use coop_core::{
    cpu,
    pool::{self, Pool, PoolOptions},
};

const TASKS: u64 = 1_000_000;
const WORKERS: usize = 2;
const FIB: u64 = 25;

/// Millions of tasks per second, from the submission of the one that submits the others until all have run.
fn spawned(start: impl FnOnce()) -> f64 {
    let goal = ticks() + TASKS;
    let began = Instant::now();
    start();
    TASKS as f64 / (wait_for_ticks(goal) - began).as_secs_f64() / 1e6
}

fn coop_fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool::fork(|| coop_fib(n - 1), || coop_fib(n - 2));
    a + b
}

fn rayon_fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| rayon_fib(n - 1), || rayon_fib(n - 2));
    a + b
}

/// How often per second.
fn rate(fib: impl FnOnce() -> u64) -> f64 {
    let start = Instant::now();
    let sum = black_box(fib());
    let rate = 1.0 / start.elapsed().as_secs_f64();
    assert_eq!(sum, 75_025, "fib({FIB})");
    rate
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn main() {
    let rounds = std::env::args().nth(1).map_or(21, |rounds| rounds.parse().expect("rounds: a number"));
    let pool = Pool::new(PoolOptions { workers: Some(WORKERS), ..PoolOptions::default() }).expect("a pool");
    let rayon = rayon::ThreadPoolBuilder::new()
        .num_threads(WORKERS)
        .start_handler(|worker| cpu::pin_current_thread(cpu::placement(worker)).expect("pinned"))
        .build()
        .expect("a rayon pool");

    let mut contestants = [
        Contestant::new("coop", || {
            spawned(|| {
                let inside = (*pool).clone();
                let all = move || (0..TASKS).for_each(|_| inside.submit(|| tick(black_box(1))).expect("open"));
                pool.submit(all).expect("open");
            })
        }),
        Contestant::new("rayon", || {
            spawned(|| rayon.spawn(|| (0..TASKS).for_each(|_| rayon::spawn(|| tick(black_box(1))))))
        }),
    ];
    println!("1e6 empty tasks spawned inside, {WORKERS} workers, {rounds} rounds");
    let figures = interleave(rounds, &mut contestants);
    report("M/s", &contestants, &figures);
    drop(contestants);

    let mut contestants = [
        Contestant::new("coop", || {
            rate(|| pool.fork(|| coop_fib(FIB - 1), || coop_fib(FIB - 2)).map_or(0, |(a, b)| a + b))
        }),
        Contestant::new("rayon", || rate(|| rayon.install(|| rayon_fib(FIB)))),
    ];
    println!("fib({FIB}) by forks, {WORKERS} workers, {rounds} rounds");
    let figures = interleave(rounds, &mut contestants);
    report("per s", &contestants, &figures);
}
