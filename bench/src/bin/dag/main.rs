//! Graphs of tasks beside their peers: `cargo run --release -p coop-bench --features tbb --bin dag [ROW]... [--rounds N]`.
//!
//! Rows: `chain`, `wide` and `layers` run a graph of 100,000 empty nodes on two workers, in ns per node, less is better; `calls` runs a
//! pipeline of calls that take 1 ms each. docs/benchmarks.md explains how to read the output. Taskflow takes part if its headers are where
//! the compiler looks (`CXXFLAGS=-I...`).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

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
const ROWS: [&str; 3] = ["chain", "wide", "layers"];

/// ns per node of a run.
fn measure(run: impl FnOnce()) -> f64 {
    let (before, start) = (ticks(), Instant::now());
    run();
    let spent = start.elapsed().as_nanos() as f64;
    assert_eq!(ticks() - before, NODES as u64, "each node ran once");
    spent / NODES as f64
}

fn row(shape: &Shape, rounds: usize) {
    let pool = Pool::new(PoolOptions { workers: Some(WORKERS), ..PoolOptions::default() }).expect("a pool");
    let (engine, graph, options) = (Engine::new(&pool), shape.graph(), RunOptions::default());
    #[cfg(feature = "tbb")]
    let (flow, taskflow) = (peers::Flow::new(shape, WORKERS), peers::Taskflow::new(shape, WORKERS));
    let by_hand = ByHand::new(shape, WORKERS);
    let coop = || {
        let mut run = graph.run(&engine, Inputs::new(), &options).expect("it starts");
        run.join(None).and_then(|outcome| outcome.result()).expect("it ends well");
    };
    #[cfg_attr(not(feature = "tbb"), allow(unused_mut, reason = "the others come last"))]
    let mut contestants = vec![
        Contestant::new("coop", || measure(coop)),
        Contestant::new("rayon, by hand", || measure(|| by_hand.run())),
    ];
    #[cfg(feature = "tbb")]
    {
        if let Some(flow) = &flow {
            contestants.push(Contestant::new("TBB flow graph", || measure(|| flow.run())));
        }
        match &taskflow {
            Some(taskflow) => contestants.push(Contestant::new("Taskflow", || measure(|| taskflow.run()))),
            None => println!("(Taskflow's headers were not there)"),
        }
    }
    let figures = interleave(rounds, &mut contestants);
    report("ns", &contestants, &figures);
}

fn main() -> ExitCode {
    let mut rounds = ROUNDS;
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            let given = arguments.next().unwrap_or_default();
            match given.parse() {
                Ok(number) if number > 0 => rounds = number,
                _ => {
                    eprintln!("--rounds {given:?}: allowed is a number from 1");
                    return ExitCode::FAILURE;
                }
            }
        } else if ROWS.contains(&&*argument) {
            wanted.push(argument);
        } else {
            eprintln!("{argument:?} is no row: rows are {}; option: --rounds N", ROWS.join(", "));
            return ExitCode::FAILURE;
        }
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    for shape in shapes::all() {
        if is_wanted(shape.name) {
            println!("\n== {}, {rounds} rounds", shape.name);
            row(&shape, rounds);
        }
    }
    ExitCode::SUCCESS
}
