//! Watches: callbacks when a file descriptor is ready.
//!
//! # What holds
//!
//! * One watch covers both directions of an fd; a second one on it is refused. Cancel a watch before closing its fd: the system
//!   forgets a closed fd by itself, and the number may soon be another file's.
//! * An fd that is closed under its watch all the same harms nobody else. The watch is silent, and no loop waits for it, from the moment
//!   that this shows: when the number is watched anew, or the system is to look at the fd again. The number may be watched anew at
//!   once, and only the new watch is told. While a duplicate keeps the old file open, though, the system goes on to tell of that file, and until the
//!   number is watched anew nothing shows that the fd was closed.
//! * A level-triggered watch (the default) is told again for as long as the fd is ready; an edge-triggered one once
//!   for each change, and must read or write until it would block.
//! * Callbacks of one watch never overlap. While one runs in the pool, the fd is not watched (level), or what happens is kept
//!   and told when it returns (edge).
//!
//! The table holds sockets too, whose futures wait at a [`Record`] each: what holds of one watch per fd holds of both kinds.
//!
//! The selector underneath is edge-triggered; a level-triggered watch is registered anew after each callback, which
//! makes the system look at the fd again.
//!
//! `table.rs` has what is watched, `deliver.rs` the callbacks on their way.

#![forbid(unsafe_code)]

mod deliver;
mod table;

use std::sync::Arc;

use mio::event::Event;

pub(super) use self::{deliver::ready, table::Watches};
use super::{dispatch::On, shared::Shared};
use crate::error::{Error, Result};

/// Told which watch it is of, which it may [end](Watches::end).
pub(super) type Callback = Box<dyn FnMut(&Arc<Shared>, u64, Readiness) + Send>;

/// What a watch is called that is not made for another source.
pub(super) const KIND: &str = "io_watch";

/// Which directions to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Tell when a read would not block.
    pub readable: bool,
    /// Tell when a write would not block.
    pub writable: bool,
}

impl Interest {
    /// Reads only.
    pub const READ: Self = Self { readable: true, writable: false };
    /// Writes only.
    pub const WRITE: Self = Self { readable: false, writable: true };
    /// Both directions.
    pub const BOTH: Self = Self { readable: true, writable: true };

    fn to_mio(self) -> Result<mio::Interest> {
        match (self.readable, self.writable) {
            (true, true) => Ok(mio::Interest::READABLE | mio::Interest::WRITABLE),
            (true, false) => Ok(mio::Interest::READABLE),
            (false, true) => Ok(mio::Interest::WRITABLE),
            (false, false) => Err(Error::Invalid("a watch needs a direction: read, write or both".into())),
        }
    }
}

/// What an fd is ready for. Errors and hang-ups are told whatever was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The fd has an error to fetch.
    pub error: bool,
    /// The other side has closed, or shut down its writing half.
    pub hang_up: bool,
}

impl Readiness {
    fn of(event: &Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            error: event.is_error(),
            hang_up: event.is_read_closed() || event.is_write_closed(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable | other.readable,
            writable: self.writable | other.writable,
            error: self.error | other.error,
            hang_up: self.hang_up | other.hang_up,
        }
    }
}

/// How to watch an fd.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The directions.
    pub interest: Interest,
    /// Told once for each change, instead of for as long as the fd is ready.
    pub edge: bool,
    /// Where the callback runs.
    pub on: On,
    /// A loop that runs until it is idle does not wait for this watch.
    pub unref: bool,
}

impl WatchOptions {
    /// A level-triggered watch, with its callback at the loop's default place.
    pub const fn new(interest: Interest) -> Self {
        Self { interest, edge: false, on: On::Default, unref: false }
    }
}

/// Names a watch: slot and generation, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WatchId(pub u64);
