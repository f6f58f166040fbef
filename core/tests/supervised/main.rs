//! Services in processes of their own: real ones, of this very program, which therefore has a `main` of its own.
//!
//! Arguments are parts of names: only cases with one of them in theirs are run. `COOP_STORM_SECONDS` is how long the storm lasts.

#![cfg(target_os = "linux")]

mod ends;
mod entries;
mod forked;
mod hosts;
mod observers;
mod progress;
mod storm;
mod world;
mod zygote;

use std::{
    io::{self, Write},
    panic::catch_unwind,
    process::ExitCode,
    time::Instant,
};

/// A case, and its name.
type Case = (&'static str, fn());

fn main() -> ExitCode {
    zygote::run_if_asked();
    entries::workers().run_if_asked();
    if let Some(code) = hosts::run_if_asked() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let all = [ends::CASES, progress::CASES, observers::CASES, hosts::CASES, forked::CASES, storm::CASES].concat();
    let mut failed = Vec::new();
    let mut out = io::stdout();
    let mut ran = 0;
    for (name, case) in all {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let began = Instant::now();
        let ok = catch_unwind(case).is_ok() && world::no_child_is_left();
        ran += 1;
        let _ = writeln!(out, "test {name} ... {} ({:.2?})", if ok { "ok" } else { "FAILED" }, began.elapsed());
        if !ok {
            failed.push(name);
        }
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    let _ = writeln!(out, "\ntest result: {result}. {} passed; {} failed", ran - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
