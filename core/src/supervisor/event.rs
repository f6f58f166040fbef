//! What observers are told: each change of state, with a number and a time.
//!
//! # What holds
//!
//! The numbers of a host's events go up by one, without a gap, from 1. Each run of a service begins with [`What::Starting`] and ends
//! with [`What::Ended`] or [`What::StartFailed`], once.

#![forbid(unsafe_code)]

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// How a run of a service ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its function returned, without an error.
    Returned,
    /// Its process exited with this status.
    Exited(i32),
    /// A signal ended its process.
    Signaled {
        /// Which.
        signal: i32,
        /// It left a core dump.
        core_dumped: bool,
    },
    /// Its function answered this error.
    Failed(String),
    /// Its function panicked.
    Panicked(String),
    /// Reason `shutdown`: a supervisor that gave up or shut itself down, a service that was cancelled.
    Shutdown,
    /// How is not known: its status was taken by somebody else.
    Lost(String),
}

/// Why the library itself ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It was asked to stop: by its supervisor, or by a verb.
    Asked,
    /// It did not stop within its `shutdown`.
    ShutdownDeadline,
    /// It was not ready within its time.
    ReadyDeadline,
    /// It did not beat within its watchdog's time.
    Watchdog,
    /// Its successor is ready.
    HandOver,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its specification was added.
    Added,
    /// Its specification was removed.
    Removed,
    /// A run begins.
    Starting,
    /// Its process is there.
    Spawned {
        /// Which.
        pid: i32,
    },
    /// It is ready.
    Ready,
    /// What the service says of itself.
    Status(String),
    /// A run did not get ready.
    StartFailed {
        /// In words.
        reason: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// Its start asked not to be run: OTP's `ignore`.
    Ignored,
    /// It is asked to stop.
    Stopping,
    /// A run ended.
    Ended {
        /// How.
        how: Ended,
        /// Whether that is a normal end.
        normal: bool,
        /// What the library had to do with it.
        because: Option<Because>,
        /// How long it ran.
        uptime: Duration,
        /// Restarts so far.
        restarts: u64,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// It is started again after this delay.
    Backoff {
        /// From now.
        delay: Duration,
    },
    /// It rests, where its supervisor would give up.
    Parked {
        /// From now.
        delay: Duration,
    },
    /// It ignored its deadline and cannot be ended: it goes on, disowned, and is not restarted before it ends.
    Unresponsive,
    /// A supervisor had more restarts than its intensity allows, and ends.
    GaveUp,
    /// A supervisor shuts itself down, since significant children have ended.
    AutoShutdown,
}

/// One change of one service or supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// From 1, without a gap.
    pub number: u64,
    /// When, by the system's clock.
    pub time: SystemTime,
    /// Which service or supervisor: see [`ServiceId`](super::ServiceId).
    pub id: u64,
    /// Its names from the root down, joined by `/`.
    pub path: String,
    /// Which run of it, from 1; 0 before the first.
    pub run: u64,
    /// What changed.
    pub what: What,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signaled { signal, core_dumped } => {
                let core = if *core_dumped { ", core dumped" } else { "" };
                write!(f, "ended by signal {signal}{core}")
            }
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Lost(why) => write!(f, "ended, how is not known: {why}"),
        }
    }
}
