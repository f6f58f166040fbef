//! Supervision: hosts, supervisors and services, by the words and rules of Erlang/OTP's `supervisor`.
//!
//! A [`Service`] is what lives long: an entry, the executor that runs it, and what is to be done when it ends. A supervisor starts
//! its services in order, and restarts those that end by its [`Strategy`]. A host owns a tree of them, on a thread of its own.
//!
//! # Where things are
//!
//! `service.rs` what is said of a service and of a supervisor, with the defaults; `host.rs` the owner of a tree, `ended.rs` its end, `wait.rs` a main thread that waits for it, `reap.rs` orphans that come to it; `supervisor.rs` the
//! verbs; `shared.rs` the way to the host's thread, `asked.rs` an answer on its way; `tree/` what the host's thread does; `decide/` what is done when something happens, as
//! pure functions, with `backoff.rs`; `executor/` how a service is run; `context.rs` what a run knows of itself, `stop.rs` how it is asked to
//! stop; `event.rs` what observers are told, `journal.rs` how events are numbered and kept, `filter.rs` and `observer.rs` who gets them; `remote/` observers in
//! other processes; `systemd.rs` the host as a service of another manager; `worker/` a program that enters itself to be a service, `adopt.rs` the descriptors that it is given.

#[cfg(target_os = "linux")]
mod adopt;
mod asked;
mod backoff;
mod context;
mod decide;
mod ended;
pub mod event;
pub mod executor;
mod filter;
mod host;
mod journal;
mod observer;
mod reap;
#[cfg(target_os = "linux")]
mod remote;
pub mod service;
mod shared;
mod stop;
#[allow(clippy::module_inception, reason = "the verbs are a supervisor's")]
mod supervisor;
pub mod systemd;
#[cfg(target_os = "linux")]
pub(crate) mod told;
mod tree;
mod wait;
#[cfg(target_os = "linux")]
pub mod worker;

#[cfg(target_os = "linux")]
pub(crate) use self::adopt::adopt;
#[cfg(target_os = "linux")]
pub use self::executor::{
    async_process::AsyncProcess,
    process::{Command, Process},
    zygote::{Forked, Zygote},
};
#[cfg(target_os = "linux")]
pub use self::worker::Workers;
pub use self::{
    asked::Asked,
    context::{Context, Stopping},
    ended::HostEnded,
    event::{Because, Ended, Event, Kind, What},
    executor::{Executor, Reporter, Running, Start, Stopped, async_::Async, callbacks::Callbacks, thread::Thread},
    filter::Filter,
    host::{Host, HostOptions},
    observer::{Item, Observer, ObserverOptions, Place, Ready as EventReady},
    service::{
        Args, AutoShutdown, Backoff, Growth, Ready, Restart, Service, ServiceId, Shutdown, Strategy, SupervisorOptions,
    },
    shared::Finish,
    supervisor::{Child, ChildCounts, ChildInfo, ChildSpec, ChildState, Flags, Supervisor, Verb},
    wait::HostSignals,
};

#[cfg(all(test, not(loom)))]
mod test;

/// The guide's program is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/supervision.md")]
mod guide {}
