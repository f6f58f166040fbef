//! Supervision: hosts, supervisors and services, by the words and rules of Erlang/OTP's `supervisor`.
//!
//! A [`Service`] is what lives long: an entry, the executor that runs it, and what is to be done when it ends. A supervisor starts
//! its services in order, and restarts those that end by its [`Strategy`]. A host owns a tree of them, on a thread of its own.
//!
//! # Where things are
//!
//! `service.rs` what is said of a service and of a supervisor, with the defaults; `decide/` what is done when something happens, as pure
//! functions; `executor/` how a service is run; `event.rs` what observers are told;
//! `systemd.rs` the host as a service of another manager.

mod decide;
pub mod event;
pub mod executor;
pub mod service;
pub mod systemd;

pub use self::{
    event::{Because, Ended, Event, What},
    executor::{Executor, Reporter, Running, Start, Stopped},
    service::{
        Args, AutoShutdown, Backoff, Growth, Ready, Restart, Service, ServiceId, Shutdown, Strategy, SupervisorOptions,
    },
};
