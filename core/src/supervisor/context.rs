//! What a run knows of itself, and what it can say: given to entries that run in this process.

#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    future::Future,
    os::fd::BorrowedFd,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

#[cfg(target_os = "linux")]
use super::worker::about::About;
use super::{
    Supervisor,
    event::Ended,
    executor::{Report, Reporter, Start},
    filter::Filter,
    observer::{Observer, ObserverOptions},
    service::{Args, Ready, ServiceId},
    shared::Shared,
    stop::Stop,
};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, WeakHandle},
    time::Deadline,
};

/// A run, as its own entry sees it; cheap to clone, and of use from any thread. When the run has ended it tells nothing any more.
#[derive(Debug, Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: ServiceId,
    name: String,
    path: String,
    run: u64,
    args: Args,
    ready: Ready,
    watchdog: Option<Duration>,
    reporter: Reporter,
    ended: AtomicBool,
    /// What is told with the end, where that brings no details itself.
    explained: Mutex<Option<String>>,
    stop: Stop,
    supervisor: Option<Supervisor>,
    event_loop: Option<WeakHandle>,
}

impl Context {
    /// For the run that begins. Whoever makes it sees to [`Context::ended`].
    pub fn new(start: &Start<'_>) -> Self {
        let inner = Inner {
            id: start.id,
            name: start.service.id.clone(),
            path: start.path.to_owned(),
            run: start.run,
            args: start.args.clone(),
            ready: start.service.ready,
            watchdog: start.service.watchdog,
            reporter: start.reporter.clone(),
            ended: AtomicBool::new(false),
            explained: Mutex::default(),
            stop: Stop::default(),
            supervisor: start.supervisor.cloned(),
            event_loop: start.main_loop.map(Handle::downgrade),
        };
        Self { inner: Arc::new(inner) }
    }

