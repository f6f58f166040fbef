//! Listeners.
//!
//! When the process or the system has no descriptor or memory left, the connections that wait cannot be accepted, and the
//! system would tell of them for ever. The listener says so once and pauses, and tries again after 100 ms, until it can. So it does when the system
//! lets its loop watch no more of them: the one that was accepted is kept, and comes first.

#![forbid(unsafe_code)]

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{Address, ListenOptions, Stream, unix::File};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{Direction, Handle, Io, On, TimerOptions},
};

/// How long a listener waits for descriptors, or for a place among what is watched.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// How many connections that were given up are passed over before it is taken for an error of the listener itself.
const PASSED_OVER: usize = 1024;

/// Accepts connections; made by [`Handle::listen`] and [`Handle::listen_unix`]. Dropped it is closed, and those that wait are refused.
#[derive(Debug)]
pub struct Listener {
    // Goes first: while the socket is open no other file has the number by which this one is known to be its own.
    _file: Option<File>,
    pub(super) io: Io<Socket>,
    local: Address,
    /// Accepted, and not watched yet: one for each thread that has attempted it.
    unwatched: Mutex<Vec<(Socket, Address)>>,
    /// It was said that it pauses.
    is_paused: AtomicBool,
    /// A timer will end the pause. One, however many attempt meanwhile.
    is_timed: Arc<AtomicBool>,
}

/// A socket that listens and belongs to no loop yet: connections wait in the system's backlog. Dropped it is closed.
#[derive(Debug)]
pub struct Bound {
    // Goes first: as in a listener.
    file: Option<File>,
    socket: Socket,
}

impl Bound {
    /// At an IPv4 or IPv6 address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Os`], whose text names the address, [`Error::Invalid`].
    pub fn ip(address: SocketAddr, options: &ListenOptions) -> Result<Self> {
        let failed = |error: &io::Error| Error::os(format!("listen on {address}"), error);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(|error| failed(&error))?;
        options.stream.set(&socket, true)?;
        let bind = || {
            socket.set_nonblocking(true)?;
            socket.set_reuse_address(!options.no_reuse_address)?;
            if options.reuse_port {
                socket.set_reuse_port(true)?;
            }
            if let (Some(only_v6), true) = (options.only_v6, address.is_ipv6()) {
                socket.set_only_v6(only_v6)?;
            }
            socket.bind(&address.into())?;
            socket.listen(backlog(options))
        };
        bind().map_err(|error| failed(&error))?;
        Ok(Self { file: None, socket })
    }

    /// At a Unix socket; see [`Handle::listen_unix`].
    ///
    /// # Errors
    /// As there.
    pub fn unix(path: impl AsRef<Path>, options: &ListenOptions) -> Result<Self> {
        let address = Address::unix(path.as_ref())?;
        let system = address.to_system()?;
        let failed = |error: &io::Error| Error::os(format!("listen on {address}"), error);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(|error| failed(&error))?;
        options.stream.set(&socket, false)?;
        socket.set_nonblocking(true).map_err(|error| failed(&error))?;
        let file = File::bind(&socket, &system, &address, options.replace)?;
        socket.listen(backlog(options)).map_err(|error| failed(&error))?;
        Ok(Self { file, socket })
    }

