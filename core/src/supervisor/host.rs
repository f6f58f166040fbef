//! A host: a tree of supervisors and services, on a thread of its own.
//!
//! # Lifetime
//!
//! 1. [`Host::new`] starts the host's thread; what is added is only noted.
//! 2. [`Host::start`] starts the tree in order. A start that fails stops what was started, last first; the host may then be started again.
//! 3. The host ends when it is asked to ([`Host::stop`]), when its root gives up or shuts itself down. It is not started again.
//! 4. Dropped, it stops, and waits: services that may take as long as they like have the usual 5 s then. From one of its own threads
//!    the drop returns at once, and the rest happens by itself.
//! 5. In a forked child every call answers [`Error::Forked`], and the drop leaves everything as it is.

#![forbid(unsafe_code)]

use std::{ops::Deref, sync::Arc, time::Duration};

use super::{
    asked::Asked,
    context,
    ended::HostEnded,
    filter::Filter,
    journal::Journal,
    observer::{Item, Observer, ObserverOptions, Place},
    reap,
    service::SupervisorOptions,
    shared::{Finish, Phase, Shared},
    supervisor::Supervisor,
    tree::Tree,
};
use crate::{
    error::{Error, Result},
    event_loop::{EventLoop, EventLoopOptions, Handle},
    thread,
    time::Deadline,
};

/// How to make a host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The root's name, which every path begins with.
    pub name: String,
    /// The root.
    pub root: SupervisorOptions,
    /// How many events are kept for observers that come late.
    pub history: usize,
    /// The main loop: async services run on it.
    pub event_loop: Option<Handle>,
    /// Orphans that come to this process, as PID 1 of a container or as a subreaper, are reaped: those that nobody else started, as far
    /// as can be told. A child that other code in this process started and has not reaped within 10 s counts as one.
    pub reap: bool,
    /// Ends that are trouble are no warnings in the log, which hears of them as of all other events: for an owner that tells of them itself.
    pub quiet: bool,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            name: "root".into(),
            root: SupervisorOptions::default(),
            history: 256,
            event_loop: None,
            reap: false,
            quiet: false,
        }
    }
}

/// The owner of a host; see the module's text. The calls of its root are those of [`Supervisor`].
#[derive(Debug)]
pub struct Host {
    event_loop: Option<EventLoop>,
    root: Supervisor,
}

impl Deref for Host {
    type Target = Supervisor;

    fn deref(&self) -> &Supervisor {
        &self.root
    }
}

impl Host {
    /// A host that is not started yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the options say of the root, [`Error::Os`] if the process has no descriptor or thread left.
    pub fn new(options: HostOptions) -> Result<Self> {
        let HostOptions { name, root, history, event_loop: main_loop, reap: reaps, quiet } = options;
        root.check(&name)?;
        let event_loop = EventLoop::new(EventLoopOptions { name: "coop-host".into() })?;
        let shared = Shared::new(name.clone(), &event_loop, main_loop.as_ref(), Journal::new(history).quiet(quiet));
        let tree = Tree::new(&shared, event_loop.handle(), name, root);
        let id = tree.root();
        shared.put_tree(Box::new(tree));
        if reaps {
            reap::begin(&shared)?;
        }
        event_loop.start()?;
        if reaps {
            // What had ended before is told by no signal.
            shared.post(Tree::reap)?;
        }
        Ok(Self { event_loop: Some(event_loop), root: Supervisor { shared, id } })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.root.shared
    }

    /// The loop that its thread runs.
    ///
    /// # Errors
    /// [`Error::Closed`] when it has gone, [`Error::Forked`].
    #[cfg(target_os = "linux")]
    pub(crate) fn event_loop(&self) -> Result<Handle> {
        self.shared().event_loop()
    }

    /// The root.
    pub fn root(&self) -> &Supervisor {
        &self.root
    }

    /// Starts the tree, in order, and waits until all are ready.
    ///
    /// # Errors
    /// Why a service did not start; what was started has been stopped then. [`Error::Exists`] if it was started before, [`Error::Closed`] if
    /// it has ended, [`Error::WouldDeadlock`], [`Error::Forked`].
    pub fn start(&self) -> Result<()> {
        self.shared().may_wait()?;
        self.shared().ask(Tree::start)?.join(None)
    }

    /// Begins [`Host::start`], and does not wait.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`]; the rest is answered.
    pub fn ask_start(&self) -> Result<Asked<()>> {
        self.shared().ask(Tree::start)
    }