    /// For the run that a process of its own was started for.
    #[cfg(target_os = "linux")]
    pub(super) fn in_worker(entry: &str, about: &About, reporter: Reporter, event_loop: &Handle) -> Self {
        let name = about.name.clone().unwrap_or_else(|| entry.to_owned());
        let inner = Inner {
            id: ServiceId(about.id),
            path: about.path.clone().unwrap_or_else(|| name.clone()),
            name,
            run: about.run,
            args: about.args.clone().map_or(Args::None, Args::Strings),
            ready: about.ready(),
            watchdog: about.watchdog(),
            reporter,
            ended: AtomicBool::new(false),
            explained: Mutex::default(),
            stop: Stop::default(),
            supervisor: None,
            event_loop: Some(event_loop.downgrade()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The service's id.
    pub fn id(&self) -> ServiceId {
        self.inner.id
    }

    /// The service's name; its template's, for a child of a `simple_one_for_one` supervisor.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its names from the root down, joined by `/`.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Which run this is, from 1.
    pub fn run(&self) -> u64 {
        self.inner.run
    }

    /// What `start_child_with` gave it.
    pub fn args(&self) -> &Args {
        &self.inner.args
    }

    /// How often it must beat.
    pub fn watchdog(&self) -> Option<Duration> {
        self.inner.watchdog
    }

    /// The main loop: the one that the host was given, or that of the run's own process.
    ///
    /// # Errors
    /// [`Error::Closed`] where there is none (any more).
    pub fn event_loop(&self) -> Result<Handle> {
        self.inner.event_loop.as_ref().and_then(WeakHandle::upgrade).ok_or(Error::Closed("event loop"))
    }

    /// Its own supervisor, for verbs. Those that wait for this run's own end are refused: [`Supervisor::ask`] does not wait.
    ///
    /// # Errors
    /// [`Error::Closed`] where there is no host.
    pub fn supervisor(&self) -> Result<&Supervisor> {
        self.inner.supervisor.as_ref().ok_or(Error::Closed("host"))
    }

    /// Sees the host's events, also from a process of its own.
    ///
    /// # Errors
    /// As [`Host::observe`](super::Host::observe), and there as [`Observer::of_parent`].
    pub fn observe(&self, filter: Filter, options: &ObserverOptions) -> Result<Observer> {
        match &self.inner.supervisor {
            Some(supervisor) => supervisor.observe(filter, options),
            #[cfg(target_os = "linux")]
            None => Observer::of_parent(filter, options),
            #[cfg(not(target_os = "linux"))]
            None => Err(Error::Closed("host")),
        }
    }

    fn tell(&self, report: Report) {
        if !self.inner.ended.load(Ordering::Acquire) {
            self.inner.reporter.tell(report);
        }
    }

    /// It can do its work. Not needed, and without effect, for a service that is ready at once.
    pub fn ready(&self) {
        self.tell(Report::Ready);
    }

    /// It is alive; costs a few nanoseconds.
    pub fn beat(&self) {
        self.tell(Report::Beat);
    }

    /// It needs more time, counted from now, to get ready, to stop, or to beat again.
    pub fn extend(&self, by: Duration) {
        self.tell(Report::Extend(by));
    }

    /// What it does, in words.
    pub fn status(&self, text: impl Into<String>) {
        self.tell(Report::Status(text.into()));
    }

    /// Its start asks not to be run, as OTP's `ignore`: it is to return next, and is not restarted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a service that is ready at once: its start is over.
    pub fn ignore(&self) -> Result<()> {
        if self.inner.ready == Ready::AtOnce {
            let path = &self.inner.path;
            return Err(Error::Invalid(format!("{path} is ready at once: only a service that notifies is ignored")));
        }
        self.tell(Report::Ignore);
        Ok(())
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.inner.stop.is_asked()
    }

    /// Waits until it is asked to stop. False at the deadline.
    pub fn wait_stopping(&self, timeout: Option<Duration>) -> bool {
        self.inner.stop.wait(Deadline::after(timeout))
    }

    /// Ends when it is asked to stop. A coroutine that took it ends by itself then, within its `shutdown`; one that did not is dropped
    /// instead.
    pub fn stopping(&self) -> Stopping {
        self.inner.stop.take();
        Stopping { context: self.clone(), waiter: None }
    }

    /// Readable from when it is asked to stop: for a loop of its own. Not to be read, and closed with the last clone of this.
    ///
    /// # Errors
    /// [`Error::Os`] if the process has no descriptor left.
    pub fn stop_fd(&self) -> Result<BorrowedFd<'_>> {
        self.inner.stop.take();
        self.inner.stop.fd()
    }

    /// Has `f` called when it is asked to stop, on the thread that asks, the host's: it must return at once. Called here if it was asked
    /// already. Dropped uncalled with the last clone of this.
    pub fn on_stop(&self, f: impl FnOnce() + Send + 'static) {
        self.inner.stop.take();
        self.inner.stop.call(crate::job::Job::new(f));
    }

    /// Asks this run to stop, as its supervisor does: for executors.
    pub fn ask(&self) {
        self.inner.stop.ask();
    }

    /// Whether its entry looks out for being asked.
    pub fn looks_out(&self) -> bool {
        self.inner.stop.is_taken()
    }

    /// Tells the end, once: for executors. Nothing is told after it.
    pub fn ended(&self, how: Ended) {
        if !self.inner.ended.swap(true, Ordering::AcqRel) {
            let explained = self.inner.explained.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.inner.reporter.ended_with(how, explained);
        }
    }

    /// What will explain its end, of several lines, where that brings no details itself: for executors.
    pub fn explain(&self, details: String) {
        *self.inner.explained.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
    }

    /// Nothing is told of a run that was refused.
    pub(super) fn silence(&self) {
        self.inner.ended.store(true, Ordering::Release);
    }

    /// Calls `f` as this run: what it calls of the host's is known to come from inside.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _left = Entered::new(self);
        f()
    }
}

/// See [`Context::stopping`].
#[derive(Debug)]
pub struct Stopping {
    context: Context,
    waiter: Option<u64>,
}

impl Future for Stopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.context.inner.stop.poll(&mut this.waiter, cx)
    }
}

impl Clone for Stopping {
    fn clone(&self) -> Self {
        Self { context: self.context.clone(), waiter: None }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.context.inner.stop.leave(self.waiter);
    }
}

thread_local! {
    /// Runs whose code this thread is inside of, the innermost last: the host by address, and the service.
    static INSIDE: RefCell<Vec<(usize, ServiceId)>> = const { RefCell::new(Vec::new()) };
}

struct Entered;

impl Entered {
    fn new(context: &Context) -> Self {
        let host = context.inner.supervisor.as_ref().map_or(0, |supervisor| Arc::as_ptr(&supervisor.shared).addr());
        let id = context.inner.id;
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().push((host, id)));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().pop());
    }
}

/// The service of this host whose code the caller is inside of.
pub(super) fn current(shared: &Arc<Shared>) -> Option<ServiceId> {
    let host = Arc::as_ptr(shared).addr();
    let found = INSIDE.try_with(|inside| inside.borrow().iter().rev().find(|(of, _)| *of == host).map(|(_, id)| *id));
    found.ok().flatten()
}
