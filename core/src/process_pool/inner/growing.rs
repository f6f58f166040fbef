//! How many workers there are, and those that do not get ready.
//!
//! # What holds
//!
//! * A worker is there from the moment that it is wanted, or it could not be added: then whoever wanted it says so. So a call that was accepted has a worker that
//!   comes to it.
//! * A start is in vain if its run ends before it is ready. [`STARTS`] of them, one after the other and nobody ready between them, break a pool in which nobody
//!   else is ready. Beside somebody who is, and where the process lacks what the next start may find (descriptors, memory), each start that follows
//!   waits longer than the one before, up to [`LONGEST`]; a lack breaks the pool when it has lasted for [`LACKS`] of them.

#![forbid(unsafe_code)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{Inner, lock};
use crate::{
    error::Error,
    process_pool::{Death, Outcome, STARTS},
    supervisor::Verb,
};

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);
/// The rests before it last for some two seconds in all.
const LACKS: u32 = 9;

/// Which workers there are.
#[derive(Debug)]
pub(super) struct Crew {
    count: AtomicUsize,
    is_there: Vec<AtomicBool>,
}

impl Crew {
    pub(super) fn new(most: usize) -> Self {
        Self { count: AtomicUsize::new(0), is_there: (0..most).map(|_| AtomicBool::new(false)).collect() }
    }

    /// The first that is not there: it is now.
    fn take(&self) -> Option<usize> {
        let taken = self.is_there.iter().position(|is_there| !is_there.swap(true, Ordering::Relaxed))?;
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(taken)
    }

    fn give_back(&self, worker: usize) -> usize {
        self.is_there[worker].store(false, Ordering::Relaxed);
        self.count.fetch_sub(1, Ordering::Relaxed) - 1
    }
}

/// Starts in vain, one after the other.
#[derive(Debug, Default)]
pub(super) struct Vain {
    in_a_row: u32,
    lacks: u32,
    /// The last run of each worker that was ready, as it was at the last of them.
    ready: Vec<u64>,
    /// For the next start.
    rest: Duration,
}

/// What the process may have more of in a moment, processes among it.
pub(in super::super) fn is_a_lack(error: &Error) -> bool {
    error.os_errno().is_some_and(|errno| errno == libc::EAGAIN || Error::is_exhaustion(errno))
}

impl<T: Send + 'static> Inner<T> {
    /// Has as many workers as there are calls, at most those that there may be.
    ///
    /// # Errors
    /// There is none, and none can be added: for want of something, or the pool is broken now.
    pub(in super::super) fn want(self: &Arc<Self>, calls: usize) -> crate::Result<()> {
        let all = self.options.at_once || self.options.pin;
        loop {
            let count = self.crew.count.load(Ordering::Relaxed);
            if count >= self.options.workers || (count >= calls && !all) {
                return Ok(());
            }
            let Some(worker) = self.crew.take() else { return Ok(()) };
            let added = self.service(worker).and_then(|service| self.host.ask(Verb::Add(service)).map(drop));
            if let Err(error) = added {
                // With others there, one of them takes the call; the next call tries again.
                return if self.crew.give_back(worker) > 0 { Ok(()) } else { Err(error) };
            }
        }
    }

    /// After nobody could be added to be there for a call, which has been taken back: others may have relied on it.
    pub(in super::super) fn nobody_is_there(&self, error: &Error) {
        if !is_a_lack(error) {
            return self.break_for(&format!("the first worker cannot be started: {error}"));
        }
        if self.crew.count.load(Ordering::Relaxed) == 0 {
            self.front().end_queued(|| Outcome::Lost(format!("no worker can be started: {error}")));
            self.alert();
        }
    }

    /// On the host's thread: a run has ended, which was ready or not, and was not to end.
    pub(super) fn count_start(&self, was_ready: bool, lacked: bool, death: &Death) {
        let readiness: Vec<u64> = (0..self.options.workers)
            .map(|worker| self.memory.marks(worker).map_or(0, |marks| marks.last_ready()))
            .collect();
        let (breaks, tells) = {
            let mut vain = lock(&self.vain);
            if was_ready || vain.ready != readiness {
                *vain = Vain { ready: readiness, ..Vain::default() };
            }
            if was_ready {
                return;
            }
            let others = self.is_anybody_ready();
            if lacked {
                vain.lacks += 1;
            } else {
                vain.in_a_row += 1;
            }
            let late = vain.lacks + vain.in_a_row.saturating_sub(STARTS - 1);
            vain.rest = match late {
                0 => Duration::ZERO,
                late => SHORTEST.saturating_mul(1 << (late - 1).min(16)).min(LONGEST),
            };
            let is_enough = vain.in_a_row >= STARTS || vain.lacks >= LACKS;
            (is_enough && !others, others && vain.in_a_row == STARTS)
        };
        if breaks {
            self.break_for(&format!("no worker gets ready, and the last one, {death}"));
        } else if tells {
            let name = &self.options.name;
            tracing::warn!(target: "coop", "a worker of process pool {name:?} does not get ready, while others work: {death}");
        }
    }

    fn is_anybody_ready(&self) -> bool {
        self.lanes.iter().enumerate().any(|(worker, lane)| {
            let lane = lock(lane);
            let run = lane.run.as_ref().map(|run| run.number);
            run.is_some_and(|run| self.memory.marks(worker).is_ok_and(|marks| marks.is_ready(run)))
        })
    }

    /// On the host's thread: how long the start at hand is to wait; those that follow, not.
    pub(in super::super) fn take_rest(&self) -> Duration {
        std::mem::take(&mut lock(&self.vain).rest)
    }
}
