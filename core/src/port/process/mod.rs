//! Ports in processes of their own, which a crash of one does not take down.
//!
//! # What holds
//!
//! * The set's process binds the sockets and keeps them: what comes while a worker is restarted waits in the kernel. At most the datagrams
//!   that a worker had in hand are lost with it.
//! * Counts and what a handler saved lie in memory that the set and its workers share, and survive each of them. It has no name: it is gone
//!   with the last of them.
//! * Each port is a permanent service, one_for_one, without a limit to restarts. The first ends are followed by a restart at once; from 5 of one
//!   port within 2 s on it is delayed, by 50 ms and twice as much each time, up to 1 s.
//! * Messages go through rings in that memory, from each process to each: see `mail.rs`.
//! * A worker may be replaced by another one without a moment in which nobody serves: see `reload.rs`.
//! * A worker is ready when its handler has started. One that does not run (stopped, starved) is replaced: see
//!   [`ProcessOptions::liveness`].
//! * A set that stops asks all workers at once, and ends those that have not ended by its deadline. When the set's process ends, by
//!   kill -9 too, its workers do.
//!
//! # The worker's side
//!
//! A worker is this program, entered again: [`Handlers::run_if_asked`](super::Handlers::run_if_asked) at the start of its `main` serves the
//! port. Programs that lead their main thread themselves, and executors of other kinds, use [`Duty`].
//!
//! `options.rs` how the processes are made, `set.rs` the set's side, `owner.rs` what supervises it, `reins.rs` how it holds the runs of its workers, `reload.rs` how one takes over
//! from another; `memory.rs` what they share, `mail.rs` the messages in it, `baton.rs` which of two workers of a port has its place; `manifest.rs` what a
//! worker is told, `duty.rs` and `serving.rs` its side, `entry.rs` a program that is one.

mod baton;
mod duty;
mod entry;
mod mail;
mod manifest;
mod memory;
mod options;
mod owner;
mod passed;
mod reins;
mod reload;
mod serving;
mod set;

pub use self::{
    duty::Duty,
    entry::ENTRY,
    options::{Equipment, MakeExecutor, ProcessOptions},
    serving::Serving,
};
pub(super) use self::{passed::passed, reload::Reloading, set::Processes};
