//! The ports of one set, as they know each other, and how far the set has come.

#![forbid(unsafe_code)]

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::{
    handler::{Build, Encoded, Message},
    worker::Worker,
};
use crate::{
    error::{Error, Refused, Result},
    time::Deadline,
};

/// How often whoever waits looks whether the loops that were asked for something are still run by somebody.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct Progress {
    ready: usize,
    failed: Option<Error>,
    ended: Vec<String>,
    /// A port was asked to end and its loop took nothing any more: whoever waits asks again.
    unasked: bool,
}

/// The rest of a set whose other ports are in other processes.
pub(super) trait Outside: Send + Sync {
    /// Asks the whole set to stop.
    fn stop(&self);

    /// Sends a message to a port that is not of this process.
    fn send(&self, port: &str, message: Message) -> Result<(), Refused<Message>>;

    /// The same of bytes, without a message being made of them.
    fn send_bytes(&self, port: &str, tag: u32, bytes: &[u8]) -> Result<()>;
}

pub(super) struct Members {
    pub(super) workers: Vec<Arc<Worker>>,
    outside: Option<Box<dyn Outside>>,
    progress: Mutex<Progress>,
    changed: Condvar,
    /// What was posted to the ports' loops. A loop that is not run any more, and perhaps never again, leaves it lying.
    asked: Mutex<Vec<(Arc<Worker>, Weak<Asked>)>>,
}

/// Taken out by whoever runs it: the loop, or who waits for it.
struct Asked {
    f: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// A loop may be dropped with what was posted to it. A port's end is done then all the same: a handler owns a context, which
    /// owns the port, so nothing else would end either of them.
    also_when_dropped: bool,
}

impl Asked {
    fn new(also_when_dropped: bool, f: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self { f: Mutex::new(Some(Box::new(f))), also_when_dropped })
    }

    fn take(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.f.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn run(&self) {
        if let Some(f) = self.take() {
            f();
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.also_when_dropped {
            self.run();
        }
    }
}

impl Members {
    pub(super) fn new(workers: Vec<Arc<Worker>>, outside: Option<Box<dyn Outside>>) -> Self {
        Self { workers, outside, progress: Mutex::default(), changed: Condvar::new(), asked: Mutex::default() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.changed.notify_all();
    }

    fn find(&self, port: &str) -> Option<&Arc<Worker>> {
        self.workers.iter().find(|worker| worker.name == port)
    }

    fn unknown(&self, port: &str) -> Error {
        let names: Vec<_> = self.workers.iter().map(|worker| worker.name.as_str()).collect();
        Error::Invalid(format!("no port {port:?} in this set: its ports are {}", names.join(", ")))
    }

    pub(super) fn send(&self, sender: &str, port: &str, message: Message) -> Result<(), Refused<Message>> {
        match (self.find(port), &self.outside) {
            (Some(worker), _) => worker.take_message(sender, message),
            (None, Some(outside)) => outside.send(port, message),
            (None, None) => Err(Refused::new(self.unknown(port), message)),
        }
    }

    pub(super) fn send_bytes(&self, sender: &str, port: &str, tag: u32, bytes: &[u8]) -> Result<()> {
        match (self.find(port), &self.outside) {
            (None, Some(outside)) => outside.send_bytes(port, tag, bytes),
            _ => self.send(sender, port, Encoded::message(tag, bytes.to_vec())).map_err(|refused| refused.error),
        }
    }

    /// Asks the whole set to stop, on behalf of one of its handlers.
    pub(super) fn ask_stop(&self) {
        match &self.outside {
            Some(outside) => outside.stop(),
            None => self.request_stop(Deadline::after(Some(Duration::ZERO))),
        }
    }

    /// Whether the caller is inside a callback of one of the ports.
    pub(super) fn is_current(&self) -> bool {
        self.workers.iter().any(|worker| worker.is_current())
    }

    /// Starts one port's handler, on its loop.
    pub(super) fn begin(self: &Arc<Self>, worker: &Arc<Worker>, build: Build) {
        let (mut answer, this) = (Answer(Some(self.clone())), worker.clone());
        let asked = Asked::new(false, move || {
            let begun = this.begin(build);
            answer.give(begun);
        });
        self.on_loop(worker, Deadline::NEVER, &asked);
    }

    /// Asks every port to end, each on its loop. Waits, no longer than the deadline, only for a loop that takes no more posts.
    pub(super) fn request_stop(&self, deadline: Deadline) {
        for worker in self.workers.iter().filter(|worker| !worker.is_finished()) {
            let this = worker.clone();
            let asked = Asked::new(true, move || this.finish());
            if worker.is_current() {
                // From inside its callback: when that has returned.
                if !self.post(worker, &asked) {
                    drop(asked.take());
                    worker.finish_after_callback();
                }
            } else if !self.on_loop(worker, deadline, &asked) {
                drop(asked.take());
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
            let left = deadline.remaining().unwrap_or(LOOK);
            if left.is_zero() {
                break;
            }
            let (after, waited) =
                self.changed.wait_timeout(progress, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner);
            progress = after;
            if waited.timed_out() {
                drop(progress);
                self.run_what_lies();
                progress = self.progress();
            }
        }
        progress
    }

    /// Has it run on the worker's loop: here and now if this is its thread, or nobody runs it. False if the loop takes no more posts
    /// and still runs at the deadline.
    fn on_loop(&self, worker: &Arc<Worker>, deadline: Deadline, asked: &Arc<Asked>) -> bool {
        let handle = &worker.handle;
        if handle.is_loop_thread() || !handle.is_running() {
            asked.run();
        } else if !self.post(worker, asked) {
            // The loop is at its end: nothing of it runs any more when it has been joined.
            if handle.join(deadline.remaining()).is_err() {
                return false;
            }
            asked.run();
        }
        true
    }

    fn post(&self, worker: &Arc<Worker>, asked: &Arc<Asked>) -> bool {
        self.asked().push((worker.clone(), Arc::downgrade(asked)));
        let inside = asked.clone();
        worker.handle.post(move || inside.run()).is_ok()
    }

    /// The run that was under way may have ended before it came to a post. Then it is run here, as if nobody had run the loop.
    fn run_what_lies(&self) {
        // With no lock held: what is dropped here may be the last of it.
        let all = std::mem::take(&mut *self.asked());
        for (worker, weak) in all {
            match weak.upgrade() {
                Some(asked) if !worker.handle.is_running() => asked.run(),
                Some(_) => self.asked().push((worker, weak)),
                None => {}
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<(Arc<Worker>, Weak<Asked>)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
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
