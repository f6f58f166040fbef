//! The pool's own process: killed, and forked.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::ExitCode,
};

use coop_core::{
    Error,
    process_pool::{CallOptions, Options},
};
use rustix::process::Signal;

use super::{
    Case,
    cases::in_role,
    memories::memories_of,
    world::{Gate, MEMORY, Pool, eventually, is_gone, options, signal},
};

pub(crate) const CASES: &[Case] = &[
    ("the_workers_of_a_parent_that_is_killed_go_with_it", parent_killed),
    ("a_forked_child_is_refused_and_closes_nothing", forked),
];

/// What this program is if it is neither a worker nor the tests.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    (std::env::var("PROCESS_POOL_ROLE").ok()? == "parent").then(parent)
}

/// A pool whose workers' ids are written down: one runs, one is idle, one stands still.
fn parent() -> ExitCode {
    let pool = Pool::new(Options { at_once: true, ..options(3) });
    let calls = [b"60000", b"00100", b"00100"].map(|time| pool.submit(&[b"sleep", time]));
    pool.result(calls[1]);
    pool.result(calls[2]);
    let _ = pool.result(pool.submit(&[b"sum", &vec![1; 200_000]]));
    eventually("the others are idle", || pool.pool.stats().unwrap().idle == 2 && pool.pool.pids().unwrap().len() == 3);
    let pids: Vec<String> = pool.pool.pids().unwrap().iter().map(|(_, pid)| pid.to_string()).collect();
    let _ = writeln!(io::stdout(), "{}", pids.join(" "));
    pool.result(calls[0]);
    ExitCode::SUCCESS
}

fn parent_killed() {
    let mut parent = in_role("PROCESS_POOL_ROLE", "parent");
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<i32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3, "{line}");
    assert!(pids.iter().all(|pid| memories_of(&pid.to_string(), MEMORY) > 0), "what they share is there");
    signal(pids[1], Signal::STOP);
    signal(i32::try_from(parent.id()).unwrap(), Signal::KILL);
    assert_eq!(parent.wait().unwrap().signal(), Some(9));
    eventually("they go too", || pids.iter().all(|pid| is_gone(*pid)));
    assert!(pids.iter().all(|pid| memories_of(&pid.to_string(), MEMORY) == 0));
}

fn forked() {
    let pool = Pool::new(options(1));
    let gate = Gate::new("forked");
    let call = pool.submit(&[b"until", &gate.bytes()]);
    pool.wait_running(call);
    let is_forked = |result: Result<(), Error>| result == Err(Error::Forked("process pool"));
    let id = pool.id(call);
    // SAFETY: the child calls what is refused at once, drops, and ends without exit handlers.
    match unsafe { rustix_fork() } {
        0 => {
            let refused =
                is_forked(pool.pool.submit(0, &[], &CallOptions::default()).map(drop).map_err(|refused| refused.error))
                    && is_forked(pool.pool.cancel(id).map(drop))
                    && is_forked(pool.pool.kill(id).map(drop))
                    && is_forked(pool.pool.stats().map(drop))
                    && is_forked(pool.pool.join(None));
            drop(pool);
            exit_at_once(i32::from(!refused));
        }
        child => {
            let status = wait_for(child);
            assert_eq!(status, 0, "the child was refused nothing");
        }
    }
    gate.open();
    pool.result(call);
    pool.text(&[b"pid"]);
    pool.end();
}

/// # Safety
/// As fork's.
unsafe fn rustix_fork() -> i32 {
    // SAFETY: as the caller says.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    pid
}

fn exit_at_once(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

fn wait_for(pid: i32) -> i32 {
    let mut status = -1;
    // SAFETY: a place for the status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    status
}