    /// Asks the host to stop, and returns at once. Any thread, any number of times.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stop(&self) -> Result<()> {
        self.shared().stop()
    }

    /// Ends everything that runs, and returns at once.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn kill(&self) -> Result<()> {
        self.shared().kill()
    }

    /// [`Host::stop`], and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::Timeout`]: it goes on stopping, and this may be called again. [`Error::WouldDeadlock`] as [`Host::join`], and nothing is
    /// stopped then; [`Error::Forked`].
    pub fn shutdown(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.check_outside()?;
        let stopped = self.shared().ask(|tree, teller| {
            tree.stop();
            teller.tell(Ok(()));
        })?;
        stopped.join(deadline.remaining())?;
        self.wait_for(deadline).map(drop)
    }

    /// Waits until the host has ended, and answers how.
    ///
    /// # Errors
    /// [`Error::Failed`] with the reason, if its root gave up; [`Error::Timeout`]; [`Error::Invalid`] if it was not started;
    /// [`Error::WouldDeadlock`] from the host's thread, from one of its services, and from the main loop's thread; [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<Finish> {
        let deadline = Deadline::after(timeout);
        self.check_outside()?;
        match self.wait_for(deadline)? {
            Finish::GaveUp(text) => Err(Error::Failed(text)),
            finish => Ok(finish),
        }
    }

    fn wait_for(&self, deadline: Deadline) -> Result<Finish> {
        match self.shared().wait_ended(deadline)? {
            Some(finish) => Ok(finish),
            None => Err(Error::Timeout(format!("the host {:?} has not ended yet", self.shared().name))),
        }
    }

    /// Ends when the host has ended, also if it was never started, and answers how.
    pub fn ended(&self) -> HostEnded {
        HostEnded { shared: self.shared().clone(), waiter: None }
    }

    /// How it ended, once it has.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn finished(&self) -> Result<Option<Finish>> {
        self.shared().fork.check()?;
        Ok(match self.shared().phase() {
            Phase::Ended(finish) => Some(finish),
            Phase::New | Phase::Started => None,
        })
    }

    /// Whether it was started, also if it has ended since.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn is_started(&self) -> Result<bool> {
        self.shared().fork.check()?;
        Ok(self.shared().phase() != Phase::New)
    }

    /// Refuses a wait for the end that the caller is in the way of.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`] as [`Host::join`], [`Error::Closed`], [`Error::Forked`].
    pub fn check_outside(&self) -> Result<()> {
        self.shared().may_wait()?;
        if context::current(self.shared()).is_some() {
            return Err(Error::WouldDeadlock("a service cannot wait for its own host to end: use stop()"));
        }
        let main_loop = self.shared().main_loop.as_ref().and_then(|main_loop| main_loop.upgrade());
        if main_loop.is_some_and(|main_loop| main_loop.is_loop_thread()) {
            return Err(Error::WouldDeadlock(
                "a callback of the main loop cannot wait for the host to end: its services run there",
            ));
        }
        Ok(())
    }

    /// Sees the host's events from now on, and as many of those before as `options` says. An observer ends after the last event.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a queue of none, [`Error::Forked`].
    pub fn observe(&self, filter: Filter, options: &ObserverOptions) -> Result<Observer> {
        self.root.observe(filter, options)
    }

    /// Has the events told to a callback, until what is answered is dropped. Its calls do not overlap; a panic in it is caught.
    ///
    /// # Errors
    /// As [`Host::observe`], and what the place answers.
    pub fn observe_with(
        &self,
        filter: Filter,
        options: &ObserverOptions,
        place: Place,
        callback: impl FnMut(Item) + Send + 'static,
    ) -> Result<Observer> {
        self.root.observe_with(filter, options, place, callback)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let Some(event_loop) = self.event_loop.take() else { return };
        let shared = self.root.shared.clone();
        if shared.fork.is_forked() {
            // Another thread may have been changing any of it at the moment of the fork.
            return std::mem::forget((event_loop, shared));
        }
        let end = move || {
            let stopped = shared.ask(|tree, teller| {
                tree.stop_bounded();
                teller.tell(Ok(()));
            });
            if stopped.and_then(|stopped| stopped.join(None)).is_ok() {
                let _ = shared.wait_ended(Deadline::NEVER);
            }
            // The loop first: then nobody has the tree.
            drop(event_loop);
            let tree = shared.take_tree();
            shared.journal.close();
            #[cfg(target_os = "linux")]
            shared.hub.close();
            drop(tree);
        };
        if self.check_outside().is_ok() {
            return end();
        }
        if let Err(error) = thread::spawn("coop-host-end", end) {
            tracing::error!(target: "coop", "a host that was dropped by one of its own cannot be ended: {error}");
        }
    }
}
