//! Where a server is, and how it is spoken to.

#![forbid(unsafe_code)]

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use super::reply::Reply;
#[cfg(doc)]
use crate::error::Error;
use crate::{
    error::Result,
    supervisor::{Backoff, Growth},
};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// At a host's name or address.
    Tcp {
        /// The name, or the address.
        host: String,
        /// The port: 6379, if nothing else is said.
        port: u16,
    },
    /// At a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The protocol's version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The third, or the second with a server that does not know it.
    #[default]
    Newest,
    /// The second.
    Resp2,
    /// The third; another one is an error.
    Resp3,
}

/// Called on the loop's thread with what the server says unasked.
pub type OnPush = Arc<dyn Fn(Reply) + Send + Sync>;

/// How to speak to a server; see each field.
#[derive(Clone)]
pub struct Options {
    /// Where it is.
    pub server: Server,
    /// TLS, and whom it trusts; `None` is none.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::net::tls::TlsOptions>,
    /// The user's name; `None` is the default user.
    pub user: Option<String>,
    /// The password; `None` is no authentication.
    pub password: Option<String>,
    /// The database's number.
    pub database: u32,
    /// What the server lists the connection as; `None` is nothing.
    pub client_name: Option<String>,
    /// The protocol's version.
    pub protocol: Protocol,
    /// How many connections the calls are spread over, 1 to 64: with more than one, calls of one thread may overtake each other.
    pub connections: usize,
    /// How long a connection may take to be made, the server's welcome included; `None` is for ever.
    pub connect_timeout: Option<Duration>,
    /// How long a call that says nothing else may take; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long a call waits for a connection while there is none; then it ends with the error that the last attempt had. `None` is until its own
    /// deadline.
    pub patience: Option<Duration>,
    /// The pause between two attempts to connect. A connection that was lost is made anew at once, unless it had failed within [`Backoff::calm`].
    pub backoff: Backoff,
    /// How many calls may wait for an end, those included that were cancelled and whose replies are still to come: one more is
    /// [`Error::QueueFull`].
    pub max_calls: usize,
    /// How many bytes of commands may wait to be sent: a command that does not fit beside others is [`Error::QueueFull`]. And how many bytes of messages
    /// may wait to be taken from a [`Subscriber`](super::Subscriber), the names of their channels included: of more the oldest are lost, and counted.
    pub max_queued_bytes: usize,
    /// How many connections of one's own ([`Client::own`](super::Client::own)) there may be at once.
    pub max_own: usize,
    /// How large a reply may be, in memory; a larger one ends the connection when it is announced.
    pub max_reply_bytes: usize,
    /// A connection that owes the reply of a call that has ended, and says nothing for so long, is given up. One for messages that says nothing for so long
    /// is sent a PING, and given up if it says nothing for so long again. Both are connected to again. `None` is never.
    pub stalled_after: Option<Duration>,
    /// Called on the loop's thread with what the server says unasked, such as the invalidations of client-side caching.
    /// It lives as long as the client: one that owns a clone of its client keeps both for ever.
    pub on_push: Option<OnPush>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server: Server::Tcp { host: "localhost".into(), port: Self::PORT },
            #[cfg(feature = "tls")]
            tls: None,
            user: None,
            password: None,
            database: 0,
            client_name: None,
            protocol: Protocol::Newest,
            connections: 1,
            // Shorter than the patience, so that who waits is told the reason.
            connect_timeout: Some(Duration::from_secs(3)),
            timeout: None,
            patience: Some(Duration::from_secs(5)),
            backoff: Backoff {
                delay: Duration::from_millis(20),
                growth: Growth::Exponential,
                cap: Duration::from_secs(2),
                jitter: 0.25,
                calm: Duration::from_secs(1),
                burst: 0,
            },
            max_calls: 100_000,
            max_queued_bytes: 64 << 20,
            max_own: 128,
            max_reply_bytes: 64 << 20,
            stalled_after: Some(Duration::from_secs(30)),
            on_push: None,
        }
    }
}

impl Options {
    /// The port of a server whose URL names none.
    pub const PORT: u16 = 6379;

    /// The options of a URL, the others being the default ones:
    ///
    /// * `redis://[user][:password@]host[:port][/database]`
    /// * `rediss://...`: the same over TLS
    /// * `unix://[user][:password@]/path`
    ///
    /// each with `?db=`, `?protocol=2|3` and `?client_name=`. User, password, path and values may be percent-encoded.
    ///
    /// # Errors
    /// [`Error::Invalid`], which names the part and what was allowed, and never shows a password; [`Error::Unsupported`] for TLS where it was left out.
    pub fn from_url(url: &str) -> Result<Self> {
        super::url::parse(url)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("server", &self.server)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
