//! How a set holds the runs of its workers: asks them all at once, and gives each its deadline.
//!
//! # What holds
//!
//! * A run is asked, given time and ended on its host's thread only, as any is; what the set says from elsewhere is posted there.
//! * A run that is asked by its supervisor has the set's `shutdown`. A set that was given a deadline of its own gives it to every run that
//!   was asked, and to those that will be: a later one is told to the supervisor, at an earlier one the run is ended.
//! * The set is called when a worker asks for its stop; that is heard by the host's loop from the first start to the last run's end.
//! * A run that is asked because its successor is ready is told to leave instead, and leaves the way of its port free: see `reload.rs`.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{baton::Baton, set::Processes};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, Interest, On, WatchId, WatchOptions, WeakHandle},
    supervisor::{Executor, Ready, Reporter, Running, Service, Start, Stopped, event::Because, executor::Report},
    time::Deadline,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Reins {
    pub(super) set: Weak<Processes>,
    /// Rung by a worker that asks for the set's stop.
    bell: Arc<OwnedFd>,
    /// Rung by a worker that has left, or is done.
    done: Arc<OwnedFd>,
    /// Of each port.
    pub(super) batons: Vec<Baton>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    event_loop: Option<WeakHandle>,
    watches: Vec<WatchId>,
    stopping: bool,
    /// What the set says; else each run has the set's `shutdown`.
    deadline: Option<Deadline>,
    lives: Vec<Arc<Life>>,
}

/// One run.
pub(super) struct Life {
    /// Its port, and which worker of that it is.
    pub(super) index: usize,
    pub(super) number: u64,
    run: Mutex<Option<Box<dyn Running>>>,
    asked: AtomicBool,
    is_ready: AtomicBool,
    /// Its successor is ready.
    pub(super) leaves: AtomicBool,
    /// It was asked to be a service of its own.
    pub(super) parts: AtomicBool,
    /// It is not the run of its port's service any more, but of one of its own.
    pub(super) is_apart: AtomicBool,
    pub(super) told: Mutex<Told>,
}

/// Who is told of a run.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) reporter: Reporter,
    /// Its end was told.
    pub(super) is_over: bool,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("number", &self.number).field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Life {
    /// With no lock held while it does.
    fn with<R>(&self, f: impl FnOnce(&mut Box<dyn Running>) -> R) -> Option<R> {
        let mut run = lock(&self.run).take()?;
        let answer = f(&mut run);
        *lock(&self.run) = Some(run);
        Some(answer)
    }

    pub(super) fn ask(&self) {
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.with(|run| run.ask());
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        lock(&self.run).as_ref().and_then(|run| run.pid())
    }

    fn hear(&self, report: Report) {
        let reporter = {
            let mut told = lock(&self.told);
            told.is_over |= matches!(report, Report::Ended { .. });
            told.reporter.clone()
        };
        if matches!(report, Report::Ready) {
            self.is_ready.store(true, Ordering::SeqCst);
        }
        reporter.tell(report);
    }

    pub(super) fn tell(&self, report: Report) {
        let reporter = lock(&self.told).reporter.clone();
        reporter.tell(report);
    }
}

impl Reins {
    /// With what workers ring.
    pub(super) fn new(set: Weak<Processes>, [bell, done]: [OwnedFd; 2], batons: Vec<Baton>) -> Self {
        Self { set, bell: Arc::new(bell), done: Arc::new(done), batons, state: Mutex::default() }
    }

    /// Whether the caller is the thread that would have to do what it waits for.
    pub(super) fn is_inside(&self) -> bool {
        self.event_loop().is_some_and(|event_loop| event_loop.is_loop_thread())
    }

    /// What workers ring: to have the set stop, and when they have left and are done.
    pub(super) fn bells(&self) -> [Arc<OwnedFd>; 2] {
        [self.bell.clone(), self.done.clone()]
    }

    pub(super) fn event_loop(&self) -> Option<Handle> {
        lock(&self.state).event_loop.as_ref().and_then(WeakHandle::upgrade)
    }

    /// Those of a port.
    pub(super) fn lives(&self, index: usize) -> Vec<Arc<Life>> {
        lock(&self.state).lives.iter().filter(|life| life.index == index).cloned().collect()
    }

