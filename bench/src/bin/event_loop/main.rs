//! The event loop beside its peers: `cargo run --release -p coop-bench --features loops --bin event_loop [ROW]... [--rounds N]`.
//!
//! Each row is a file here and says what it measures; without a name all are run. Who is loaded runs on one CPU, who loads it on
//! another. docs/benchmarks.md explains how to read the output.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod echo;
mod post;
mod server;
mod servers;
mod table;
mod udp;

use std::process::ExitCode;

// What build.rs compiles is linked with the library.
use coop_bench as _;
use coop_core::cpu;

/// Enough for a median of ratios to mean something.
const ROUNDS: usize = 15;
const ROWS: &str = "post (throughput and latency from another thread), echo (TCP, 1, 100 and 1000 connections), echo1, echo100, \
                    echo1000, udp (receive of 200 B)";

const HELP: &str = "\
event_loop [ROW]... [--rounds N] [--only NAME,NAME...]
event_loop serve echo|udp NAME      one server alone, until it is killed; its port is printed: for strace and perf
event_loop load echo PORT CONNECTIONS SECONDS
event_loop load udp PORT SECONDS    the client alone
";

/// The CPU of what is measured.
fn pin_server() {
    pin(1);
}

/// The CPU of what loads it.
fn pin_client() {
    pin(0);
}

fn pin(nth: usize) {
    let usable = cpu::usable();
    if let Some(cpu) = usable.iter().nth(nth % usable.len()) {
        cpu::pin_current_thread(cpu).expect("a usable CPU");
    }
}

/// What a command line asks of the rows.
struct Asked {
    rounds: usize,
    only: Vec<String>,
}

impl Asked {
    /// Whether this contestant takes part.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words {
        ["--help" | "-h"] => println!("{HELP}Rows: {ROWS}"),
        ["serve", what, name, ref rest @ ..] => return servers::serve(what, name, rest.first().copied()),
        ["load", "echo", port, connections, seconds] => {
            let (port, connections, seconds) = (number(port), number(connections), number(seconds));
            let client = echo::Client::open(port as u16, connections as usize);
            println!("{:.1} k/s", client.run(seconds as f64));
        }
        ["load", "udp", port, seconds] => println!("{:.3} M/s", udp::send(number(port) as u16, number(seconds) as f64)),
        _ => return rows(&words),
    }
    ExitCode::SUCCESS
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

fn rows(words: &[&str]) -> ExitCode {
    let mut asked = Asked { rounds: ROUNDS, only: Vec::new() };
    let mut wanted = Vec::new();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--rounds" => match words.next().unwrap_or_default().parse() {
                Ok(rounds) if rounds > 0 => asked.rounds = rounds,
                _ => return refuse("--rounds takes a number from 1"),
            },
            "--only" => asked.only = words.next().unwrap_or_default().split(',').map(String::from).collect(),
            "echo" => wanted.extend(["echo1", "echo100", "echo1000"]),
            "post" | "udp" | "echo1" | "echo100" | "echo1000" => wanted.push(word),
            _ => return refuse(&format!("{word:?} is no row: rows are {ROWS}")),
        }
    }
    if wanted.is_empty() {
        wanted.extend(["post", "echo1", "echo100", "echo1000", "udp"]);
    }
    for row in wanted {
        match row {
            "post" => post::run(&asked),
            "udp" => udp::run(&asked),
            echo => echo::run(&asked, number(echo.trim_start_matches("echo")) as usize),
        }
    }
    ExitCode::SUCCESS
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
