//! What goes into a pool, and what comes out of it.

#![forbid(unsafe_code)]

use std::{fmt, time::Duration};

use super::payload::Payload;
use crate::{cpu::CpuSet, priority::Priority, supervisor::Ended};

/// Names a call of one pool: slot and generation, never 0, and never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// How a call is to be run.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// Before which other ones.
    pub priority: Priority,
    /// Only by workers that are kept on one of these CPUs; for pools with [`super::Options::pin`].
    pub cpus: Option<CpuSet>,
    /// From now on it has so long, queued and running: then it is ended.
    pub deadline: Option<Duration>,
}

/// A call that has ended.
#[derive(Debug)]
pub struct Completion<T> {
    /// Which.
    pub id: CallId,
    /// What it was submitted with.
    pub context: T,
    /// How.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// A worker has run it.
    Done {
        /// What the worker said of it.
        status: u32,
        /// What it answered.
        result: Payload,
    },
    /// The worker that ran it ended. It may have been run to its end.
    Died(Death),
    /// Its deadline passed.
    TimedOut {
        /// Its worker had begun it, and was ended.
        ran: bool,
    },
    /// It was running, and was ended by [`super::ProcessPool::kill`] or by a shutdown that kills.
    Killed,
    /// It was queued, and never ran: the pool was shut down.
    Cancelled,
    /// It never ran: the pool's workers cannot work, for this reason.
    Broken(String),
    /// What it was, or what came of it, could not be read: shared memory was damaged, or there was none left.
    Lost(String),
}

/// The end of a worker.
#[derive(Debug, Clone)]
pub struct Death {
    /// Which worker, from 0.
    pub worker: usize,
    /// Its process, if there was one.
    pub pid: Option<i32>,
    /// How.
    pub how: Ended,
    /// The last lines that it wrote.
    pub tail: Vec<String>,
    /// What it left behind to explain its end, of several lines.
    pub details: Option<String>,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.worker)?;
        if let Some(pid) = self.pid {
            write!(f, " (process {pid})")?;
        }
        write!(f, " {}", self.how)
    }
}
