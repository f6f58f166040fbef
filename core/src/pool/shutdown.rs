//! Shutdown: closing, draining, discarding, and waiting for the threads.
//!
//! # Steps
//!
//! 1. *Closed.* The outer gate refuses submissions from outside. Once it is quiet, only the pool's own tasks submit.
//! 2. *Draining.* Workers go on until all of them sleep. Then nothing is queued and nothing can be: whoever
//!    notices that, the last worker to fall asleep or the caller, stops the pool.
//! 3. *Stopped.* The inner gate refuses the pool's own tasks too; workers end after the task at hand.
//! 4. *Ended.* Every worker has said so under the lock, and its thread was joined.
//!
//! Discarding goes from 1 to 3 and drops what is queued, with no lock held; so does a drain whose time is over.

#![forbid(unsafe_code)]

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use super::{Shared, ShutdownMode, lane::WorkerSet, worker};
use crate::{
    error::{Error, Result},
    job::Job,
    primitive::{Ordering, fence},
    time::Deadline,
};

/// Which threads there are.
#[derive(Default)]
struct Threads {
    alive: WorkerSet,
    handles: Vec<JoinHandle<()>>,
    /// Somebody is joining them.
    joining: bool,
}

/// The threads of a pool, and the place to wait for their end.
#[derive(Default)]
pub(super) struct End {
    threads: Mutex<Threads>,
    changed: Condvar,
}

impl End {
    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a worker whose thread is about to start.
    pub(super) fn started(&self, worker: usize) {
        self.lock().alive.insert(worker);
    }

    /// Keeps the handle of a worker's thread.
    pub(super) fn keep(&self, handle: JoinHandle<()>) {
        self.lock().handles.push(handle);
    }

    /// The last thing that a worker does; also said for a thread that could not be started.
    pub(super) fn ended(&self, worker: usize) {
        self.lock().alive.remove(worker);
        self.changed.notify_all();
    }
}

impl Shared {
    /// See [`Pool::shutdown`](super::Pool::shutdown).
    pub(super) fn shutdown(&self, mode: ShutdownMode, deadline: Deadline) -> Result<()> {
        let before = self.unrun.load(Ordering::Relaxed);
        match mode {
            ShutdownMode::Drain => self.begin_drain(),
            ShutdownMode::Discard => self.discard(),
        }
        if worker::is_worker_of(self) || self.wait_ended(deadline) {
            return Ok(());
        }
        self.discard();
        let busy = self.wait_ended_but_busy();
        if !busy.is_empty() {
            return Err(Error::Timeout(self.still_running(&busy)));
        }
        // All have ended, but a drain has promised that what was queued runs.
        match self.unrun.load(Ordering::Relaxed).wrapping_sub(before) {
            0 => Ok(()),
            _ if mode == ShutdownMode::Discard => Ok(()),
            1 => Err(Error::Timeout("1 task had not begun when the time was over".to_owned())),
            unrun => Err(Error::Timeout(format!("{unrun} tasks had not begun when the time was over"))),
        }
    }

    /// Counts a task that was queued, or that a task submitted, and that will not run, for who drains.
    pub(super) fn count_unrun(&self) {
        self.unrun.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops a task that will not run.
    pub(super) fn drop_unrun(&self, job: Job) {
        self.count_unrun();
        job.drop_caught("pool");
    }

    /// Refuses submissions from outside; after it nothing comes from there any more, no wake-up either.
    fn close(&self) {
        self.outer.close();
        if let Some(room) = &self.room {
            room.close();
        }
        self.outer.wait_quiet();
    }

    /// Closes the pool and has it stop once there is nothing more to do.
    pub(super) fn begin_drain(&self) {
        self.close();
        self.draining.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.sleep.all_asleep() {
            self.stop();
        }
    }

    /// What the last worker to fall asleep does.
    pub(super) fn all_asleep(&self) {
        if self.draining.load(Ordering::SeqCst) {
            self.stop();
        }
    }

    /// Stops now, and drops what is queued.
    pub(super) fn discard(&self) {
        self.close();
        self.stop();
        self.inner.wait_quiet();
        // Nothing arrives in a lane any more, so one look is final. What a worker is just claiming, and what its task is just
        // submitting, it drops itself.
        for lane in self.lanes.iter() {
            for level in 0..lane.queues.len() {
                while let Some(job) = lane.take(level) {
                    self.drop_unrun(job);
                }
            }
        }
        self.offers.sweep(|job| self.drop_unrun(job));
    }

    /// Has every worker end after the task at hand.
    fn stop(&self) {
        self.inner.close();
        self.stopped.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.sleep.wake_all();
    }

    /// Waits until all threads have ended and are joined; false when the time is over.
    pub(super) fn wait_ended(&self, deadline: Deadline) -> bool {
        let mut threads = self.end.lock();
        while !threads.alive.is_empty() || threads.joining {
            threads = match deadline.remaining() {
                Some(left) if left.is_zero() => return false,
                Some(left) => self.end.changed.wait_timeout(threads, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.end.changed.wait(threads).unwrap_or_else(PoisonError::into_inner),
            };
        }
        self.join(threads);
        true
    }

    /// Says which workers are busy, in words: by their threads' names, as a debugger shows them.
    fn still_running(&self, busy: &WorkerSet) -> String {
        const NAMED: usize = 8;
        let busy: Vec<usize> = (0..self.workers()).filter(|worker| busy.contains(*worker)).collect();
        let named = busy.iter().take(NAMED).map(|worker| match self.cpus[*worker] {
            Some(cpu) => format!("{}-{worker} (CPU {cpu})", self.name),
            None => format!("{}-{worker}", self.name),
        });
        let more = busy.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("{more} more"));
        let names: Vec<String> = named.chain(more).collect();
        match names.split_last() {
            Some((last, [])) => format!("{last} is still running a task"),
            Some((last, others)) => format!("{} and {last} are still running a task each", others.join(", ")),
            None => "no worker is running a task".to_owned(),
        }
    }

    /// Joins the threads, all of which have said that they end.
    fn join(&self, mut threads: MutexGuard<'_, Threads>) {
        let handles = std::mem::take(&mut threads.handles);
        threads.joining = true;
        drop(threads);
        for handle in handles {
            // A worker catches what its tasks throw; nothing else of it panics.
            let _ = handle.join();
        }
        self.end.lock().joining = false;
        self.end.changed.notify_all();
    }

    /// In a stopped pool: waits until every worker has ended or some are found in a task, and answers those.
    fn wait_ended_but_busy(&self) -> WorkerSet {
        let mut threads = self.end.lock();
        loop {
            let mut busy = WorkerSet::default();
            let alive = threads.alive;
            (0..self.workers())
                .filter(|worker| alive.contains(*worker) && self.stats.of(*worker).busy.load(Ordering::Relaxed))
                .for_each(|worker| busy.insert(worker));
            if busy.is_empty() && alive.is_empty() && !threads.joining {
                self.join(threads);
                return busy;
            }
            if !busy.is_empty() {
                return busy;
            }
            // The others end at once, but for one that had a task in hand when the pool was stopped: it shows up as busy, and
            // tells nobody.
            let soon = Duration::from_millis(1);
            threads = self.end.changed.wait_timeout(threads, soon).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
