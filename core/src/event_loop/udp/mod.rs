//! UDP in batches: up to 64 messages per system call each way, and segment runs (GSO, GRO) where the kernel has them.
//!
//! # What it guarantees
//!
//! * What is received is what was sent: a GRO message comes out as the datagrams it was made of, a run sent with GSO is on
//!   the wire what its datagrams sent one by one would be, and order is kept. Empty datagrams are datagrams.
//! * No call blocks, and none loops on an error: an error of the network is counted and the rest goes on. Only an error of
//!   the descriptor itself is an [`Error`].
//! * Nothing grows without a bound that the caller gave: what does not fit is dropped and counted.
//!
//! [`UdpSocket`] never waits; [`Bound`] is one that a coroutine waits for. `batch.rs` is the one file with `unsafe`; where there is no `recvmmsg`, `single.rs` stands in for it.

#![deny(unsafe_code)]

mod bound;
mod datagrams;
mod outgoing;
mod receiver;

#[cfg(target_os = "linux")]
mod address;
#[cfg(target_os = "linux")]
#[path = "batch.rs"]
#[allow(unsafe_code, reason = "the raw-socket batch file")]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "single.rs"]
mod system;

#[cfg(all(test, target_os = "linux"))]
mod single;
#[cfg(test)]
mod test;

use std::{
    io::{self, ErrorKind},
    mem,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};

use socket2::{Domain, Socket, Type};

pub use bound::Bound;
pub use datagrams::{Datagrams, Iter};
pub use outgoing::Outgoing;
pub use receiver::Receiver;

use crate::error::{Error, Result};

/// Messages per system call.
pub const BATCH: usize = 64;

/// The longest datagram: over IPv4 its headers take 20 bytes more of the 65,535 than over IPv6 (65,507 is the most there).
pub const MAX_DATAGRAM: usize = 65_527;

/// Pending errors that one [`UdpSocket::receive`] takes before it answers: a peer that refuses all the time is no reason to
/// stay in the loop.
const MAX_ERRORS: usize = 16;

/// How a [`UdpSocket`] is made.
#[derive(Debug, Clone, Default)]
pub struct UdpOptions {
    /// Bytes the kernel may hold for the receiver; `None` is the system's default. The system may clamp it.
    pub recv_buffer: Option<usize>,
    /// Bytes the kernel may hold of what is sent; `None` is the system's default. The system may clamp it.
    pub send_buffer: Option<usize>,
    /// Several sockets may bind this address, and the kernel spreads the senders over them.
    pub reuse_port: bool,
    /// Never receive with GRO.
    pub no_gro: bool,
    /// Never send with GSO.
    pub no_gso: bool,
    /// Tell of each datagram when it came: [`Datagrams::received_at`].
    pub receive_times: bool,
}

/// What one [`UdpSocket::receive`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Datagrams appended to the sink.
    pub datagrams: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Datagrams that the sink's limit had no room for.
    pub dropped: usize,
    /// Datagrams of the appended that were longer than a slot and are cut.
    pub truncated: usize,
    /// Pending errors of a connected socket (an ICMP answer to something sent earlier).
    pub errors: usize,
    /// The socket is drained: wait until it is readable.
    pub would_block: bool,
}

/// What one [`UdpSocket::send`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Datagrams that the kernel refused; they are skipped.
    pub errors: usize,
    /// The kernel's buffer is full and the rest is still queued: wait until the socket is writable.
    pub would_block: bool,
}

// The states of `UdpSocket::gro`. The first receive decides: a coalesced message needs a slot of full size.
const UNDECIDED: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

/// A UDP socket: non-blocking, closed on exec, IPv4 or IPv6.
#[derive(Debug)]
pub struct UdpSocket {
    socket: std::net::UdpSocket,
    gro: AtomicU8,
    /// The longest segment that this socket sends with GSO; 0 is none.
    gso_limit: AtomicUsize,
    gso_said: AtomicBool,
    /// What the log is to be told of that, and whether there is something.
    unsaid: (AtomicBool, Mutex<String>),
    times: bool,
    /// A connected socket is told of errors, in the place of datagrams.
    connected: AtomicBool,
}

