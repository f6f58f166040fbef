//! The worker's side: the port that this process was started for, and its serving on a loop of this process.
//!
//! Two threads work, as in THREAD mode: the one that runs the loop calls the handler, and another one only receives. The port's
//! end is its set's matter: whoever leads this process is asked to stop by its supervisor, and then ends the port by [`Serving::stop`].

#![forbid(unsafe_code)]

use std::{
    env, fmt,
    fs::File,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    super::{
        Build, Message, Mode,
        bind::Socket,
        here,
        members::{Members, Outside},
        worker::{Loops, Parts, Worker},
    },
    mail::Mail,
    manifest::{BELLS, DONE, MEMORY, Manifest, NUMBER, ORDERS, SOCKET, STOP, VARIABLE},
    memory::Memory,
    serving::{Place, Serving},
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{Handle, stream::Bound, udp::UdpSocket},
    supervisor::{adopt, worker},
    time::Deadline,
};

/// This process was started for a port, and does not serve it yet.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The port that this process was started for.
pub struct Duty {
    manifest: Manifest,
    args: Vec<u8>,
    socket: OwnedFd,
    memory: Memory,
    stop: OwnedFd,
    done: OwnedFd,
    orders: OwnedFd,
    bells: Vec<OwnedFd>,
}

impl fmt::Debug for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duty").field("port", &self.port()).field("handler", &self.handler()).finish_non_exhaustive()
    }
}

/// Whether this process was started to serve a port: not what such a one has started itself.
fn is_asked() -> Result<bool> {
    Ok(env::var_os(VARIABLE).is_some() && worker::is_meant()?)
}

/// Refuses a set in a process that was started as a worker and never came to its duty: it would start itself for ever.
pub(super) fn check_unserved() -> Result<()> {
    if is_asked()? && !TAKEN.load(Ordering::SeqCst) {
        return Err(Error::Invalid(
            "this process was started to serve a port, and makes a port set instead: Handlers::run_if_asked must be called first in main"
                .into(),
        ));
    }
    Ok(())
}

impl Duty {
    /// What the environment says of this process's port; `None` if it was started for none, or has taken it before. The descriptors that it names
    /// are this process's from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what was made by another version, [`Error::Os`] for descriptors that are not there.
    pub fn from_environment() -> Result<Option<Self>> {
        if !is_asked()? || TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        let (manifest, args) = Manifest::read(&File::from(adopt(NUMBER)?))?;
        let memory = Memory::attach(adopt(MEMORY)?, manifest.layout())?;
        let bells = (BELLS..).zip(&manifest.ports).map(|(number, _)| adopt(number)).collect::<Result<_>>()?;
        let [socket, stop, done, orders] = [adopt(SOCKET)?, adopt(STOP)?, adopt(DONE)?, adopt(ORDERS)?];
        Ok(Some(Self { manifest, args, socket, memory, stop, done, orders, bells }))
    }

    /// The port's name.
    pub fn port(&self) -> &str {
        &self.manifest.ports[self.manifest.index]
    }

    /// The name of what makes its handler.
    pub fn handler(&self) -> &str {
        &self.manifest.handler
    }

    /// What that is given.
    pub fn args(&self) -> &[u8] {
        &self.args
    }

    /// The ports of the set.
    pub fn ports(&self) -> &[String] {
        &self.manifest.ports
    }

    /// Says why the port cannot be served: whoever starts the set is answered that. The process is to end next.
    pub fn fail(&self, why: &str) {
        if let Err(error) = self.memory.fail(self.manifest.index, why) {
            tracing::error!(target: "coop", "port {}: {why}; and this cannot be told: {error}", self.port());
        }
    }

    /// Builds the handler and starts it, on the loop's thread, or on this one while nobody runs the loop; `run` is which worker of the port
    /// this is. The port is served when this returns.
    ///
    /// # Errors
    /// [`Error::Failed`] if the handler cannot start, [`Error::Timeout`] if the predecessor does not let go; both are what the set is told. [`Error::Os`].
    pub fn begin(self, event_loop: &Handle, run: u64, build: Build) -> Result<Serving> {
        let (memory, index) = (self.memory.clone(), self.manifest.index);
        let begun = self.serve(event_loop, run, build);
        begun.inspect_err(|error| {
            let _ = memory.fail(index, &error.to_string());
        })
    }

    fn serve(self, event_loop: &Handle, run: u64, build: Build) -> Result<Serving> {
        let name = self.port().to_owned();
        let Self { manifest, socket, memory, stop, done, orders, bells, .. } = self;
        let index = manifest.index;
        let baton = memory.baton(index, orders)?;
        if !baton.take(run, Deadline::after(Some(Duration::from_micros(manifest.patience))))? {
            return Err(Error::Timeout(format!(
                "port {name}: the worker before this one did not let go of it: a callback of its handler is still running"
            )));
        }
        let socket = match manifest.listening {
            Some(_) => Socket::Listening(Bound::from_fd(socket)?),
            None => Socket::Datagrams(UdpSocket::adopt(socket.into(), manifest.connected)?),
        };
        let parts = Parts {
            mode: Mode::Process,
            connected: manifest.connected,
            handle: event_loop.clone(),
            loops: Loops { own: None, receiving: here::receiving(&name, &socket)? },
            socket,
            buffer_bytes: manifest.buffer_bytes,
            connections: manifest.listening.unwrap_or(0),
            message_bytes: manifest.layout().ring_bytes,
            counters: memory.counters(index)?,
            saved: memory.saved(index)?,
            run,
            name,
        };
        let own = bells[index].try_clone().map_err(|error| Error::os("eventfd", &error))?;
        let mail = Arc::new(Mail::new(&memory, index, bells)?);
        let others = Others { mail: mail.clone(), ports: manifest.ports.clone(), stop };
        if run > 1 {
            mail.ring_all();
        }
        let mut failed = None;
        let members = Arc::new_cyclic(|members| {
            let worker = Worker::new(parts, members.clone()).map_err(|error| failed = Some(error)).ok();
            Members::new(worker.map(Arc::new).into_iter().collect(), Some(Box::new(others)))
        });
        if let Some(error) = failed {
            return Err(error);
        }
        here::begin(&members, vec![build]);
        members.wait_ready(Deadline::NEVER)?;
        let (ports, event_loop) = (manifest.ports, event_loop.clone());
        Serving::new(Place { members, event_loop, memory, ports, index, run, mail, bell: own, baton, done })
    }
}

/// The rest of the set, as a worker knows it.
struct Others {
    ports: Vec<String>,
    mail: Arc<Mail>,
    stop: OwnedFd,
}

impl Others {
    fn unknown(&self, port: &str) -> Error {
        Error::Invalid(format!("no port {port:?} in this set: its ports are {}", self.ports.join(", ")))
    }
}

impl Outside for Others {
    fn stop(&self) {
        // Full only if nobody has read it yet: it rings all the same.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
    }

    fn send(&self, port: &str, message: Message) -> Result<(), Refused<Message>> {
        match self.ports.iter().position(|known| known == port) {
            Some(index) => self.mail.send(index, message),
            None => Err(Refused::new(self.unknown(port), message)),
        }
    }

    fn send_bytes(&self, port: &str, tag: u32, bytes: &[u8]) -> Result<()> {
        match self.ports.iter().position(|known| known == port) {
            Some(index) => self.mail.send_bytes(index, tag, bytes),
            None => Err(self.unknown(port)),
        }
    }
}
