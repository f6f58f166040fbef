//! Reaping orphans, for a host that is asked to: where this process is PID 1 of a container, or a subreaper, children of children come to
//! it when their own parents end.
//!
//! # What holds
//!
//! * Only what nobody else started is reaped. The host's own children are their executors'. What is in the group or the session of a
//!   child that the host runs, or ran until [`GRACE`] ago, cannot be anybody else's: it is reaped at once. Any other zombie may have been started by other code
//!   in this process, which has [`GRACE`] to reap it; it is reaped after that.
//! * Nothing wakes the host while no child ends.

#![forbid(unsafe_code)]

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use super::shared::Shared;
use crate::{error::Result, event_loop::On};

/// How long other code may take to reap a child of its own.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// What is known of children and zombies.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// They are reaped here.
    wanted: bool,
    /// The processes that the host runs, and ran, with the time of their ends: their numbers may be others' some day.
    ran: HashMap<i32, Option<Instant>>,
    /// Zombies that may be somebody's, and when they were first seen.
    suspects: HashMap<i32, Instant>,
}

/// Looks whenever a child of the process ends, until the loop does.
pub(super) fn begin(shared: &Arc<Shared>) -> Result<()> {
    let told = Arc::downgrade(shared);
    shared.event_loop()?.signal(Signal::SIGCHLD as i32, On::Loop, move |_, _| {
        if let Some(shared) = told.upgrade() {
            shared.turn(super::tree::Tree::reap);
        }
    })?;
    Ok(())
}

impl Orphans {
    pub(super) fn ran(&mut self, pid: i32) {
        if self.wanted {
            self.ran.insert(pid, None);
        }
    }

    pub(super) fn ended(&mut self, pid: i32) {
        if let Some(over) = self.ran.get_mut(&pid) {
            *over = Some(Instant::now());
        }
    }

    /// Reaps what may be; answers when to look again. `own`: the host's children that are still its executors'.
    pub(super) fn reap(&mut self, own: &HashSet<i32>) -> Option<Duration> {
        self.wanted = true;
        self.ran.retain(|_, over| over.is_none_or(|over| over.elapsed() < GRACE));
        let zombies: Vec<_> = zombies().into_iter().filter(|zombie| !own.contains(&zombie.pid)).collect();
        self.suspects.retain(|pid, _| zombies.iter().any(|zombie| zombie.pid == *pid));
        let mut next: Option<Duration> = None;
        for zombie in zombies {
            let ours = self.ran.contains_key(&zombie.group) || self.ran.contains_key(&zombie.session);
            let seen = self.suspects.entry(zombie.pid).or_insert_with(Instant::now).elapsed();
            if ours || seen >= GRACE {
                self.suspects.remove(&zombie.pid);
                if let Some(pid) = Pid::from_raw(zombie.pid) {
                    // Gone, if somebody was faster.
                    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
                }
            } else {
                let left = GRACE.saturating_sub(seen);
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        next
    }
}

/// A child of this process.
pub(super) struct Child {
    pub(super) pid: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// It has ended, and was not reaped.
    pub(super) dead: bool,
    /// By a signal, until it is continued.
    pub(super) stopped: bool,
}

fn zombies() -> Vec<Child> {
    children().into_iter().filter(|child| child.dead).collect()
}

/// This process's children, whoever made them.
pub(super) fn children() -> Vec<Child> {
    let parent = getpid().as_raw_nonzero().get();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let stats = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may hold anything; what follows it does not.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let (state, its_parent) = (fields.next()?, fields.next()?);
        let (group, session) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let (dead, stopped) = (state == "Z", state == "T");
        (its_parent.parse() == Ok(parent)).then_some(Child { pid, group, session, dead, stopped })
    });
    stats.collect()
}

#[cfg(test)]
mod test {
    use super::*;

    /// What is remembered does not grow, and a number that comes up again is another's.
    #[test]
    fn a_process_that_is_long_over_is_forgotten() {
        let Some(long_ago) = Instant::now().checked_sub(GRACE) else { return };
        let mut orphans = Orphans { wanted: true, ..Orphans::default() };
        for pid in [i32::MAX, i32::MAX - 1, i32::MAX - 2] {
            orphans.ran(pid);
        }
        orphans.ended(i32::MAX);
        orphans.ran.insert(i32::MAX - 1, Some(long_ago));
        orphans.reap(&HashSet::new());
        let mut kept: Vec<_> = orphans.ran.keys().copied().collect();
        kept.sort_unstable();
        assert_eq!(kept, [i32::MAX - 2, i32::MAX]);
    }
}
