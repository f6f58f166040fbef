//! The calls of a loop: a [`Handle`] posts, adds sources, runs and stops, from any thread.

#![forbid(unsafe_code)]

use std::{
    os::fd::RawFd,
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use super::{
    dispatch::On,
    run::RunMode,
    shared::Shared,
    timer::{self, TimerId, TimerOptions},
    watch::{Callback, Interest, KIND, Readiness, WatchId, WatchOptions},
};
use crate::{
    error::{Error, Refused, Result},
    gate::Inside,
    job::Job,
    thread,
    time::Deadline,
};

/// A way to a loop, from any thread; cheap to clone. When the loop is gone, its calls answer [`Error::Closed`].
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

/// A [`Handle`] that does not keep what the loop shares, nor a runtime's pool behind it.
#[derive(Debug, Clone)]
pub struct WeakHandle {
    shared: Weak<Shared>,
}

impl WeakHandle {
    /// The handle, if another one or the loop itself is still there.
    pub fn upgrade(&self) -> Option<Handle> {
        self.shared.upgrade().map(|shared| Handle { shared })
    }
}

impl Handle {
    /// A handle that keeps nothing.
    pub fn downgrade(&self) -> WeakHandle {
        WeakHandle { shared: Arc::downgrade(&self.shared) }
    }

    /// Whether both are of one loop.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Enters the gate for the time that it takes to add something.
    pub(super) fn enter(&self) -> Result<Inside<'_>> {
        self.shared.fork.check()?;
        self.shared.gate.enter().ok_or(Error::Closed("event loop"))
    }

    /// Queues `f` to run once on the loop's thread. Posts of one thread run in their order.
    ///
    /// # Errors
    /// [`Error::Closed`] after `stop`, [`Error::Forked`]; the refused job is still the caller's.
    #[inline]
    pub fn post<F: FnOnce() + Send + 'static>(&self, f: F) -> Result<(), Refused<Job>> {
        self.post_job(Job::new(f))
    }

    /// [`Handle::post`] for a job that was made already.
    #[inline]
    pub fn post_job(&self, job: Job) -> Result<(), Refused<Job>> {
        self.post_made(job, |job| job)
    }

    /// [`Handle::post_job`] for a job that is made of `value` when nothing can be refused any more; `make` runs no foreign code.
    ///
    /// # Errors
    /// As [`Handle::post`]; what is refused is still the caller's.
    #[inline]
    pub fn post_made<V>(&self, value: V, make: impl FnOnce(V) -> Job) -> Result<(), Refused<V>> {
        if let Err(error) = self.shared.fork.check() {
            return Err(Refused::new(error, value));
        }
        // From the push on nothing of `self` is touched: the job may have run, and freed the loop.
        match self.shared.posts.push(value, make, || self.shared.clone()) {
            Ok(None) => Ok(()),
            Ok(Some(asleep)) => {
                asleep.wake();
                Ok(())
            }
            Err(value) => Err(Refused::new(Error::Closed("event loop"), value)),
        }
    }

    /// Calls `f` at a time, once or repeatedly; it is told how many of the timer's times have come (1, and more
    /// when some were missed).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a period of zero or a pool that is not there, [`Error::Affinity`] for a CPU set without a worker,
    /// [`Error::Closed`], [`Error::Forked`].
    pub fn timer<F>(&self, options: TimerOptions, f: F) -> Result<TimerId, Refused<F>>
    where
        F: FnMut(u64) + Send + 'static,
    {
        let place = self.enter().and_then(|inside| match options.every {
            Some(Duration::ZERO) => Err(zero_period()),
            _ => Ok((options.on.place(self.shared.pool.as_ref())?, inside)),
        });
        match place {
            Err(error) => Err(Refused::new(error, f)),
            Ok((place, _inside)) => {
                let (id, is_next) = self.shared.timers.add(&options, place, timer::Callback::new(f));
                if is_next {
                    self.shared.wake_if_asleep();
                }
                Ok(id)
            }
        }
    }

    /// Calls `f` once, `after` from now, on the loop's default place.
    pub fn call_later<F: FnOnce() + Send + 'static>(&self, after: Duration, f: F) -> Result<TimerId> {
        let mut f = Some(f);
        let once = move |_| {
            if let Some(f) = f.take() {
                f();
            }
        };
        Ok(self.timer(TimerOptions { after, ..TimerOptions::default() }, once)?)
    }

    /// Ends a timer: its callback does not begin any more, and is dropped now, or when it returns if it is running.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already, [`Error::Invalid`] for a local timer of a loop that another thread runs,
    /// [`Error::Forked`].
    pub fn cancel_timer(&self, id: TimerId) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.timers.cancel(id)?;
        self.shared.wake_if_idle();
        Ok(())
    }

    /// [`Handle::timer`] by one of the loop's own callbacks, on its thread: without a lock and without a look at the clock. Its delay
    /// counts from the first such call of this turn, so it may fire earlier by as long as the turn has lasted since. Its callback runs on the
    /// loop's thread. While the loop runs, only that thread cancels it.
    ///
    /// # Errors
    /// [`Error::Invalid`] from anywhere else, for a period of zero and for a place in the pool; [`Error::Closed`],
    /// [`Error::Forked`].
    #[inline]
    pub fn timer_local<F>(&self, options: &TimerOptions, f: F) -> Result<TimerId, Refused<F>>
    where
        F: FnMut(u64) + Send + 'static,
    {
        let mut f = Some(f);
        let added = self.may_add_local(options).and_then(|()| {
            self.shared.timers.add_local(options, || match f.take() {
                Some(f) => timer::Callback::new(f),
                None => unreachable!("asked for once"),
            })
        });
        match (added, f) {
            (Ok(id), _) => Ok(id),
            (Err(error), Some(f)) => Err(Refused::new(error, f)),
            (Err(_), None) => unreachable!("the callback is taken last"),
        }
    }

    #[inline]
    fn may_add_local(&self, options: &TimerOptions) -> Result<()> {
        self.shared.fork.check()?;
        match (&options.on, options.every) {
            (On::Pool { .. }, _) => {
                Err(Error::Invalid("a local timer's callback runs on the loop's thread, not in a pool".into()))
            }
            (_, Some(Duration::ZERO)) => Err(zero_period()),
            // This thread is the one that ends the loop: no gate is needed against that.
            _ if self.shared.gate.is_closed() => Err(Error::Closed("event loop")),
            _ => Ok(()),
        }
    }

    /// [`Handle::cancel_timer`] by one of the loop's own callbacks, on its thread: of a local timer without a lock.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already, [`Error::Invalid`] from anywhere else, [`Error::Forked`].
    #[inline]
    pub fn cancel_timer_local(&self, id: TimerId) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.timers.cancel_local(id)
    }

    /// Whether a run until idle waits for a timer: at first it does, unless [`TimerOptions::unref`] says otherwise.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already, [`Error::Invalid`] as [`Handle::cancel_timer`], [`Error::Forked`].
    pub fn set_timer_ref(&self, id: TimerId, referenced: bool) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.timers.set_ref(id, referenced)?;
        self.shared.wake_if_idle();
        Ok(())
    }

    /// Whether a run until idle waits for a watch: at first it does, unless [`WatchOptions::unref`] says otherwise.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already, [`Error::Forked`].
    pub fn set_watch_ref(&self, id: WatchId, referenced: bool) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.watches.set_ref(id, referenced)?;
        self.shared.wake_if_idle();
        Ok(())
    }

    /// Calls `f` when the fd is ready. The fd stays the caller's, who cancels the watch before closing it.
    ///
    /// # Errors
    /// [`Error::Exists`] for a second watch on an fd, [`Error::Os`] for what the system cannot watch,
    /// [`Error::Invalid`], [`Error::Affinity`] for a CPU set without a worker, [`Error::Closed`], [`Error::Forked`].
    pub fn watch<F>(&self, fd: RawFd, options: WatchOptions, f: F) -> Result<WatchId, Refused<F>>
    where
        F: FnMut(Readiness) + Send + 'static,
    {
        self.source(KIND, fd, options, f, |mut f| Box::new(move |_, _, readiness| f(readiness))).map(WatchId)
    }

    /// [`Handle::watch`] for any source that has a descriptor: its callback is made of `f` when nothing can be refused any more.
    pub(super) fn source<F>(
        &self,
        kind: &'static str,
        fd: RawFd,
        options: WatchOptions,
        f: F,
        make: impl FnOnce(F) -> Callback,
    ) -> Result<u64, Refused<F>> {
        let place = self.enter().and_then(|inside| Ok((options.on.place(self.shared.pool.as_ref())?, inside)));
        let mut f = Some(f);
        let added = place.and_then(|(place, _inside)| {
            let callback = || make(f.take().unwrap_or_else(|| unreachable!("asked for once")));
            self.shared.watches.add(kind, fd, &options, place, callback)
        });
        self.shared.watches.report();
        match (added, f) {
            (Ok(id), _) => Ok(id),
            (Err(error), Some(f)) => Err(Refused::new(error, f)),
            (Err(_), None) => unreachable!("the callback is taken last"),
        }
    }

    /// Refuses what needs the loop later, before anything is made for it.
    pub(super) fn check_open(&self) -> Result<()> {
        self.enter().map(drop)
    }

    /// Watches other directions of the fd from now on: what is ready in them is told anew.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no direction, [`Error::Stale`] if the watch has ended, [`Error::Os`] if the fd was closed under it,
    /// [`Error::Forked`].
    pub fn set_watch_interest(&self, id: WatchId, interest: Interest) -> Result<()> {
        self.shared.fork.check()?;
        let set = self.shared.watches.set_interest(id.0, interest);
        self.shared.watches.report();
        set
    }

    /// Ends a watch: its callback does not begin any more, and is dropped now, or when it returns if it is running.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already.
    pub fn cancel_watch(&self, id: WatchId) -> Result<()> {
        self.cancel_source(KIND, id.0)
    }

    pub(super) fn cancel_source(&self, kind: &'static str, id: u64) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.watches.cancel(kind, id)?;
        self.shared.wake_if_idle();
        Ok(())
    }

    /// Runs the loop on this thread; see [`RunMode`] for when it returns.
    ///
    /// # Errors
    /// [`Error::Exists`] if it runs already, [`Error::WouldDeadlock`] from one of its own callbacks, [`Error::Closed`] once it was
    /// stopped and has run all that it had accepted and dropped the rest, [`Error::Forked`].
    pub fn run(&self, mode: RunMode) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.runner.claim()?;
        super::run::run(&self.shared, mode)
    }

    /// Runs the loop on a thread of its own until [`Handle::stop`].
    ///
    /// # Errors
    /// As [`Handle::run`]; [`Error::Os`] if the system has no thread left.
    pub fn start(&self) -> Result<()> {
        let shared = &self.shared;
        shared.fork.check()?;
        shared.runner.claim()?;
        if shared.has_finished() {
            shared.give_back(&mut shared.thread.lock().unwrap_or_else(PoisonError::into_inner));
            return Err(Error::Closed("event loop"));
        }
        let handle = self.clone();
        // The slot is locked across the spawn, so that a callback that frees the loop at once finds the handle.
        let mut slot = shared.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match thread::spawn(&shared.name, move || {
            let _ = super::run::run(&handle.shared, RunMode::Default);
        }) {
            Ok(thread) => {
                *slot = Some(thread);
                Ok(())
            }
            Err(error) => {
                shared.give_back(&mut slot);
                Err(error)
            }
        }
    }

    /// Closes the loop, runs nothing itself and returns. From now on posts are refused; the loop finishes the callback at hand
    /// and the posts accepted so far, drops its timers and watches, then its `run` returns or its thread ends. Any thread, any
    /// number of times.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stop(&self) -> Result<()> {
        self.shared.fork.check()?;
        if self.shared.close() {
            self.shared.wake();
        }
        Ok(())
    }

    /// Makes a `run` that is going on return after the callback at hand; the loop stays open and may run again.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn interrupt(&self) -> Result<()> {
        self.shared.fork.check()?;
        self.shared.runner.interrupt();
        self.shared.wake();
        Ok(())
    }

    /// Waits until nobody runs the loop: after [`Handle::stop`], until it has finished.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::WouldDeadlock`] from one of its own callbacks, [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<()> {
        let shared = &*self.shared;
        shared.fork.check()?;
        if self.is_loop_thread() {
            return Err(Error::WouldDeadlock("a loop's own callback cannot wait for the loop to end"));
        }
        if !shared.wait_run_ended(Deadline::after(timeout)) {
            let name = &shared.name;
            return Err(Error::Timeout(format!("event loop {name:?} is still running")));
        }
        let thread = shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has ended its run: what is left of it takes no time.
            let _ = thread.join();
        }
        Ok(())
    }

    /// Whether the caller is one of the loop's callbacks, on its thread.
    pub fn is_loop_thread(&self) -> bool {
        self.shared.runner.is_current()
    }

    /// Whether some thread runs the loop now, or is about to.
    pub fn is_running(&self) -> bool {
        self.shared.runner.is_running()
    }

    /// Whether `stop` was called.
    pub fn is_stopped(&self) -> bool {
        self.shared.gate.is_closed()
    }
}

fn zero_period() -> Error {
    Error::Invalid("a timer's period must be longer than 0".into())
}
