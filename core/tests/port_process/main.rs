//! Ports in processes of their own: real ones, of this very program, which therefore has a `main` of its own.
//!
//! `COOP_STORM_SECONDS` is how long the storms last.

#![cfg(target_os = "linux")]

mod basic;
mod faults;
mod handlers;
mod limits;
mod messages;
mod parent;
mod reload;
mod streams;
mod supervised;
mod world;

#[path = "../support/cases.rs"]
mod cases;
#[path = "../support/memories.rs"]
mod memories;
#[path = "../support/processes.rs"]
mod processes;

use std::process::ExitCode;

use self::cases::Case;

fn main() -> ExitCode {
    if std::env::var_os(world::NO_DUTY).is_none() {
        handlers::handlers().run_if_asked();
    }
    if let Some(code) = parent::run_if_asked().or_else(streams::run_if_asked) {
        return code;
    }
    let all = [
        basic::CASES,
        messages::CASES,
        faults::CASES,
        limits::CASES,
        supervised::CASES,
        parent::CASES,
        streams::CASES,
        reload::CASES,
    ]
    .concat();
    cases::run(&all, world::nothing_is_left)
}
