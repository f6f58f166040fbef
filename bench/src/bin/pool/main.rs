//! The pool beside its peers: `cargo run --release -p coop-bench --features tbb --bin pool [ROW]... [--rounds N]`.
//!
//! Each row is a file here and says what it measures; without a name all are run. Everyone has two workers, pinned to the
//! same two CPUs. docs/benchmarks.md explains how to read the output.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod fib;
mod inside;
mod outside;
mod peers;
mod priority;
mod spread;
mod start;
#[cfg(feature = "tbb")]
mod tbb;

use std::process::ExitCode;

use peers::Peers;

type Row = fn(&Peers, usize);

const ROWS: [(&str, Row); 6] = [
    ("outside", outside::run),
    ("inside", inside::run),
    ("fib", fib::run),
    ("start", start::run),
    ("priority", priority::run),
    ("spread", spread::run),
];
/// Enough for a median of ratios to mean something.
const ROUNDS: usize = 21;

fn main() -> ExitCode {
    let mut rounds = ROUNDS;
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    let names = ROWS.map(|(name, _)| name).join(", ");
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            match coop_bench::rounds(arguments.next()) {
                Ok(number) => rounds = number,
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::FAILURE;
                }
            }
        } else if let Some(row) = ROWS.iter().find(|(name, _)| *name == argument) {
            wanted.push(*row);
        } else {
            eprintln!("{argument:?} is no row: rows are {names}; option: --rounds N");
            return ExitCode::FAILURE;
        }
    }
    if wanted.is_empty() {
        wanted.extend(ROWS);
    }
    let peers = Peers::new();
    for (name, row) in wanted {
        println!("\n== {name}, {rounds} rounds");
        row(&peers, rounds);
    }
    ExitCode::SUCCESS
}
