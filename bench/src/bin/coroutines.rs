//! Coroutines beside tokio's tasks: `cargo run --release -p coop-bench --bin coroutines [rounds]`.
//!
//! Two workers each, pinned to the same two CPUs. Spawned from outside and detached; spawned by a coroutine that then awaits them
//! all; spawned and awaited one after another; a nested chain, each spawning and awaiting the next; two that let each other
//! go first.

use std::{
    future::Future,
    hint::black_box,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use coop_bench::{Contestant, interleave, report, tick, ticks, wait_for_ticks};
use coop_core::{
    Priority, cpu,
    pool::{Handle, Pool, PoolOptions},
    task,
};
use tokio::runtime::Runtime;

const WORKERS: usize = 2;
const OUTSIDE: u64 = 1_000_000;
const INSIDE: u64 = 100_000;
const YIELDS: u64 = 500_000;

type Chain = Pin<Box<dyn Future<Output = u64> + Send>>;

/// Millions per second.
fn rate(count: u64, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    count as f64 / start.elapsed().as_secs_f64() / 1e6
}

/// The same, until all have ticked.
fn rate_of_ticks(count: u64, spawn: impl Fn(u64)) -> f64 {
    let goal = ticks() + count;
    let start = Instant::now();
    (0..count).for_each(|_| spawn(black_box(1)));
    count as f64 / (wait_for_ticks(goal) - start).as_secs_f64() / 1e6
}

fn in_coop<F: Future<Output = ()> + Send + 'static>(pool: &Pool, future: F) {
    pool.spawn(future).expect("open").join(None).expect("it ends");
}

fn in_tokio<F: Future<Output = ()> + Send + 'static>(tokio: &Runtime, future: F) {
    tokio.block_on(async { tokio.spawn(future).await.expect("it ends") });
}

fn coop_chain(pool: Handle, depth: u64) -> Chain {
    Box::pin(async move {
        if depth == 0 {
            return 0;
        }
        pool.spawn(coop_chain(pool.clone(), depth - 1)).expect("open").await.expect("it ends") + 1
    })
}

fn tokio_chain(depth: u64) -> Chain {
    Box::pin(async move {
        if depth == 0 {
            return 0;
        }
        tokio::spawn(tokio_chain(depth - 1)).await.expect("it ends") + 1
    })
}

async fn coop_turns() {
    for _ in 0..YIELDS {
        task::suspend(Priority::Normal, None).await.expect("it moves");
    }
}

async fn tokio_turns() {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn compare(what: &str, rounds: usize, coop: impl FnMut() -> f64, tokio: impl FnMut() -> f64) {
    println!("{what}, {WORKERS} workers, {rounds} rounds");
    let mut contestants = [Contestant::new("coop", coop), Contestant::new("tokio", tokio)];
    let figures = interleave(rounds, &mut contestants);
    report("M/s", &contestants, &figures);
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(11, |rounds| rounds.parse().expect("rounds: a number"));
    let pool = Pool::new(PoolOptions { workers: Some(WORKERS), ..PoolOptions::default() }).expect("a pool");
    let next = AtomicUsize::new(0);
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .on_thread_start(move || {
            let worker = next.fetch_add(1, Ordering::Relaxed);
            cpu::pin_current_thread(cpu::placement(worker % WORKERS)).expect("pinned");
        })
        .build()
        .expect("a tokio runtime");

    compare(
        "1e6 empty coroutines from one outside thread, detached",
        rounds,
        || rate_of_ticks(OUTSIDE, |by| drop(pool.spawn(async move { tick(by) }).expect("open"))),
        || rate_of_ticks(OUTSIDE, |by| drop(tokio.spawn(async move { tick(by) }))),
    );
    let handle = pool.handle();
    compare(
        "1e5 spawned by a coroutine that then awaits them all",
        rounds,
        || {
            let handle = handle.clone();
            let all = async move {
                let children: Vec<_> =
                    (0..INSIDE).map(|by| handle.spawn(async move { black_box(by) }).expect("open")).collect();
                for child in children {
                    black_box(child.await.expect("it ends"));
                }
            };
            rate(INSIDE, || in_coop(&pool, all))
        },
        || {
            let all = async {
                let children: Vec<_> = (0..INSIDE).map(|by| tokio::spawn(async move { black_box(by) })).collect();
                for child in children {
                    black_box(child.await.expect("it ends"));
                }
            };
            rate(INSIDE, || in_tokio(&tokio, all))
        },
    );
    compare(
        "1e5 spawned and awaited one after another",
        rounds,
        || {
            let handle = handle.clone();
            let one_by_one = async move {
                for by in 0..INSIDE {
                    black_box(handle.spawn(async move { black_box(by) }).expect("open").await.expect("it ends"));
                }
            };
            rate(INSIDE, || in_coop(&pool, one_by_one))
        },
        || {
            let one_by_one = async {
                for by in 0..INSIDE {
                    black_box(tokio::spawn(async move { black_box(by) }).await.expect("it ends"));
                }
            };
            rate(INSIDE, || in_tokio(&tokio, one_by_one))
        },
    );
    compare(
        "a chain of 1e5, each spawns and awaits the next",
        rounds,
        || {
            let chain = coop_chain(handle.clone(), INSIDE);
            rate(INSIDE, || in_coop(&pool, async { assert_eq!(chain.await, INSIDE) }))
        },
        || rate(INSIDE, || in_tokio(&tokio, async { assert_eq!(tokio_chain(INSIDE).await, INSIDE) })),
    );
    compare(
        "two that let each other go first, 5e5 times each",
        rounds,
        || {
            rate(2 * YIELDS, || {
                let other = pool.spawn(coop_turns()).expect("open");
                in_coop(&pool, async {
                    coop_turns().await;
                    other.await.expect("it ends");
                });
            })
        },
        || {
            rate(2 * YIELDS, || {
                let other = tokio.spawn(tokio_turns());
                in_tokio(&tokio, async {
                    tokio_turns().await;
                    other.await.expect("it ends");
                });
            })
        },
    );
}
