//! Port sets: named sockets, of datagrams or of connections, each with a handler of its own, served in a mode that is one argument.
//!
//! * [`Mode::Single`]: all handlers run on the main loop, one callback at a time.
//! * [`Mode::Thread`]: each port has a loop and a thread for its handler, and a second thread that only receives. So
//!   receiving never waits for a handler, nor for whatever lock a handler waits for (an interpreter's): what comes meanwhile is
//!   kept in a bounded buffer and is one batch when the handler's turn comes.
//! * [`Mode::Process`]: each port has a process with the same two threads in it, which is restarted when it ends: see `process/`.
//!
//! # Lifetime
//!
//! 1. [`PortSet::start`] binds every socket, then builds each handler inside its worker and waits until all have started.
//!    If one cannot, everything is released and its error is the answer.
//! 2. Callbacks of one port never overlap. A fault in one is counted and reported; the port goes on.
//! 3. [`PortSet::stop`] tells every port, waits for each to end (`on_stop`, then its socket closes) and joins the threads. A
//!    handler that ignores the deadline is disowned: its thread ends when its callback returns. A process is ended then.
//! 4. From inside a handler [`Context::stop`] asks for that; [`PortSet::stop`] there would wait for itself and is refused.
//!
//! # Where things are
//!
//! `bind.rs` where ports are; `stream/` those that take connections; `handler.rs` what users write, `handlers.rs` how it is named, `context.rs` what it may call, `batch.rs` what it is given;
//! `options.rs` what a set is made of, `set.rs` the set, `here.rs` its ports where they are of this process; `worker.rs` one port at
//! work, `inbox.rs` the buffer before it, `counters.rs` and `saved.rs` what outlives it, `members.rs` the ports of a set as they know each
//! other.

#![forbid(unsafe_code)]

mod batch;
mod bind;
mod context;
mod counters;
mod handler;
mod handlers;
mod here;
mod inbox;
mod members;
mod options;
#[cfg_attr(not(target_os = "linux"), path = "no_process.rs")]
pub mod process;
mod saved;
mod set;
mod stream;
mod worker;

#[cfg(all(test, not(loom)))]
mod test;

pub use self::{
    batch::Batch,
    bind::Bind,
    context::Context,
    counters::PortStats,
    handler::{Build, Bytes, Encoded, Fault, Handler, Incoming, Message, Outcome, Turns},
    handlers::Handlers,
    options::{Making, Mode, Port, PortSetOptions},
    set::{PortSet, Reload},
    stream::{Closed, ConnectionId},
};

/// The guide's program is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/ports.md")]
mod guide {}
