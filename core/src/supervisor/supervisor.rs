//! A way to a supervisor: the verbs of OTP.

#![forbid(unsafe_code)]

use std::{fmt, sync::Arc, time::Duration};

use super::{
    asked::Asked,
    context,
    filter::Filter,
    observer::{Item, Observer, ObserverOptions, Place},
    service::{Args, AutoShutdown, Backoff, Ready, Restart, Service, ServiceId, Shutdown, Strategy, SupervisorOptions},
    shared::Shared,
};
use crate::error::Result;

/// A supervisor of a host; cheap to clone. It keeps nothing: when the host has gone, its calls answer [`Error::Closed`].
///
/// The verbs wait until they are done: `start_child` until the child is ready, `terminate_child` until it has ended. A caller that cannot
/// wait uses [`Supervisor::ask`]. From the host's own thread, where executors and wakers are called, all that waits is refused with
/// [`Error::WouldDeadlock`]; so is a service's call that waits for its own end.
#[derive(Clone)]
pub struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) id: ServiceId,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Names a child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// By its name among its siblings.
    Name(String),
    /// By its id.
    Id(ServiceId),
}

impl From<&str> for Child {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for Child {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<ServiceId> for Child {
    fn from(id: ServiceId) -> Self {
        Self::Id(id)
    }
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Id(id) => write!(f, "{:#x}", id.0),
        }
    }
}

/// A verb; each is answered with the child's id.
#[derive(Debug, Clone)]
pub enum Verb {
    /// [`Supervisor::add`].
    Add(Service),
    /// [`Supervisor::supervisor`].
    AddSupervisor(String, SupervisorOptions),
    /// [`Supervisor::start_supervisor`].
    StartSupervisor(String, SupervisorOptions),
    /// [`Supervisor::start_child`].
    StartChild(Service),
    /// [`Supervisor::start_child_with`].
    StartChildWith(Args),
    /// [`Supervisor::terminate_child`].
    TerminateChild(Child),
    /// [`Supervisor::restart_child`].
    RestartChild(Child),
    /// [`Supervisor::delete_child`].
    DeleteChild(Child),
    /// [`Supervisor::replace_child`].
    ReplaceChild(Child),
}

/// What a child does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ChildState {
    /// It does not run: not started yet, terminated, or a transient or permanent one that is not restarted.
    Terminated = 0,
    /// It is not ready yet.
    Starting = 1,
    /// It is ready.
    Running = 2,
    /// It was asked to stop.
    Stopping = 3,
    /// It waits for its restart.
    Restarting = 4,
    /// It rests: see [`Service::park`].
    Parked = 5,
    /// It ignored its deadline, and goes on by itself.
    Unresponsive = 6,
}

/// A child, as [`Supervisor::which_children`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its id.
    pub id: ServiceId,
    /// Its name among its siblings.
    pub name: String,
    /// Its names from the root down, joined by `/`.
    pub path: String,
    /// What runs it; "supervisor" for a supervisor.
    pub executor: &'static str,
    /// What it does.
    pub state: ChildState,
    /// Which run of it this is, or was the last; 0 before the first.
    pub run: u64,
    /// Its process, if it has one of its own.
    pub pid: Option<i32>,
}

impl ChildInfo {
    /// Whether it is a supervisor.
    pub fn is_supervisor(&self) -> bool {
        self.executor == SUPERVISOR
    }
}

pub(super) const SUPERVISOR: &str = "supervisor";

/// How many children there are, as [`Supervisor::count_children`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildCounts {
    /// Specifications; one under `simple_one_for_one`.
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Children that are supervisors, running or not.
    pub supervisors: usize,
    /// Children that are not, running or not.
    pub workers: usize,
}

/// What a supervisor knows of a child, with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildSpec {
    /// Its name among its siblings.
    pub name: String,
    /// What runs it; "supervisor" for a supervisor.
    pub executor: &'static str,
    /// Whether it is restarted.
    pub restart: Restart,
    /// How long it may take to stop.
    pub shutdown: Shutdown,
    /// Its end counts for its supervisor's [`AutoShutdown`].
    pub significant: bool,
    /// When it counts as started.
    pub ready: Ready,
    /// It must beat at least so often.
    pub watchdog: Option<Duration>,
    /// The library must beat for it at least so often.
    pub liveness: Option<Duration>,
    /// How its restarts are delayed.
    pub backoff: Option<Backoff>,
    /// See [`Service::park`].
    pub park: bool,
    /// See [`Service::park_at_start`].
    pub park_at_start: bool,
    /// Exit statuses beside 0 that are a normal end.
    pub normal_exits: Vec<i32>,
    /// What it is as a supervisor, if it is one.
    pub supervisor: Option<Flags>,
}

