//! The ports of one set, as they know each other, and how far the set has come.

#![forbid(unsafe_code)]

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    handler::{Build, Message},
    worker::Worker,
};
use crate::{
    error::{Error, Refused, Result},
    time::Deadline,
};

#[derive(Debug, Default)]
struct Progress {
    ready: usize,
    failed: Option<Error>,
    ended: Vec<String>,
    /// A port was asked to end and its loop took nothing any more: whoever waits asks again.
    unasked: bool,
}

pub(super) struct Members {
    pub(super) workers: Vec<Arc<Worker>>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Members {
    pub(super) fn new(workers: Vec<Arc<Worker>>) -> Self {
        Self { workers, progress: Mutex::default(), changed: Condvar::new() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.changed.notify_all();
    }

    pub(super) fn find(&self, port: &str) -> Result<&Arc<Worker>> {
        self.workers.iter().find(|worker| worker.name == port).ok_or_else(|| {
            let names: Vec<_> = self.workers.iter().map(|worker| worker.name.as_str()).collect();
            Error::Invalid(format!("no port {port:?} in this set: its ports are {}", names.join(", ")))
        })
    }

    pub(super) fn send(&self, sender: &str, port: &str, message: Message) -> Result<(), Refused<Message>> {
        match self.find(port) {
            Ok(worker) => worker.take_message(sender, message),
            Err(error) => Err(Refused::new(error, message)),
        }
    }

    /// Whether the caller is inside a callback of one of the ports.
    pub(super) fn is_current(&self) -> bool {
        self.workers.iter().any(|worker| worker.is_current())
    }

    /// Starts one port's handler, on its loop.
    pub(super) fn begin(self: &Arc<Self>, worker: &Arc<Worker>, build: Build) {
        let (mut answer, this) = (Answer(Some(self.clone())), worker.clone());
        on_loop(worker, Deadline::NEVER, move || {
            let begun = this.begin(build);
            answer.give(begun);
        });
    }

    /// Asks every port to end, each on its loop. Waits, no longer than the deadline, only for a loop that takes no more posts.
    pub(super) fn request_stop(&self, deadline: Deadline) {
        for worker in self.workers.iter().filter(|worker| !worker.is_finished()) {
            let this = worker.clone();
            if worker.is_current() {
                // From inside its callback: when that has returned.
                if worker.handle.post(move || this.finish()).is_err() {
                    worker.finish_after_callback();
                }
            } else if !on_loop(worker, deadline, move || this.finish()) {
                self.change(|progress| progress.unasked = true);
            }
        }
    }

    pub(super) fn ended(&self, name: &str) {
        self.change(|progress| progress.ended.push(name.to_owned()));
    }

    fn wait(&self, deadline: Deadline, done: impl Fn(&Progress) -> bool) -> MutexGuard<'_, Progress> {
        let mut progress = self.progress();
        while !done(&progress) {
            progress = match deadline.remaining() {
                None => self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => self.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        progress
    }

    /// Waits until every handler has started, or one has failed to.
    pub(super) fn wait_ready(&self, deadline: Deadline) -> Result<()> {
        let count = self.workers.len();
        let progress = self.wait(deadline, |progress| progress.ready == count || progress.failed.is_some());
        match &progress.failed {
            Some(error) => Err(error.clone()),
            None if progress.ready == count => Ok(()),
            None => Err(Error::Timeout(format!("{} of {count} ports have not started yet", count - progress.ready))),
        }
    }

    /// Waits until every port has ended; at the deadline the error names those that have not.
    pub(super) fn wait_ended(&self, deadline: Deadline) -> Result<()> {
        let progress = loop {
            let mut progress =
                self.wait(deadline, |progress| progress.unasked || progress.ended.len() == self.workers.len());
            if !progress.unasked || deadline.is_over() {
                break progress;
            }
            progress.unasked = false;
            drop(progress);
            self.request_stop(deadline);
        };
        let names = self.workers.iter().map(|worker| worker.name.as_str());
        let left: Vec<_> = names.filter(|name| !progress.ended.iter().any(|ended| ended == name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(Error::Timeout(format!("ports {} have not ended: a callback of theirs is still running", left.join(", "))))
    }
}

/// What a port answers to its start. Its loop may drop the start unrun, if the set is stopped meanwhile: that is an answer too.
struct Answer(Option<Arc<Members>>);

impl Answer {
    fn give(&mut self, begun: Result<()>) {
        let Some(members) = self.0.take() else { return };
        members.change(|progress| match begun {
            Ok(()) => progress.ready += 1,
            Err(error) => progress.failed = progress.failed.take().or(Some(error)),
        });
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.give(Err(Error::Closed("port set")));
    }
}

/// Runs `f` on the worker's loop: here and now if this is its thread, or nobody runs it. False if the loop takes no more posts and
/// still runs at the deadline.
fn on_loop<F: FnOnce() + Send + 'static>(worker: &Worker, deadline: Deadline, f: F) -> bool {
    let handle = &worker.handle;
    if handle.is_loop_thread() || !handle.is_running() {
        f();
        return true;
    }
    // Taken out by whichever of the two runs it.
    let slot = Arc::new(Mutex::new(Some(f)));
    let run = |slot: &Mutex<Option<F>>| {
        let f = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(f) = f {
            f();
        }
    };
    let inside = slot.clone();
    if handle.post(move || run(&inside)).is_err() {
        // The loop is at its end: nothing of it runs any more when it has been joined.
        if handle.join(deadline.remaining()).is_err() {
            return false;
        }
        run(&slot);
    }
    true
}
