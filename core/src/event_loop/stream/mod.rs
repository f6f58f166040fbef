//! Streams: TCP and Unix connections that belong to a loop, and the listeners that accept them.
//!
//! ```
//! use coop_core::{EventLoop, EventLoopOptions};
//! use coop_core::event_loop::stream::{ConnectOptions, ListenOptions};
//! use std::net::Shutdown;
//!
//! let event_loop = EventLoop::new(EventLoopOptions::default())?;
//! event_loop.start()?;
//! let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default())?;
//! let address = listener.local_addr().as_ip().unwrap();
//! event_loop.spawn(async move {
//!     let stream = listener.accept().await?;
//!     let mut buffer = [0; 4096];
//!     loop {
//!         match stream.read(&mut buffer).await? {
//!             0 => return Ok::<_, coop_core::Error>(()),
//!             n => stream.write_all(&buffer[..n]).await?,
//!         }
//!     }
//! })?;
//! let handle = event_loop.handle();
//! let mut client = event_loop.spawn(async move {
//!     let stream = handle.connect_addr(address, &ConnectOptions::default()).await?;
//!     stream.write_all(b"hello").await?;
//!     stream.shutdown(Shutdown::Write)?; // we say no more, and still listen
//!     let mut answer = Vec::new();
//!     stream.read_to_end(&mut answer).await?;
//!     Ok::<_, coop_core::Error>(answer)
//! })?;
//! assert_eq!(client.join(None)??, b"hello");
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # What it guarantees
//!
//! * An attempt comes first, and a wait only after one that would block or moved less than was asked: back-pressure is a write that
//!   does not end, or answers [`Error::WouldBlock`] in its `try_` form.
//! * Every call takes `&self`, from any thread. One task reads while another writes; two that read share the bytes between them.
//! * The peer's end is a read of 0; what it has sent before can be read first, and writing goes on (half close).
//! * A dropped future loses no byte: what was read or written, it had answered. (`read_exact`, `read_to_end` and `write_all` are rows of such
//!   steps.)
//! * No write raises SIGPIPE. Descriptors are closed on exec.
//! * When the loop was stopped and has finished, or is freed, waits end with [`Error::Closed`]; attempts go on working. A dropped stream is
//!   closed.
//!
//! # What runs on them
//!
//! [`Stream`] has the traits of `futures-io`, with the feature `tokio-io` those of tokio's `io`, and with `hyper` those of hyper 1, whose timer and
//! executor a loop's [`Handle`] is then.
//!
//! An HTTP request and its answer, in hyper:
//!
//! ```
//! use coop_core::{EventLoop, EventLoopOptions, event_loop::stream::Stream};
//! use hyper::{Request, Response, body::Incoming, client, rt::Executor, server, service::service_fn};
//! use std::convert::Infallible;
//!
//! let event_loop = EventLoop::new(EventLoopOptions::default())?;
//! event_loop.start()?;
//! let (ours, theirs) = Stream::pair(&event_loop)?;
//! let teapot = service_fn(|_: Request<Incoming>| async {
//!     Ok::<_, Infallible>(Response::builder().status(418).body(String::new()).unwrap())
//! });
//! event_loop.execute(server::conn::http1::Builder::new().timer(event_loop.handle()).serve_connection(theirs, teapot));
//! let handle = event_loop.handle();
//! let mut client = event_loop.spawn(async move {
//!     let (mut sender, connection) = client::conn::http1::handshake(ours).await?;
//!     handle.execute(connection);
//!     sender.send_request(Request::new(String::new())).await
//! })?;
//! assert_eq!(client.join(None)?.unwrap().status(), 418);
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! A websocket, in async-tungstenite:
//!
//! ```
//! use async_tungstenite::{accept_async, client_async, tungstenite::Message};
//! use coop_core::{EventLoop, EventLoopOptions, event_loop::stream::Stream};
//! use futures_util::StreamExt;
//!
//! let event_loop = EventLoop::new(EventLoopOptions::default())?;
//! event_loop.start()?;
//! let (ours, theirs) = Stream::pair(&event_loop)?;
//! event_loop.spawn(async move {
//!     let mut socket = accept_async(theirs).await?;
//!     socket.send(Message::text("welcome")).await
//! })?;
//! let mut client = event_loop.spawn(async move {
//!     let (mut socket, _) = client_async("ws://localhost/", ours).await?;
//!     socket.next().await.unwrap()
//! })?;
//! assert_eq!(client.join(None)?.unwrap(), Message::text("welcome"));
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! A server of redis, in the redis crate, whose own timeouts want tokio's timer and are turned off:
//!
//! ```no_run
//! use coop_core::{EventLoop, EventLoopOptions, event_loop::stream::ConnectOptions};
//! use redis::{AsyncConnectionConfig, RedisConnectionInfo, aio::MultiplexedConnection, cmd};
//!
//! let event_loop = EventLoop::new(EventLoopOptions::default())?;
//! event_loop.start()?;
//! let handle = event_loop.handle();
//! let mut client = event_loop.spawn(async move {
//!     let stream = handle.connect("localhost", 6379, &ConnectOptions::default()).await.unwrap();
//!     let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
//!     let info = RedisConnectionInfo::default();
//!     let (mut redis, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
//!     handle.spawn(driver).unwrap();
//!     cmd("INCR").arg("visits").query_async::<u64>(&mut redis).await
//! })?;
//! println!("{} visits", client.join(None)?.unwrap());
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # Where things are
//!
//! `address.rs` where an end is, `options.rs` what can be asked for, `listener.rs` accepting, `connect.rs` connecting to an address and `race.rs` to a
//! name, `unix.rs` the file of a Unix listener, `transfer.rs` reading and writing, `descriptors.rs` files over Unix sockets, `split.rs` halves,
//! `traits.rs` and `hyper.rs` the traits of others; `operation.rs` and `accepting.rs` the same with callbacks, for languages without futures.