/// `sup_flags`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// Which siblings go with a child that has ended.
    pub strategy: Strategy,
    /// More restarts than this within `period` are too many; `None` is no limit.
    pub intensity: Option<u32>,
    /// See `intensity`.
    pub period: Duration,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
}

impl Supervisor {
    /// Its id.
    pub fn id(&self) -> ServiceId {
        self.id
    }

    /// Its names from the root down, joined by `/`.
    ///
    /// # Errors
    /// As [`Supervisor::which_children`].
    pub fn path(&self) -> Result<String> {
        let id = self.id;
        self.read(move |tree| tree.path(id))
    }

    /// The name of the host's root, which every path begins with.
    pub fn host_name(&self) -> &str {
        &self.shared.name
    }

    /// Adds a service that comes back whenever this supervisor is restarted. Before the start it is only noted; after it the service is
    /// started, and this waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the service says of itself, [`Error::Exists`] for a name that is used, [`Error::Failed`] and others if
    /// it cannot start: no specification is kept then; [`Error::Closed`], [`Error::WouldDeadlock`], [`Error::Forked`].
    pub fn add(&self, service: Service) -> Result<ServiceId> {
        self.call(Verb::Add(service))
    }

    /// Adds a supervisor below this one, as [`Supervisor::add`] adds a service.
    ///
    /// # Errors
    /// As there.
    pub fn supervisor(&self, name: impl Into<String>, options: SupervisorOptions) -> Result<Self> {
        let id = self.call(Verb::AddSupervisor(name.into(), options))?;
        Ok(Self { shared: self.shared.clone(), id })
    }

    /// Starts a supervisor below this one, as [`Supervisor::start_child`] starts a service: it lives as long as this run. Below a
    /// `simple_one_for_one` supervisor, too: each brings with it what it is made of, needs a name of its own, and all stop in parallel.
    ///
    /// # Errors
    /// As there.
    pub fn start_supervisor(&self, name: impl Into<String>, options: SupervisorOptions) -> Result<Self> {
        let id = self.call(Verb::StartSupervisor(name.into(), options))?;
        Ok(Self { shared: self.shared.clone(), id })
    }

    /// The supervisor of this id, which is one of this host.
    ///
    /// # Errors
    /// [`Error::Stale`] if there is none (any more), and those of [`Supervisor::add`].
    pub fn of(&self, id: ServiceId) -> Result<Self> {
        self.read(move |tree| tree.check_supervisor(id))?;
        Ok(Self { shared: self.shared.clone(), id })
    }

    /// The supervisor of this id, if there is one: what is called of it otherwise answers [`Error::Stale`].
    pub fn at(&self, id: ServiceId) -> Self {
        Self { shared: self.shared.clone(), id }
    }

    /// Starts a child and waits until it is ready. It lives as long as this run of the supervisor.
    ///
    /// # Errors
    /// As [`Supervisor::add`].
    pub fn start_child(&self, service: Service) -> Result<ServiceId> {
        self.call(Verb::StartChild(service))
    }

    /// What children of a `simple_one_for_one` supervisor are made of. Replaces the one before, for children that start from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] under another strategy, and as [`Supervisor::add`].
    pub fn template(&self, service: Service) -> Result<()> {
        self.shared.check(&service)?;
        let id = self.id;
        self.read(move |tree| tree.set_template(id, service))
    }

    /// Starts a child of the template, with these arguments, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Invalid`] under another strategy and without a template, and as [`Supervisor::add`].
    pub fn start_child_with(&self, args: Args) -> Result<ServiceId> {
        self.call(Verb::StartChildWith(args))
    }

    /// Stops a child, waits until it has ended, and keeps its specification (but for a temporary child).
    ///
    /// # Errors
    /// [`Error::Stale`] if there is no such child, and as [`Supervisor::add`].
    pub fn terminate_child(&self, child: impl Into<Child>) -> Result<ServiceId> {
        self.call(Verb::TerminateChild(child.into()))
    }

    /// Starts a child that does not run, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Stale`] if there is no such child, [`Error::Invalid`] if it runs or is restarting, and as [`Supervisor::add`].
    pub fn restart_child(&self, child: impl Into<Child>) -> Result<ServiceId> {
        self.call(Verb::RestartChild(child.into()))
    }

