//! Services in processes of their own: real ones, of this very program, which therefore has a `main` of its own.
//!
//! `COOP_STORM_SECONDS` is how long the storm lasts.

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

#[path = "../support/cases.rs"]
mod cases;
#[path = "../support/processes.rs"]
mod processes;

use std::process::ExitCode;

use self::cases::Case;

fn main() -> ExitCode {
    zygote::run_if_asked();
    entries::workers().run_if_asked();
    if let Some(code) = hosts::run_if_asked() {
        return code;
    }
    let all = [ends::CASES, progress::CASES, observers::CASES, hosts::CASES, forked::CASES, storm::CASES].concat();
    cases::run(&all, world::no_child_is_left)
}
