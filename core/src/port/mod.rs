//! Port sets: named UDP sockets, each with a handler of its own, served in a mode that is one argument.
//!
//! * [`Mode::Single`]: all handlers run on the main loop, one callback at a time.
//! * [`Mode::Thread`]: each port has a loop and a thread for its handler, and a second thread that only receives. So
//!   receiving never waits for a handler, nor for whatever lock a handler waits for (an interpreter's): what comes meanwhile is
//!   kept in a bounded buffer and is one batch when the handler's turn comes.
//!
//! # Lifetime
//!
//! 1. [`PortSet::start`] binds every socket, then builds each handler inside its worker and waits until all have started.
//!    If one cannot, everything is released and its error is the answer.
//! 2. Callbacks of one port never overlap. A fault in one is counted and reported; the port goes on.
//! 3. [`PortSet::stop`] tells every port, waits for each to end (`on_stop`, then its socket closes) and joins the threads. A
//!    handler that ignores the deadline is disowned: its thread ends when its callback returns.
//! 4. From inside a handler [`Context::stop`] asks for that; [`PortSet::stop`] there would wait for itself and is refused.
//!
//! # Where things are
//!
//! `handler.rs` what users write, `context.rs` what they may call, `batch.rs` what they are given; `worker.rs` one port at
//! work, `inbox.rs` the buffer before it, `members.rs` the ports of a set as they know each other.

#![forbid(unsafe_code)]

mod batch;
mod context;
mod counters;
mod handler;
mod inbox;
mod members;
mod worker;

#[cfg(all(test, not(loom)))]
mod test;

use std::{
    collections::HashSet,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use self::{
    batch::Batch,
    context::Context,
    counters::PortStats,
    handler::{Build, Bytes, Fault, Handler, Message, Outcome},
};
use self::{
    members::Members,
    worker::{Parts, Worker},
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{
        EventLoop, EventLoopOptions, Handle,
        udp::{UdpOptions, UdpSocket},
    },
    fork::ForkGuard,
    time::Deadline,
};

/// How the ports of a set are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Mode {
    /// On the main loop.
    Single = 0,
    /// On threads of their own.
    Thread = 1,
}

/// A port to be: a name, an address and what makes its handler.
pub struct Port {
    /// Unique in its set.
    pub name: String,
    /// Where the socket is bound; port 0 is any free one.
    pub bind: SocketAddr,
    /// The only peer, if there is one: others are not heard, and datagrams need no address.
    pub connect: Option<SocketAddr>,
    /// Makes the handler inside its worker.
    pub build: Build,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("name", &self.name).field("bind", &self.bind).finish_non_exhaustive()
    }
}

/// How to make a set.
#[derive(Debug, Clone)]
pub struct PortSetOptions {
    /// How its ports are served.
    pub mode: Mode,
    /// The main loop: needed in SINGLE mode, not used in THREAD mode.
    pub event_loop: Option<Handle>,
    /// Bytes that each port may hold of what came, and of what is to be sent. What comes above is dropped and counted.
    pub buffer_bytes: usize,
}

impl PortSetOptions {
    /// Ports on threads of their own, with 64 MiB each.
    pub const fn threads() -> Self {
        Self { mode: Mode::Thread, event_loop: None, buffer_bytes: 64 << 20 }
    }

    /// Ports on this loop.
    pub const fn single(event_loop: Handle) -> Self {
        Self { mode: Mode::Single, event_loop: Some(event_loop), buffer_bytes: 64 << 20 }
    }
}

impl PortSetOptions {
    /// What [`PortSet::new`] refuses, for ports of these names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no port, a port without a name, SINGLE mode without a loop, or a buffer that holds no
    /// datagram; [`Error::Exists`] for a name used twice.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        if self.mode == Mode::Single && self.event_loop.is_none() {
            return Err(Error::Invalid("mode SINGLE needs the event loop that the ports are served on".into()));
        }
        if self.buffer_bytes < MIN_BUFFER {
            let given = self.buffer_bytes;
            return Err(Error::Invalid(format!("buffer_bytes {given} is too small: at least {MIN_BUFFER}")));
        }
        let mut seen = HashSet::new();
        for name in names {
            if name.is_empty() || name.contains('\0') {
                return Err(Error::Invalid(format!("a port needs a name without NUL characters, not {name:?}")));
            }
            if !seen.insert(name) {
                return Err(Error::Exists(format!("two ports of one set are named {name:?}")));
            }
        }
        if seen.is_empty() {
            return Err(Error::Invalid("a port set needs at least one port".into()));
        }
        Ok(())
    }
}

