//! [`Client`]: calls, from any thread.

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    call::{Call, CallId, with_callback},
    command::{Effect, Words, encode, look_at},
    drive::drive,
    group::Group,
    link::{Closing, Link, Use},
    options::Options,
    own::Pool,
    reply::Reply,
    stats::{Stats, Tally},
};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{Handle, news, timeout},
};

/// The most connections of one client.
const MOST: usize = 64;

/// A way to a server; see the [module](super). Cheap to clone. When the last clone is gone, the calls that were made still end as they would, and then
/// the connections are closed.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) event_loop: Handle,
    options: Arc<Options>,
    #[cfg(feature = "tls")]
    tls: Option<crate::net::tls::Connector>,
    /// Of one's own it is one.
    pub(super) links: Vec<Arc<Link>>,
    next: AtomicUsize,
    pub(super) pool: Arc<Pool>,
    /// Of the client, and of those of one's own beside it.
    tally: Arc<Tally>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.inner.options.server).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for link in self.links.iter().filter(|link| link.check().is_ok()) {
            link.close(Closing::Drain, None);
        }
        self.pool.close(Closing::Drain);
    }
}

impl Client {
    /// A client whose connections are this loop's. It begins to connect at once, and answers without waiting for that.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options outside what they allow, those of [`Connector::new`](crate::net::tls::Connector::new),
    /// [`Error::Closed`], [`Error::Forked`].
    pub fn new(event_loop: &Handle, options: Options) -> Result<Self> {
        check(&options)?;
        let mut inner = Inner {
            event_loop: event_loop.clone(),
            #[cfg(feature = "tls")]
            tls: options.tls.as_ref().map(crate::net::tls::Connector::new).transpose()?,
            links: Vec::new(),
            next: AtomicUsize::new(0),
            pool: Pool::new(options.max_own),
            tally: Arc::default(),
            options: Arc::new(options),
        };
        for _ in 0..inner.options.connections {
            let mut link = inner.link(Use::Shared);
            if let Some(on_push) = inner.options.on_push.clone() {
                link.on_push = Some(Box::new(move |reply| on_push(reply)));
            }
            inner.links.push(started(Arc::new(link))?);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// [`Client::new`] with the options of a URL; see [`Options::from_url`].
    ///
    /// # Errors
    /// Those of both.
    pub fn from_url(event_loop: &Handle, url: &str) -> Result<Self> {
        Self::new(event_loop, Options::from_url(url)?)
    }

    /// [`Client::new`], and the wait until the server has answered.
    ///
    /// # Errors
    /// Awaited: those of [`Client::new`] and of [`Client::ready`].
    pub fn connect(event_loop: &Handle, options: Options) -> impl Future<Output = Result<Self>> + Send + use<> {
        let client = Self::new(event_loop, options);
        async move {
            let client = client?;
            client.ready().await?;
            Ok(client)
        }
    }

    /// Waits until the server has answered a PING, whatever it says.
    ///
    /// # Errors
    /// Awaited: why there is no connection.
    pub async fn ready(&self) -> Result<()> {
        self.command(&["PING"]).await.map(drop)
    }

    /// The loop.
    pub fn event_loop(&self) -> &Handle {
        &self.inner.event_loop
    }

    /// How it was made.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(super) fn pick(&self) -> (usize, &Arc<Link>) {
        let links = &self.inner.links;
        let at = if links.len() == 1 { 0 } else { self.inner.next.fetch_add(1, Ordering::Relaxed) % links.len() };
        (at, &links[at])
    }

    /// Makes a call; awaited it answers the reply, the server's error being one ([`Reply::ok`]). It goes out with the others of this turn of the loop,
    /// whether it is awaited or not.
    ///
    /// # Errors
    /// Awaited: [`Error::QueueFull`], [`Error::Timeout`] at the default deadline; [`Error::Os`] if the connection was lost before the reply, and the server may have done what was
    /// asked; what has kept it from connecting; [`Error::Failed`] for what is no reply; [`Error::Closed`] if client or loop were closed;
    /// [`Error::Invalid`] for no words and for a command that would break the order of replies; [`Error::Forked`].
    #[inline]
    pub fn command(&self, words: &(impl Words + ?Sized)) -> Call {
        self.call(words, None)
    }

    /// [`Client::command`] with a deadline of its own; [`Duration::MAX`] is none.
    #[inline]
    pub fn command_within(&self, words: &(impl Words + ?Sized), limit: Duration) -> Call {
        self.call(words, Some(limit))
    }

    #[inline]
    fn call(&self, words: &(impl Words + ?Sized), limit: Option<Duration>) -> Call {
        let (_, link) = self.pick();
        let group = match allowed(link, words) {
            Ok(effect) => group_of(link, effect),
            Err(error) => return Call::refused(error),
        };
        let send = |done| link.send(limit, group, done, |bytes| encode(words, bytes));
        Call::make(link, |done| send(done).map_err(|refused| refused.error))
    }

    /// Makes a call whose end `f` is told: once, on the loop's thread. `limit` is its deadline, `None` the default one, [`Duration::MAX`] none. When the
    /// loop ends with the call, `f` is told by whoever ends it.
    ///
    /// # Errors
    /// Those that are known at once, as [`Client::command`]; `f` comes back, and nothing of it has run.
    pub fn command_with<F>(
        &self,
        words: &(impl Words + ?Sized),
        limit: Option<Duration>,
        f: F,
    ) -> Result<CallId, Refused<F>>
    where
        F: FnOnce(Result<Reply>) + Send + 'static,
    {
        let (at, link) = self.pick();
        let group = match allowed(link, words) {
            Ok(effect) => group_of(link, effect),
            Err(error) => return Err(Refused::new(error, f)),
        };
        with_callback(f, |done| link.send(limit, group, done, |bytes| encode(words, bytes))).map(|id| call_id(id, at))
    }

    /// Ends a call of a callback, which is told [`Error::Cancelled`]. The server may do what was asked all the same; a command that was not sent
    /// yet is not.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already, [`Error::Forked`].
    pub fn cancel(&self, id: CallId) -> Result<()> {
        let link = &self.inner.links[id.0 as usize % MOST % self.inner.links.len()];
        link.check()?;
        if link.cancel(id.0 / MOST as u64) { Ok(()) } else { Err(Error::Stale("redis call")) }
    }

    /// Ends the client for all of its clones: from now on calls are refused, and those that have not ended do now, with [`Error::Closed`]. Any number of
    /// times, from any thread; it does not wait.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn close(&self) -> Result<()> {
        self.close_all(Closing::Now)
    }