    /// Removes the specification of a child that does not run, for good.
    ///
    /// # Errors
    /// As [`Supervisor::restart_child`].
    pub fn delete_child(&self, child: impl Into<Child>) -> Result<ServiceId> {
        self.call(Verb::DeleteChild(child.into()))
    }

    /// Hand-over: starts a new run of a child, and stops the old one when the new one is ready.
    ///
    /// # Errors
    /// [`Error::Stale`] if there is no such child, [`Error::Failed`] and others if the new run does not get ready: the old one goes on; as
    /// [`Supervisor::add`].
    pub fn replace_child(&self, child: impl Into<Child>) -> Result<ServiceId> {
        self.call(Verb::ReplaceChild(child.into()))
    }

    /// Begins a verb, and does not wait.
    ///
    /// # Errors
    /// What can be told at once: [`Error::Invalid`] for a service, [`Error::Closed`], [`Error::Forked`].
    pub fn ask(&self, verb: Verb) -> Result<Asked<ServiceId>> {
        self.begin(verb, None)
    }

    /// Begins a verb for a caller that waits for its answer on this thread.
    ///
    /// # Errors
    /// As [`Supervisor::ask`]; [`Error::WouldDeadlock`](crate::Error::WouldDeadlock) for what such a wait would be in the way of.
    pub fn ask_here(&self, verb: Verb) -> Result<Asked<ServiceId>> {
        self.shared.may_wait()?;
        self.begin(verb, context::current(&self.shared))
    }

    fn begin(&self, verb: Verb, caller: Option<ServiceId>) -> Result<Asked<ServiceId>> {
        match &verb {
            Verb::Add(service) | Verb::StartChild(service) => self.shared.check(service)?,
            Verb::AddSupervisor(name, options) | Verb::StartSupervisor(name, options) => options.check(name)?,
            _ => {}
        }
        let id = self.id;
        self.shared.ask(move |tree, teller| tree.verb(id, verb, caller, teller))
    }

    fn call(&self, verb: Verb) -> Result<ServiceId> {
        self.ask_here(verb)?.join(None)
    }

    fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut super::tree::Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.shared.read(f)
    }

    /// The children, in the order of their start.
    ///
    /// # Errors
    /// [`Error::Stale`] if the supervisor has gone; [`Error::Closed`], [`Error::WouldDeadlock`], [`Error::Forked`].
    pub fn which_children(&self) -> Result<Vec<ChildInfo>> {
        let id = self.id;
        self.read(move |tree| tree.which_children(id))
    }

    /// How many children there are.
    ///
    /// # Errors
    /// As [`Supervisor::which_children`].
    pub fn count_children(&self) -> Result<ChildCounts> {
        let id = self.id;
        self.read(move |tree| tree.count_children(id))
    }

    /// What is known of a child, with every default filled in.
    ///
    /// # Errors
    /// [`Error::Stale`] if there is no such child, and as [`Supervisor::which_children`].
    pub fn get_childspec(&self, child: impl Into<Child>) -> Result<ChildSpec> {
        let (id, child) = (self.id, child.into());
        self.read(move |tree| tree.childspec(id, &child))
    }

    /// The child of this name, if there is one.
    ///
    /// # Errors
    /// As [`Supervisor::which_children`].
    pub fn find(&self, name: &str) -> Result<Option<ServiceId>> {
        let (id, child) = (self.id, Child::from(name));
        self.read(move |tree| Ok(tree.child(id, &child)?.ok()))
    }

    /// Sees the host's events; see [`Host::observe`](super::Host::observe).
    ///
    /// # Errors
    /// As there.
    pub fn observe(&self, filter: Filter, options: &ObserverOptions) -> Result<Observer> {
        self.shared.fork.check()?;
        Observer::new(&self.shared.journal, filter, options)
    }

    /// Has the host's events told to a callback; see [`Host::observe_with`](super::Host::observe_with).
    ///
    /// # Errors
    /// As there.
    pub fn observe_with(
        &self,
        filter: Filter,
        options: &ObserverOptions,
        place: Place,
        callback: impl FnMut(Item) + Send + 'static,
    ) -> Result<Observer> {
        let mut observer = self.observe(filter, options)?;
        observer.run(place, callback)?;
        Ok(observer)
    }

    /// Asks the whole host to stop, and returns at once.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stop_host(&self) -> Result<()> {
        self.shared.stop()
    }
}
