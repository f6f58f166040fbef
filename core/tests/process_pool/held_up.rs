//! A pool whose user waits where it is told of calls.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use coop_core::process_pool::{CallOptions, Completion, Options, Outcome, ProcessPool, Shutdown};
use rustix::process::Signal;

use super::{
    Case,
    world::{Gate, LONG, eventually, is_gone, options, signal},
};

pub(crate) const CASES: &[Case] = &[
    ("a_deadline_ends_its_call_while_nobody_hears_of_calls", deadline),
    ("calls_go_on_while_nobody_hears_of_them", goes_on),
    ("a_worker_is_replaced_while_nobody_hears_of_calls", replaced),
];

/// Whoever is told of its calls waits, from the first of them on.
struct HeldUp {
    pool: ProcessPool<u64>,
    told: mpsc::Receiver<Completion<u64>>,
    let_go: mpsc::Sender<()>,
}

impl HeldUp {
    /// The first call is 0.
    fn new(options: Options) -> Self {
        let (tell, told) = mpsc::channel();
        let (let_go, gone) = mpsc::channel();
        let (begin, began) = mpsc::channel();
        let gone = Mutex::new(gone);
        let mut is_first = true;
        let pool = ProcessPool::new(options, move |batch: Vec<Completion<u64>>| {
            if std::mem::take(&mut is_first) {
                begin.send(()).unwrap();
                gone.lock().unwrap().recv_timeout(2 * LONG).unwrap();
            }
            batch.into_iter().for_each(|completion| tell.send(completion).unwrap());
        });
        let held_up = Self { pool: pool.unwrap(), told, let_go };
        held_up.submit(0, &[b"nothing"]);
        began.recv_timeout(LONG).unwrap();
        held_up
    }

    fn submit(&self, number: u64, parts: &[&[u8]]) {
        self.pool.submit(number, parts, &CallOptions::default()).unwrap();
    }

    /// Lets go, and answers what became of the calls after the first.
    fn end(self, calls: usize) -> Vec<Completion<u64>> {
        self.let_go.send(()).unwrap();
        let all: Vec<_> = (0..=calls).map(|_| self.told.recv_timeout(LONG).unwrap()).collect();
        self.pool.shutdown(Shutdown::Drain).unwrap();
        self.pool.join(Some(LONG)).unwrap();
        assert!(self.told.recv().is_err(), "nothing else was told");
        all.into_iter().filter(|completion| completion.context != 0).collect()
    }

    fn pid(&self) -> i32 {
        eventually("the process is known", || self.pool.pids().unwrap().len() == 1);
        self.pool.pids().unwrap()[0].1
    }
}

fn deadline() {
    let held_up = HeldUp::new(options(1));
    let worker = held_up.pid();
    let mut calls = 0;
    for deadline in [100, 1000, 10_000] {
        calls += 1;
        let options = CallOptions { deadline: Some(Duration::from_millis(deadline)), ..CallOptions::default() };
        held_up.pool.submit(calls, &[b"sleep", b"600000"], &options).unwrap();
        eventually("its time is over", || held_up.pool.stats().unwrap().failed == calls);
        if is_gone(worker) {
            break;
        }
    }
    assert!(is_gone(worker), "it was never begun in time");
    let mut told = held_up.end(usize::try_from(calls).unwrap());
    told.sort_by_key(|completion| completion.context);
    let last = told.pop().unwrap();
    assert!(matches!(last.outcome, Outcome::TimedOut { ran: true }), "{last:?}");
    assert!(told.iter().all(|call| matches!(call.outcome, Outcome::TimedOut { ran: false })), "{told:?}");
}

fn goes_on() {
    let held_up = HeldUp::new(Options { slots: 16, ring_bytes: 4096, ..options(2) });
    let path = std::env::temp_dir().join(format!("coop-process-pool-held-up-{}", std::process::id()));
    let file = path.to_str().unwrap().as_bytes().to_vec();
    for number in 1..=300_u64 {
        held_up.submit(number, &[b"note", &file, &number.to_ne_bytes()]);
    }
    // What workers do is seen in the file alone: nobody asks the pool.
    eventually("all have run", || std::fs::metadata(&path).is_ok_and(|file| file.len() == 300 * 8));
    std::fs::remove_file(&path).unwrap();
    let told = held_up.end(300);
    assert!(told.iter().all(|call| matches!(call.outcome, Outcome::Done { .. })));
}

fn replaced() {
    let held_up = HeldUp::new(options(1));
    let worker = held_up.pid();
    let gate = Gate::new("held-up");
    held_up.submit(1, &[b"until", &gate.bytes()]);
    eventually("it runs", || held_up.pool.stats().unwrap().running == 1);
    signal(worker, Signal::KILL);
    eventually("the call is over", || held_up.pool.stats().unwrap().failed == 1);
    eventually("another one is there", || held_up.pool.pids().unwrap().iter().any(|(_, pid)| *pid != worker));
    let told = held_up.end(1);
    assert!(matches!(&told[0].outcome, Outcome::Died(death) if death.pid == Some(worker)), "{told:?}");
}
