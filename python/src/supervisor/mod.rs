//! Hosts, supervisors and services, over `coop_core::supervisor`: the native half of `libcoop.Host` and of what belongs to it.
//!
//! * A host's thread never attaches to the interpreter, and drops no Python object: it must not wait for whoever holds the GIL. What has
//!   to attach for a host does so on the attendant's thread, on a service's own, or on the caller's.
//! * Whatever waits can be ended by Ctrl-C, and wakes up for nothing else (`wait::until`).
//!
//! `attendant.rs` that thread; `context.rs` what a run knows of itself; `event.rs` what observers are told, `observer.rs` who waits for that;
//! `logs.rs` how log records of workers come here.

pub(crate) mod attendant;
mod context;
mod event;
mod logs;
mod observer;

pub(crate) use self::{
    context::ServiceContext,
    event::{Ended, ServiceEvent},
    logs::{LogChannel, LogSender},
    observer::Observer,
};
