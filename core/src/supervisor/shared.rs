//! What a host shares with those who call it: the way to its thread, and how it ended.
//!
//! # Invariant
//!
//! The tree is touched by the host's thread only, in one post or timer of its loop at a time, which takes it out of its place: so nothing
//! is locked while executors and wakers are called, and what they report comes in a later post.

#![forbid(unsafe_code)]

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{asked::Asked, journal::Journal, service::Service, tree::Tree};
use crate::{
    error::{Error, Result},
    event_loop::{
        Handle, WeakHandle,
        news::{self, Teller},
    },
    fork::ForkGuard,
    job::{self, Job, panic_text},
    slots::Slots,
    time::Deadline,
};

/// How a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It was asked to stop.
    Stopped,
    /// This signal asked it to stop: see [`Host::wait`](super::Host::wait).
    Signal(i32),
    /// Its significant children have ended.
    AutoShutdown,
    /// More restarts than its root allows; the text says which supervisor and what ended last.
    GaveUp(String),
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    Started,
    Ended(Finish),
}

pub(super) struct Shared {
    pub(super) fork: ForkGuard,
    pub(super) name: String,
    event_loop: WeakHandle,
    pub(super) main_loop: Option<WeakHandle>,
    pub(super) journal: Arc<Journal>,
    #[cfg(target_os = "linux")]
    pub(super) hub: super::remote::Hub,
    tree: Mutex<Option<Box<Tree>>>,
    phase: Mutex<Phase>,
    changed: Condvar,
    /// To be called when it has ended.
    enders: Mutex<Vec<Job>>,
    /// To be woken when it has ended; put down under the lock of `phase`, before it has.
    wakers: Mutex<Slots<Waker>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    pub(super) fn new(name: String, event_loop: &Handle, main_loop: Option<&Handle>, journal: Journal) -> Arc<Self> {
        Arc::new(Self {
            fork: ForkGuard::new("host"),
            name,
            event_loop: event_loop.downgrade(),
            main_loop: main_loop.map(Handle::downgrade),
            journal: Arc::new(journal),
            #[cfg(target_os = "linux")]
            hub: super::remote::Hub::default(),
            tree: Mutex::new(None),
            phase: Mutex::new(Phase::New),
            changed: Condvar::new(),
            enders: Mutex::default(),
            wakers: Mutex::default(),
        })
    }

