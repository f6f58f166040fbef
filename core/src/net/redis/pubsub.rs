//! Messages of channels, on a connection of their own.
//!
//! What is subscribed to is remembered here, and said again by every connection that is made: messages that are published while there is none are
//! not kept by the server, and are lost.
//!
//! A server that has nothing to say and one that is gone are told apart by a PING: see [`Options::stalled_after`](super::Options::stalled_after).

#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    Client,
    call::{Call, Done, with_callback},
    client::started,
    command::{Command, Words, encode},
    group::{Finish, Group},
    inbox::{Inbox, Place},
    link::{Closing, Link, Use},
    reply::Reply,
    stats::Stats,
};
use crate::{
    error::{Error, Refused, Result},
    task::signal::Signal,
    time::Deadline,
};

/// What can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A channel of this name.
    Named,
    /// All channels whose name fits a pattern, as `news.*`.
    Pattern,
    /// A channel of a shard of a cluster.
    Shard,
}

impl Channel {
    const ALL: [Self; 3] = [Self::Named, Self::Pattern, Self::Shard];

    fn verbs(self) -> [&'static str; 2] {
        match self {
            Self::Named => ["SUBSCRIBE", "UNSUBSCRIBE"],
            Self::Pattern => ["PSUBSCRIBE", "PUNSUBSCRIBE"],
            Self::Shard => ["SSUBSCRIBE", "SUNSUBSCRIBE"],
        }
    }
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it came by.
    pub by: Channel,
    /// The pattern, if it came by one.
    pub pattern: Option<Vec<u8>>,
    /// The channel's name.
    pub channel: Vec<u8>,
    /// What was said.
    pub payload: Vec<u8>,
}

impl Message {
    /// The bytes of its parts.
    pub(super) fn length(&self) -> usize {
        self.pattern.as_ref().map_or(0, Vec::len) + self.channel.len() + self.payload.len()
    }

    fn of(reply: Reply) -> Option<Self> {
        let mut parts = reply.into_array().ok()?.into_iter();
        let mut next = move || parts.next()?.into_bytes().ok()?;
        let (by, pattern) = match &*next()? {
            b"message" => (Channel::Named, None),
            b"smessage" => (Channel::Shard, None),
            b"pmessage" => (Channel::Pattern, Some(next()?)),
            _ => return None,
        };
        Some(Self { by, pattern, channel: next()?, payload: next()? })
    }
}

/// What a link is subscribed to.
pub(super) type Subscribed = BTreeSet<(Channel, Vec<u8>)>;

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the reply is none of a call's.
pub(super) fn is_message(used_for: Use, reply: &Reply) -> bool {
    let parts = match reply {
        Reply::Push(parts) => parts,
        Reply::Array(parts) if used_for == Use::Messages => parts,
        _ => return false,
    };
    used_for != Use::Messages || !parts.first().is_some_and(|what| is_confirmation(what) || is_pong(what))
}

/// Of a PING beside subscriptions, as RESP2 has it.
fn is_pong(what: &Reply) -> bool {
    what.as_bytes() == Some(b"pong")
}

fn is_confirmation(what: &Reply) -> bool {
    what.as_bytes().is_some_and(|what| what.ends_with(b"subscribe"))
}

/// Whether the reply confirms a subscription, or its end.
pub(super) fn confirms(reply: &Reply) -> bool {
    reply.as_array().and_then(<[_]>::first).is_some_and(is_confirmation)
}

/// What a new connection says first: commands, each with the number of its confirmations.
pub(super) fn greeting(link: &Link) -> Vec<(Vec<u8>, usize)> {
    let subscribed = lock(&link.greeting);
    let commands = Channel::ALL.into_iter().filter_map(|by| {
        let names: Vec<_> = subscribed.iter().filter(|(kind, _)| *kind == by).map(|(_, name)| name).collect();
        let mut bytes = Vec::new();
        encode(&Command::new(by.verbs()[0]).args(&names), &mut bytes);
        (!names.is_empty()).then_some((bytes, names.len()))
    });
    commands.collect()
}

