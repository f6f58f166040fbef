//! The pool's handle.

#![forbid(unsafe_code)]

use std::{
    fmt, slice,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    CallId, CallOptions, Completion, Options,
    front::{Counts, Front, Source},
    inner::Inner,
    parts, worker,
};
use crate::{
    error::{Error, Refused, Result},
    supervisor::{Filter, Observer, ObserverOptions},
    thread,
    time::Deadline,
};

/// What becomes of the calls of a pool that shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// All of them are run.
    Drain,
    /// Those that run go on; those that are queued end as [`super::Outcome::Cancelled`].
    Cancel,
    /// As `Cancel`, and the workers are asked to end now: what they run may go on for [`Options::shutdown`], and is ended with its worker then
    /// ([`super::Outcome::Died`]).
    Terminate,
    /// As `Cancel`, and those that run are ended at once ([`super::Outcome::Killed`]).
    Kill,
}

/// What a pool has done, and does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processes that are there, ready or not.
    pub workers: usize,
    /// Those that wait for a call.
    pub idle: usize,
    /// Calls that no worker has begun.
    pub queued: usize,
    /// Calls that run.
    pub running: usize,
    /// Calls that were accepted.
    pub submitted: u64,
    /// Calls that a worker has run.
    pub done: u64,
    /// Calls that ended in another way, those that were cancelled included.
    pub failed: u64,
    /// Processes that were started.
    pub started: u64,
    /// Processes that ended without having been asked to.
    pub died: u64,
    /// Bytes in blocks for calls that have not ended.
    pub block_bytes: usize,
    /// Blocks of this process, used or kept.
    pub blocks: usize,
}

/// A pool of processes; see the module's text. `T` comes back with each call. Dropped, it is shut down by [`Shutdown::Kill`], and nobody waits.
pub struct ProcessPool<T: Send + 'static> {
    inner: Arc<Inner<T>>,
}

