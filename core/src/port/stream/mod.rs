//! A port that takes connections instead of datagrams.
//!
//! # What holds
//!
//! * All of it is on the loop of the port's handler: what a handler that is busy does not take yet waits in the system, and its sender with
//!   it. Only [`Context::write`](super::Context::write) and the like may come from other threads.
//! * A connection's callbacks come one after another, as all of a port's do: `on_connect`, then `on_data`, `on_drained` and at most one `on_end`, then
//!   `on_close`, once for every connection whose `on_connect` was fine.
//! * An id names one connection of one worker; after its `on_close` it is stale.
//! * What is written is queued, and leaves at the latest when the callback returns. No more waits than the port may hold, and for one connection
//!   an eighth of that: one that does not read takes nothing from the others.
//! * No more connections are open than the set's `connections`; more of them wait in the system's backlog. So they do while there are no
//!   descriptors left, or the system lets the loop watch no more. Another error costs the connection that it was for; it is told, and accepting goes on.
//! * Of a connection whose peer does not keep up it is told once when it has room again: see `room.rs`.
//! * A fault in a callback of a connection closes that one.
//!
//! `link.rs` a connection's queue and state, `room.rs` how much may wait, `table.rs` the connections of a port, `serve.rs` what runs on the loop, `calls.rs` what handlers may ask.

#![forbid(unsafe_code)]

mod calls;
mod link;
mod room;
mod serve;
mod table;
#[cfg(all(test, not(loom)))]
mod test;

use std::fmt;

pub(super) use self::table::Table;
use crate::error::Error;

/// Names a connection of a port's worker: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Why a connection is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The handler has closed it.
    Asked,
    /// The peer had ended its side, and the handler then closed it.
    Ended,
    /// The handler has aborted it.
    Aborted,
    /// A callback of it was a fault.
    Fault,
    /// Its port ends. What is written now is still sent as far as the system takes it.
    Stopped,
    /// It was reset, or has failed otherwise.
    Lost(Error),
}

impl Closed {
    /// In one word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Ended => "ended",
            Self::Aborted => "aborted",
            Self::Fault => "fault",
            Self::Stopped => "stopped",
            Self::Lost(_) => "lost",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "lost: {error}"),
            other => f.write_str(other.name()),
        }
    }
}
