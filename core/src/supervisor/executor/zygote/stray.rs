//! Workers that ended before they said anything: children of this process that nobody knows.
//!
//! Until its first word a worker is in its zygote's group, where no other child of this process is but the zygote, so a dead one there that
//! nobody knows is one of these. They are looked for when a request came to nothing, and when a zygote has ended; the latter has killed the group.

#![forbid(unsafe_code)]

use std::{collections::HashSet, sync::Arc, thread, time::Duration};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::nest::Nest;
use crate::supervisor::reap;

/// How often it is looked again while somebody alive is there, each time ten times as late.
const LOOKS: u32 = 5;
const FIRST: Duration = Duration::from_millis(1);

/// Looks soon, and again while there is somebody who may be dying.
pub(super) fn reap_soon(nest: &Arc<Nest>, group: i32) {
    again(nest, group, 0);
}

fn again(nest: &Arc<Nest>, group: i32, looks: u32) {
    let after = FIRST * 10_u32.pow(looks);
    nest.later(after, move |nest| {
        let mut known = nest.workers();
        known.extend(nest.pid());
        if reap(group, &known) && looks + 1 < LOOKS {
            again(nest, group, looks + 1);
        }
    });
}

/// The same at the end of a host, whose loop does nothing any more: the group has been killed, and is gone within a moment.
pub(super) fn reap_all(group: i32, known: &HashSet<i32>) {
    for looks in 0..LOOKS - 1 {
        if !reap(group, known) {
            return;
        }
        thread::sleep(FIRST * 10_u32.pow(looks));
    }
}

/// Reaps those that are dead; true if somebody alive is left.
fn reap(group: i32, known: &HashSet<i32>) -> bool {
    let mut left = false;
    for child in reap::children() {
        if child.group == group && child.pid != group && !known.contains(&child.pid) {
            match Pid::from_raw(child.pid) {
                Some(pid) if child.dead => drop(waitpid(Some(pid), WaitOptions::NOHANG)),
                _ => left = true,
            }
        }
    }
    left
}
