//! `coop_port`: a port to be, as C describes it.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
};

use coop_core::{
    Error, Result,
    port::{Bind, Making, Mode, Port, PortSetOptions},
};

use crate::{
    address::coop_address,
    options::{self, Options, array},
    port_handler::{Given, coop_port_handler},
    port_place,
};

/// A port to be.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port {
    /// sizeof(coop_port), in each of an array.
    pub size: usize,
    /// Unique in its set: UTF-8, copied.
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// What it runs: copied. Must not be NULL, but for a handler_name.
    pub handler: *const coop_port_handler,
    /// Where the socket of COOP_PORT_UDP or COOP_PORT_TCP is bound: coop_address_parse makes one. No address: any free port of 127.0.0.1.
    pub bind: coop_address,
    /// The only peer, or no address: then everybody is heard, and datagrams need an address. Not for a port that takes connections.
    pub connect: coop_address,
    /// In the place of handler, which is NULL then: the name of what makes it, inside the port's worker. One of
    /// coop_port_set_options.handlers, or "path/lib.so:symbol". UTF-8, copied; or NULL. Mode PROCESS needs it.
    pub handler_name: *const c_char,
    /// The bytes of handler_name.
    pub handler_name_length: usize,
    /// What the named handler's function is handed: copied; NULL if there is none.
    pub args: *const c_void,
    /// The bytes of args.
    pub args_length: usize,
    /// What socket it is, and so whether it takes datagrams (on_batch) or connections (on_data): one of COOP_PORT_*.
    pub kind: i32,
    /// The socket of COOP_PORT_LISTENING. It stays the caller's, who may close it when the set was made; it is made non-blocking.
    pub fd: i32,
    /// The path of COOP_PORT_UNIX, without a NUL at its end: a file that nobody listens at any more is replaced, and it is removed with the set; on
    /// Linux a name that begins with a NUL is one of the abstract kind, which is no file. Of COOP_PORT_PASSED the socket's name, or, if none has
    /// that, its number from 0. Copied.
    pub path: *const c_char,
    /// The bytes of path.
    pub path_length: usize,
}

// SAFETY: words, numbers and addresses, which are numbers, without padding (tests/c/layout.c); any bytes are a value.
unsafe impl Options for coop_port {
    const NAME: &'static str = "coop_port";
    const FIRST: usize = 96;
}

/// A port's options in the core's terms; owns nothing of C's.
pub(crate) struct Part {
    pub(crate) name: String,
    bind: Bind,
    connect: Option<SocketAddr>,
    handler: Wanted,
}

/// How a port's handler is made.
enum Wanted {
    Table(Given),
    Named { handler: String, args: Vec<u8> },
}

impl Part {
    /// The caller's structs may be longer than the one that is known here, and then lie further apart.
    ///
    /// # Safety
    /// `ports` is NULL or points to `count` ports, each as long as the size of the first, and their handlers are as long as they say.
    pub(crate) unsafe fn read_all(ports: *const coop_port, count: usize) -> Result<Vec<Self>> {
        if count == 0 || ports.is_null() {
            // SAFETY: nothing is read.
            return unsafe { array(ports, count, "ports") }.map(|_| Vec::new());
        }
        // SAFETY: each begins with its size.
        let size = |port: *const coop_port| unsafe { port.cast::<usize>().read() };
        let step = size(ports);
        if step % align_of::<coop_port>() != 0 {
            let known = size_of::<coop_port>();
            return Err(Error::Invalid(format!(
                "coop_port.size is {step}: set it to sizeof(coop_port), which is {known}"
            )));
        }
        let bytes = step.checked_mul(count).filter(|bytes| isize::try_from(*bytes).is_ok());
        bytes.ok_or_else(|| Error::Invalid(format!("{count} of ports do not fit into memory")))?;
        let read_one = |index: usize| {
            let port = ports.wrapping_byte_add(index * step);
            if size(port) != step {
                let text = format!(
                    "ports[{index}].size is {}, and ports[0].size is {step}: set each to sizeof(coop_port)",
                    size(port)
                );
                return Err(Error::Invalid(text));
            }
            // SAFETY: it and its handler are as long as they say.
            unsafe { Self::read(port) }
        };
        (0..count).map(read_one).collect()
    }

    /// # Safety
    /// The port and its handler are as long as they say.
    unsafe fn read(port: *const coop_port) -> Result<Self> {
        // SAFETY: the caller's promise.
        let read = unsafe { options::read(port) }?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(read.name, read.name_length, "coop_port.name") }?;
        // SAFETY: the text is as long as told.
        let named = unsafe { options::text(read.handler_name, read.handler_name_length, "coop_port.handler_name") }?;
        let handler = match named {
            Some(_) if !read.handler.is_null() => {
                return Err(Error::Invalid(
                    "coop_port has a handler and a handler_name: exactly one is allowed".into(),
                ));
            }
            Some(handler) => {
                // SAFETY: the bytes are as many as told.
                let args = unsafe { array(read.args.cast::<u8>(), read.args_length, "coop_port.args") }?;
                Wanted::Named { handler, args: args.to_vec() }
            }
            // SAFETY: the caller's promise.
            None => Wanted::Table(unsafe { Given::read(read.handler) }?),
        };
        // SAFETY: the path is as long as told.
        let bind = unsafe { port_place::read(&read) }?;
        Ok(Self { name: name.unwrap_or_default(), bind, connect: read.connect.read()?, handler })
    }

    /// What is refused of it, while its handler is still the caller's.
    pub(crate) fn check(&self, options: &PortSetOptions) -> Result<()> {
        self.bind.check(&self.name, self.connect)?;
        match &self.handler {
            Wanted::Named { handler, .. } => {
                let making = Making::Named { handler: handler.clone(), args: Vec::new() };
                options.check_making(&self.name, &making)
            }
            Wanted::Table(_) if options.mode == Mode::Process => Err(Error::Invalid(format!(
                "port {:?}: in mode PROCESS a handler is made by its name, coop_port.handler_name, inside its process",
                self.name
            ))),
            Wanted::Table(handler) => handler.check(self.bind.is_listening()),
        }
    }

    pub(crate) fn own(self) -> Port {
        let making = match self.handler {
            Wanted::Table(handler) => Making::By(handler.own()),
            Wanted::Named { handler, args } => Making::Named { handler, args },
        };
        Port { name: self.name, bind: self.bind, connect: self.connect, making }
    }
}