impl UdpSocket {
    /// Binds a socket to `address`; port 0 takes a free one. The text of an error names the address.
    pub fn bind(address: SocketAddr, options: &UdpOptions) -> Result<Self> {
        let recv_buffer = buffer_bytes("recv_buffer", options.recv_buffer)?;
        let send_buffer = buffer_bytes("send_buffer", options.send_buffer)?;
        let make = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
            socket.set_nonblocking(true)?;
            if let Some(bytes) = recv_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            if let Some(bytes) = send_buffer {
                socket.set_send_buffer_size(bytes)?;
            }
            if options.reuse_port {
                socket.set_reuse_port(true)?;
            }
            socket.bind(&address.into())?;
            Ok(socket)
        };
        let socket = std::net::UdpSocket::from(make().map_err(|error| Error::os(format!("bind {address}"), &error))?);
        if options.receive_times {
            system::enable_times(&socket)
                .map_err(|error| Error::Unsupported(format!("receive times of a UDP socket: {error}")))?;
        }
        Ok(Self::made(socket, options))
    }

    /// A socket that was bound, and perhaps connected, by somebody else.
    ///
    /// # Errors
    /// [`Error::Os`] if the system cannot have it not block.
    pub(crate) fn adopt(socket: std::net::UdpSocket, connected: bool) -> Result<Self> {
        socket.set_nonblocking(true).map_err(|error| Error::os("a socket that was handed over", &error))?;
        let adopted = Self::made(socket, &UdpOptions::default());
        adopted.connected.store(connected, Ordering::Relaxed);
        Ok(adopted)
    }

    fn made(socket: std::net::UdpSocket, options: &UdpOptions) -> Self {
        // A kernel without UDP_SEGMENT ignores the request and sends the run as one datagram: ask first.
        let gso = !options.no_gso && system::has_gso(&socket);
        Self {
            socket,
            gro: AtomicU8::new(if options.no_gro { OFF } else { UNDECIDED }),
            gso_limit: AtomicUsize::new(if gso { MAX_DATAGRAM } else { 0 }),
            gso_said: AtomicBool::new(false),
            unsaid: Default::default(),
            times: options.receive_times,
            connected: AtomicBool::new(false),
        }
    }

    /// Sets the peer: what is sent without an address goes there, and only what it sends is received.
    pub fn connect(&self, peer: SocketAddr) -> Result<()> {
        self.socket.connect(peer).map_err(|error| Error::os(format!("connect {peer}"), &error))?;
        self.connected.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.socket.local_addr().map_err(|error| Error::os("getsockname", &error))
    }

    /// The address that it is connected to.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.socket.peer_addr().map_err(|error| Error::os("getpeername", &error))
    }

    /// What the kernel has dropped because its buffer for this socket was full, in its own units (a run that was sent with GSO
    /// may count as one), modulo 2^32. `None` where it does not say.
    pub fn kernel_dropped(&self) -> Option<u32> {
        system::kernel_dropped(&self.socket).ok()
    }

    /// Whether segment runs are sent with GSO: not with `no_gso`, nor once the kernel or the device has refused it.
    pub fn sends_segments(&self) -> bool {
        self.gso_limit.load(Ordering::Relaxed) > 0
    }

    /// Takes up to [`BATCH`] messages in one system call and appends their datagrams to `sink`, which may hold `limit`
    /// bytes ([`Datagrams::held`]): what has no room is taken from the kernel and dropped. Call again until `would_block`.
    ///
    /// The first receiver decides whether the socket uses GRO. One with smaller slots cannot be used after that.
    pub fn receive(&self, scratch: &mut Receiver, sink: &mut Datagrams, limit: usize) -> Result<Received> {
        let mut received = self.receive_into(scratch)?;
        scratch.append_to(sink, limit, &mut received);
        Ok(received)
    }

    /// The first half of [`UdpSocket::receive`]: leaves the messages in `scratch`, for [`Receiver::append_to`]. For a sink
    /// behind a lock, which need not be held during the system call.
    pub fn receive_into(&self, scratch: &mut Receiver) -> Result<Received> {
        self.decide_gro(scratch)?;
        let mut received = Received::default();
        while received.errors < MAX_ERRORS {
            match system::receive(&self.socket, scratch, self.times) {
                Ok(()) => {
                    // A short read is a drained socket, or one with a pending error: both wake the poll when more comes.
                    received.would_block = scratch.messages().len() < BATCH;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    received.would_block = true;
                    break;
                }
                Err(error) if is_fatal(&error) => return Err(Error::os("receive from a UDP socket", &error)),
                // Taking the error has cleared it.
                Err(_) => received.errors += 1,
            }
        }
        Ok(received)
    }

    fn decide_gro(&self, scratch: &Receiver) -> Result<()> {
        if self.uses_gro(scratch.takes_gro()) && !scratch.takes_gro() {
            return Err(Error::Invalid(format!(
                "slots of {} bytes are too small for this socket: it receives with GRO, which takes {}; use no_gro",
                scratch.slot_bytes(),
                Receiver::MAX_SLOT
            )));
        }
        Ok(())
    }

    /// Whether the socket uses GRO, which the first to ask decides.
    fn uses_gro(&self, wanted: bool) -> bool {
        let mut state = self.gro.load(Ordering::Relaxed);
        if state == UNDECIDED {
            let wanted = if wanted { ON } else { OFF };
            state = match self.gro.compare_exchange(UNDECIDED, wanted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if wanted == ON && system::enable_gro(&self.socket).is_err() => {
                    self.gro.store(OFF, Ordering::Relaxed);
                    OFF
                }
                Ok(_) => wanted,
                Err(decided) => decided,
            };
        }
        state == ON
    }

    /// Sends what is queued until it is all gone or the kernel's buffer is full; the rest stays in `out`, in its order.
    ///
    /// On a connected socket the kernel hands the ICMP answer to an earlier datagram to a later one, which is then the one
    /// that counts as refused.
    pub fn send(&self, out: &mut Outgoing) -> Result<Sent> {
        let sent = self.send_quietly(out);
        self.report();
        sent
    }

    /// As [`UdpSocket::send`], for a caller that holds a lock: the log is told nothing before [`UdpSocket::report`].
    ///
    /// # Errors
    /// As there.
    pub fn send_quietly(&self, out: &mut Outgoing) -> Result<Sent> {
        let mut sent = Sent::default();
        // A run that was refused, perhaps only for GSO: its first datagram alone tells.
        let mut suspect: Option<(io::Error, usize)> = None;
        while !out.is_empty() {
            let (limit, most) = match suspect {
                Some(_) => (0, 1),
                None => (self.gso_limit.load(Ordering::Relaxed), BATCH),
            };
            match system::send(&self.socket, out.messages(limit).take(most)) {
                Ok(count) => {
                    let (datagrams, bytes) = out.advance(count, limit);
                    sent.datagrams += datagrams;
                    sent.bytes += bytes;
                    if let Some((error, segment)) = suspect.take() {
                        self.lower_gso(&error, segment);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    sent.would_block = true;
                    break;
                }
                Err(error) if is_fatal(&error) => return Err(Error::os("send on a UDP socket", &error)),
                Err(error) => {
                    let segment = out.messages(limit).next().map_or(0, |head| head.segment);
                    if segment > 0 && may_be_gso(&error) {
                        suspect = Some((error, segment));
                    } else {
                        // One datagram only, also of a run: what follows may be fine.
                        suspect = None;
                        out.advance(1, 0);
                        sent.errors += 1;
                    }
                }
            }
        }
        Ok(sent)
    }

    /// A run of this segment size was refused, and its first datagram alone was not: from now on such go singly. A size
    /// that does not fit the device (EINVAL, EMSGSIZE) says nothing of smaller ones; any other refusal is for good.
    fn lower_gso(&self, error: &io::Error, segment: usize) {
        let size_only = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE));
        let limit = if size_only { segment.saturating_sub(1) } else { 0 };
        self.gso_limit.fetch_min(limit, Ordering::Relaxed);
        if !self.gso_said.swap(true, Ordering::Relaxed) {
            *self.unsaid.1.lock().unwrap_or_else(PoisonError::into_inner) =
                format!("GSO of {segment}-byte segments was refused ({error}): sending them singly");
            self.unsaid.0.store(true, Ordering::Release);
        }
    }

    /// Whether there is something to [`report`](UdpSocket::report).
    pub fn has_report(&self) -> bool {
        self.unsaid.0.load(Ordering::Relaxed)
    }

    /// Tells the log what became of earlier sends; with no lock held.
    pub fn report(&self) {
        if self.has_report() && self.unsaid.0.swap(false, Ordering::Acquire) {
            let text = mem::take(&mut *self.unsaid.1.lock().unwrap_or_else(PoisonError::into_inner));
            tracing::debug!(target: "coop", "{text}");
        }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

pub(super) fn buffer_bytes(what: &str, bytes: Option<usize>) -> Result<Option<usize>> {
    match bytes {
        Some(bytes) if bytes == 0 || i32::try_from(bytes).is_err() => {
            Err(Error::Invalid(format!("{what} of {bytes} bytes: allowed are 1 to {}", i32::MAX)))
        }
        bytes => Ok(bytes),
    }
}

/// Errors of the descriptor or of the call. All others are of the network or of one datagram.
fn is_fatal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), None | Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT | libc::ENOSYS))
}

/// Errors with which a kernel or a device refuses GSO; each has other causes too.
fn may_be_gso(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::ENOPROTOOPT | libc::EOPNOTSUPP)
    )
}
