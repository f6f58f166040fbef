//! What a set is made of: its ports, how their handlers are made, and in which mode they are served.

#![forbid(unsafe_code)]

use std::{collections::HashSet, fmt, net::SocketAddr};

use super::{bind::Bind, handler::Build, handlers::Handlers, process::ProcessOptions};
use crate::{
    error::{Error, Result},
    event_loop::Handle,
};

/// How the ports of a set are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Mode {
    /// On the main loop.
    Single = 0,
    /// On threads of their own.
    Thread = 1,
    /// In processes of their own, which are restarted when they end.
    Process = 2,
}

/// How a port's handler is made, inside its worker.
pub enum Making {
    /// By this. Not in mode PROCESS: a closure cannot go to another process.
    By(Build),
    /// By the one of [`PortSetOptions::handlers`] that has this name: in every mode.
    Named {
        /// Its name.
        handler: String,
        /// What it is given.
        args: Vec<u8>,
    },
}

impl From<Build> for Making {
    fn from(build: Build) -> Self {
        Self::By(build)
    }
}

impl fmt::Debug for Making {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(_) => f.write_str("By"),
            Self::Named { handler, args } => {
                f.debug_struct("Named").field("handler", handler).field("args", &args.len()).finish()
            }
        }
    }
}

/// A port to be: a name, an address and how its handler is made.
#[derive(Debug)]
pub struct Port {
    /// Unique in its set.
    pub name: String,
    /// Where the socket is bound, and what it takes: an address alone is that of datagrams.
    pub bind: Bind,
    /// The only peer, if there is one: others are not heard, and datagrams need no address.
    pub connect: Option<SocketAddr>,
    /// Makes the handler inside its worker.
    pub making: Making,
}

impl Port {
    /// One of datagrams with a named handler, without arguments and for everybody.
    pub fn named(name: impl Into<String>, bind: SocketAddr, handler: impl Into<String>) -> Self {
        Self::at(name, Bind::Udp(bind), handler)
    }

    /// The same, wherever it is: of datagrams, or of connections.
    pub fn at(name: impl Into<String>, bind: Bind, handler: impl Into<String>) -> Self {
        let making = Making::Named { handler: handler.into(), args: Vec::new() };
        Self { name: name.into(), bind, connect: None, making }
    }

    /// The same, with arguments for its named handler.
    #[must_use]
    pub fn args(mut self, given: impl Into<Vec<u8>>) -> Self {
        if let Making::Named { args, .. } = &mut self.making {
            *args = given.into();
        }
        self
    }
}

/// How to make a set.
#[derive(Debug, Clone)]
pub struct PortSetOptions {
    /// How its ports are served.
    pub mode: Mode,
    /// The main loop: needed in SINGLE mode, not used in the others.
    pub event_loop: Option<Handle>,
    /// Bytes that each port may hold of what came, and of what is to be sent. What comes above is dropped and counted.
    pub buffer_bytes: usize,
    /// How many connections a port may have at once: more of them wait until one has gone.
    pub connections: usize,
    /// The bytes that a handler may save.
    pub saved_bytes: usize,
    /// How much the messages that wait may take, from each port to each and from outside to each: a power of two, 64 to 2^31. One takes 8 bytes and its own,
    /// up to the next multiple of 8; what is neither [`Bytes`](super::Bytes) nor [`Encoded`](super::Encoded) counts as what names it. In PROCESS mode it is
    /// shared memory, of which as much is taken as was used.
    pub message_bytes: usize,
    /// What named handlers are made by. In PROCESS mode the worker's own are used: those that it calls
    /// [`Handlers::run_if_asked`] of.
    pub handlers: Handlers,
    /// How ports are served in PROCESS mode; not used in the others.
    pub process: ProcessOptions,
}

