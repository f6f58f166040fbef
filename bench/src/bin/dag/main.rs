//! Graphs of tasks beside their peers: `cargo run --release -p coop-bench --features tbb --bin dag [ROW]... [--rounds N] [--cpu] [--alone]`.
//!
//! Rows: `chain`, `wide` and `layers` run a graph of 100,000 empty nodes on two workers, in ns per node, less is better; with `--cpu` the time
//! that all threads have run; with `--alone` without the peers, for a profiler. `calls` has calls that wait beside calls that block, in thousands of calls
//! per second, more is better. docs/benchmarks.md explains how to read the output.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod calls;
mod peers;
mod shapes;

use std::{process::ExitCode, time::Instant};

use coop_bench::{Contestant, interleave, report, ticks};
use coop_core::{
    dag::{Engine, Inputs, RunOptions},
    pool::{Pool, PoolOptions},
};

use self::{
    peers::ByHand,
    shapes::{NODES, Shape},
};

const WORKERS: usize = 2;
const ROUNDS: usize = 21;
const ROWS: [&str; 4] = ["chain", "wide", "layers", "calls"];

/// What a row measures: the time that passes, or that of all the process's threads, which a busy machine does not lengthen as much.
#[derive(Clone, Copy)]
enum Clock {
    Wall,
    Cpu,
}

/// The time that all threads of the process have run, in ns.
fn cpu_time() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to a place of this function's own.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    assert_eq!(failed, 0, "the clock is there");
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// ns per node of a run.
fn measure(clock: Clock, run: impl FnOnce()) -> f64 {
    let (before, start, cpu) = (ticks(), Instant::now(), cpu_time());
    run();
    let spent = match clock {
        Clock::Wall => start.elapsed().as_nanos() as f64,
        Clock::Cpu => cpu_time() - cpu,
    };
    assert_eq!(ticks() - before, NODES as u64, "each node ran once");
    spent / NODES as f64
}

fn row(shape: &Shape, rounds: usize, clock: Clock, alone: bool) {
    let pool = Pool::new(PoolOptions { workers: Some(WORKERS), ..PoolOptions::default() }).expect("a pool");
    let (engine, graph, options) = (Engine::new(&pool), shape.graph(), RunOptions::default());
    let coop = || {
        let run = graph.run(&engine, Inputs::new(), &options).expect("it starts");
        run.join(None).and_then(|outcome| outcome.result()).expect("it ends well");
    };
    let by_hand = ByHand::new(shape, WORKERS);
    #[cfg(feature = "tbb")]
    let flow = peers::Flow::new(shape, WORKERS);
    let mut contestants = vec![Contestant::new("coop", || measure(clock, coop))];
    if !alone {
        contestants.push(Contestant::new("rayon, by hand", || measure(clock, || by_hand.run())));
        #[cfg(feature = "tbb")]
        contestants.push(Contestant::new("TBB flow graph", || measure(clock, || flow.run())));
    }
    let figures = interleave(rounds, &mut contestants);
    report("ns", &contestants, &figures);
}

fn main() -> ExitCode {
    let mut rounds = ROUNDS;
    let (mut clock, mut alone) = (Clock::Wall, false);
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            match coop_bench::rounds(arguments.next()) {
                Ok(number) => rounds = number,
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::FAILURE;
                }
            }
        } else if argument == "--cpu" {
            clock = Clock::Cpu;
        } else if argument == "--alone" {
            alone = true;
        } else if argument == "serve" {
            return match calls::serve() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            };
        } else if ROWS.contains(&&*argument) {
            wanted.push(argument);
        } else {
            eprintln!("{argument:?} is no row: rows are {}; options: --rounds N, --cpu, --alone", ROWS.join(", "));
            return ExitCode::FAILURE;
        }
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    for shape in shapes::all() {
        if is_wanted(shape.name) {
            println!("\n== {}, {rounds} rounds", shape.name);
            row(&shape, rounds, clock, alone);
        }
    }
    if is_wanted("calls") {
        println!("\n== calls, {rounds} rounds");
        calls::row(rounds);
    }
    ExitCode::SUCCESS
}
