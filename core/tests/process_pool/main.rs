//! Calls that processes run: real ones, of this very program, which therefore has a `main` of its own.
//!
//! `COOP_STORM_SECONDS` is how long the storm lasts.

#![cfg(target_os = "linux")]

mod basic;
mod faults;
mod functions;
mod held_up;
mod limits;
mod memory;
mod parent;
mod starts;
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
    coop_core::process_pool::run_if_asked(functions::make);
    if let Some(code) = parent::run_if_asked().or_else(starts::run_if_asked) {
        return code;
    }
    let all = [basic::CASES, limits::CASES, memory::CASES, faults::CASES, starts::CASES, held_up::CASES, parent::CASES]
        .concat();
    cases::run(&all, world::nothing_is_left)
}
