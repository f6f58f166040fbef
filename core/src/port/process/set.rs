//! The set's side: sockets, memory, and the supervision of the ports' processes.

#![forbid(unsafe_code)]

use std::{
    fmt,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::super::{Making, Message, Port, PortSetOptions, PortStats, bind::Socket, counters::Counters, here::bind};
use super::{
    duty,
    mail::Mail,
    manifest::{self, MOST, Manifest},
    memory::{Layout, Memory},
    options::{Equipment, ProcessOptions},
    owner::Owner,
    reins::{Held, Life, Reins, Starter},
    reload::{Reloading, Turns},
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{Handle, stream::Address},
    fork::{OnlyHere, Private},
    shm::eventfd,
    supervisor::{
        Asked, Backoff, Filter, Growth, Host, HostOptions, Observer, ObserverOptions, Ready, Restart, Service,
        ServiceId, Shutdown, Supervisor, SupervisorOptions, Verb, executor::process::Descriptor,
    },
    time::Deadline,
};

/// From so many ends within [`WITHIN`] on, restarts are delayed.
const ENDS: u32 = 5;
const WITHIN: Duration = Duration::from_secs(2);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// What was ended at the deadline is gone a moment later, and so is its host.
const GRACE: Duration = Duration::from_secs(10);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One port, as its set knows it.
struct Place {
    name: String,
    address: Address,
    counters: Counters,
    runs: Arc<AtomicU64>,
    /// Closed when the set has ended, as is the one that workers are given.
    socket: Mutex<Option<Private<Socket>>>,
    given: Mutex<Option<(OnlyHere, Arc<OwnedFd>)>>,
    starter: Starter,
    /// Its handler and its arguments, until it is started.
    making: Mutex<Option<(Making, bool)>>,
}

/// The ports of a set, each in a process of its own.
pub(in super::super) struct Processes {
    options: ProcessOptions,
    buffer_bytes: usize,
    connections: usize,
    places: Vec<Place>,
    memory: Memory,
    /// What the ports' workers have.
    bells: Vec<Arc<OwnedFd>>,
    /// And what each port's are told by.
    orders: Vec<Arc<OwnedFd>>,
    mail: Mail,
    reins: Arc<Reins>,
    pub(super) turns: Turns,
    tree: Mutex<Tree>,
}

/// How far the set is.
#[derive(Default)]
struct Tree {
    owner: Option<Owner>,
    starting: Option<Arc<Starting>>,
    started: Option<Result<()>>,
    stopping: bool,
}

/// A start on its way.
enum Starting {
    Host(Asked<()>),
    /// With whether each has answered: it does so once, and a wait may end between two of them.
    Children(Vec<(Asked<ServiceId>, OnceLock<()>)>),
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Processes {
    /// Binds the sockets; nothing runs yet. The ports are taken if that is well.
    pub(in super::super) fn new(options: &PortSetOptions, ports: &mut Vec<Port>) -> Result<Arc<Self>> {
        duty::check_unserved()?;
        if ports.len() > MOST {
            let text = format!("{} ports are too many for a set in mode PROCESS: at most {MOST}", ports.len());
            return Err(Error::Invalid(text));
        }
        let (saved_bytes, ring_bytes) = (options.saved_bytes, options.message_bytes);
        let memory = Memory::new(Layout { ports: ports.len(), saved_bytes, ring_bytes })?;
        let told = [eventfd()?, eventfd()?];
        let orders = ports.iter().map(|_| eventfd()).collect::<Result<Vec<_>>>()?;
        let batons = orders.iter().enumerate().map(|(index, orders)| {
            memory.baton(index, orders.try_clone().map_err(|error| Error::os("eventfd", &error))?)
        });
        let batons = batons.collect::<Result<Vec<_>>>()?;
        let bells = ports.iter().map(|_| eventfd()).collect::<Result<Vec<_>>>()?;
        let copies = bells.iter().map(|bell| bell.try_clone().map_err(|error| Error::os("eventfd", &error)));
        let mail = Mail::new(&memory, ports.len(), copies.collect::<Result<_>>()?)?;
        let mut places = Vec::new();
        for (index, port) in ports.iter_mut().enumerate() {
            let socket = bind(port)?;
            places.push(Place {
                name: port.name.clone(),
                address: socket.local_addr()?,
                counters: memory.counters(index)?,
                runs: Arc::default(),
                socket: Mutex::new(Some(Private::new(socket))),
                given: Mutex::default(),
                starter: Arc::default(),
                making: Mutex::default(),
            });
        }
        for (place, port) in places.iter_mut().zip(ports.drain(..)) {
            place.making = Mutex::new(Some((port.making, port.connect.is_some())));
        }
        Ok(Arc::new_cyclic(|set| Self {
            options: options.process.clone(),
            buffer_bytes: options.buffer_bytes,
            connections: options.connections,
            places,
            memory,
            bells: bells.into_iter().map(Arc::new).collect(),
            orders: orders.into_iter().map(Arc::new).collect(),
            mail,
            reins: Arc::new(Reins::new(set.clone(), told, batons)),
            turns: Turns::default(),
            tree: Mutex::default(),
        }))
    }

    /// Starts the workers, and does not wait for them.
    pub(in super::super) fn begin(&self) -> Result<()> {
        let services = (0..self.places.len()).map(|index| self.service(index)).collect::<Result<Vec<_>>>()?;
        let root = SupervisorOptions { intensity: None, restart: Restart::Temporary, ..SupervisorOptions::default() };
        let (owner, starting) = match &self.options.supervisor {
            None => {
                let name = self.options.name().to_owned();
                let host = Host::new(HostOptions { name, root, ..HostOptions::default() })?;
                for service in services {
                    host.add(service)?;
                }
                let starting = Starting::Host(host.ask_start()?);
                (Owner::Host(Arc::new(host)), starting)
            }
            Some(parent) => {
                let own = parent.start_supervisor(self.options.name(), root)?;
                let news = Arc::new(parent.observe(Filter::path(own.path()?), &ObserverOptions::default())?);
                let owner = Owner::Under { parent: parent.clone(), own: own.clone(), news };
                let ask = |service| own.ask(Verb::Add(service)).map(|asked| (asked, OnceLock::new()));
                let asked = services.into_iter().map(ask).collect::<Result<_>>();
                (owner.clone(), Starting::Children(asked.inspect_err(|_| owner.stop())?))
            }
        };
        let mut tree = lock(&self.tree);
        tree.starting = Some(Arc::new(starting));
        tree.owner = Some(owner.clone());
        let stopped_meanwhile = tree.stopping;
        drop(tree);
        if stopped_meanwhile {
            // Whoever stopped it found nothing to wait for.
            owner.stop();
            self.wait_ended(Deadline::after(Some(self.options.shutdown)), true)?;
            return Err(Error::Closed("port set"));
        }
        Ok(())
    }

    /// What its supervisor is told of a port.
    fn service(&self, index: usize) -> Result<Service> {
        let place = &self.places[index];
        let made = lock(&place.making).take();
        let Some((Making::Named { handler, args }, connected)) = made else {
            return Err(Error::Invalid(format!(
                "port {:?}: in mode PROCESS a handler is made by its name",
                place.name
            )));
        };
        let names = self.places.iter().map(|place| place.name.clone()).collect();
        let mut manifest = Manifest::new(names, index, self.memory.layout());
        (manifest.connected, manifest.buffer_bytes, manifest.handler) = (connected, self.buffer_bytes, handler);
        if let Some(Socket::Listening(_)) = lock(&place.socket).as_deref() {
            manifest.listening = Some(self.connections);
        }
        let ready = self.options.ready;
        // What is left of it is for telling why.
        let patience = ready.saturating_sub(ready / 10);
        manifest.patience = u64::try_from(patience.as_micros()).unwrap_or(u64::MAX);
        let manifest = manifest.write(&args)?;
        let [stop, done] = self.reins.bells();
        let bells = self.bells.iter().cloned().map(Descriptor::from);
        let equipment = Equipment {
            index,
            port: place.name.clone(),
            descriptors: [
                (manifest::NUMBER, manifest.into()),
                (manifest::SOCKET, self.socket(place)?),
                (manifest::MEMORY, self.memory.fd()?.into()),
                (manifest::STOP, stop.into()),
                (manifest::DONE, done.into()),
                (manifest::ORDERS, self.orders[index].clone().into()),
            ]
            .into_iter()
            .chain((manifest::BELLS..).zip(bells))
            .collect(),
        };
        let inner = self.options.executor(&equipment)?;
        *lock(&place.starter) = Some(inner);
        let held = Held { inner: place.starter.clone(), reins: self.reins.clone(), index, runs: place.runs.clone() };
        Ok(Service {
            shutdown: Some(Shutdown::After(self.options.shutdown)),
            ready: Ready::Notify(self.options.ready),
            liveness: self.options.liveness,
            backoff: Some(Backoff {
                delay: FIRST_DELAY,
                growth: Growth::Exponential,
                cap: LONGEST_DELAY,
                jitter: 0.0,
                calm: WITHIN,
                burst: ENDS,
            }),
            ..Service::new(&place.name, Arc::new(held))
        })
    }

    fn socket(&self, place: &Place) -> Result<Descriptor> {
        let socket = lock(&place.socket);
        let socket = socket.as_ref().ok_or(Error::Closed("port set"))?;
        let copy = socket.as_fd().try_clone_to_owned();
        let copy = Arc::new(copy.map_err(|error| Error::os(format!("port {}: dup", place.name), &error))?);
        *lock(&place.given) = Some((OnlyHere::new(copy.as_fd()), copy.clone()));
        Ok(copy.into())
    }

    /// Waits until every handler has started.
    pub(in super::super) fn wait_ready(&self, deadline: Deadline) -> Result<()> {
        let starting = {
            let tree = lock(&self.tree);
            if let Some(started) = &tree.started {
                return started.clone();
            }
            tree.starting.clone().ok_or(Error::Closed("port set"))?
        };
        let started = match &*starting {
            Starting::Host(asked) => asked.join(deadline.remaining()),
            Starting::Children(all) => {
                all.iter().filter(|(_, answered)| answered.get().is_none()).try_for_each(|(asked, answered)| {
                    asked.join(deadline.remaining()).map(|_| *answered.get_or_init(|| ()))
                })
            }
        };
        let started = match started {
            Err(Error::Timeout(_)) => {
                return Err(Error::Timeout("the processes of the ports have not started yet".into()));
            }
            Err(error) => Err(self.why(error)),
            Ok(()) => Ok(()),
        };
        lock(&self.tree).started.get_or_insert(started).clone()
    }

    /// Why the start failed: in the handler's own words, if it had any.
    fn why(&self, error: Error) -> Error {
        let told = (0..self.places.len()).find_map(|index| self.memory.failed(index));
        match told {
            Some(text) => Error::Failed(text),
            None if lock(&self.tree).stopping => Error::Closed("port set"),
            None => error,
        }
    }

    pub(in super::super) fn bound(&self) -> Vec<(String, Address)> {
        self.places.iter().map(|place| (place.name.clone(), place.address.clone())).collect()
    }

    pub(in super::super) fn stats(&self) -> Vec<(String, PortStats)> {
        self.places.iter().map(|place| (place.name.clone(), place.stats())).collect()
    }

    pub(in super::super) fn send(&self, port: &str, message: Message) -> Result<(), Refused<Message>> {
        let Some(index) = self.places.iter().position(|place| place.name == port) else {
            let names: Vec<_> = self.places.iter().map(|place| place.name.as_str()).collect();
            let text = format!("no port {port:?} in this set: its ports are {}", names.join(", "));
            return Err(Refused::new(Error::Invalid(text), message));
        };
        let serves = {
            let tree = lock(&self.tree);
            tree.owner.is_some() && !tree.stopping
        };
        if !serves {
            return Err(Refused::new(Error::Closed("port set"), message));
        }
        self.mail.send(index, message)
    }

    pub(in super::super) fn observe(&self, mut filter: Filter, options: &ObserverOptions) -> Result<Observer> {
        match lock(&self.tree).owner.clone() {
            Some(Owner::Host(host)) => host.observe(filter, options),
            Some(Owner::Under { own, .. }) => {
                if filter.paths.is_empty() {
                    filter.paths.push(own.path()?);
                }
                own.observe(filter, options)
            }
            None => Err(Error::Closed("port set")),
        }
    }

    /// Begins to have successors take these ports over, or all of them.
    pub(in super::super) fn begin_reload(
        self: &Arc<Self>,
        port: Option<&str>,
        drain: Option<Duration>,
    ) -> Result<Vec<Reloading>> {
        let known = |index: usize| port.is_none_or(|port| port == self.places[index].name);
        let wanted: Vec<_> = (0..self.places.len()).filter(|index| known(*index)).collect();
        if let (Some(port), true) = (port, wanted.is_empty()) {
            let names: Vec<_> = self.places.iter().map(|place| place.name.as_str()).collect();
            return Err(Error::Invalid(format!("no port {port:?} in this set: its ports are {}", names.join(", "))));
        }
        self.supervisor()?;
        Ok(wanted.into_iter().map(|index| Reloading::begin(self.clone(), index, drain)).collect())
    }

    /// What supervises the ports.
    pub(super) fn supervisor(&self) -> Result<Supervisor> {
        let tree = lock(&self.tree);
        match &tree.owner {
            Some(Owner::Host(host)) if !tree.stopping => Ok(host.root().clone()),
            Some(Owner::Under { own, .. }) if !tree.stopping => Ok(own.clone()),
            _ => Err(Error::Closed("port set")),
        }
    }

    pub(super) fn name(&self, index: usize) -> &str {
        &self.places[index].name
    }

    /// What one that leaves is called.
    pub(super) fn name_of_run(&self, life: &Life) -> String {
        let mut name = format!("{}.{}", self.name(life.index), life.number);
        while self.places.iter().any(|place| place.name == name) {
            name.push('+');
        }
        name
    }

    /// Once for each run: it is to be a service of its own.
    pub(super) fn reins(&self, life: &Life) -> Option<Arc<Reins>> {
        (!life.parts.swap(true, Ordering::SeqCst)).then(|| self.reins.clone())
    }

    pub(super) fn ready(&self) -> Duration {
        self.options.ready
    }

    pub(super) fn shutdown(&self) -> Duration {
        self.options.shutdown
    }

    pub(super) fn liveness(&self) -> Option<Duration> {
        self.options.liveness
    }

    /// What a start of the port that failed long ago has said.
    pub(super) fn forget_failure(&self, index: usize) {
        if let Err(error) = self.memory.fail(index, "") {
            tracing::debug!(target: "coop", "why port {} failed before is not forgotten: {error}", self.name(index));
        }
    }

    /// The loop that the workers' supervision runs on.
    pub(super) fn event_loop(&self) -> Option<Handle> {
        self.reins.event_loop()
    }

    /// In the handler's own words, if it had any.
    pub(super) fn why_not_reloaded(&self, index: usize, error: Error) -> Error {
        match (self.memory.failed(index), error) {
            (Some(text), Error::Failed(_)) => Error::Failed(text),
            (_, Error::Closed(_) | Error::Stale(_)) => Error::Closed("port set"),
            (_, error) => error,
        }
    }

    /// Asks every worker to stop; at the deadline those that have not are ended.
    pub(in super::super) fn request_stop(&self, deadline: Option<Deadline>) {
        let owner = {
            let mut tree = lock(&self.tree);
            tree.stopping = true;
            tree.owner.clone()
        };
        if let Some(owner) = owner {
            // First: what ends then is not started again.
            owner.stop();
        }
        // Also of what is about to begin.
        self.reins.stop(deadline);
    }

    /// Refuses a wait on the thread that would have to end the workers.
    pub(in super::super) fn check_outside(&self) -> Result<()> {
        if self.reins.is_inside() {
            return Err(Error::WouldDeadlock("a host's own thread cannot wait for its port set to end"));
        }
        Ok(())
    }

    /// Closes the sockets: no worker is there any more.
    pub(super) fn release(&self) {
        for place in &self.places {
            place.stats();
            let sockets = (lock(&place.socket).take(), lock(&place.given).take(), lock(&place.starter).take());
            drop(sockets);
        }
    }

    /// Waits until every worker has ended; one that was told to, at `deadline` if not before, is gone a moment later.
    pub(in super::super) fn wait_ended(&self, deadline: Deadline, told: bool) -> Result<()> {
        let Some(owner) = lock(&self.tree).owner.clone() else { return Ok(()) };
        let deadline = match deadline.remaining() {
            Some(left) if told => Deadline::after(left.checked_add(GRACE)),
            _ => deadline,
        };
        if !owner.wait(deadline)? {
            let names: Vec<_> = self.places.iter().map(|place| place.name.as_str()).collect();
            return Err(Error::Timeout(format!("the processes of ports {} have not all ended", names.join(", "))));
        }
        self.reins.close();
        self.release();
        let mut tree = lock(&self.tree);
        let (before, starting) = (tree.owner.take(), tree.starting.take());
        drop(tree);
        drop((before, starting));
        Ok(())
    }
}

impl Place {
    fn stats(&self) -> PortStats {
        if let Some(dropped) = lock(&self.socket).as_deref().and_then(Socket::kernel_dropped) {
            self.counters.kernel_dropped().set(u64::from(dropped));
        }
        let restarts = self.runs.load(Ordering::Relaxed).saturating_sub(1);
        PortStats { restarts, ..self.counters.snapshot() }
    }
}
