//! [`Bound`]: a UDP socket that belongs to a loop, whose coroutines wait for datagrams and for room to send them.
//!
//! # What holds
//!
//! * What [`io`](super::super::Io) holds of every socket: it is registered once, any thread may ask, a wait ends with the loop.
//! * A receive that is dropped has taken nothing from the kernel, a send that is dropped leaves what was not sent in its queue.
//! * Any number of coroutines may receive, and send; which of them gets what is not said.

#![forbid(unsafe_code)]

use std::net::SocketAddr;

use super::{Datagrams, MAX_DATAGRAM, Outgoing, Received, Receiver, Sent, UdpSocket, is_fatal};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{Direction, Handle, Io},
};

/// See the module's text.
#[derive(Debug)]
pub struct Bound {
    io: Io<UdpSocket>,
}

impl Bound {
    /// Makes the socket the loop's to watch, until this is dropped.
    ///
    /// # Errors
    /// Those of [`Io::new`]; the socket comes back.
    pub fn new(event_loop: &Handle, socket: UdpSocket) -> Result<Self, Refused<UdpSocket>> {
        Ok(Self { io: Io::new(event_loop, socket)? })
    }

    /// The socket, for what does not wait.
    pub fn socket(&self) -> &UdpSocket {
        self.io.get_ref()
    }

    /// The underlying registered socket, for what is not here.
    pub fn io(&self) -> &Io<UdpSocket> {
        &self.io
    }

    /// Takes the socket out of the loop.
    pub fn into_inner(self) -> UdpSocket {
        self.io.into_inner()
    }

    /// [`UdpSocket::receive`], once something has come. Errors of the network that came before it are counted with it.
    ///
    /// # Errors
    /// Those of [`UdpSocket::receive`]; [`Error::Closed`], [`Error::Forked`].
    pub async fn receive(&self, scratch: &mut Receiver, sink: &mut Datagrams, limit: usize) -> Result<Received> {
        let mut errors = 0;
        loop {
            self.io.ready(Direction::Read).await?;
            let (seen, socket) = (self.io.seen(), self.socket());
            let mut received = socket.receive(scratch, sink, limit)?;
            let came = received.datagrams + received.dropped > 0;
            match (received.would_block, came) {
                (true, false) => self.io.would_block(Direction::Read, seen),
                // A short read of a connected socket may have ended at an error with datagrams behind it, which nothing more would tell of.
                (true, true) if !socket.connected.load(std::sync::atomic::Ordering::Relaxed) => {
                    self.io.clear(Direction::Read, seen);
                }
                _ => {}
            }
            errors += received.errors;
            if came {
                received.errors = errors;
                return Ok(received);
            }
        }
    }

    /// [`UdpSocket::send`] of all that is queued. Dropped before its end it leaves the rest queued.
    ///
    /// # Errors
    /// Those of [`UdpSocket::send`]; [`Error::Closed`], [`Error::Forked`].
    pub async fn send(&self, out: &mut Outgoing) -> Result<Sent> {
        let mut all = Sent::default();
        loop {
            self.io.check()?;
            let seen = self.io.seen();
            let sent = self.socket().send(out)?;
            all.datagrams += sent.datagrams;
            all.bytes += sent.bytes;
            all.errors += sent.errors;
            if !sent.would_block {
                return Ok(all);
            }
            self.io.would_block(Direction::Write, seen);
            self.io.ready(Direction::Write).await?;
        }
    }

    /// One datagram into `buffer`, which cuts a longer one: its bytes and who sent it. Errors of the network are passed over. The socket
    /// then receives without GRO.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a socket that has received with GRO, [`Error::Os`], [`Error::Closed`], [`Error::Forked`].
    pub async fn receive_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        if self.socket().uses_gro(false) {
            return Err(Error::Invalid(
                "this socket receives with GRO, so one datagram cannot be taken from it: use receive, or no_gro".into(),
            ));
        }
        loop {
            let took =
                self.io.when(Direction::Read, |io| io.attempt(Direction::Read, |udp| udp.socket.recv_from(buffer)));
            match took.await? {
                Err(error) if is_fatal(&error) => return Err(Error::os("receive from a UDP socket", &error)),
                // Taking the error has cleared it.
                Err(_) => {}
                Ok(took) => return Ok(took),
            }
        }
    }

    /// Sends one datagram to `to`, or to the connected peer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that no network carries, [`Error::Os`] if the network refuses it (on a connected socket: or an earlier
    /// one), [`Error::Closed`], [`Error::Forked`].
    pub async fn send_to(&self, data: &[u8], to: Option<SocketAddr>) -> Result<()> {
        if data.len() > MAX_DATAGRAM {
            let length = data.len();
            return Err(Error::Invalid(format!("a datagram of {length} bytes is too long: at most {MAX_DATAGRAM}")));
        }
        let sent = self.io.when(Direction::Write, |io| {
            io.attempt(Direction::Write, |udp| match to {
                Some(to) => udp.socket.send_to(data, to),
                None => udp.socket.send(data),
            })
        });
        match sent.await? {
            Ok(_) => Ok(()),
            Err(error) => Err(match to {
                Some(to) => Error::os(format!("send {} bytes to {to}", data.len()), &error),
                None => Error::os(format!("send {} bytes to the connected peer", data.len()), &error),
            }),
        }
    }
}
