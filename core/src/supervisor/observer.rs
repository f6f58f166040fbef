//! Observers: what happens in a host, told to whoever asks, at their own pace.
//!
//! # What holds
//!
//! * An observer that is slow loses the oldest events and is told how many, before the ones that it still gets.
//! * It ends, after the last event, when the host has ended.
//! * Dropped, it is forgotten; a callback of it that is running is not waited for.

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{Arc, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    event::Event,
    journal::{Journal, Pending, Queue},
};
use crate::{
    error::{Error, Result},
    event_loop,
    fork::{ForkGuard, Process},
    job, pool,
    task::JoinHandle,
    thread,
    time::Deadline,
};

/// How to observe.
#[derive(Debug, Clone)]
pub struct ObserverOptions {
    /// How many events may wait to be taken, at least 1.
    pub queue: usize,
    /// How many of the events that came before are told first, as far as the host has kept them.
    pub replay: usize,
}

impl Default for ObserverOptions {
    fn default() -> Self {
        Self { queue: 1024, replay: 0 }
    }
}

impl ObserverOptions {
    pub(super) fn check(&self) -> Result<()> {
        match self.queue {
            0 => Err(Error::Invalid("an observer's queue of 0 events holds none: at least 1".into())),
            _ => Ok(()),
        }
    }
}

/// What an observer is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An event.
    Event(Arc<Event>),
    /// So many events did not fit, between the one before and the one after this.
    Lost(u64),
}

/// Where the callback of an observer runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// On a thread of its own, which ends with the observer.
    Thread,
    /// On this loop's thread.
    Loop(event_loop::Handle),
    /// In this pool.
    Pool(pool::Handle),
}

/// Sees a host's events; made by [`Host::observe`](super::Host::observe).
pub struct Observer {
    fork: ForkGuard,
    journal: Weak<Journal>,
    id: u64,
    queue: Arc<Queue>,
    task: Option<JoinHandle<()>>,
    detached: bool,
    /// Where its events come from, if the host is another process.
    far: Option<Arc<OwnedFd>>,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("id", &self.id).finish_non_exhaustive()
    }
}

fn take(pending: &mut Pending) -> Option<Result<Item>> {
    if pending.lost > 0 {
        return Some(Ok(Item::Lost(std::mem::take(&mut pending.lost))));
    }
    match pending.items.pop_front() {
        Some(item) => Some(Ok(item)),
        None => pending.closed.then_some(Err(Error::Closed("host"))),
    }
}

impl Observer {
    pub(super) fn new(journal: &Arc<Journal>, filter: super::Filter, options: &ObserverOptions) -> Result<Self> {
        options.check()?;
        let (id, queue) = journal.observe(filter, options.queue, options.replay);
        let fork = ForkGuard::new("observer");
        Ok(Self { fork, journal: Arc::downgrade(journal), id, queue, task: None, detached: false, far: None })
    }

    /// What comes through this socket, as somebody else puts it into the queue until the socket is shut down.
    pub(super) fn far(queue: Arc<Queue>, socket: Arc<OwnedFd>) -> Self {
        let fork = ForkGuard::new("observer");
        Self { fork, journal: Weak::new(), id: 0, queue, task: None, detached: false, far: Some(socket) }
    }

    pub(super) fn run(&mut self, place: Place, mut callback: impl FnMut(Item) + Send + 'static) -> Result<()> {
        let queue = self.queue.clone();
        if let Place::Thread = place {
            thread::spawn("coop-observer", move || {
                while let Ok(item) = next(&queue, Deadline::NEVER) {
                    job::caught("observer", || callback(item));
                }
            })?;
            return Ok(());
        }
        let told = async move {
            while let Ok(item) = next_async(&queue).await {
                job::caught("observer", || callback(item));
                crate::task::yield_now().await;
            }
        };
        self.task = Some(match place {
            Place::Loop(event_loop) => event_loop.spawn(told)?,
            Place::Pool(pool) => pool.spawn(told)?,
            Place::Thread => unreachable!("returned above"),
        });
        Ok(())
    }

