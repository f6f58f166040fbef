//! Processes, as the system sees them.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Far longer than anything takes; only a fault waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn signal(pid: i32, signal: Signal) {
    // Gone is as good.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// Waits until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < until, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the system says of a process: its state as a letter, its parent and its group. `None` if there is none.
pub(crate) fn stat(pid: i32) -> Option<(char, i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

pub(crate) fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

/// Whether it runs no more: gone, or dead and not reaped by whoever has to.
pub(crate) fn is_gone(pid: i32) -> bool {
    stat(pid).is_none_or(|(state, ..)| is_dead(state))
}

pub(crate) fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Processes of this parent, dead ones included.
pub(crate) fn children_of(parent: u32) -> Vec<i32> {
    pids().filter(|pid| stat(*pid).is_some_and(|(_, its, _)| its.unsigned_abs() == parent)).collect()
}
