//! Hosts, supervisors and services, over `coop_core::supervisor`: the native half of `libcoop.Host` and of what belongs to it.
//!
//! * A host's thread never attaches to the interpreter, and drops no Python object: it must not wait for whoever holds the GIL. What has
//!   to attach for a host does so on the attendant's thread, on a service's own, or on the caller's.
//! * Whatever waits can be ended by Ctrl-C, and wakes up for nothing else (`wait::until`).
//!
//! `host.rs` and `supervisor.rs` the owner of a tree and the verbs, `answer.rs` how they are waited for; `options.rs` what is said of services;
//! `thread.rs`, `asyncio.rs` and `process.rs` what runs them, `turn.rs` whose thread runs their loop, `stacks.rs` where one hangs; `attendant.rs` the attendant, `context.rs` what a run knows of itself; `fork.rs` how a
//! worker is made, `worker.rs` its run; `event.rs` what observers are told, `observer.rs` who waits for that, `logs.rs` the way of workers' log records.

mod answer;
mod asyncio;
pub(crate) mod attendant;
mod context;
mod event;
pub(crate) mod fork;
mod host;
mod logs;
mod observer;
mod options;
mod process;
mod stacks;
#[allow(clippy::module_inception, reason = "the verbs are a supervisor's")]
mod supervisor;
mod thread;
mod turn;
pub(crate) mod worker;

pub(crate) use self::{
    asyncio::{ServiceEnd, on_asyncio},
    context::ServiceContext,
    event::{Ended, ServiceEvent},
    host::{NativeHost, TakenSignals},
    logs::{LogChannel, LogSender},
    observer::{Observer, Wanted},
    options::{NativeExecutor, NativeService},
    process::{NativeCommand, NativeZygote},
    supervisor::NativeSupervisor,
    thread::on_thread,
    turn::{AskedTurn, Turn},
};
