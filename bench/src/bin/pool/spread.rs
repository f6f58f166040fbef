//! 2000 tasks of 100 us over two workers: milliseconds until all have run. 100 is the least that is possible.

use std::time::{Duration, Instant};

use coop_bench::{Contestant, interleave, report, tick, ticks, wait_for_ticks};

use super::peers::{Peers, Submit};

const TASKS: u64 = 2000;
const EACH: Duration = Duration::from_micros(100);

fn busy(by: u64) {
    let end = Instant::now() + EACH;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    tick(by);
}

fn measure(submit: &Submit<'_>) -> f64 {
    let goal = ticks() + TASKS;
    let start = Instant::now();
    (0..TASKS).for_each(|_| submit(busy, 1));
    (wait_for_ticks(goal) - start).as_secs_f64() * 1e3
}

pub fn run(peers: &Peers, rounds: usize) {
    let submitters = peers.submitters();
    let mut contestants: Vec<_> =
        submitters.iter().map(|(name, submit)| Contestant::new(name, move || measure(submit))).collect();
    let figures = interleave(rounds, &mut contestants);
    report("ms", &contestants, &figures);
}