    /// Takes over a socket that listens already: one that a service manager or another process has handed over. A Unix socket's file
    /// stays when it is dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, [`Error::Os`]; it comes back.
    pub fn from_fd(fd: impl Into<OwnedFd>) -> Result<Self, Refused<OwnedFd>> {
        let socket = Socket::from(fd.into());
        let number = socket.as_raw_fd();
        let checked = match (socket.r#type(), rustix::net::sockopt::socket_acceptconn(&socket).map_err(io::Error::from))
        {
            (Ok(Type::STREAM), Ok(true)) => {
                socket.set_nonblocking(true).map_err(|error| Error::os("make a socket non-blocking", &error))
            }
            (Err(error), _) | (_, Err(error)) => Err(Error::os(format!("fd {number}"), &error)),
            (Ok(found), Ok(false)) if found == Type::STREAM => {
                Err(Error::Invalid(format!("fd {number} is a socket that does not listen")))
            }
            (Ok(found), _) => Err(Error::Invalid(format!(
                "fd {number} is a socket of type {found:?}: a stream's that listens is needed"
            ))),
        };
        match checked {
            Ok(()) => Ok(Self { file: None, socket }),
            Err(error) => Err(Refused::new(error, socket.into())),
        }
    }

    /// Where it listens: with the port that it was given.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn local_addr(&self) -> Result<Address> {
        let local = self.socket.local_addr().map_err(|error| Error::os("getsockname", &error))?;
        Ok(Address::of(&local))
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Handle {
    /// Listens at an IPv4 or IPv6 address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Os`], whose text names the address, [`Error::Invalid`], [`Error::Closed`], [`Error::Forked`].
    pub fn listen(&self, address: SocketAddr, options: &ListenOptions) -> Result<Listener> {
        self.shared.fork.check()?;
        Listener::new(self, Bound::ip(address, options)?)
    }

    /// Listens at a Unix socket: a path, or on Linux a name that begins with a NUL, which is no file. The file is removed when the listener is
    /// dropped, if it is still its own.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file: anything but a socket that nobody listens at, which
    /// [`ListenOptions::replace`] replaces. Otherwise as [`Handle::listen`].
    pub fn listen_unix(&self, path: impl AsRef<Path>, options: &ListenOptions) -> Result<Listener> {
        self.shared.fork.check()?;
        Listener::new(self, Bound::unix(path, options)?)
    }
}

fn backlog(options: &ListenOptions) -> libc::c_int {
    options.backlog.try_into().unwrap_or(libc::c_int::MAX)
}

impl Listener {
    /// Accepts on a loop what comes to a socket.
    ///
    /// # Errors
    /// Those of [`Io::new`].
    pub fn new(event_loop: &Handle, bound: Bound) -> Result<Self> {
        let local = bound.local_addr()?;
        let Bound { file, socket } = bound;
        let io = Io::new(event_loop, socket)?;
        let (unwatched, is_paused) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { _file: file, io, local, unwatched, is_paused, is_timed: Arc::default() })
    }

    fn unwatched(&self) -> MutexGuard<'_, Vec<(Socket, Address)>> {
        self.unwatched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens: with the port that it was given.
    pub fn local_addr(&self) -> &Address {
        &self.local
    }

    /// The loop that it and what it accepts belong to.
    pub fn event_loop(&self) -> &Handle {
        self.io.event_loop()
    }

    /// Whether the last attempt found the descriptors used up, or what may be watched.
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Accepts a connection that waits.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if none does; [`Error::Os`] when the descriptors are used up, or the system lets the loop watch no more: then
    /// [`Listener::poll_accept_ready`] is ready again after a pause; [`Error::Closed`], [`Error::Forked`].
    pub fn try_accept(&self) -> Result<Stream> {
        self.io.check()?;
        let kept = self.unwatched().pop();
        match kept.map_or_else(|| self.io.attempt(Direction::Read, accept), Ok) {
            Ok((socket, peer)) => self.take_in(socket, peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // There was a descriptor for it.
                self.is_paused.store(false, Ordering::Relaxed);
                Err(Error::WouldBlock("listener"))
            }
            Err(error) => {
                if is_exhausted(&error) {
                    self.pause(&error);
                }
                Err(Error::os(format!("accept on {}", self.local), &error))
            }
        }
    }

    /// Has the loop watch a connection; one that it cannot watch yet is kept.
    fn take_in(&self, socket: Socket, peer: Address) -> Result<Stream> {
        let refused = match Stream::new(self.event_loop(), socket, peer.clone()) {
            Ok(stream) => {
                self.is_paused.store(false, Ordering::Relaxed);
                return Ok(stream);
            }
            Err(refused) => refused,
        };
        if let Some(error) = refused.error.os_errno().map(io::Error::from_raw_os_error).filter(is_exhausted) {
            // Before the pause, which may be over at once.
            self.unwatched().push((refused.value.into(), peer));
            self.pause(&error);
        }
        Err(refused.error)
    }

    /// Ready when an attempt to accept is worth while. Of those who poll, the last is woken.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    pub fn poll_accept_ready(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.io.poll_ready(Direction::Read, cx).map_ok(|_| ())
    }