    /// Has every run stop, those to come included, by this deadline.
    pub(super) fn stop(self: &Arc<Self>, deadline: Option<Deadline>) {
        let event_loop = {
            let mut state = lock(&self.state);
            state.deadline = deadline.or(state.deadline);
            state.stopping = true;
            state.event_loop.as_ref().and_then(WeakHandle::upgrade)
        };
        let (Some(event_loop), this) = (event_loop, self.clone()) else { return };
        // Refused when the host has ended, and all runs with it.
        let _ = event_loop.post(move || {
            let lives = lock(&this.state).lives.clone();
            for life in &lives {
                life.ask();
            }
            for life in &lives {
                this.give_time(life);
            }
            this.look_whether_all_have_ended();
        });
    }

    /// On the host's thread: it has been asked, and has until the set's deadline.
    fn give_time(&self, life: &Arc<Life>) {
        let Some(deadline) = lock(&self.state).deadline else { return };
        let left = deadline.remaining();
        life.tell(Report::Extend(left.unwrap_or(Duration::MAX)));
        if let Some(left) = left {
            self.kill_after(life, left);
        }
    }

    /// On the host's thread: it has so long to end.
    pub(super) fn kill_after(&self, life: &Arc<Life>, left: Duration) {
        let (Some(event_loop), life) = (self.event_loop(), Arc::downgrade(life)) else { return };
        // Refused as above.
        let _ = event_loop.call_later(left, move || {
            if let Some(life) = life.upgrade() {
                life.with(|run| run.kill(Because::ShutdownDeadline));
            }
        });
    }

    /// On the host's thread: a run begins.
    fn begin(self: &Arc<Self>, event_loop: &Handle, life: Arc<Life>) {
        let first = {
            let mut state = lock(&self.state);
            state.lives.push(life);
            state.event_loop.replace(event_loop.downgrade()).is_none()
        };
        if !first {
            return;
        }
        self.watch(event_loop, &self.bell, |this| {
            if let Some(set) = this.set.upgrade() {
                set.request_stop(None);
            }
        });
        self.watch(event_loop, &self.done, |this| this.look_who_has_left());
    }

    /// Has it called when the bell is rung.
    fn watch(self: &Arc<Self>, event_loop: &Handle, bell: &Arc<OwnedFd>, rung: impl Fn(&Arc<Self>) + Send + 'static) {
        let (this, own) = (Arc::downgrade(self), bell.clone());
        let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::READ) };
        let watch = event_loop.watch(bell.as_raw_fd(), options, move |_| {
            if let Some(this) = this.upgrade() {
                let _ = rustix::io::read(&*own, &mut [0; 8]);
                rung(&this);
            }
        });
        match watch {
            Ok(watch) => lock(&self.state).watches.push(watch),
            Err(refused) => {
                tracing::error!(target: "coop", "a port set cannot hear its handlers: {}", refused.error);
            }
        }
    }

    /// On the host's thread: whether a run that is asked to stop is so because its successor is ready. It leaves, then.
    fn hands_over(self: &Arc<Self>, life: &Arc<Life>) -> bool {
        let is_handing_over = {
            let state = lock(&self.state);
            let takes_over = |other: &&Arc<Life>| {
                other.index == life.index
                    && other.number > life.number
                    && other.is_ready.load(Ordering::SeqCst)
                    && !other.asked.load(Ordering::SeqCst)
            };
            !state.stopping && !life.asked.load(Ordering::SeqCst) && state.lives.iter().any(|other| takes_over(&other))
        };
        if !is_handing_over || life.leaves.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.see_off(life);
        true
    }

    /// On the host's thread: asks a run to stop.
    fn ask(self: &Arc<Self>, life: &Arc<Life>) {
        if self.hands_over(life) {
            return;
        }
        // Those that left for it, and have no service of their own, were asked when they were told to leave.
        let left = |other: &Arc<Life>| {
            other.number < life.number
                && other.leaves.load(Ordering::SeqCst)
                && !other.is_apart.load(Ordering::SeqCst)
                && !life.is_apart.load(Ordering::SeqCst)
        };
        for other in self.lives(life.index).iter().filter(|other| left(other)).chain([life]) {
            other.ask();
            self.give_time(other);
        }
    }

    /// A run has gone.
    fn end(&self, life: &Arc<Life>) {
        // Dropped with no lock held.
        let run = lock(&life.run).take();
        drop(run);
        let heir = {
            let mut state = lock(&self.state);
            state.lives.retain(|other| !Arc::ptr_eq(other, life));
            let before = |other: &&Arc<Life>| {
                other.index == life.index
                    && other.number < life.number
                    && !other.leaves.load(Ordering::SeqCst)
                    && !lock(&other.told).is_over
            };
            state.lives.iter().filter(before).map(|other| other.number).max()
        };
        self.batons[life.index].ended(life.number, heir);
        self.look_whether_all_have_ended();
    }

    /// On the host's thread: the sockets of a set that stops are nobody's any more when its last worker has ended.
    fn look_whether_all_have_ended(&self) {
        let all_have = {
            let state = lock(&self.state);
            state.stopping && state.lives.is_empty()
        };
        if let Some(set) = self.set.upgrade().filter(|_| all_have) {
            set.release();
        }
    }

    /// Nothing runs any more.
    pub(super) fn close(&self) {
        let watches = std::mem::take(&mut lock(&self.state).watches);
        if let Some(event_loop) = self.event_loop() {
            for watch in watches {
                let _ = event_loop.cancel_watch(watch);
            }
        }
    }
}