    fn close_all(&self, closing: Closing) -> Result<()> {
        self.inner.links[0].check()?;
        for link in &self.inner.links {
            link.close(closing, None);
        }
        self.inner.pool.close(closing);
        Ok(())
    }

    /// Ends the client when its calls have ended: from now on calls are refused; those that are still there after `limit` end with
    /// [`Error::Closed`]. `None` is as long as they take.
    ///
    /// It waits for the calls of its connections of one's own, too: until each has had none for a moment. They are their owners', and go on: more
    /// calls can be made on them, and at the limit theirs are not ended. It does not wait for subscribers, whose messages have no end, and which go
    /// on as well.
    ///
    /// # Errors
    /// Awaited: [`Error::Timeout`] if there were such, [`Error::Closed`] if the loop has ended, [`Error::Forked`].
    pub fn drain(&self, limit: Option<Duration>) -> impl Future<Output = Result<()>> + Send + use<> {
        let client = self.clone();
        let begun = client.close_all(Closing::Drain);
        async move {
            begun?;
            let until = limit.and_then(|limit| Instant::now().checked_add(limit));
            let is_own = client.inner.links[0].used_for == Use::Own;
            let own = if is_own { Vec::new() } else { client.inner.tally.links() };
            let own = own.iter().filter(|link| link.used_for == Use::Own).map(|link| (link, false));
            for (link, ends) in client.inner.links.iter().map(|link| (link, true)).chain(own) {
                let (teller, listener) = news::channel();
                if ends {
                    link.close(Closing::Drain, Some(teller));
                } else {
                    link.when_quiet(teller);
                }
                let ended = std::future::poll_fn(|cx| listener.poll(cx));
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                match timeout(&client.inner.event_loop, left, ended).await {
                    Ok(ended) => ended?,
                    Err(Error::Timeout(_)) => {
                        client.close()?;
                        let limit = limit.unwrap_or_default();
                        return Err(Error::Timeout(format!("redis client: its calls have not ended within {limit:?}")));
                    }
                    Err(other) => return Err(other),
                }
            }
            Ok(())
        }
    }

