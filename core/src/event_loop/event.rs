//! Events: a flag that anybody sets and anybody waits for, with a descriptor.
//!
//! # What holds
//!
//! * One that **resets itself** lets exactly one waiter through per signal. While nobody waits, signals do not add up: the next one who comes goes
//!   on at once, and the flag is down again.
//! * One with **manual reset** stays signalled until [`Event::reset`], and lets everybody through.
//! * The flag is an eventfd: [`Event::as_fd`] is readable while it is signalled. Others may poll it, and write to it: that is a signal too.
//! * A waiter that is dropped takes nothing with it.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use super::{
    Handle, On, kernel,
    news::{Listener, channel},
    watch::{Callback, Interest, KIND as WATCH, WatchId, WatchOptions},
};
use crate::{
    error::{Error, Refused, Result},
    fork::ForkGuard,
};

/// See the module's text. Any thread may call anything.
#[derive(Debug)]
pub struct Event {
    flag: Arc<Flag>,
}

#[derive(Debug)]
struct Flag {
    fork: ForkGuard,
    fd: OwnedFd,
    manual: bool,
    /// Of one that resets itself.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiters: usize,
    /// What is in the eventfd, as far as this object knows. It never says less than there is of its own signals.
    raised: usize,
}

impl Flag {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) {
        if self.manual {
            return kernel::raise(&self.fd);
        }
        let mut counts = self.counts();
        if !kernel::is_readable(&self.fd) {
            // Also what somebody has read from the descriptor.
            counts.raised = 0;
        }
        // As many as wait go on, and one is kept if nobody does.
        if counts.raised < counts.waiters.max(1) {
            counts.raised += 1;
            kernel::raise(&self.fd);
        }
    }

    /// Takes what a waiter takes. False: not signalled.
    fn take(&self) -> bool {
        if self.manual {
            return kernel::is_readable(&self.fd);
        }
        let mut counts = self.counts();
        let taken = kernel::take(&self.fd);
        counts.raised = counts.raised.saturating_sub(usize::from(taken));
        taken
    }

    /// What was taken is not needed.
    fn give_back(&self) {
        if !self.manual {
            self.signal();
        }
    }

    fn reset(&self) {
        let mut counts = self.counts();
        while kernel::take(&self.fd) {}
        counts.raised = 0;
    }
}

/// One who waits, for as long as it is there.
struct Waiter(Arc<Flag>);

impl Waiter {
    fn new(flag: &Arc<Flag>) -> Self {
        flag.counts().waiters += 1;
        Self(flag.clone())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.waiters -= 1;
        // A signal that was for this one, and that nobody waits for: one at most is kept.
        if !self.0.manual && counts.raised > counts.waiters.max(1) && kernel::take(&self.0.fd) {
            counts.raised -= 1;
        }
    }
}

impl Event {
    /// A new one, not signalled.
    ///
    /// # Errors
    /// [`Error::Os`] if the process has no descriptor left, [`Error::Unsupported`] without eventfds.
    pub fn new(manual_reset: bool) -> Result<Self> {
        let fd = kernel::eventfd(!manual_reset)?;
        let flag = Flag { fork: ForkGuard::new("event"), fd, manual: manual_reset, counts: Mutex::default() };
        Ok(Self { flag: Arc::new(flag) })
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn signal(&self) -> Result<()> {
        self.flag.fork.check()?;
        self.flag.signal();
        Ok(())
    }

    /// What a [`wait`](Event::wait) took is not needed: the next one has it. Nothing to give with manual reset, nor in a forked child.
    pub fn give_back(&self) {
        if self.flag.fork.check().is_ok() {
            self.flag.give_back();
        }
    }

    /// Takes the signal away, if there is one.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn reset(&self) -> Result<()> {
        self.flag.fork.check()?;
        self.flag.reset();
        Ok(())
    }

    /// Whether it is signalled. It only looks. False in a forked child.
    pub fn is_signaled(&self) -> bool {
        !self.flag.fork.is_forked() && kernel::is_readable(&self.flag.fd)
    }

    /// Calls `f` whenever it is signalled, until the watch is [cancelled](Handle::cancel_watch): of an event that resets itself, with the signal taken; of one with manual
    /// reset once for each signal (several may be one call), and at once if it is signalled. It may outlive the event, which is then never signalled.
    ///
    /// # Errors
    /// Those of [`Handle::watch`].
    pub fn watch<F>(&self, event_loop: &Handle, on: On, f: F) -> Result<WatchId, Refused<F>>
    where
        F: FnMut() + Send + 'static,
    {
        let options = WatchOptions { edge: self.flag.manual, on, ..WatchOptions::new(Interest::READ) };
        self.watched(event_loop, options, f, |mut f, waiter, duplicate| {
            Box::new(move |_, _, _| {
                let _open_until_then = &duplicate;
                // Another waiter may have been faster.
                if waiter.0.take() {
                    f();
                }
            })
        })
    }

    fn watched<F>(
        &self,
        event_loop: &Handle,
        options: WatchOptions,
        f: F,
        make: impl FnOnce(F, Waiter, OwnedFd) -> Callback,
    ) -> Result<WatchId, Refused<F>> {
        let duplicate = event_loop.check_open().and_then(|()| self.flag.fork.check()).and_then(|()| {
            // A loop takes one watch for each descriptor.
            self.flag.fd.try_clone().map_err(|error| Error::os("duplicate an event's descriptor", &error))
        });
        let duplicate = match duplicate {
            Ok(duplicate) => duplicate,
            Err(error) => return Err(Refused::new(error, f)),
        };
        let (fd, waiter) = (duplicate.as_raw_fd(), Waiter::new(&self.flag));
        event_loop.source(WATCH, fd, options, f, move |f| make(f, waiter, duplicate)).map(WatchId)
    }

    /// Waits until it is signalled, and takes the signal of one that resets itself.
    pub fn wait(&self, event_loop: &Handle) -> Wait<'_> {
        Wait { event: self, event_loop: event_loop.clone(), watch: None }
    }
}

impl AsFd for Event {
    /// Readable while it is signalled; it stays the event's.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.flag.fd.as_fd()
    }
}

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> RawFd {
        self.flag.fd.as_raw_fd()
    }
}

/// Ends when the event is signalled; made by [`Event::wait`].
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub struct Wait<'a> {
    event: &'a Event,
    event_loop: Handle,
    watch: Option<(WatchId, Listener<()>)>,
}

impl Future for Wait<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        if this.watch.is_none() {
            this.event.flag.fork.check()?;
            if this.event.flag.take() {
                return Poll::Ready(Ok(()));
            }
            let (teller, listener) = channel();
            // Set before the watch, which may be told at once.
            let _ = listener.poll(cx);
            let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
            let id = this.event.watched(&this.event_loop, options, teller, |teller, waiter, duplicate| {
                Box::new(move |shared, id, _| {
                    let _open_until_then = &duplicate;
                    // Another waiter may have been faster. What is taken for a future that was dropped meanwhile goes on to the next.
                    if waiter.0.take() && !(shared.watches.end(id) && teller.tell(())) {
                        waiter.0.give_back();
                    }
                })
            })?;
            this.watch = Some((id, listener));
            return Poll::Pending;
        }
        match &this.watch {
            Some((_, listener)) => listener.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some((id, listener)) = mem::take(&mut self.watch) else { return };
        // Stale when it was told.
        let _ = self.event_loop.cancel_watch(id);
        if listener.close().is_some() {
            self.event.flag.give_back();
        }
    }
}
