//! Connecting to a name: its addresses are tried in turn, the next one [`STAGGER`] after the one before or as soon as that has failed, and the
//! first that connects is taken (RFC 8305). The families take turns, beginning with the one that the system prefers.

#![forbid(unsafe_code)]

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    ConnectOptions, Stream,
    connect::{connect, within},
};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, Sleep, sleep},
};

const STAGGER: Duration = Duration::from_millis(250);

impl Handle {
    /// Connects to a host by its name or address: resolves it off the loop, tries its addresses in turn, and keeps the first
    /// connection.
    ///
    /// # Errors
    /// Awaited: [`Error::Resolve`]; [`Error::Os`] with the reason of the most preferred address, whose text names the host, the port and the
    /// addresses that were tried; [`Error::Timeout`], [`Error::Invalid`], [`Error::Closed`], [`Error::Forked`].
    pub fn connect(
        &self,
        host: &str,
        port: u16,
        options: &ConnectOptions,
    ) -> impl Future<Output = Result<Stream>> + Send + use<> {
        let (event_loop, host, options) = (self.clone(), host.to_owned(), options.clone());
        async move {
            let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
            let whereto = if is_bare_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            let connecting = async {
                let addresses = event_loop.resolve(&host, port).await?;
                Race::new(&event_loop, &whereto, addresses, &options)?.run().await
            };
            within(&event_loop, options.timeout, &whereto, connecting).await
        }
    }
}

/// The families in turns, each in its order.
fn in_turns(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let prefers_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == prefers_ipv6);
    let (mut preferred, mut others, mut turn) = (preferred.into_iter(), others.into_iter(), false);
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { preferred.next().or_else(|| others.next()) } else { others.next().or_else(|| preferred.next()) }
    })
}

type Attempt<'a> = (usize, Pin<Box<dyn Future<Output = Result<Stream>> + Send + 'a>>);

pub(super) struct Race<'a> {
    event_loop: &'a Handle,
    whereto: &'a str,
    options: &'a ConnectOptions,
    next: Box<dyn Iterator<Item = SocketAddr> + Send>,
    tried: Vec<SocketAddr>,
    attempts: Vec<Attempt<'a>>,
    /// Why, and which of those tried: the most preferred one that has failed so far.
    failed: Option<(usize, Error)>,
    stagger: Option<Sleep>,
}

impl<'a> Race<'a> {
    pub(super) fn new(
        event_loop: &'a Handle,
        whereto: &'a str,
        mut addresses: Vec<SocketAddr>,
        options: &'a ConnectOptions,
    ) -> Result<Self> {
        if let Some(local) = options.local {
            addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
            if addresses.is_empty() {
                let text = format!("connect to {whereto} from {local}: the host has no address of that family");
                return Err(Error::Invalid(text));
            }
        }
        let next = Box::new(in_turns(addresses));
        let (tried, attempts) = (Vec::new(), Vec::new());
        Ok(Self { event_loop, whereto, options, next, tried, attempts, failed: None, stagger: None })
    }

    pub(super) async fn run(mut self) -> Result<Stream> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn begin_next(&mut self) -> bool {
        let Some(address) = self.next.next() else {
            self.stagger = None;
            return false;
        };
        let (event_loop, options) = (self.event_loop, self.options);
        self.attempts.push((self.tried.len(), Box::pin(connect(event_loop, address, options))));
        self.tried.push(address);
        self.stagger = Some(sleep(event_loop, STAGGER));
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream>> {
        loop {
            let mut index = 0;
            let mut has_failed = false;
            while let Some((number, attempt)) = self.attempts.get_mut(index) {
                let number = *number;
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        if !matches!(error, Error::Os { .. }) {
                            return Poll::Ready(Err(error));
                        }
                        drop(self.attempts.remove(index));
                        has_failed = true;
                        if self.failed.as_ref().is_none_or(|(other, _)| number < *other) {
                            self.failed = Some((number, error));
                        }
                    }
                }
            }
            let is_time = match &mut self.stagger {
                Some(stagger) => match Pin::new(stagger).poll(cx) {
                    Poll::Pending => false,
                    Poll::Ready(Ok(())) => true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                },
                None => self.tried.is_empty(),
            };
            if (is_time || has_failed) && self.begin_next() {
                continue;
            }
            if self.attempts.is_empty() {
                return Poll::Ready(Err(self.failure()));
            }
            return Poll::Pending;
        }
    }

    fn failure(&mut self) -> Error {
        match self.failed.take() {
            Some((_, Error::Os { errno, .. })) => {
                let tried: Vec<_> = self.tried.iter().map(SocketAddr::to_string).collect();
                let context = match &*tried {
                    [only] if only == self.whereto => format!("connect to {only}"),
                    _ => format!("connect to {} ({})", self.whereto, tried.join(", ")),
                };
                Error::Os { context, errno }
            }
            Some((_, other)) => other,
            None => Error::Resolve(format!("resolve {}: the name has no address", self.whereto)),
        }
    }
}
