//! The runtime behind libcoop: one event loop, one pinned priority pool, and port loops over both.
//!
//! # Where things are
//!
//! Floors see only the floors below them; `pool` and `event_loop` do not see each other.
//!
//! | floor | modules | what they hold |
//! |---|---|---|
//! | 0 | [`error`], [`cpu`], [`time`], [`fork`], [`job`], [`gate`], [`priority`], [`slots`], [`thread`], [`log`] | errors, CPU sets and pinning, deadlines, the fork guard, type-erased callbacks, closing without losing what was accepted, ids, library threads, messages |
//! | 1 | [`pool`], [`event_loop`], [`shm`] | workers with priorities and CPU sets; posts, timers, fd watches and UDP batches on one thread; memory that processes share, rings and bells in it |
//! | 2 | [`runtime`], [`task`] | a loop and a pool as one; coroutines that run in a pool or on a loop and move between them |
//! | 3 | [`supervisor`], [`dag`], `net` | services that live long: hosts, supervisors, executors, and what is told of them; graphs of tasks in the pool and on the loop; protocols over the loop's streams, a cargo feature each |
//! | 4 | [`port`], `process_pool` | named sockets, each with a handler, on the main loop, on threads or in processes of their own; calls that processes run |
//!
//! # Rules that hold everywhere
//!
//! * A callback that was accepted is dropped exactly once: after its last run, or instead of it.
//!   A refused one comes back to the caller in [`Refused`](error::Refused).
//! * Every method may be called from any thread, unless its name ends in `_local`.
//! * After `fork`, objects made before it answer [`Error::Forked`](error::Error::Forked) in the child.
//! * A panic in a callback is caught where it was called, reported once, and the thread goes on.

#![warn(missing_docs)]

pub mod cpu;
pub mod dag;
pub mod error;
pub mod event_loop;
pub mod fork;
pub mod gate;
pub mod job;
pub mod log;
#[cfg(any(feature = "redis", feature = "tls"))]
pub mod net;
pub mod pool;
pub mod port;
mod primitive;
pub mod priority;
#[cfg(target_os = "linux")]
pub mod process_pool;
pub mod runtime;
pub mod shm;
pub mod slots;
pub mod supervisor;
pub mod task;
pub mod thread;
pub mod time;

pub use cpu::CpuSet;
pub use error::{Error, Refused, Result};
pub use event_loop::{EventLoop, EventLoopOptions};
pub use job::Job;
pub use pool::{Pool, PoolOptions, ShutdownMode, SubmitOptions};
pub use priority::Priority;
pub use runtime::{Runtime, RuntimeOptions, StartMode};

/// The version of the library, from its manifest: `"major.minor.patch"`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
