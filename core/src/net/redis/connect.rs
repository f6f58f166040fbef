//! Connecting: the stream, TLS over it, and the server's welcome.

#![forbid(unsafe_code)]

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{
    command::encode,
    link::Link,
    options::{Options, Protocol, Server},
    parse::Parser,
    reply::{Reply, ServerError},
};
use crate::{
    error::{Error, Result},
    event_loop::stream::{ConnectOptions, Stream, StreamOptions},
};

/// What the bytes go over.
pub(super) enum Wire {
    Plain(Stream),
    #[cfg(feature = "tls")]
    Tls(Box<futures_rustls::client::TlsStream<Stream>>),
}

impl Wire {
    #[inline]
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    #[inline]
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Ready when nothing that was written waits for room in the system.
    #[inline]
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => {
                let _ = cx;
                Poll::Ready(Ok(()))
            }
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
}

/// Why there is no connection, and whether another attempt may fare better.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) for_good: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // What the other end says, or is, it will be the next time; a network may have changed by then.
        let for_good = matches!(error, Error::Invalid(_) | Error::Unsupported(_) | Error::Failed(_));
        Self { error, for_good }
    }
}

/// A connection that the server has welcomed.
pub(super) struct Welcomed {
    pub(super) wire: Wire,
    /// In the middle of what it makes of `have`.
    pub(super) parser: Parser,
    /// What has come behind the welcome.
    pub(super) have: Vec<u8>,
}

/// One attempt.
pub(super) async fn establish(link: &Link) -> Result<Welcomed, Failure> {
    let options = &*link.options;
    let stream = StreamOptions { nodelay: true, ..StreamOptions::default() };
    let connect = ConnectOptions { stream, ..ConnectOptions::default() };
    let stream = match &options.server {
        Server::Tcp { host, port } => link.event_loop().connect(host, *port, &connect).await?,
        Server::Unix(path) => link.event_loop().connect_unix(path, &connect).await?,
    };
    let (wire, parser) = (wire(link, stream).await?, Parser::new(options.max_reply_bytes));
    let mut talk = Talk { told: Welcomed { wire, parser, have: Vec::new() }, options };
    talk.welcome().await?;
    Ok(talk.told)
}

#[cfg(feature = "tls")]
async fn wire(link: &Link, stream: Stream) -> Result<Wire, Failure> {
    let Some(connector) = &link.tls else { return Ok(Wire::Plain(stream)) };
    let name = match &link.options.server {
        Server::Tcp { host, .. } => host,
        Server::Unix(_) => "localhost",
    };
    Ok(Wire::Tls(Box::new(connector.connect(stream, name).await?)))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "as with TLS")]
async fn wire(_: &Link, stream: Stream) -> Result<Wire, Failure> {
    Ok(Wire::Plain(stream))
}

/// The conversation before the first call.
struct Talk<'a> {
    told: Welcomed,
    options: &'a Options,
}

impl Talk<'_> {
    async fn welcome(&mut self) -> Result<(), Failure> {
        let options = self.options;
        let user = options.user.as_deref().unwrap_or("default");
        if options.protocol != Protocol::Resp2 {
            let mut hello = vec!["HELLO", "3"];
            if let Some(password) = &options.password {
                hello.extend(["AUTH", user, password]);
            }
            match self.ask(&hello).await? {
                Reply::Error(error) if options.protocol == Protocol::Newest && is_unknown(&error) => {
                    self.sign_in().await?;
                }
                Reply::Error(error) => return Err(self.refused("HELLO", &error)),
                _ => {}
            }
        } else {
            self.sign_in().await?;
        }
        if let Some(name) = &options.client_name {
            self.say(&["CLIENT", "SETNAME", name]).await?;
        }
        if options.database != 0 {
            self.say(&["SELECT", &options.database.to_string()]).await?;
        }
        Ok(())
    }

    /// AUTH, as RESP2 has it.
    async fn sign_in(&mut self) -> Result<(), Failure> {
        let options = self.options;
        match (&options.user, &options.password) {
            (Some(user), Some(password)) => self.say(&["AUTH", user, password]).await,
            (None, Some(password)) => self.say(&["AUTH", password]).await,
            _ => Ok(()),
        }
    }

    async fn say(&mut self, words: &[&str]) -> Result<(), Failure> {
        match self.ask(words).await? {
            Reply::Error(error) => Err(self.refused(words[0], &error)),
            _ => Ok(()),
        }
    }

    fn refused(&self, what: &str, error: &ServerError) -> Failure {
        let server = &self.options.server;
        // Those that pass: the server is starting, or full.
        let passes = matches!(error.code(), "LOADING" | "MASTERDOWN" | "BUSY" | "TRYAGAIN")
            || error.text().contains("max number of clients");
        let mut text = error.text().into_owned();
        // Servers that do not know a command say its words.
        if let Some(password) = self.options.password.as_deref().filter(|password| !password.is_empty()) {
            text = text.replace(password, "(hidden)");
        }
        Failure { error: Error::Failed(format!("redis at {server}: {what}: {text}")), for_good: !passes }
    }

    async fn ask(&mut self, words: &[&str]) -> Result<Reply, Failure> {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        let Welcomed { wire, parser, have } = &mut self.told;
        let server = &self.options.server;
        let (mut written, mut buffer) = (0, vec![0; 4096]);
        let lost = |error: &io::Error| lost(server, words[0], error);
        let asked = poll_fn(|cx| {
            while written < bytes.len() {
                written += ready!(wire.poll_write(cx, &bytes[written..])).map_err(|error| lost(&error))?;
            }
            ready!(wire.poll_flush(cx)).map_err(|error| lost(&error))?;
            loop {
                let (used, reply) = parser.parse(have).map_err(|what| garbage(server, &what))?;
                have.drain(..used);
                match reply {
                    Some(Reply::Push(_)) => {}
                    Some(reply) => return Poll::Ready(Ok(reply.plain())),
                    None => {
                        let read = ready!(wire.poll_read(cx, &mut buffer)).map_err(|error| lost(&error))?;
                        if read == 0 {
                            return Poll::Ready(Err(ended(server)));
                        }
                        have.extend_from_slice(&buffer[..read]);
                    }
                }
            }
        });
        Ok(asked.await?)
    }
}

/// What servers before 6 say of HELLO, and later ones of a version that they do not know.
fn is_unknown(error: &ServerError) -> bool {
    error.code() == "NOPROTO" || error.text().starts_with("ERR unknown command")
}

/// What came is no reply.
pub(super) fn garbage(server: &Server, what: &str) -> Error {
    Error::Failed(format!("redis at {server}: no reply of redis: {what}"))
}

/// The connection does not go on: of the system, or of TLS.
pub(super) fn lost(server: &Server, what: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => Error::os(format!("redis at {server}: {what}"), error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => ended(server),
        None => Error::Failed(format!("redis at {server}: {what}: {error}")),
    }
}

/// The server has ended the connection.
pub(super) fn ended(server: &Server) -> Error {
    let context = format!("redis at {server}: the server has closed the connection");
    Error::Os { context, errno: libc::ECONNRESET }
}
