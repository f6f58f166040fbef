//! Connecting.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    io::{self, ErrorKind},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{Address, ConnectOptions, Stream};
use crate::{
    error::{Error, Result},
    event_loop::{Direction, Handle, sleep, timeout},
};

/// How long a Unix socket with a full backlog is waited for before the next attempt, at first and at most: the system tells nobody when
/// there is room.
const FULL: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

impl Handle {
    /// Connects to an address.
    ///
    /// # Errors
    /// Awaited: [`Error::Os`], whose text names the address, [`Error::Timeout`], [`Error::Invalid`], [`Error::Closed`], [`Error::Forked`].
    pub fn connect_addr(
        &self,
        address: SocketAddr,
        options: &ConnectOptions,
    ) -> impl Future<Output = Result<Stream>> + Send + use<> {
        let (event_loop, options) = (self.clone(), options.clone());
        async move {
            let connecting = connect(&event_loop, address, &options);
            within(&event_loop, options.timeout, &address, connecting).await
        }
    }

    /// Connects to a Unix socket: a path, or on Linux a name that begins with a NUL.
    ///
    /// # Errors
    /// As [`Handle::connect_addr`].
    pub fn connect_unix(
        &self,
        path: &Path,
        options: &ConnectOptions,
    ) -> impl Future<Output = Result<Stream>> + Send + use<> {
        let (event_loop, options, address) = (self.clone(), options.clone(), Address::unix(path));
        async move {
            let address = address?;
            let connecting = connect_path(&event_loop, address.clone(), &options);
            within(&event_loop, options.timeout, &address, connecting).await
        }
    }
}

/// The connection, or that it was not made in time.
pub(super) async fn within(
    event_loop: &Handle,
    limit: Option<Duration>,
    whereto: &(impl std::fmt::Display + Sync),
    connecting: impl Future<Output = Result<Stream>> + Send,
) -> Result<Stream> {
    match timeout(event_loop, limit, connecting).await {
        Ok(done) => done,
        Err(Error::Timeout(late)) => Err(Error::Timeout(format!("connect to {whereto}: {late}"))),
        Err(other) => Err(other),
    }
}

/// One attempt at one address.
pub(super) async fn connect(event_loop: &Handle, address: SocketAddr, options: &ConnectOptions) -> Result<Stream> {
    event_loop.shared.fork.check()?;
    let failed = |error: &io::Error| Error::os(format!("connect to {address}"), error);
    let begin = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if let Some(local) = options.local {
            socket.set_reuse_address(true)?;
            socket.bind(&local.into())?;
        }
        Ok(socket)
    };
    let socket = begin().map_err(|error| match options.local {
        Some(local) => Error::os(format!("connect to {address} from {local}"), &error),
        None => failed(&error),
    })?;
    options.stream.set(&socket, true)?;
    // Before it is registered: the system tells of an unconnected socket that it has hung up.
    let is_connected = match socket.connect(&address.into()) {
        Ok(()) => true,
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => false,
        Err(error) => return Err(failed(&error)),
    };
    let stream = Stream::new(event_loop, socket, Address::Ip(address))?;
    if !is_connected {
        let finished = |io: &crate::event_loop::Io<Socket>| {
            let seen = io.seen();
            match io.get_ref().take_error()? {
                Some(error) => Err(error),
                None => match io.get_ref().peer_addr() {
                    Ok(_) => Ok(()),
                    // Told before it was so.
                    Err(error) if error.kind() == ErrorKind::NotConnected => {
                        io.would_block(Direction::Write, seen);
                        Err(ErrorKind::WouldBlock.into())
                    }
                    Err(error) => Err(error),
                },
            }
        };
        stream.io.when(Direction::Write, finished).await?.map_err(|error| failed(&error))?;
    }
    Ok(stream)
}

async fn connect_path(event_loop: &Handle, address: Address, options: &ConnectOptions) -> Result<Stream> {
    event_loop.shared.fork.check()?;
    let failed = |error: &io::Error| Error::os(format!("connect to {address}"), error);
    let system = address.to_system()?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(|error| failed(&error))?;
    socket.set_nonblocking(true).map_err(|error| failed(&error))?;
    options.stream.set(&socket, false)?;
    let [mut pause, most] = FULL;
    loop {
        match socket.connect(&system) {
            Ok(()) => return Ok(Stream::new(event_loop, socket, address)?),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                sleep(event_loop, pause).await?;
                pause = most.min(2 * pause);
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}
