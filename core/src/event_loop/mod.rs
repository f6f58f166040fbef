//! The event loop: posts, timers and watches on one thread.
//!
//! What waits, waits here. One thread runs the loop, the caller's ([`Handle::run`]) or its own ([`Handle::start`]);
//! every other call may come from any thread.
//!
//! # Lifetime
//!
//! 1. [`EventLoop`] owns the loop; [`Handle`]s are ways to it and do not keep it open.
//! 2. A loop that was stopped is closed for good: it runs the posts that it had accepted, drops its timers and watches, and has
//!    finished.
//! 3. Dropping the [`EventLoop`] stops it, discards what is queued (each callback is dropped, none is run) and waits for
//!    the callback that is running. From inside one of its own callbacks the drop returns at once, and the rest happens
//!    when that callback returns.
//! 4. In a forked child every call answers [`Error::Forked`](crate::Error::Forked), and the drop leaves everything as it
//!    is: another thread may have been changing any of it at the moment of the fork. Its descriptors close on exec. When a
//!    callback forks, `run` in the child ends with that error after that callback.
//!
//! # Where things are
//!
//! `handle.rs` the calls, `shared.rs` what they share with it, `run.rs` a turn of the loop, `posts.rs` the queue of posts, `post_and_wait.rs` posts
//! that are waited for, `through.rs` posts by a queue of the caller's, `async_signal.rs` wake-ups from signal handlers, `wake.rs` the
//! wake-up, `observe.rs` figures and hooks, `timer/` the wheel and its callbacks, `watch/` file descriptors, `event.rs`, `child.rs` and
//! `signal/` what is watched by descriptors of its own (`kernel.rs`), `dispatch.rs` callbacks in a pool, `strand.rs` those that do not overlap,
//! `embed.rs` the loop inside a foreign one, `udp/` datagrams in batches, `io.rs` sockets whose futures wait at a record each
//! (`readiness.rs`), `stream/` connections, `resolve.rs` names, `wait.rs`
//! times and descriptors as futures, `news.rs` what a callback tells a future.

// Not forbidden: `posts.rs` is a queue file, `udp/batch.rs` the one with raw sockets, `signal/disposition.rs` has the process's handler.
#![deny(unsafe_code)]

mod async_signal;
pub mod child;
mod dispatch;
mod embed;
pub mod event;
mod handle;
mod io;
mod kernel;
pub(crate) mod news;
mod observe;
mod post_and_wait;
mod posts;
mod readiness;
mod resolve;
mod run;
mod shared;
pub mod signal;
mod strand;
pub mod stream;
mod through;
mod timer;
pub mod udp;
mod wait;
mod wake;
mod watch;

#[cfg(all(test, not(loom)))]
mod test;

use std::{
    ops::Deref,
    sync::{Arc, PoisonError},
};

pub(crate) use self::kernel::{Look, exited as look_at_child, pidfd};
use self::shared::Shared;
pub use self::{
    async_signal::AsyncSignal,
    child::{ChildId, ExitStatus, exited},
    dispatch::{Dispatcher, On, Target},
    event::Event,
    handle::{Handle, WeakHandle},
    io::{Io, When, WhenReady},
    observe::{CallbackKind, LoopStats, SlowCallback},
    readiness::{Direction, Seen},
    resolve::Resolve,
    run::RunMode,
    signal::{SignalId, Signals},
    strand::{Ending, Strand},
    timer::{TimerId, TimerOptions},
    wait::{Late, Ready, Sleep, readable, ready, sleep, timeout, writable},
    watch::{Interest, Readiness, WatchId, WatchOptions},
};
use crate::error::{Error, Result};

/// How to make a loop.
#[derive(Debug, Clone)]
pub struct EventLoopOptions {
    /// The name of the loop's own thread, if it is started.
    pub name: String,
}

impl Default for EventLoopOptions {
    fn default() -> Self {
        Self { name: "coop-loop".into() }
    }
}

/// The owner of an event loop; see the module's text. Its calls are those of [`Handle`].
#[derive(Debug)]
pub struct EventLoop {
    handle: Handle,
    /// Its drop returns at once: see [`EventLoop::leave`].
    left: bool,
}

impl EventLoop {
    /// A loop whose callbacks run on its own thread.
    ///
    /// # Errors
    /// [`Error::Os`] if the process has no file descriptor left, [`Error::Invalid`] for a name with a NUL in it.
    pub fn new(options: EventLoopOptions) -> Result<Self> {
        Self::make(options, None)
    }

    /// A loop whose sources run their callbacks in a pool, unless they say otherwise.
    ///
    /// # Errors
    /// As [`EventLoop::new`].
    pub fn with_dispatcher(options: EventLoopOptions, pool: Arc<dyn Dispatcher>) -> Result<Self> {
        Self::make(options, Some(pool))
    }

    fn make(options: EventLoopOptions, pool: Option<Arc<dyn Dispatcher>>) -> Result<Self> {
        if options.name.contains('\0') {
            return Err(Error::Invalid(format!("event loop name {:?} contains a NUL byte", options.name)));
        }
        Ok(Self { handle: Handle { shared: Arc::new(Shared::new(options.name, pool)?) }, left: false })
    }

    /// From now on the drop waits for nothing: whoever runs the loop discards what is queued when it returns from the callback
    /// at hand. For an owner that a callback elsewhere lets go of, which the loop may be waiting for.
    pub(crate) fn leave(&mut self) {
        self.left = true;
    }

    /// Another way to the loop.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Deref for EventLoop {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        let shared = &self.handle.shared;
        if shared.fork.is_forked() {
            return std::mem::forget(shared.clone());
        }
        shared.runner.set_freed();
        let _ = self.handle.stop();
        if self.handle.is_loop_thread() {
            // The run discards the rest when this callback returns; its own thread then ends by itself.
            drop(shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take());
            // Whoever added the source whose callback this is may not have returned from that yet.
            return shared.gate.wait_quiet();
        }
        if self.left {
            drop(shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take());
            shared.discard_if_idle();
            return;
        }
        // Until nobody runs it, who then runs what it accepts no more: it is freed.
        loop {
            let _ = self.handle.join(None);
            if shared.discard_if_idle() {
                return;
            }
        }
    }
}
