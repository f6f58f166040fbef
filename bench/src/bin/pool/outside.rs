//! 1e6 empty tasks from one thread outside: millions per second, from the first submission until all have run.

use std::{hint::black_box, time::Instant};

use coop_bench::{Contestant, Spread, interleave, report, tick, ticks, wait_for_ticks};

use super::peers::Peers;

const TASKS: u64 = 1_000_000;

/// Voluntary and involuntary context switches of this process so far.
fn context_switches() -> i64 {
    // SAFETY: rusage is a struct of integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the answer.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(failed, 0, "getrusage");
    usage.ru_nvcsw + usage.ru_nivcsw
}

/// Millions per second, and switches per 1000 tasks. Generic, so that each way is compiled into the loop.
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

pub fn run(peers: &Peers, rounds: usize) {
    let mut switches = Vec::new();
    #[cfg_attr(not(feature = "tbb"), allow(unused_mut, reason = "TBB comes last"))]
    let mut contestants = vec![
        Contestant::new("coop", || {
            let (rate, switched) = measure(|by| peers.coop.submit(move || tick(by)).expect("open"));
            switches.push(switched);
            rate
        }),
        Contestant::new("crossbeam-channel, boxed", || {
            measure(|by| peers.boxed.send(Box::new(move || tick(by))).expect("open")).0
        }),
        Contestant::new("crossbeam-channel, by value", || {
            measure(|by| peers.by_value.send(super::peers::ByValue::new(tick, by)).expect("open")).0
        }),
        Contestant::new("rayon", || measure(|by| peers.rayon.spawn(move || tick(by))).0),
        Contestant::new("tokio", || measure(|by| drop(peers.tokio.spawn(async move { tick(by) }))).0),
    ];
    #[cfg(feature = "tbb")]
    contestants.push(Contestant::new("TBB", || measure(|by| peers.tbb.submit_tick(by)).0));
    let figures = interleave(rounds, &mut contestants);
    report("M tasks/s", &contestants, &figures);
    drop(contestants);
    println!("context switches per 1000 tasks (coop): {}", Spread::of(switches));
}
