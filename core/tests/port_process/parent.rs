//! The set's own process: killed, and forked.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::ExitCode,
};

use rustix::process::Signal;

use super::{
    Case,
    cases::in_role,
    memories::memories_of,
    world::{Client, MEMORY, eventually, is_gone, options, ports, signal, started},
};
use coop_core::port::PortSet;

pub(crate) const CASES: &[Case] = &[("the_workers_of_a_parent_that_is_killed_go_with_it", parent_killed)];

/// What this program is if it is neither a worker nor the tests.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    match std::env::var("PORT_PROCESS_ROLE").ok()?.as_str() {
        "parent" => Some(parent()),
        "again" => {
            let error = PortSet::new(options(), ports("echo", &["A"])).unwrap().start().unwrap_err();
            let _ = writeln!(io::stderr(), "{error}");
            Some(ExitCode::FAILURE)
        }
        _ => None,
    }
}

/// A set whose workers' ids are written down.
fn parent() -> ExitCode {
    let set = started(options(), ports("echo", &["A", "B", "C"]));
    let pids = ["A", "B", "C"].map(|name| Client::new(&set, name).pid().to_string());
    let _ = writeln!(io::stdout(), "{}", pids.join(" "));
    let _ = set.join(None);
    ExitCode::SUCCESS
}

fn parent_killed() {
    let mut parent = in_role("PORT_PROCESS_ROLE", "parent");
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<i32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3, "{line}");
    assert!(pids.iter().all(|pid| memories_of(&pid.to_string(), MEMORY) > 0), "what they share is there");
    // One of them does not run, and goes all the same.
    signal(pids[1], Signal::STOP);
    signal(i32::try_from(parent.id()).unwrap(), Signal::KILL);
    assert_eq!(parent.wait().unwrap().signal(), Some(9));
    eventually("they go too", || pids.iter().all(|pid| is_gone(*pid)));
    // Memory without a name is there as long as somebody has it open.
    assert!(pids.iter().all(|pid| memories_of(&pid.to_string(), MEMORY) == 0));
}