// Not forbidden: `hyper.rs` fills a buffer that is not initialized.
#![deny(unsafe_code)]

mod accepting;
mod address;
mod connect;
mod descriptors;
#[cfg(feature = "hyper")]
#[allow(unsafe_code, reason = "a read buffer of hyper's")]
mod hyper;
mod later;
mod listener;
mod operation;
mod options;
mod race;
mod source;
mod split;
#[cfg(all(test, not(loom)))]
mod test;
mod traits;
mod transfer;
mod unix;

use std::{
    io::{self, ErrorKind},
    net::Shutdown,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    time::Duration,
};

use socket2::{Socket, Type};

pub use self::{
    accepting::{Accept, Accepting, Arrived, MOST},
    address::Address,
    descriptors::{MAX_DESCRIPTORS, WithDescriptors},
    listener::{Bound, Listener},
    operation::{Ended, Operation, Operations},
    options::{ConnectOptions, KeepAlive, ListenOptions, StreamOptions},
    source::Source,
    split::{ReadHalf, WriteHalf},
};
use super::{Handle, Io};
use crate::error::{Error, Refused, Result};

/// No signal for a write to a connection that is gone: the error says so.
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
/// There the socket is made deaf to it when it is made.
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: libc::c_int = 0;

/// A connection; see the module's text.
#[derive(Debug)]
pub struct Stream {
    io: Io<Socket>,
    peer: Address,
    is_unix: bool,
}

impl Stream {
    fn new(event_loop: &Handle, socket: Socket, peer: Address) -> Result<Self, Refused<OwnedFd>> {
        let is_unix = !matches!(peer, Address::Ip(_));
        match Io::new(event_loop, socket) {
            Ok(io) => Ok(Self { io, peer, is_unix }),
            Err(refused) => Err(Refused::new(refused.error, refused.value.into())),
        }
    }

