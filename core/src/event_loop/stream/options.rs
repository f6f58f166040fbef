//! What can be asked of a connection, of a listener, and of connecting.

#![forbid(unsafe_code)]

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Socket, TcpKeepalive};

use crate::{
    error::{Error, Result},
    event_loop::udp::buffer_bytes,
};

/// When the system asks a silent peer whether it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// After so much silence; whole seconds, at least 1.
    pub idle: Duration,
    /// Then again after each; `None` is the system's.
    pub interval: Option<Duration>,
    /// The connection is lost when so many were not answered; `None` is the system's.
    pub count: Option<u32>,
}

/// Options of one connection. What is about TCP is left alone on Unix sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// Small writes go out at once instead of waiting for the answer to those before (TCP_NODELAY).
    pub nodelay: bool,
    /// Ask a silent peer.
    pub keepalive: Option<KeepAlive>,
    /// What was written and is not acknowledged for so long loses the connection (TCP_USER_TIMEOUT; Linux). Milliseconds, of which a
    /// part counts as one.
    pub user_timeout: Option<Duration>,
    /// Closing waits in the system for up to so long until all is delivered; zero resets the connection. It blocks the thread that
    /// closes; `None`, the default, delivers in the background. Seconds, of which a part counts as one.
    pub linger: Option<Duration>,
    /// Bytes the system may hold of what has come; `None` is its default, which grows by itself.
    pub recv_buffer: Option<usize>,
    /// Bytes the system may hold of what is to go; `None` is its default, which grows by itself.
    pub send_buffer: Option<usize>,
}

/// How to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that wait to be accepted; the system has a limit of its own.
    pub backlog: u32,
    /// Others may listen at this address too, and the system spreads the connections over them.
    pub reuse_port: bool,
    /// The address cannot be taken while connections of the listener before linger.
    pub no_reuse_address: bool,
    /// An IPv6 listener takes no IPv4 connections, or takes them; `None` is the system's default.
    pub only_v6: Option<bool>,
    /// A Unix socket's file that nobody listens at any more is replaced, instead of refused.
    pub replace: bool,
    /// Options of each connection that is accepted.
    pub stream: StreamOptions,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            reuse_port: false,
            no_reuse_address: false,
            only_v6: None,
            replace: false,
            stream: StreamOptions::default(),
        }
    }
}

/// How to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// For all of it, the name's resolution included; `None` is as long as the system tries.
    pub timeout: Option<Duration>,
    /// The address to connect from; port 0 is any. Peers of the other family are not tried.
    pub local: Option<SocketAddr>,
    /// Options of the connection.
    pub stream: StreamOptions,
}

impl KeepAlive {
    /// After so much silence, and otherwise as the system has it.
    pub const fn after(idle: Duration) -> Self {
        Self { idle, interval: None, count: None }
    }

    pub(super) fn to_system(self) -> Result<TcpKeepalive> {
        let seconds = |what: &str, time: Duration| {
            if (1..=32_767).contains(&time.as_secs()) {
                return Ok(Duration::from_secs(time.as_secs()));
            }
            Err(Error::Invalid(format!("keep-alive {what} of {time:?}: allowed are 1 to 32767 seconds")))
        };
        let mut keepalive = TcpKeepalive::new().with_time(seconds("idle time", self.idle)?);
        if let Some(interval) = self.interval {
            keepalive = keepalive.with_interval(seconds("interval", interval)?);
        }
        if let Some(count) = self.count {
            if !(1..=127).contains(&count) {
                return Err(Error::Invalid(format!("keep-alive count of {count}: allowed are 1 to 127")));
            }
            keepalive = keepalive.with_retries(count);
        }
        Ok(keepalive)
    }
}

/// A time in the system's units, of which a part counts as one: less than the first one is not none.
fn whole(what: &str, time: Duration, unit: Duration, most: u32) -> Result<Duration> {
    let units = time.as_nanos().div_ceil(unit.as_nanos());
    match u32::try_from(units) {
        Ok(units) if units <= most => Ok(unit * units),
        _ => Err(Error::Invalid(format!("{what} of {time:?}: allowed are up to {:?}", unit * most))),
    }
}

pub(super) fn linger(time: Option<Duration>) -> Result<Option<Duration>> {
    const MOST: u32 = i32::MAX.unsigned_abs();
    time.map(|time| whole("linger", time, Duration::from_secs(1), MOST)).transpose()
}

#[cfg(target_os = "linux")]
fn user_timeout(time: Option<Duration>) -> Result<Option<Duration>> {
    const MOST: u32 = i32::MAX.unsigned_abs();
    match time {
        // The system's word for its default.
        Some(Duration::ZERO) => Err(Error::Invalid("user_timeout of 0ns: it must be longer than 0".into())),
        time => time.map(|time| whole("user_timeout", time, Duration::from_millis(1), MOST)).transpose(),
    }
}

impl StreamOptions {
    /// Sets them on a socket that is not connected yet. On a listener they are those of what it accepts.
    pub(super) fn set(&self, socket: &Socket, is_tcp: bool) -> Result<()> {
        let keepalive = self.keepalive.map(KeepAlive::to_system).transpose()?;
        let recv_buffer = buffer_bytes("recv_buffer", self.recv_buffer)?;
        let send_buffer = buffer_bytes("send_buffer", self.send_buffer)?;
        let linger = linger(self.linger)?;
        #[cfg(target_os = "linux")]
        let user_timeout = user_timeout(self.user_timeout)?;
        let set = || -> io::Result<()> {
            if let Some(bytes) = recv_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            if let Some(bytes) = send_buffer {
                socket.set_send_buffer_size(bytes)?;
            }
            if is_tcp {
                if self.nodelay {
                    socket.set_tcp_nodelay(true)?;
                }
                if let Some(keepalive) = &keepalive {
                    socket.set_tcp_keepalive(keepalive)?;
                }
                if linger.is_some() {
                    socket.set_linger(linger)?;
                }
                #[cfg(target_os = "linux")]
                if user_timeout.is_some() {
                    socket.set_tcp_user_timeout(user_timeout)?;
                }
            }
            Ok(())
        };
        set().map_err(|error| Error::os("set a connection's options", &error))
    }
}
