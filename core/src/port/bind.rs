//! Where a port is, and the socket that it has there.

#![forbid(unsafe_code)]

use std::{
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use crate::{
    error::{Error, Result},
    event_loop::{
        stream::{Address, Bound, ListenOptions},
        udp::{UdpOptions, UdpSocket},
    },
};

/// What a socket may hold while its reader is busy, if the system allows that much.
const RECV_BUFFER: usize = 4 << 20;

/// Where a port is, and what it takes there: datagrams, or connections.
#[derive(Debug)]
pub enum Bind {
    /// Datagrams at this address; port 0 is any free one.
    Udp(SocketAddr),
    /// TCP connections to this address; port 0 is any free one.
    Tcp(SocketAddr),
    /// Connections to a Unix socket: a path, or on Linux a name that begins with a NUL. A file that nobody listens at any more is replaced; it is
    /// removed with the set.
    Unix(PathBuf),
    /// Connections to a socket that listens already.
    Listening(OwnedFd),
    /// Connections to a socket that this process was started with, as systemd and this library's supervisors do it (`LISTEN_FDS`), by its
    /// name, or, if none has that, by its number, from 0. It stays open in this process: another set may take it later.
    Passed(String),
}

impl From<SocketAddr> for Bind {
    fn from(address: SocketAddr) -> Self {
        Self::Udp(address)
    }
}

impl Bind {
    /// Whether it takes connections.
    pub fn is_listening(&self) -> bool {
        !matches!(self, Self::Udp(_))
    }

    /// The socket; one that was given is taken.
    pub(super) fn socket(&mut self, connect: Option<SocketAddr>) -> Result<Socket> {
        let options = ListenOptions { replace: true, ..ListenOptions::default() };
        let bound = match self {
            Self::Udp(address) => {
                let udp = UdpOptions { recv_buffer: Some(RECV_BUFFER), ..UdpOptions::default() };
                let socket = UdpSocket::bind(*address, &udp)?;
                if let Some(peer) = connect {
                    socket.connect(peer)?;
                }
                return Ok(Socket::Datagrams(socket));
            }
            Self::Tcp(address) => Bound::ip(*address, &options)?,
            Self::Unix(path) => Bound::unix(path, &options)?,
            Self::Listening(fd) => {
                Bound::from_fd(fd.try_clone().map_err(|error| Error::os("a listening socket: dup", &error))?)?
            }
            Self::Passed(name) => Bound::from_fd(passed(name)?)?,
        };
        Ok(Socket::Listening(bound))
    }

    /// What [`PortSet::new`](super::PortSet::new) refuses of a port that is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a port that takes connections, and has a single peer.
    pub fn check(&self, port: &str, connect: Option<SocketAddr>) -> Result<()> {
        if self.is_listening() && connect.is_some() {
            return Err(Error::Invalid(format!(
                "port {port:?} takes connections: it has no single peer to be connected to"
            )));
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn passed(name: &str) -> Result<OwnedFd> {
    super::process::passed(name)
}

#[cfg(not(target_os = "linux"))]
fn passed(_: &str) -> Result<OwnedFd> {
    Err(Error::Unsupported("sockets are handed over to a process on Linux".into()))
}

/// A port's socket.
#[derive(Debug)]
pub(super) enum Socket {
    Datagrams(UdpSocket),
    Listening(Bound),
}

impl Socket {
    pub(super) fn local_addr(&self) -> Result<Address> {
        match self {
            Self::Datagrams(socket) => socket.local_addr().map(Address::Ip),
            Self::Listening(bound) => bound.local_addr(),
        }
    }

    pub(super) fn kernel_dropped(&self) -> Option<u32> {
        match self {
            Self::Datagrams(socket) => socket.kernel_dropped(),
            Self::Listening(_) => None,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagrams(socket) => socket.as_fd(),
            Self::Listening(bound) => bound.as_fd(),
        }
    }
}
