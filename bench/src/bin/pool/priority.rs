//! One urgent task behind 10,000 of 20 us: microseconds until it starts. Peers without priorities run what came first.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use coop_bench::{Contestant, interleave, report, tick, ticks, wait_for_ticks};
use coop_core::{Job, Priority, SubmitOptions};

use super::peers::Peers;

const QUEUED: u64 = 10_000;
const EACH: Duration = Duration::from_micros(20);

fn busy(by: u64) {
    let end = Instant::now() + EACH;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    tick(by);
}

fn measure(submit: impl Fn(fn(u64), u64), urgent: impl FnOnce(mpsc::Sender<Instant>)) -> f64 {
    let goal = ticks() + QUEUED;
    (0..QUEUED).for_each(|_| submit(busy, 1));
    let (tell, told) = mpsc::channel();
    let submitted = Instant::now();
    urgent(tell);
    let started = told.recv().expect("it ran");
    wait_for_ticks(goal);
    (started - submitted).as_secs_f64() * 1e6
}

fn note(tell: &mpsc::Sender<Instant>) {
    tell.send(Instant::now()).expect("heard");
}

pub fn run(peers: &Peers, rounds: usize) {
    let pool = &peers.coop;
    let high = SubmitOptions { priority: Priority::High, ..SubmitOptions::default() };
    let mut contestants = vec![
        Contestant::new("coop", || {
            measure(
                |call, by| pool.submit(move || call(by)).expect("open"),
                |tell| pool.submit_with(&high, Job::new(move || note(&tell))).expect("open"),
            )
        }),
        Contestant::new("crossbeam-channel, boxed", || {
            measure(
                |call, by| peers.boxed.send(Box::new(move || call(by))).expect("open"),
                |tell| peers.boxed.send(Box::new(move || note(&tell))).expect("open"),
            )
        }),
        Contestant::new("tokio", || {
            measure(
                |call, by| drop(peers.tokio.spawn(async move { call(by) })),
                |tell| drop(peers.tokio.spawn(async move { note(&tell) })),
            )
        }),
    ];
    let figures = interleave(rounds, &mut contestants);
    report("us", &contestants, &figures);
}