/// How long [`PortSet`]'s drop waits for its ports.
const DROP_DEADLINE: Duration = Duration::from_secs(1);
/// What a socket may hold while its reader is busy, if the system allows that much.
const RECV_BUFFER: usize = 4 << 20;
/// The least that makes sense: one datagram of the longest kind.
const MIN_BUFFER: usize = 64 << 10;

enum State {
    New(Vec<Port>),
    Started(Arc<Members>),
    /// It could not start, or it has been stopped; its counts can still be read.
    Ended(Option<Arc<Members>>),
}

/// Named sockets with their handlers; see the module's text.
pub struct PortSet {
    fork: ForkGuard,
    options: PortSetOptions,
    state: Mutex<State>,
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortSet").field("options", &self.options).finish_non_exhaustive()
    }
}

impl PortSet {
    /// A set of these ports, not started yet.
    ///
    /// # Errors
    /// Those of [`PortSetOptions::check`].
    pub fn new(options: PortSetOptions, ports: Vec<Port>) -> Result<Self> {
        options.check(ports.iter().map(|port| port.name.as_str()))?;
        Ok(Self { fork: ForkGuard::new("port set"), options, state: Mutex::new(State::New(ports)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ports, once they are bound.
    fn members(&self) -> Result<Arc<Members>> {
        self.fork.check()?;
        match &*self.state() {
            State::Started(members) | State::Ended(Some(members)) => Ok(members.clone()),
            State::New(_) => Err(Error::Invalid("the port set has not been started".into())),
            State::Ended(None) => Err(Error::Closed("port set")),
        }
    }

    /// Binds the sockets, starts the workers and waits until every handler has started.
    ///
    /// # Errors
    /// [`Error::Os`] with the port and its address, [`Error::Failed`] if a handler cannot start, [`Error::Exists`] if it
    /// was started before, [`Error::Closed`] if it was stopped before every port had started, [`Error::Forked`]. After an error
    /// nothing is left bound or running.
    pub fn start(&self) -> Result<()> {
        self.launch()?;
        self.wait_ready(None)
    }

    /// The first half of [`PortSet::start`]: binds and starts, without waiting for the handlers.
    ///
    /// # Errors
    /// As [`PortSet::start`], but for the handlers'.
    pub fn launch(&self) -> Result<()> {
        self.fork.check()?;
        // Outlives the lock: what a failure leaves of it is dropped, and may call the set.
        let mut ports = Vec::new();
        let members = {
            let mut state = self.state();
            let State::New(new) = &mut *state else {
                return Err(Error::Exists("the port set was started before: make a new one".into()));
            };
            ports.append(new);
            *state = State::Ended(None);
            let members = self.make(&ports)?;
            *state = State::Started(members.clone());
            members
        };
        for (worker, port) in members.workers.iter().zip(ports) {
            members.begin(worker, port.build);
        }
        Ok(())
    }

    /// Binds every socket before anything runs.
    fn make(&self, ports: &[Port]) -> Result<Arc<Members>> {
        let mut parts = Vec::new();
        for Port { name, bind, connect, .. } in ports {
            let named = |error: Error| match error {
                Error::Os { context, errno } => Error::Os { context: format!("port {name}: {context}"), errno },
                other => other,
            };
            let udp = UdpOptions { recv_buffer: Some(RECV_BUFFER), ..UdpOptions::default() };
            let socket = UdpSocket::bind(*bind, &udp).map_err(named)?;
            if let Some(peer) = connect {
                socket.connect(*peer).map_err(named)?;
            }
            let (handle, loops) = self.loops_for(name).map_err(named)?;
            let (mode, buffer_bytes) = (self.options.mode, self.options.buffer_bytes);
            let name = name.clone();
            parts.push(Parts { name, mode, socket, connected: connect.is_some(), handle, loops, buffer_bytes });
        }
        let mut failed = None;
        let members = Arc::new_cyclic(|members| {
            let workers = parts.into_iter().filter_map(|parts| {
                Worker::new(parts, members.clone()).map(Arc::new).map_err(|error| failed = Some(error)).ok()
            });
            Members::new(workers.collect())
        });
        match failed {
            None => Ok(members),
            Some(error) => Err(error),
        }
    }

    /// The loop of a port's handler; in THREAD mode it runs on a new thread, and a second one receives.
    fn loops_for(&self, name: &str) -> Result<(Handle, Option<(EventLoop, EventLoop)>)> {
        if let (Mode::Single, Some(event_loop)) = (self.options.mode, &self.options.event_loop) {
            return Ok((event_loop.clone(), None));
        }
        let own = EventLoop::new(EventLoopOptions { name: format!("port-{name}") })?;
        let receiving = EventLoop::new(EventLoopOptions { name: format!("recv-{name}") })?;
        own.start()?;
        receiving.start()?;
        Ok((own.handle(), Some((own, receiving))))
    }

    /// The second half of [`PortSet::start`]: waits until every handler has started.
    ///
    /// # Errors
    /// [`Error::Failed`] once everything is released again, [`Error::Timeout`] (it may be called again).
    pub fn wait_ready(&self, timeout: Option<Duration>) -> Result<()> {
        let members = self.members()?;
        match members.wait_ready(Deadline::after(timeout)) {
            Err(error @ Error::Timeout(_)) | Err(error @ Error::WouldDeadlock(_)) => Err(error),
            Err(error) => {
                let _ = self.stop(Some(DROP_DEADLINE));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// The name and the address of each port, in the order they were given.
    ///
    /// # Errors
    /// [`Error::Invalid`] before the start, [`Error::Closed`] if it failed, [`Error::Forked`].
    pub fn addresses(&self) -> Result<Vec<(String, SocketAddr)>> {
        let members = self.members()?;
        Ok(members.workers.iter().map(|worker| (worker.name.clone(), worker.address)).collect())
    }

    /// What each port has counted, in the order they were given; also after the end.
    ///
    /// # Errors
    /// As [`PortSet::addresses`].
    pub fn stats(&self) -> Result<Vec<(String, PortStats)>> {
        let members = self.members()?;
        Ok(members.workers.iter().map(|worker| (worker.name.clone(), worker.stats())).collect())
    }

    /// Sends a message to a port from outside the set: `on_message` with an empty sender.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown name, [`Error::Closed`]; the message comes back.
    pub fn send(&self, port: &str, message: Message) -> Result<(), Refused<Message>> {
        match self.members() {
            Ok(members) => members.send("", port, message),
            Err(error) => Err(Refused::new(error, message)),
        }
    }

    /// Asks every port to end, and returns at once; [`PortSet::join`] waits for it.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn request_stop(&self) -> Result<()> {
        self.request_stop_by(Deadline::after(Some(Duration::ZERO)))
    }

    fn request_stop_by(&self, deadline: Deadline) -> Result<()> {
        self.fork.check()?;
        let members = match &*self.state() {
            State::Started(members) => members.clone(),
            State::New(_) | State::Ended(_) => return Ok(()),
        };
        members.request_stop(deadline);
        Ok(())
    }

    /// Ends every port and waits for them; again is fine, and so is a set that was never started.
    ///
    /// # Errors
    /// [`Error::Timeout`] naming the ports whose handlers ignore the deadline: they are disowned, and end when their callback
    /// returns. [`Error::WouldDeadlock`] from inside one of the handlers, and then it asks nobody to end; [`Error::Forked`].
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.check_outside()?;
        self.request_stop_by(deadline)?;
        self.join_by(deadline)
    }

    /// Refuses what would wait for the callback that the caller is inside of.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`], [`Error::Forked`].
    pub fn check_outside(&self) -> Result<()> {
        self.fork.check()?;
        match &*self.state() {
            State::Started(members) if members.is_current() => {
                Err(Error::WouldDeadlock("a port's handler cannot wait for its own set to end: use ctx.stop()"))
            }
            _ => Ok(()),
        }
    }

    /// Waits until the set has ended: by [`PortSet::stop`], or because a handler asked for it.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::WouldDeadlock`] from inside one of the handlers, [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<()> {
        self.check_outside()?;
        self.join_by(Deadline::after(timeout))
    }

    fn join_by(&self, deadline: Deadline) -> Result<()> {
        self.fork.check()?;
        let members = match &*self.state() {
            State::Started(members) => members.clone(),
            State::New(_) | State::Ended(_) => return Ok(()),
        };
        members.wait_ended(deadline)?;
        if self.options.mode == Mode::Thread {
            for worker in &members.workers {
                // Its last callback has returned, or is about to.
                worker.handle.join(deadline.remaining())?;
            }
        }
        *self.state() = State::Ended(Some(members));
        Ok(())
    }
}

impl Drop for PortSet {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // Without the lock, which a thread of the parent may have held.
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            return std::mem::forget(std::mem::replace(state, State::Ended(None)));
        }
        // A handler that ignores the deadline, or that this is inside of, ends its port when it returns.
        match self.stop(Some(DROP_DEADLINE)) {
            Err(Error::WouldDeadlock(_)) => drop(self.request_stop()),
            Err(error @ Error::Timeout(_)) => tracing::warn!(target: "coop", "a port set was dropped: {error}"),
            _ => {}
        }
    }
}