    /// What came next, if anything did.
    ///
    /// # Errors
    /// [`Error::Closed`] when the host has ended and all was taken, [`Error::Forked`].
    pub fn try_next(&self) -> Result<Option<Item>> {
        self.fork.check()?;
        take(&mut self.queue.lock()).transpose()
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Closed`] when the host has ended and all was taken, [`Error::Forked`].
    pub fn next(&self, timeout: Option<Duration>) -> Result<Item> {
        self.fork.check()?;
        next(&self.queue, Deadline::after(timeout))
    }

    /// [`Observer::next`] for a coroutine. One that is dropped takes no event with it.
    ///
    /// # Errors
    /// As there, without a deadline.
    pub async fn next_async(&self) -> Result<Item> {
        self.fork.check()?;
        next_async(&self.queue).await
    }

    /// Ends when there is something to take, or nothing more comes. It takes nothing: of several that wait, [`Observer::try_next`] tells
    /// which one is first.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn ready(&self) -> Result<Ready> {
        self.fork.check()?;
        Ok(Ready::new(&self.queue))
    }

    /// Ends it, as its drop does: what has not been taken is forgotten, and those who wait are answered [`Error::Closed`].
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn close(&self) -> Result<()> {
        self.fork.check()?;
        self.leave();
        Ok(())
    }

    /// Lets nothing more in: who waits gets what is there, and then [`Error::Closed`].
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn end(&self) -> Result<()> {
        self.fork.check()?;
        self.cut();
        self.queue.close();
        Ok(())
    }

    /// Whether its events come from another process.
    pub fn is_far(&self) -> bool {
        self.far.is_some()
    }

    /// Leaves one with a callback to itself: it goes on until the host's last event.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// From where they come.
    fn cut(&self) {
        if let Some(journal) = self.journal.upgrade() {
            journal.leave(self.id);
        }
        if let Some(socket) = &self.far {
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
    }

    fn leave(&self) {
        self.cut();
        // Who waits sees that it is over; a task is cancelled by the drop.
        drop(self.queue.forget());
    }

    /// Nothing more comes than what is there.
    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// What comes, until the host has ended; waits for each.
    pub fn iter(&self) -> impl Iterator<Item = Item> + '_ {
        std::iter::from_fn(|| self.next(None).ok())
    }
}

fn next(queue: &Queue, deadline: Deadline) -> Result<Item> {
    let mut pending = queue.lock();
    loop {
        if let Some(item) = take(&mut pending) {
            return item;
        }
        pending = match deadline.remaining() {
            None => queue.changed.wait(pending).unwrap_or_else(PoisonError::into_inner),
            Some(Duration::ZERO) => return Err(Error::Timeout("no event has come".into())),
            Some(left) => queue.changed.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
}

async fn next_async(queue: &Arc<Queue>) -> Result<Item> {
    loop {
        let taken = take(&mut queue.lock());
        if let Some(item) = taken {
            return item;
        }
        Ready::new(queue).await;
    }
}

/// See [`Observer::ready`].
#[derive(Debug)]
pub struct Ready {
    fork: Process,
    queue: Arc<Queue>,
    waiter: Option<u64>,
}

impl Ready {
    fn new(queue: &Arc<Queue>) -> Self {
        Self { fork: Process::current(), queue: queue.clone(), waiter: None }
    }
}

impl Future for Ready {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned, and the one before dropped, with no lock held.
        let waker = cx.waker().clone();
        let mut pending = this.queue.lock();
        if pending.lost > 0 || !pending.items.is_empty() || pending.closed {
            return Poll::Ready(());
        }
        let before = match this.waiter.and_then(|waiter| pending.wakers.get_mut(waiter)) {
            Some(before) => Some(std::mem::replace(before, waker)),
            None => {
                this.waiter = Some(pending.wakers.insert(waker));
                None
            }
        };
        drop(pending);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // Another thread may have held the lock at the moment of the fork.
            return;
        }
        // Bound first: a waker is dropped with no lock held.
        let waker = self.waiter.and_then(|waiter| self.queue.lock().wakers.remove(waiter));
        drop(waker);
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // Another thread may have held a lock of these at the moment of the fork.
            std::mem::forget((self.queue.clone(), self.task.take()));
            return;
        }
        if self.detached {
            return;
        }
        self.leave();
        if let Some(mut task) = self.task.take() {
            task.cancel();
        }
    }
}
