//! 1e6 empty tasks that one task submits: millions per second.

use std::time::Instant;

use coop_bench::{Contestant, interleave, report, tick, ticks, wait_for_ticks};
use coop_core::pool::Handle;

use super::peers::Peers;

const TASKS: u64 = 1_000_000;

fn measure(start_root: impl FnOnce()) -> f64 {
    let goal = ticks() + TASKS;
    let start = Instant::now();
    start_root();
    TASKS as f64 / (wait_for_ticks(goal) - start).as_secs_f64() / 1e6
}

pub fn run(peers: &Peers, rounds: usize) {
    #[cfg_attr(not(feature = "tbb"), allow(unused_mut, reason = "TBB comes last"))]
    let mut contestants = vec![
        Contestant::new("coop", || {
            let pool = Handle::clone(&peers.coop);
            measure(|| {
                let root = move || (0..TASKS).for_each(|_| pool.submit(|| tick(1)).expect("open"));
                peers.coop.submit(root).expect("open");
            })
        }),
        Contestant::new("rayon", || {
            measure(|| peers.rayon.spawn(|| (0..TASKS).for_each(|_| rayon::spawn(|| tick(1)))))
        }),
        Contestant::new("tokio", || {
            let root = async { (0..TASKS).for_each(|_| drop(tokio::spawn(async { tick(1) }))) };
            measure(|| drop(peers.tokio.spawn(root)))
        }),
    ];
    #[cfg(feature = "tbb")]
    contestants.push(Contestant::new("TBB", || measure(|| peers.tbb.spawn_inside(TASKS))));
    let figures = interleave(rounds, &mut contestants);
    report("M tasks/s", &contestants, &figures);
}