    /// Whether it was closed, or its loop has ended.
    pub fn is_closed(&self) -> bool {
        self.inner.links.iter().any(|link| link.is_closed())
    }

    /// What it has done so far, those included that are beside it: its connections of one's own, and for messages. Of a connection of one's own: what
    /// that one has done.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stats(&self) -> Result<Stats> {
        let link = &self.inner.links[0];
        link.check()?;
        Ok(if link.used_for == Use::Own { link.stats() } else { self.inner.tally.sum() })
    }
}

impl Inner {
    pub(super) fn link(&self, used_for: Use) -> Link {
        #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "it is set with TLS"))]
        let mut link = Link::new(&self.event_loop, self.options.clone(), used_for, self.tally.clone());
        #[cfg(feature = "tls")]
        {
            link.tls.clone_from(&self.tls);
        }
        link
    }

    /// A client of this link only.
    pub(super) fn beside(&self, link: Arc<Link>) -> Self {
        Self {
            event_loop: self.event_loop.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            links: vec![link],
            next: AtomicUsize::new(0),
            pool: Pool::new(self.options.max_own),
            tally: self.tally.clone(),
            options: self.options.clone(),
        }
    }
}

/// The driver has it from now on; refused, it has ended.
pub(super) fn started(link: Arc<Link>) -> Result<Arc<Link>> {
    link.event_loop().spawn(drive(link.clone())).map_err(|refused| refused.error)?;
    link.count();
    Ok(link)
}

/// What a call of the link at this place is named.
pub(super) fn call_id(id: u64, at: usize) -> CallId {
    CallId(id * MOST as u64 + at as u64)
}

#[inline]
fn group_of(link: &Link, effect: Effect) -> Option<Group> {
    (effect == Effect::Ends).then(|| link.ends(1))
}

#[inline]
pub(super) fn allowed(link: &Link, words: &(impl Words + ?Sized)) -> Result<Effect> {
    let name = || String::from_utf8_lossy(words.word(0)).to_uppercase();
    match look_at(words)? {
        Effect::None => Ok(Effect::None),
        Effect::Session if link.used_for != Use::Own => Ok(Effect::None),
        effect @ (Effect::State | Effect::Ends | Effect::Session) if link.used_for == Use::Own => {
            link.changes(words.word(0));
            Ok(effect)
        }
        Effect::State | Effect::Ends | Effect::Session => Err(Error::Invalid(format!(
            "redis: {} changes a connection that others share: use transaction() or a connection of one's own, own()",
            name()
        ))),
        Effect::NoReply => Err(Error::Invalid(format!(
            "redis: {} has no reply that a call could wait for: messages come by subscriber()",
            name()
        ))),
    }
}

fn check(options: &Options) -> Result<()> {
    let within = |what: &str, given: usize, most: usize| match given {
        1.. if given <= most => Ok(()),
        _ => Err(Error::Invalid(format!("redis {what} of {given}: allowed are 1 to {most}"))),
    };
    within("connections", options.connections, MOST)?;
    within("max_calls", options.max_calls, usize::MAX)?;
    within("max_queued_bytes", options.max_queued_bytes, usize::MAX)?;
    within("max_reply_bytes", options.max_reply_bytes, usize::MAX)?;
    within("max_own", options.max_own, usize::MAX)?;
    let jitter = options.backoff.jitter;
    if !(0.0..=1.0).contains(&jitter) {
        return Err(Error::Invalid(format!("redis backoff jitter of {jitter}: allowed are 0.0 to 1.0")));
    }
    if options.user.is_some() && options.password.is_none() {
        return Err(Error::Invalid("redis: a user without a password".into()));
    }
    #[cfg(feature = "tls")]
    if options.tls.is_some() && matches!(options.server, super::Server::Unix(_)) {
        return Err(Error::Invalid("redis: TLS over a Unix socket".into()));
    }
    Ok(())
}