    /// Takes over a connected stream socket: a [`TcpStream`](std::net::TcpStream), a [`UnixStream`](std::os::unix::net::UnixStream), one that
    /// another process sent.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no stream socket, those of [`Io::new`]; it comes back.
    pub fn from_fd(event_loop: &Handle, fd: impl Into<OwnedFd>) -> Result<Self, Refused<OwnedFd>> {
        let socket = Socket::from(fd.into());
        let ready = (|| match socket.r#type() {
            Ok(Type::STREAM) => {
                socket.set_nonblocking(true).map_err(|error| Error::os("make a socket non-blocking", &error))?;
                // One whose peer has gone has no peer any more.
                let none = || match socket.local_addr() {
                    Ok(local) if !local.is_unix() => Address::Ip((std::net::Ipv4Addr::UNSPECIFIED, 0).into()),
                    _ => Address::Unnamed,
                };
                Ok(socket.peer_addr().map_or_else(|_| none(), |address| Address::of(&address)))
            }
            Ok(other) => Err(Error::Invalid(format!(
                "fd {} is a socket of type {other:?}: a stream's is needed",
                socket.as_raw_fd()
            ))),
            Err(error) => Err(Error::os(format!("fd {}", socket.as_raw_fd()), &error)),
        })();
        match ready {
            Ok(peer) => Self::new(event_loop, socket, peer),
            Err(error) => Err(Refused::new(error, socket.into())),
        }
    }

    /// Two Unix streams that are connected to each other.
    ///
    /// # Errors
    /// Those of [`Stream::from_fd`].
    pub fn pair(event_loop: &Handle) -> Result<(Self, Self)> {
        let (one, other) = std::os::unix::net::UnixStream::pair().map_err(|error| Error::os("socketpair", &error))?;
        Ok((Self::from_fd(event_loop, one)?, Self::from_fd(event_loop, other)?))
    }

    /// Takes the socket out of the loop, still non-blocking. Nobody waits for it after this.
    pub fn into_fd(self) -> OwnedFd {
        self.io.into_inner().into()
    }

    /// Moves the connection to another loop.
    ///
    /// # Errors
    /// Those of [`Stream::from_fd`]; the socket comes back.
    pub fn move_to(self, event_loop: &Handle) -> Result<Self, Refused<OwnedFd>> {
        let Self { io, peer, .. } = self;
        Self::new(event_loop, io.into_inner(), peer)
    }

    /// The loop that it belongs to.
    pub fn event_loop(&self) -> &Handle {
        self.io.event_loop()
    }

    /// The underlying registered socket, for what is not here.
    pub fn io(&self) -> &Io<Socket> {
        &self.io
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        match error.kind() {
            ErrorKind::WouldBlock => Error::WouldBlock("stream"),
            _ => Error::os(format!("{what} {}", self.peer), error),
        }
    }

    /// Ends one direction or both: the peer reads to the end of what was written. A connection that is gone already is no error.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Forked`].
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.io.check()?;
        match self.io.get_ref().shutdown(how) {
            Err(error) if error.kind() != ErrorKind::NotConnected => Err(self.failed("shut down", &error)),
            _ => Ok(()),
        }
    }

    /// The other end.
    pub fn peer_addr(&self) -> &Address {
        &self.peer
    }

    /// This end.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn local_addr(&self) -> Result<Address> {
        let address = self.io.get_ref().local_addr().map_err(|error| Error::os("getsockname", &error))?;
        Ok(Address::of(&address))
    }

    fn set(&self, what: &str, set: impl FnOnce(&Socket) -> io::Result<()>) -> Result<()> {
        set(self.io.get_ref()).map_err(|error| self.failed(what, &error))
    }

    /// Small writes go out at once, or wait for the answer to those before (TCP).
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn set_nodelay(&self, nodelay: bool) -> Result<()> {
        self.set("set nodelay of", |socket| socket.set_tcp_nodelay(nodelay))
    }

    /// Asks a silent peer whether it is still there, or does not (TCP).
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Os`].
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> Result<()> {
        let Some(keepalive) = keepalive else {
            return self.set("set keep-alive of", |socket| socket.set_keepalive(false));
        };
        let keepalive = keepalive.to_system()?;
        self.set("set keep-alive of", |socket| socket.set_tcp_keepalive(&keepalive))
    }

    /// How closing waits, as [`StreamOptions::linger`].
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Os`].
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        let linger = options::linger(linger)?;
        self.set("set linger of", |socket| socket.set_linger(linger))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}