    fn tree(&self) -> MutexGuard<'_, Option<Box<Tree>>> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put_tree(&self, tree: Box<Tree>) {
        *self.tree() = Some(tree);
    }

    pub(super) fn take_tree(&self) -> Option<Box<Tree>> {
        self.tree().take()
    }

    pub(super) fn event_loop(&self) -> Result<Handle> {
        self.fork.check()?;
        self.event_loop.upgrade().ok_or(Error::Closed("host"))
    }

    /// Has the host's thread change the tree. Nothing of it runs when the host has gone.
    pub(super) fn post(self: &Arc<Self>, f: impl FnOnce(&mut Tree) + Send + 'static) -> Result<()> {
        let shared = self.clone();
        let job = Job::new(move || shared.turn(f));
        self.event_loop()?.post_job(job).map_err(|refused| match refused.error {
            Error::Closed(_) => Error::Closed("host"),
            other => other,
        })
    }

    /// One turn of the host's thread. A panic in it is the library's own fault: the tree is kept, and the panic is told.
    pub(super) fn turn(&self, f: impl FnOnce(&mut Tree)) {
        let Some(mut tree) = self.take_tree() else { return };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            f(&mut tree);
            tree.drive();
        }));
        self.put_tree(tree);
        if let Err(payload) = ran {
            tracing::error!(target: "coop", "the host panicked: {}", panic_text(&*payload));
        }
    }

    /// Has the host's thread do something that is answered now or later.
    pub(super) fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut Tree, Teller<Result<T>>) + Send + 'static,
    ) -> Result<Asked<T>> {
        let (teller, listener) = news::channel();
        self.post(move |tree| f(tree, teller))?;
        Ok(Asked { fork: self.fork, listener })
    }

    /// Asks something that is answered at once.
    pub(super) fn read<T: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.may_wait()?;
        let asked = self.ask(move |tree, teller| {
            teller.tell(f(tree));
        })?;
        asked.join(None)
    }

    /// Refuses a wait on the host's own thread.
    pub(super) fn may_wait(&self) -> Result<()> {
        if self.event_loop()?.is_loop_thread() {
            return Err(Error::WouldDeadlock(
                "the host's own thread cannot wait for the host: use ask(), or call from another thread",
            ));
        }
        Ok(())
    }

    /// What can be refused of a service before the host sees it.
    pub(super) fn check(&self, service: &Service) -> Result<()> {
        self.fork.check()?;
        let checked = catch_unwind(AssertUnwindSafe(|| service.check()));
        checked.unwrap_or_else(|payload| Err(Error::Panic(panic_text(&*payload).to_owned())))
    }

    pub(super) fn stop(self: &Arc<Self>) -> Result<()> {
        self.fork.check()?;
        match self.post(Tree::stop) {
            Err(Error::Closed(_)) => Ok(()),
            other => other,
        }
    }

    pub(super) fn kill(self: &Arc<Self>) -> Result<()> {
        self.fork.check()?;
        match self.post(Tree::kill) {
            Err(Error::Closed(_)) => Ok(()),
            other => other,
        }
    }

    fn lock_phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock_phase().clone()
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let ended = matches!(phase, Phase::Ended(_));
        *self.lock_phase() = phase;
        self.changed.notify_all();
        if ended {
            let wakers = self.lock_wakers().take_all();
            for (_, waker) in wakers {
                job::caught("waker", || waker.wake());
            }
            self.call_enders();
        }
    }

    fn lock_wakers(&self) -> MutexGuard<'_, Slots<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, or its waker is kept as `waiter`.
    pub(super) fn poll_ended(&self, waiter: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<Finish> {
        let waker = cx.waker().clone();
        let phase = self.lock_phase();
        if let Phase::Ended(finish) = &*phase {
            return Poll::Ready(finish.clone());
        }
        let mut wakers = self.lock_wakers();
        let before = match waiter.and_then(|waiter| wakers.get_mut(waiter)) {
            Some(before) => Some(std::mem::replace(before, waker)),
            None => {
                *waiter = Some(wakers.insert(waker));
                None
            }
        };
        drop(wakers);
        drop(phase);
        drop(before);
        Poll::Pending
    }

    pub(super) fn leave_ended(&self, waiter: Option<u64>) {
        // Bound first: a waker is dropped with no lock held.
        let waker = waiter.and_then(|waiter| self.lock_wakers().remove(waiter));
        drop(waker);
    }

    /// Has `f` called when it has ended, on the host's thread; at once if it has.
    pub(super) fn on_ended(&self, f: impl FnOnce() + Send + 'static) {
        self.lock_enders().push(Job::new(f));
        // Whoever ended it may not have seen this one.
        if matches!(self.phase(), Phase::Ended(_)) {
            self.call_enders();
        }
    }

    fn lock_enders(&self) -> MutexGuard<'_, Vec<Job>> {
        self.enders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_enders(&self) {
        let enders = std::mem::take(&mut *self.lock_enders());
        for ender in enders {
            ender.run_caught("host");
        }
    }

    /// Waits until it has ended. `None` at the deadline.
    pub(super) fn wait_ended(&self, deadline: Deadline) -> Result<Option<Finish>> {
        let mut phase = self.lock_phase();
        loop {
            match &*phase {
                Phase::Ended(finish) => return Ok(Some(finish.clone())),
                Phase::New => return Err(Error::Invalid("the host has not been started".into())),
                Phase::Started => {}
            }
            phase = match deadline.remaining() {
                None => self.changed.wait(phase).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Ok(None),
                Some(left) => self.changed.wait_timeout(phase, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// A way to the tree that keeps nothing.
pub(super) type Link = Weak<Shared>;