/// What a port may hold, unless told.
const BUFFER_BYTES: usize = 64 << 20;
/// The connections of a port, unless told.
const CONNECTIONS: usize = 10_000;
/// The messages that wait, from each port to each, unless told.
const MESSAGE_BYTES: usize = 1 << 20;
/// What that may be: what a ring in shared memory may.
const MESSAGES: (usize, usize) = (64, 1 << 31);
/// What a handler may save, unless told.
const SAVED_BYTES: usize = 1 << 20;
/// The least that makes sense: one datagram of the longest kind.
pub(super) const MIN_BUFFER: usize = 64 << 10;
/// More than this is a mistake.
const MAX_SAVED: usize = 1 << 30;

impl PortSetOptions {
    const fn of(mode: Mode, event_loop: Option<Handle>) -> Self {
        Self {
            mode,
            event_loop,
            buffer_bytes: BUFFER_BYTES,
            connections: CONNECTIONS,
            message_bytes: MESSAGE_BYTES,
            saved_bytes: SAVED_BYTES,
            handlers: Handlers::new(),
            process: ProcessOptions::new(),
        }
    }

    /// Ports on threads of their own, with 64 MiB each.
    pub const fn threads() -> Self {
        Self::of(Mode::Thread, None)
    }

    /// Ports on this loop.
    pub const fn single(event_loop: Handle) -> Self {
        Self::of(Mode::Single, Some(event_loop))
    }

    /// Ports in processes of their own.
    pub const fn processes() -> Self {
        Self::of(Mode::Process, None)
    }

    /// What [`PortSet::new`](super::PortSet::new) refuses, for ports of these names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no port, a port without a name, SINGLE mode without a loop, or a buffer that holds no
    /// datagram; [`Error::Exists`] for a name used twice; [`Error::Unsupported`] for PROCESS mode where there are no such processes.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        if self.mode == Mode::Single && self.event_loop.is_none() {
            return Err(Error::Invalid("mode SINGLE needs the event loop that the ports are served on".into()));
        }
        if self.buffer_bytes < MIN_BUFFER {
            let given = self.buffer_bytes;
            return Err(Error::Invalid(format!("buffer_bytes {given} is too small: at least {MIN_BUFFER}")));
        }
        if self.connections == 0 {
            return Err(Error::Invalid("connections must be at least 1, not 0".into()));
        }
        let (least, most) = MESSAGES;
        if !self.message_bytes.is_power_of_two() || !(least..=most).contains(&self.message_bytes) {
            let given = self.message_bytes;
            return Err(Error::Invalid(format!("message_bytes {given}: allowed are powers of two, {least} to {most}")));
        }
        if self.saved_bytes > MAX_SAVED {
            let given = self.saved_bytes;
            return Err(Error::Invalid(format!("saved_bytes {given} is too large: at most {MAX_SAVED}")));
        }
        if self.mode == Mode::Process {
            self.process.check()?;
        }
        let mut seen = HashSet::new();
        for name in names {
            if name.is_empty() || name.contains('\0') {
                return Err(Error::Invalid(format!("a port needs a name without NUL characters, not {name:?}")));
            }
            if self.mode == Mode::Process && name.contains('/') {
                return Err(Error::Invalid(format!("port {name:?}: in mode PROCESS a name has no '/' in it")));
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

    /// What [`PortSet::new`](super::PortSet::new) refuses of how a port's handler is made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a closure in PROCESS mode, and for a name that no handler has, where this program's own are used.
    pub fn check_making(&self, port: &str, making: &Making) -> Result<()> {
        match (self.mode, making) {
            (Mode::Process, Making::By(_)) => Err(Error::Invalid(format!(
                "port {port:?}: in mode PROCESS a handler is made by its name, inside its process: a closure of this one cannot go there"
            ))),
            (Mode::Process, Making::Named { .. }) if !self.process.is_this_program() => Ok(()),
            (_, Making::By(_)) => Ok(()),
            (_, Making::Named { handler, .. }) => {
                self.handlers.check(handler).map_err(|error| Error::Invalid(format!("port {port:?}: {error}")))
            }
        }
    }

    /// What makes a port's handler in this process.
    pub(super) fn build(&self, making: Making) -> Result<Build> {
        match making {
            Making::By(build) => Ok(build),
            Making::Named { handler, args } => self.handlers.build(&handler, args),
        }
    }
}