impl<T: Send + 'static> fmt::Debug for ProcessPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> ProcessPool<T> {
    /// A pool without processes yet; `done` is told of each call that has ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the options say, [`Error::Os`] if the process has no memory, descriptor or thread left.
    pub fn new(options: Options, done: impl FnMut(Vec<Completion<T>>) + Send + 'static) -> Result<Self> {
        if worker::is_unserved()? {
            return Err(Error::Invalid(
                "this process was started to work for a process pool, and makes one instead: process_pool::run_if_asked must be called first in main"
                    .into(),
            ));
        }
        let inner = Inner::new(options)?;
        let (its, bell) = (inner.clone(), inner.parents_bell()?);
        thread::spawn("coop-pool-calls", move || {
            its.thread.store(thread::number(), Ordering::Relaxed);
            its.serve(bell, done);
        })?;
        Ok(Self { inner })
    }

    /// Has a worker run a call of these parts, which are copied before this returns.
    ///
    /// # Errors
    /// [`Error::Closed`] after a shutdown, [`Error::Failed`] with the reason if the pool is broken, [`Error::QueueFull`] beyond
    /// [`Options::max_queued`], [`Error::Affinity`] for CPUs that no worker is kept on, [`Error::Invalid`] for more than can be,
    /// [`Error::Os`] if there is no memory for a block, or no descriptor for the first worker; [`Error::Forked`].
    pub fn submit(&self, context: T, parts: &[&[u8]], options: &CallOptions) -> Result<CallId, Refused<T>> {
        let parts: Vec<&[&[u8]]> = parts.iter().map(slice::from_ref).collect();
        self.submit_in_pieces(context, &parts, options)
    }

    /// As [`ProcessPool::submit`], of parts each of which is put together from the pieces that are given.
    ///
    /// # Errors
    /// As there.
    pub fn submit_in_pieces(
        &self,
        context: T,
        parts: &[&[&[u8]]],
        options: &CallOptions,
    ) -> Result<CallId, Refused<T>> {
        let inner = &self.inner;
        let prepared = inner.fork.check().and_then(|()| {
            let space = parts::space(parts)
                .ok_or_else(|| Error::Invalid(format!("{} parts: allowed are up to {}", parts.len(), parts::MOST)))?;
            Ok((space, options.cpus.as_ref().map(|cpus| inner.within(cpus)).transpose()?))
        });
        let (space, within) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err(Refused::new(error, context)),
        };
        // A moment past what the clock can hold is never.
        let deadline = options.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let (id, is_ready, calls, is_next) = {
            let mut front = inner.front();
            if let Err(error) = self.admit(&mut front) {
                return Err(Refused::new(error, context));
            }
            let source = Source::Parts(parts, space);
            match front.add(context, options.priority, within.clone(), deadline, source) {
                Ok((id, is_ready)) => {
                    let is_next = deadline.is_some() && front.next_deadline() == deadline;
                    (id, is_ready, front.unfinished(), is_next)
                }
                Err((error, context)) => return Err(Refused::new(error, context)),
            }
        };
        if is_ready {
            inner.wake(within.as_deref());
        }
        if is_next {
            inner.set_alarm();
        }
        if let Err(error) = inner.want(calls) {
            let withdrawn = inner.front().withdraw(id);
            inner.nobody_is_there(&error);
            if let Some(context) = withdrawn {
                return Err(Refused::new(error, context));
            }
        }
        Ok(CallId(id))
    }

    fn admit(&self, front: &mut Front<T>) -> Result<()> {
        if let Some(reason) = &front.broken {
            return Err(Error::Failed(reason.clone()));
        }
        if front.closing.is_some() {
            return Err(Error::Closed("process pool"));
        }
        if let Some(most) = self.inner.options.max_queued
            && front.unfinished() >= most.saturating_add(self.inner.options.workers)
            && front.queued_and_running().0 >= most
        {
            let capacity = format!("{most} {}", if most == 1 { "call" } else { "calls" });
            return Err(Error::QueueFull { what: "process pool", capacity });
        }
        Ok(())
    }

    /// Takes a call out of the queue: what it was submitted with, and no completion comes of it. `None` if it has begun, or is over.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn cancel(&self, call: CallId) -> Result<Option<T>> {
        self.inner.fork.check()?;
        let (cancelled, is_ready) = {
            let mut front = self.inner.front();
            (front.cancel(call.0), front.refill())
        };
        if is_ready {
            self.inner.wake_for_more();
        }
        if cancelled.is_some() {
            // It may have been the last one of a pool that is shut down.
            self.inner.alert();
        }
        Ok(cancelled)
    }

    /// Ends a call that runs, with its worker, which is replaced: [`super::Outcome::Killed`] comes when it has gone. One that is queued ends as
    /// [`super::Outcome::Cancelled`]. False if it is over, or about to be.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn kill(&self, call: CallId) -> Result<bool> {
        self.inner.fork.check()?;
        Ok(self.inner.doom(call.0))
    }

    /// Whether a worker has begun it, and it is not over.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn is_running(&self, call: CallId) -> Result<bool> {
        self.inner.fork.check()?;
        Ok(self.inner.front().is_running(call.0))
    }

    /// Takes no more calls, and ends the workers when the last one is over. Does not wait; any number of times, also with more haste.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.inner.fork.check()?;
        self.inner.shutdown(how);
        Ok(())
    }

    /// Waits until a pool that was shut down has ended: all calls told, all processes gone.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Invalid`] for a pool that was not shut down, [`Error::WouldDeadlock`] from within `done`,
    /// [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.inner.fork.check()?;
        if self.inner.front().closing.is_none() {
            return Err(Error::Invalid("a process pool that was not shut down does not end".into()));
        }
        if self.inner.thread.load(Ordering::Relaxed) == thread::number() {
            return Err(Error::WouldDeadlock("who is told of calls cannot wait for the process pool to end"));
        }
        if !self.inner.wait_ended(deadline) {
            let calls = self.inner.front().unfinished();
            return Err(Error::Timeout(format!("the process pool has not ended yet: {calls} calls are not over")));
        }
        Ok(())
    }

    /// What it has done, and does.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stats(&self) -> Result<Stats> {
        self.inner.fork.check()?;
        let (workers, idle) = (self.inner.pids().len(), self.inner.idle_workers());
        let front = self.inner.front();
        let (queued, running) = front.queued_and_running();
        let Counts { submitted, done, failed, started, died } = front.counts;
        let (block_bytes, blocks) = (front.out_bytes(), front.lender.count());
        Ok(Stats { workers, idle, queued, running, submitted, done, failed, started, died, block_bytes, blocks })
    }

    /// The processes that are there, by worker.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn pids(&self) -> Result<Vec<(usize, i32)>> {
        self.inner.fork.check()?;
        let all = self.inner.pids();
        Ok(all.into_iter().filter_map(|(worker, pid)| Some((worker, pid?))).collect())
    }

    /// Sees the events of the workers' supervision; see [`Host::observe`](crate::supervisor::Host::observe).
    ///
    /// # Errors
    /// As there.
    pub fn observe(&self, filter: Filter, options: &ObserverOptions) -> Result<Observer> {
        self.inner.host.observe(filter, options)
    }
}

impl<T: Send + 'static> Drop for ProcessPool<T> {
    fn drop(&mut self) {
        if !self.inner.fork.is_forked() {
            self.inner.shutdown(Shutdown::Kill);
        }
    }
}
