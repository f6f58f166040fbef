//! What a loop shares with the threads that use it and with the callbacks on their way.

#![forbid(unsafe_code)]

use std::{
    fmt, io,
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use super::{
    dispatch::Dispatcher,
    observe::Observed,
    posts::Posts,
    resolve::Resolver,
    run::{Driver, Runner, WAKE},
    timer::Timers,
    watch::Watches,
};
use crate::{
    error::{Error, Result},
    fork::ForkGuard,
    gate::Gate,
    job::Job,
};

pub(super) struct Shared {
    pub(super) fork: ForkGuard,
    pub(super) name: String,
    /// Open until `stop`; passed by whoever adds a timer or a watch, so that the end of the loop knows when the last one is there.
    pub(super) gate: Gate,
    pub(super) posts: Posts<Job>,
    waker: mio::Waker,
    /// The selector's; open for as long as the driver is there.
    pub(super) backend_fd: RawFd,
    /// A foreign loop sleeps on `backend_fd`.
    pub(super) embedded: AtomicBool,
    /// The last turn was interrupted and left timers to be called.
    pub(super) overdue: AtomicBool,
    pub(super) timers: Timers,
    pub(super) watches: Watches,
    pub(super) observed: Observed,
    pub(super) resolver: Arc<Resolver>,
    pub(super) pool: Option<Arc<dyn Dispatcher>>,
    pub(super) runner: Runner,
    /// Held by whoever runs the loop.
    pub(super) driver: Mutex<Driver>,
    /// The loop's own thread, if `start` made one.
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
    /// Told when a run ends.
    pub(super) run_ended: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("name", &self.name)
            .field("timers", &self.timers)
            .field("watches", &self.watches)
            .field("stopped", &self.gate.is_closed())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(name: String, pool: Option<Arc<dyn Dispatcher>>) -> Result<Self> {
        let failed = |error: io::Error| Error::os("make an event loop", &error);
        let poll = mio::Poll::new().map_err(failed)?;
        let waker = mio::Waker::new(poll.registry(), WAKE).map_err(failed)?;
        let registry = poll.registry().try_clone().map_err(failed)?;
        Ok(Self {
            fork: ForkGuard::new("event loop"),
            name,
            gate: Gate::new(),
            posts: Posts::new(),
            waker,
            backend_fd: poll.as_raw_fd(),
            embedded: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
            timers: Timers::new(),
            watches: Watches::new(registry),
            observed: Observed::new(),
            resolver: Arc::default(),
            pool,
            runner: Runner::new(),
            driver: Mutex::new(Driver::new(poll)),
            thread: Mutex::new(None),
            run_ended: Condvar::new(),
        })
    }

    /// Wakes the loop if it sleeps, or is about to; call it after adding work other than a post.
    #[inline]
    pub(super) fn wake_if_asleep(&self) {
        if self.posts.word().must_wake() {
            self.wake();
        }
    }

    /// Whether nothing is left that a run until idle waits for.
    pub(super) fn is_idle(&self) -> bool {
        self.posts.is_empty() && self.watches.referenced() == 0 && self.timers.referenced() == 0
    }

    /// Wakes a loop that may sleep for the sake of what has just ended; call it after a source has gone.
    pub(super) fn wake_if_idle(&self) {
        // While nobody runs it, no run until idle is to be ended: one that begins later looks for itself.
        if self.posts.word().is_asleep() && self.runner.is_running() && self.is_idle() {
            self.wake_if_asleep();
        }
    }

    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(target: "coop", "cannot wake event loop {:?}: {error}", self.name);
        }
    }

    /// Refuses what comes from now on; when it returns, all that was accepted is there, but for posts that are being written. In
    /// this order: who posts from inside the gate is not refused, and a refused post knows that the loop is stopped. Any
    /// number of times; true for the one that closed it.
    pub(super) fn close(&self) -> bool {
        let first = self.gate.close();
        self.gate.wait_quiet();
        self.posts.close();
        first
    }

    /// Whether it was stopped and a run would find nothing to run or to drop.
    pub(super) fn has_finished(&self) -> bool {
        self.posts.is_closed() && !self.has_work()
    }

    /// Whether a run would find something without looking at what is due and ready.
    pub(super) fn has_work(&self) -> bool {
        if !self.posts.is_empty() {
            return true;
        }
        match self.posts.is_closed() {
            false if self.gate.is_closed() => true,
            false => self.overdue.load(Ordering::Relaxed),
            true => self.timers.len() > 0 || self.watches.len() > 0,
        }
    }

    /// Closes the loop and drops all that waits: posts, timers, watches. For whoever may run the loop, so that nobody else waits
    /// for the taker's end.
    pub(super) fn discard(&self) {
        self.close();
        let mut taker = self.posts.take();
        while let Some(job) = taker.next() {
            job.drop_caught("event loop");
        }
        drop(taker);
        self.drop_sources();
        self.observed.clear();
    }

    /// Drops what waits for a time or for the system, with no lock held. The loop is closed, so no more come.
    pub(super) fn drop_sources(&self) {
        self.timers.clear();
        self.watches.clear();
        self.resolver.end();
    }
}