    /// [`Listener::accept`] for those who poll; the last one is woken.
    ///
    /// # Errors
    /// As [`Listener::accept`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Stream>> {
        loop {
            std::task::ready!(self.poll_accept_ready(cx))?;
            if let Some(accepted) = self.accept_now() {
                return Poll::Ready(accepted);
            }
        }
    }

    /// Waits for a connection. It waits as well for descriptors when they are used up, and for the system to let one more be watched.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`], [`Error::Os`] if the listener itself is broken.
    pub async fn accept(&self) -> Result<Stream> {
        loop {
            self.io.ready(Direction::Read).await?;
            if let Some(accepted) = self.accept_now() {
                return accepted;
            }
        }
    }

    /// None if it is to be waited for.
    fn accept_now(&self) -> Option<Result<Stream>> {
        match self.try_accept() {
            Err(Error::WouldBlock(_)) => None,
            Err(Error::Os { errno, .. }) if is_exhausted(&io::Error::from_raw_os_error(errno)) => None,
            other => Some(other),
        }
    }

    /// Nothing is worth an attempt before [`PAUSE`] is over.
    fn pause(&self, error: &io::Error) {
        if !self.is_paused.swap(true, Ordering::Relaxed) {
            let text = format!("accept on {}: {error}; trying again every {PAUSE:?}", self.local);
            // On the loop's thread: the attempt may have been made under a lock, and the log is the program's.
            let _ = self.event_loop().post(move || tracing::warn!(target: "coop", "{text}"));
        }
        // Cleared without a look before: what was told meanwhile is the connection that waits anyway.
        self.io.would_block(Direction::Read, self.io.seen());
        if self.is_timed.swap(true, Ordering::AcqRel) {
            return;
        }
        let (tell, is_timed) = (self.io.teller(), self.is_timed.clone());
        // Who waits for the listener keeps the loop, its timer does not.
        let options = TimerOptions { after: PAUSE, on: On::Loop, unref: true, ..TimerOptions::default() };
        // Refused when the loop has ended, which the wait tells.
        let _ = self.event_loop().timer(options, move |_| {
            // Before it tells: an attempt that is cleared after that finds no timer, and sets one.
            is_timed.store(false, Ordering::Release);
            tell(Direction::Read);
        });
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}

pub(super) fn is_exhausted(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(Error::is_exhaustion)
}

/// Accepts one, non-blocking and closed on exec. A connection that was given up while it waited is passed over.
fn accept(listener: &Socket) -> io::Result<(Socket, Address)> {
    for _ in 0..PASSED_OVER {
        match accept_one(listener) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EPROTO | libc::EPERM)) => {}
            #[cfg(target_os = "linux")]
            Err(error) if is_of_the_network(&error) => {}
            other => return other,
        }
    }
    // A sandbox that forbids to accept answers like a firewall that forbids the connection, and for ever.
    accept_one(listener)
}

/// Errors that Linux passes on from the network of the new connection; to be treated as if it had not come.
#[cfg(target_os = "linux")]
fn is_of_the_network(error: &io::Error) -> bool {
    use libc::{EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENONET, ENOPROTOOPT};
    let network = [EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENONET, ENOPROTOOPT];
    error.raw_os_error().is_some_and(|errno| network.contains(&errno))
}

#[cfg(target_os = "linux")]
fn accept_one(listener: &Socket) -> io::Result<(Socket, Address)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let (fd, peer) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let socket = Socket::from(fd);
    let peer = match peer.map(SocketAddr::try_from) {
        Some(Ok(address)) => Address::Ip(address),
        // A Unix socket's: seldom one with a name.
        _ => socket.peer_addr().map_or(Address::Unnamed, |address| Address::of(&address)),
    };
    Ok((socket, peer))
}

#[cfg(not(target_os = "linux"))]
fn accept_one(listener: &Socket) -> io::Result<(Socket, Address)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, Address::of(&peer)))
}
