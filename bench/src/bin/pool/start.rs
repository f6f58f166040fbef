//! From a submission to an idle pool until the task starts, by a submitter that then sleeps: microseconds, median and 99th
//! of 100 of a round's samples (less is better).

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use coop_bench::{Contestant, interleave, report};

use super::peers::{Peers, Submit};

const SAMPLES: usize = 200;
/// Long enough for every worker to have gone to sleep.
const PAUSE: Duration = Duration::from_micros(500);

static STARTED: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since the first call; never 0.
fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    EPOCH.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1
}

fn note_start(_: u64) {
    STARTED.store(now(), Ordering::Release);
}

/// Microseconds at this quantile of a round's samples.
fn measure(submit: &Submit<'_>, quantile: f64) -> f64 {
    let mut samples: Vec<u64> = (0..SAMPLES)
        .map(|_| {
            thread::sleep(PAUSE);
            STARTED.store(0, Ordering::Relaxed);
            let submitted = now();
            submit(note_start, 0);
            loop {
                thread::sleep(Duration::from_micros(20));
                let started = STARTED.load(Ordering::Acquire);
                if started != 0 {
                    return started - submitted;
                }
            }
        })
        .collect();
    samples.sort_unstable();
    samples[((SAMPLES - 1) as f64 * quantile) as usize] as f64 / 1e3
}

pub fn run(peers: &Peers, rounds: usize) {
    now();
    for (name, quantile) in [("median", 0.5), ("99 of 100", 0.99)] {
        println!("{name}:");
        let submitters = peers.submitters();
        let mut contestants: Vec<_> =
            submitters.iter().map(|(name, submit)| Contestant::new(name, move || measure(submit, quantile))).collect();
        let figures = interleave(rounds, &mut contestants);
        report("us", &contestants, &figures);
    }
}
