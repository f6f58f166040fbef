//! A set of ports: its start, its end, and what may be asked of it in between.

#![forbid(unsafe_code)]

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[cfg(target_os = "linux")]
use super::process::{Processes, Reloading};
use super::{Mode, Port, PortSetOptions, PortStats, handler::Message, here, members::Members};
#[cfg(target_os = "linux")]
use crate::supervisor::{Filter, Observer, ObserverOptions};
use crate::{
    error::{Error, Refused, Result},
    event_loop::stream::Address,
    fork::ForkGuard,
    time::Deadline,
};

/// How long [`PortSet`]'s drop waits for its ports, and how long a start that failed does.
const DROP_DEADLINE: Duration = Duration::from_secs(1);

/// The ports that are served.
#[derive(Clone)]
enum Team {
    Here(Arc<Members>),
    #[cfg(target_os = "linux")]
    Processes(Arc<Processes>),
}

enum State {
    New(Vec<Port>),
    Started(Team),
    /// It could not start, or it has been stopped; its counts can still be read.
    Ended(Option<Team>),
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
    /// Those of [`PortSetOptions::check`] and [`PortSetOptions::check_making`].
    pub fn new(options: PortSetOptions, ports: Vec<Port>) -> Result<Self> {
        options.check(ports.iter().map(|port| port.name.as_str()))?;
        for port in &ports {
            options.check_making(&port.name, &port.making)?;
            port.bind.check(&port.name, port.connect)?;
        }
        Ok(Self { fork: ForkGuard::new("port set"), options, state: Mutex::new(State::New(ports)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ports, once they are bound.
    fn team(&self) -> Result<Team> {
        self.fork.check()?;
        match &*self.state() {
            State::Started(team) | State::Ended(Some(team)) => Ok(team.clone()),
            State::New(_) => Err(Error::Invalid("the port set has not been started".into())),
            State::Ended(None) => Err(Error::Closed("port set")),
        }
    }

    fn started(&self) -> Option<Team> {
        match &*self.state() {
            State::Started(team) => Some(team.clone()),
            State::New(_) | State::Ended(_) => None,
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
        let team = {
            let mut state = self.state();
            let State::New(new) = &mut *state else {
                return Err(Error::Exists("the port set was started before: make a new one".into()));
            };
            ports.append(new);
            *state = State::Ended(None);
            let team = match self.options.mode {
                Mode::Single | Mode::Thread => Team::Here(here::make(&self.options, &mut ports)?),
                #[cfg(target_os = "linux")]
                Mode::Process => Team::Processes(Processes::new(&self.options, &mut ports)?),
                #[cfg(not(target_os = "linux"))]
                Mode::Process => return self.options.process.check(),
            };
            *state = State::Started(team.clone());
            team
        };
        let begun = match &team {
            Team::Here(members) => self.begin(members, ports),
            #[cfg(target_os = "linux")]
            Team::Processes(processes) => processes.begin(),
        };
        begun.inspect_err(|_| {
            let _ = self.stop(Some(DROP_DEADLINE));
        })
    }

    fn begin(&self, members: &Arc<Members>, ports: Vec<Port>) -> Result<()> {
        let builds = ports.into_iter().map(|port| self.options.build(port.making)).collect::<Result<_>>()?;
        here::begin(members, builds);
        Ok(())
    }

    /// The second half of [`PortSet::start`]: waits until every handler has started.
    ///
    /// # Errors
    /// [`Error::Failed`] once everything is released again, [`Error::Timeout`] (it may be called again).
    pub fn wait_ready(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        let ready = match self.team()? {
            Team::Here(members) => members.wait_ready(deadline),
            #[cfg(target_os = "linux")]
            Team::Processes(processes) => processes.wait_ready(deadline),
        };
        match ready {
            Err(error @ Error::Timeout(_)) | Err(error @ Error::WouldDeadlock(_)) => Err(error),
            Err(error) => {
                let _ = self.stop(Some(DROP_DEADLINE));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// The name and the IP address of each port that has one, which all but those at Unix sockets have, in the order they were given.
    ///
    /// # Errors
    /// As [`PortSet::bound`].
    pub fn addresses(&self) -> Result<Vec<(String, SocketAddr)>> {
        Ok(self.bound()?.into_iter().filter_map(|(name, address)| Some((name, address.as_ip()?))).collect())
    }

    /// The name of each port and where it is bound, in the order they were given.
    ///
    /// # Errors
    /// [`Error::Invalid`] before the start, [`Error::Closed`] if it failed, [`Error::Forked`].
    pub fn bound(&self) -> Result<Vec<(String, Address)>> {
        Ok(match self.team()? {
            Team::Here(members) => {
                members.workers.iter().map(|worker| (worker.name.clone(), worker.address.clone())).collect()
            }
            #[cfg(target_os = "linux")]
            Team::Processes(processes) => processes.bound(),
        })
    }

    /// What each port has counted, in the order they were given; also after the end.
    ///
    /// # Errors
    /// As [`PortSet::addresses`].
    pub fn stats(&self) -> Result<Vec<(String, PortStats)>> {
        Ok(match self.team()? {
            Team::Here(members) => members.workers.iter().map(|worker| (worker.name.clone(), worker.stats())).collect(),
            #[cfg(target_os = "linux")]
            Team::Processes(processes) => processes.stats(),
        })
    }

    /// Sends a message to a port from outside the set: `on_message` with an empty sender.
    ///
    /// # Errors
    /// Those of [`Context::send`](super::Context::send); the message comes back.
    pub fn send(&self, port: &str, message: Message) -> Result<(), Refused<Message>> {
        match self.team() {
            Ok(Team::Here(members)) => members.send("", port, message),
            #[cfg(target_os = "linux")]
            Ok(Team::Processes(processes)) => processes.send(port, message),
            Err(error) => Err(Refused::new(error, message)),
        }
    }

    /// Has a new worker take over a port, or each of them: of a set in mode PROCESS, without a moment in which nobody serves. The new one is
    /// started beside the old one, and this returns when it serves. The old one takes nothing new from then on, has `drain` to serve the connections that
    /// are open (`None` is for ever), and then ends as at a stop. If the new one does not start, the old one goes on as if nothing had been.
    ///
    /// Reloads of one port come one after the other. An old worker that has connections left is in the events of the set as a service of its own, named
    /// by the port, a dot and its run.
    ///
    /// # Errors
    /// [`Error::Failed`] in the words of the handler that cannot start; [`Error::Unsupported`] in another mode, [`Error::Invalid`] for an unknown name,
    /// before the start and while the port's worker is being restarted, [`Error::Closed`], [`Error::WouldDeadlock`], [`Error::Forked`].
    pub fn reload(&self, port: Option<&str>, drain: Option<Duration>) -> Result<()> {
        self.begin_reload(port, drain)?.join(None)
    }

    /// The first half of [`PortSet::reload`], which does not wait: what it has begun goes on by itself, and other reloads of its ports come after it,
    /// whether it is joined, kept or dropped.
    ///
    /// # Errors
    /// As there, but for the handlers'.
    pub fn begin_reload(&self, port: Option<&str>, drain: Option<Duration>) -> Result<Reload> {
        match self.team()? {
            Team::Here(_) => {
                let _ = (port, drain);
                let mode = if self.options.mode == Mode::Single { "SINGLE" } else { "THREAD" };
                Err(Error::Unsupported(format!(
                    "a set in mode {mode} is not reloaded: its handlers are of this process. Only ports in mode PROCESS have workers that can be replaced"
                )))
            }
            #[cfg(target_os = "linux")]
            Team::Processes(processes) => {
                processes.check_outside()?;
                Ok(Reload { parts: processes.begin_reload(port, drain)?, failed: None })
            }
        }
    }

    /// Sees what becomes of the processes of a set in PROCESS mode: each start, end and restart, and as many of those before as
    /// `options` says. Also after the end, as long as the set is there.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in another mode, and as [`PortSet::addresses`].
    #[cfg(target_os = "linux")]
    pub fn observe(&self, filter: Filter, options: &ObserverOptions) -> Result<Observer> {
        match self.team()? {
            Team::Here(_) => {
                Err(Error::Unsupported("only the ports of a set in mode PROCESS are supervised, and observed".into()))
            }
            Team::Processes(processes) => processes.observe(filter, options),
        }
    }

    /// Asks every port to end, and returns at once; [`PortSet::join`] waits for it. Processes that have not within the set's
    /// `shutdown` are ended.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn request_stop(&self) -> Result<()> {
        self.request_stop_by(Deadline::after(Some(Duration::ZERO)), None)
    }

    /// The same, and processes that have not ended within this time are ended; `None` is never.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn request_stop_within(&self, timeout: Option<Duration>) -> Result<()> {
        self.request_stop_by(Deadline::after(Some(Duration::ZERO)), Some(Deadline::after(timeout)))
    }

    /// `here` is how long a loop that takes no more posts is waited for, `processes` when processes are ended.
    fn request_stop_by(&self, here: Deadline, processes: Option<Deadline>) -> Result<()> {
        self.fork.check()?;
        match self.started() {
            Some(Team::Here(members)) => members.request_stop(here),
            #[cfg(target_os = "linux")]
            Some(Team::Processes(set)) => set.request_stop(processes),
            None => {}
        }
        let _ = processes;
        Ok(())
    }

    /// Ends every port and waits for them; again is fine, and so is a set that was never started. In PROCESS mode those that ignore the
    /// deadline are ended then.
    ///
    /// # Errors
    /// [`Error::Timeout`] naming the ports whose handlers ignore the deadline: they are disowned, and end when their callback
    /// returns. [`Error::WouldDeadlock`] from inside one of the handlers, and then it asks nobody to end; [`Error::Forked`].
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.check_outside()?;
        self.request_stop_by(deadline, Some(deadline))?;
        self.join_by(deadline, true)
    }

    /// Refuses what would wait for the callback that the caller is inside of.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`], [`Error::Forked`].
    pub fn check_outside(&self) -> Result<()> {
        self.fork.check()?;
        match self.started() {
            Some(Team::Here(members)) if members.is_current() => {
                Err(Error::WouldDeadlock("a port's handler cannot wait for its own set to end: use ctx.stop()"))
            }
            #[cfg(target_os = "linux")]
            Some(Team::Processes(processes)) => processes.check_outside(),
            _ => Ok(()),
        }
    }

    /// Waits until the set has ended: by [`PortSet::stop`], or because a handler asked for it.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::WouldDeadlock`] from inside one of the handlers, [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<()> {
        self.check_outside()?;
        self.join_by(Deadline::after(timeout), false)
    }

    fn join_by(&self, deadline: Deadline, stops: bool) -> Result<()> {
        self.fork.check()?;
        let Some(team) = self.started() else { return Ok(()) };
        match &team {
            Team::Here(members) => {
                members.wait_ended(deadline)?;
                if self.options.mode == Mode::Thread {
                    for worker in &members.workers {
                        // Its last callback has returned, or is about to.
                        worker.handle.join(deadline.remaining())?;
                    }
                }
            }
            #[cfg(target_os = "linux")]
            Team::Processes(processes) => processes.wait_ended(deadline, stops)?,
        }
        let _ = stops;
        *self.state() = State::Ended(Some(team));
        Ok(())
    }
}

/// A reload on its way; see [`PortSet::begin_reload`]. Dropped, what has begun of it goes on, and nobody is told.
#[derive(Debug)]
#[must_use = "it tells what came of the reload"]
pub struct Reload {
    #[cfg(target_os = "linux")]
    parts: Vec<Reloading>,
    failed: Option<Error>,
}

impl Reload {
    /// Waits until the new workers serve. Of several that failed the first one's error is the answer, when all others are done.
    ///
    /// # Errors
    /// As [`PortSet::reload`]; [`Error::Timeout`]: it goes on, and this may be called again.
    pub fn join(&mut self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Deadline::after(timeout);
        let mut waits = None;
        #[cfg(target_os = "linux")]
        self.parts.retain_mut(|part| match part.join(deadline) {
            Ok(()) => false,
            Err(error @ Error::Timeout(_)) => {
                waits = Some(error);
                true
            }
            Err(error) => {
                self.failed.get_or_insert(error);
                false
            }
        });
        let _ = deadline;
        match (waits.take(), &self.failed) {
            (Some(waits), _) => Err(waits),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(()),
        }
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