/// What starts a port's workers, and has their socket; until the set has ended.
pub(super) type Starter = Arc<Mutex<Option<Arc<dyn Executor>>>>;

/// The executor of one port's workers: another one, held by the set's reins.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) inner: Starter,
    pub(super) reins: Arc<Reins>,
    /// Which port's.
    pub(super) index: usize,
    /// Runs so far.
    pub(super) runs: Arc<AtomicU64>,
}

impl Held {
    fn inner(&self) -> Option<Arc<dyn Executor>> {
        lock(&self.inner).clone()
    }
}

impl Executor for Held {
    fn name(&self) -> &'static str {
        self.inner().map_or("async process", |inner| inner.name())
    }

    fn check(&self, service: &Service) -> Result<()> {
        self.inner().ok_or(Error::Closed("port set"))?.check(service)
    }

    fn ready(&self, service: &Service) -> Ready {
        self.inner().map_or(Ready::AtOnce, |inner| inner.ready(service))
    }

    fn beats(&self) -> bool {
        self.inner().is_some_and(|inner| inner.beats())
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let inner = self.inner().ok_or(Error::Closed("port set"))?;
        let event_loop = start.event_loop.clone();
        let life = Arc::new(Life {
            index: self.index,
            number: start.run,
            run: Mutex::default(),
            asked: AtomicBool::new(false),
            is_ready: AtomicBool::new(false),
            leaves: AtomicBool::new(false),
            parts: AtomicBool::new(false),
            is_apart: AtomicBool::new(false),
            told: Mutex::new(Told { reporter: start.reporter.clone(), is_over: false }),
        });
        if self.reins.lives(self.index).is_empty() {
            self.reins.batons[self.index].reset();
        }
        let hears = life.clone();
        // Counted before the worker can be heard of: what has been served by a restarted one is of a restart that is told.
        self.runs.fetch_add(1, Ordering::Relaxed);
        let started = inner.start(Start { reporter: Reporter::new(move |report| hears.hear(report)), ..start });
        let run = started.inspect_err(|_| {
            self.runs.fetch_sub(1, Ordering::Relaxed);
        })?;
        *lock(&life.run) = Some(run);
        self.reins.begin(&event_loop, life.clone());
        Ok(Box::new(Rein { life, reins: self.reins.clone(), is_apart: false }))
    }
}

/// A run, as its supervisor holds it.
#[derive(Debug)]
pub(super) struct Rein {
    pub(super) life: Arc<Life>,
    pub(super) reins: Arc<Reins>,
    /// It is held as the run of a service of its own.
    pub(super) is_apart: bool,
}

impl Running for Rein {
    fn ask(&mut self) {
        self.reins.ask(&self.life);
    }

    fn kill(&mut self, because: Because) -> Stopped {
        self.life.with(|run| run.kill(because)).unwrap_or(Stopped::Ends)
    }

    fn pid(&self) -> Option<i32> {
        // Told later, of one that had another service before.
        if self.is_apart { None } else { self.life.pid() }
    }
}

impl Drop for Rein {
    fn drop(&mut self) {
        // Not if it goes on as another service's.
        if self.is_apart == self.life.is_apart.load(Ordering::SeqCst) {
            self.reins.end(&self.life);
        }
    }
}