/// Messages of channels; made by [`Client::subscriber`](super::Client::subscriber) and
/// [`Client::subscriber_with`](super::Client::subscriber_with). Dropped, its connection is closed.
pub struct Subscriber {
    link: Arc<Link>,
    inbox: Arc<Inbox>,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("server", &self.link.options.server).finish_non_exhaustive()
    }
}

impl Client {
    /// A connection for messages, of which up to `most` wait to be taken: [`Subscriber::next`], and as many as have
    /// [`Options::max_queued_bytes`](super::Options::max_queued_bytes); after that the oldest are lost, and counted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `most` of 0, [`Error::Closed`], [`Error::Forked`].
    pub fn subscriber(&self, most: usize) -> Result<Subscriber> {
        if most == 0 {
            return Err(Error::Invalid("a redis subscriber that keeps 0 messages: allowed are 1 and more".into()));
        }
        Subscriber::made(self, None, most)
    }

    /// A connection for messages, of which `f` is told on the loop's thread, in order.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`]; `f` comes back, and nothing of it has run.
    pub fn subscriber_with<F>(&self, f: F) -> Result<Subscriber, Refused<F>>
    where
        F: Fn(Message) + Send + Sync + 'static,
    {
        let f = Arc::new(f);
        let called = f.clone();
        Subscriber::made(self, Some(Box::new(move |message| called(message))), 0).map_err(|error| {
            let f = Arc::into_inner(f).unwrap_or_else(|| unreachable!("a link that was refused is gone"));
            Refused::new(error, f)
        })
    }
}

/// What is told of each message.
type OnMessage = Box<dyn Fn(Message) + Send + Sync>;

impl Subscriber {
    fn made(client: &Client, f: Option<OnMessage>, most: usize) -> Result<Self> {
        client.may_own()?;
        let mut link = client.inner.link(Use::Messages);
        let inbox = Arc::new(Inbox::default());
        let (kept, closed) = (inbox.clone(), inbox.clone());
        let most_bytes = client.options().max_queued_bytes;
        link.on_push = Some(Box::new(move |reply| {
            if let Some(message) = Message::of(reply) {
                match &f {
                    Some(f) => f(message),
                    None => kept.put(message, most, most_bytes),
                }
            }
        }));
        link.on_end = Some(Box::new(move || closed.close()));
        Ok(Self { link: started(Arc::new(link))?, inbox })
    }

    /// Subscribes: the call ends when the server has confirmed the last of them. From now on, and for every connection that is made later, also if
    /// this call ends with the loss of one.
    pub fn subscribe(&self, by: Channel, names: &(impl Words + ?Sized)) -> Call {
        Call::make(&self.link, |done| self.say(by, true, names, done).map_err(|refused| refused.error))
    }

    /// Ends subscriptions: the call ends when the server has confirmed the last of them.
    pub fn unsubscribe(&self, by: Channel, names: &(impl Words + ?Sized)) -> Call {
        Call::make(&self.link, |done| self.say(by, false, names, done).map_err(|refused| refused.error))
    }

    /// [`Subscriber::subscribe`] and [`Subscriber::unsubscribe`] with a callback, as
    /// [`Client::command_with`](super::Client::command_with).
    ///
    /// # Errors
    /// Those of a command; `f` comes back, and nothing of it has run.
    pub fn subscribe_with<F>(
        &self,
        by: Channel,
        subscribes: bool,
        names: &(impl Words + ?Sized),
        f: F,
    ) -> Result<(), Refused<F>>
    where
        F: FnOnce(Result<Reply>) + Send + 'static,
    {
        with_callback(f, |done| self.say(by, subscribes, names, done)).map(drop)
    }

