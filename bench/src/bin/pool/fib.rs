//! fib(25) by fork-join, 121,392 forks: milliseconds (less is better, so a ratio below 1 is too).

use std::{future::Future, pin::Pin, sync::mpsc, time::Instant};

use coop_bench::{Contestant, interleave, report};

use super::peers::Peers;

const N: u32 = 25;
const ANSWER: u32 = 75_025;

fn coop(n: u32) -> u32 {
    if n < 2 {
        return n;
    }
    let (left, right) = coop_core::pool::fork(|| coop(n - 1), || coop(n - 2));
    left + right
}

fn by_rayon(n: u32) -> u32 {
    if n < 2 {
        return n;
    }
    let (left, right) = rayon::join(|| by_rayon(n - 1), || by_rayon(n - 2));
    left + right
}

fn by_tokio(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let left = tokio::spawn(by_tokio(n - 1));
        let right = by_tokio(n - 2).await;
        left.await.expect("it ends") + right
    })
}

/// From before the start until the answer has come.
fn measure(start_root: impl FnOnce(mpsc::Sender<u32>)) -> f64 {
    let (tell, told) = mpsc::channel();
    let start = Instant::now();
    start_root(tell);
    let answer = told.recv().expect("an answer");
    let spent = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer, ANSWER);
    spent
}

pub fn run(peers: &Peers, rounds: usize) {
    #[cfg_attr(not(feature = "tbb"), allow(unused_mut, reason = "TBB comes last"))]
    let mut contestants = vec![
        Contestant::new("coop", || {
            measure(|tell| peers.coop.submit(move || tell.send(coop(N)).expect("heard")).expect("open"))
        }),
        Contestant::new("rayon", || measure(|tell| peers.rayon.spawn(move || tell.send(by_rayon(N)).expect("heard")))),
        Contestant::new("tokio", || {
            measure(|tell| drop(peers.tokio.spawn(async move { tell.send(by_tokio(N).await).expect("heard") })))
        }),
    ];
    #[cfg(feature = "tbb")]
    contestants.push(Contestant::new("TBB", || measure(|tell| peers.tbb.fib(N, tell))));
    let figures = interleave(rounds, &mut contestants);
    report("ms", &contestants, &figures);
}