    fn say(
        &self,
        by: Channel,
        subscribes: bool,
        names: &(impl Words + ?Sized),
        done: Done,
    ) -> Result<u64, Refused<Done>> {
        let count = names.count();
        if count == 0 {
            return Err(Refused::new(Error::Invalid("redis: a subscription to no channels".into()), done));
        }
        let names: Vec<Vec<u8>> = (0..count).map(|at| names.word(at).to_vec()).collect();
        if let Err(error) = self.link.check() {
            return Err(Refused::new(error, done));
        }
        let command = Command::new(by.verbs()[usize::from(!subscribes)]).args(&names);
        let mut changed = names.into_iter().map(|name| (by, name)).collect();
        // Before it is sent: a connection that is made meanwhile says it, too.
        self.remember(subscribes, &mut changed);
        let group = Group::new(Finish::Confirm, count);
        let sent = self.link.send(None, Some(group), done, |bytes| encode(&command, bytes));
        if sent.is_err() {
            self.remember(!subscribes, &mut changed);
        }
        sent
    }

    /// Makes these what is subscribed to, or none of it; what was not so before is left in `names`.
    fn remember(&self, subscribes: bool, names: &mut Subscribed) {
        let mut subscribed = lock(&self.link.greeting);
        if subscribes {
            names.retain(|name| subscribed.insert(name.clone()));
        } else {
            names.retain(|name| subscribed.remove(name));
        }
    }

    /// The next message, awaited; of a subscriber without a callback.
    pub fn next(&self) -> Next<'_> {
        Next { subscriber: self, waiting: Place::default() }
    }

    /// Gives a message back that was taken, by whom in the end nobody wanted it: it is the next one again.
    pub fn put_back(&self, message: Message) {
        if self.link.check().is_ok() {
            self.inbox.put_back(message);
        }
    }

    /// Waits for the next message on this thread.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Closed`], [`Error::Forked`], [`Error::WouldDeadlock`] on the loop's own thread.
    pub fn wait_next(&self, timeout: Option<Duration>) -> Result<Message> {
        let (deadline, signal) = (Deadline::after(timeout), Arc::new(Signal::default()));
        let waker = Waker::from(signal.clone());
        let mut next = self.next();
        loop {
            if let Poll::Ready(message) = Pin::new(&mut next).poll(&mut Context::from_waker(&waker)) {
                return message;
            }
            if self.link.event_loop().is_loop_thread() {
                return Err(Error::WouldDeadlock(
                    "a loop's own callback cannot wait for a message that the loop reads",
                ));
            }
            if !signal.wait(deadline) {
                let limit = timeout.unwrap_or(Duration::MAX);
                return Err(Error::Timeout(format!("redis: no message within {limit:?}")));
            }
        }
    }

    /// How many messages were lost because nobody took them, by their number or by their bytes: the oldest go first. In a forked child 0.
    pub fn lost(&self) -> u64 {
        if self.link.check().is_err() { 0 } else { self.inbox.lost() }
    }

    /// Figures of its connection. In a forked child none.
    pub fn stats(&self) -> Stats {
        if self.link.check().is_err() { Stats::default() } else { self.link.stats() }
    }

    /// Ends it: who waits for a message is told [`Error::Closed`]. Any number of times.
    pub fn close(&self) {
        if self.link.check().is_ok() {
            self.link.close(Closing::Now, None);
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.close();
    }
}

/// The next message; made by [`Subscriber::next`]. Dropped before it has come, it takes none, and leaves nothing behind.
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub struct Next<'a> {
    subscriber: &'a Subscriber,
    waiting: Place,
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        // In a forked child the lock may be somebody's who is not there.
        if self.subscriber.link.check().is_ok() {
            self.subscriber.inbox.leave(&mut self.waiting);
        }
    }
}

impl Future for Next<'_> {
    type Output = Result<Message>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Message>> {
        let subscriber = self.subscriber;
        subscriber.link.check()?;
        subscriber.inbox.poll(&mut self.waiting, cx)
    }
}
