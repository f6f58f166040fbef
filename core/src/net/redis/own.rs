//! Connections of one's own: made when one is wanted, up to a number, and used again.
//!
//! # Invariants
//!
//! * `open` counts the links that were made, or may be made by who was given the place, and have not ended: never more than the most.
//! * Who waits is served in the order in which it came, by a link that was given back or by the place of one that has ended. A [`Grant`] that
//!   nobody takes goes to the next.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Client,
    client::{Inner, started},
    link::{Closing, Link, Use},
};
use crate::{
    error::{Error, Result},
    event_loop::{
        news::{Listener, Teller, channel},
        timeout,
    },
    fork::ForkGuard,
};

/// Links that wait for the next who wants one.
const IDLE: usize = 16;

/// The connections of one's own of a client.
pub(super) struct Pool {
    fork: ForkGuard,
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Arc<Link>>,
    open: usize,
    waiting: VecDeque<Teller<Grant>>,
    is_closed: bool,
}

enum What {
    Link(Arc<Link>),
    /// One more may be made.
    Place,
}

/// What somebody may have; see the module's text.
struct Grant {
    pool: Arc<Pool>,
    what: Option<What>,
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(what) = self.what.take() {
            self.pool.give(what);
        }
    }
}

/// The answer to who wants one.
enum Asked {
    Now(Grant),
    Later(Listener<Grant>),
}

impl Pool {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { fork: ForkGuard::new("redis client"), most, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(self: &Arc<Self>, what: What) -> Grant {
        Grant { pool: self.clone(), what: Some(what) }
    }

    fn now(self: &Arc<Self>) -> Result<Option<Grant>> {
        loop {
            let mut state = self.lock();
            if state.is_closed {
                return Err(Error::Closed("redis client"));
            }
            let link = state.idle.pop();
            let is_place = link.is_none() && state.open < self.most;
            state.open += usize::from(is_place);
            drop(state);
            match link {
                // It may have been the last to know it.
                Some(link) if link.is_closed() => drop(link),
                Some(link) => return Ok(Some(self.grant(What::Link(link)))),
                None => return Ok(is_place.then(|| self.grant(What::Place))),
            }
        }
    }

    fn ask(self: &Arc<Self>) -> Result<Asked> {
        loop {
            if let Some(grant) = self.now()? {
                return Ok(Asked::Now(grant));
            }
            let mut state = self.lock();
            if state.is_closed || state.open < self.most || !state.idle.is_empty() {
                continue;
            }
            let mut unheard = VecDeque::new();
            // Not each time, for they may be many.
            if state.waiting.len().is_power_of_two() {
                let (heard, others) = std::mem::take(&mut state.waiting).into_iter().partition(Teller::is_heard);
                (state.waiting, unheard) = (heard, others);
            }
            let (teller, listener) = channel();
            state.waiting.push_back(teller);
            // They may have wakers, which are foreign.
            drop(state);
            drop(unheard);
            return Ok(Asked::Later(listener));
        }
    }

    /// Gives to the first who waits, or keeps it.
    fn give(self: &Arc<Self>, what: What) {
        if self.fork.is_forked() {
            return;
        }
        if let What::Link(link) = &what
            && link.is_closed()
        {
            // Its place is given when it has ended.
            return;
        }
        // Told, and dropped, with no lock held.
        let (mut unheard, mut state) = (Vec::new(), self.lock());
        let heard = loop {
            match state.waiting.pop_front() {
                Some(teller) if !teller.is_heard() => unheard.push(teller),
                first => break first,
            }
        };
        match (heard, what) {
            (Some(teller), what) => {
                drop(state);
                teller.tell(self.grant(what));
            }
            (None, What::Place) => state.open -= 1,
            (None, What::Link(link)) if state.idle.len() < IDLE && !state.is_closed => state.idle.push(link),
            (None, What::Link(link)) => {
                drop(state);
                link.close(Closing::Drain, None);
            }
        }
    }

    /// Ends the idle ones, and tells those who wait.
    pub(super) fn close(&self, closing: Closing) {
        if self.fork.is_forked() {
            return;
        }
        let mut state = self.lock();
        state.is_closed = true;
        let (idle, waiting) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.waiting));
        drop(state);
        for link in &idle {
            link.close(closing, None);
        }
        drop(waiting);
    }
}

impl Client {
    /// A connection of one's own, for what others must not come between: WATCH, MULTI, SELECT, a command that blocks for long. It is given back when it is
    /// dropped, and the next who asks is given it, unless its state was changed. A lost one is not made anew: what was watched is forgotten
    /// then, and its calls end with [`Error::Closed`] or the reason.
    ///
    /// # Errors
    /// [`Error::QueueFull`] if [`Options::max_own`](super::Options::max_own) of them are there and somebody's, [`Error::Closed`], [`Error::Forked`].
    pub fn own(&self) -> Result<Own> {
        self.may_own()?;
        let pool = &self.inner.pool;
        let grant = pool.now()?.ok_or_else(|| Error::QueueFull {
            what: "redis client",
            capacity: format!("{} connections of one's own", pool.most),
        })?;
        self.own_by(grant)
    }

    /// [`Client::own`]; while all of them are somebody's it waits for one, for no longer than `limit`; [`Duration::MAX`] is for ever. Who asks first is
    /// served first.
    ///
    /// # Errors
    /// Awaited: [`Error::Timeout`], [`Error::Closed`], [`Error::Forked`].
    pub fn own_within(&self, limit: Duration) -> impl Future<Output = Result<Own>> + Send + use<> {
        let client = self.clone();
        let asked = client.may_own().and_then(|()| client.inner.pool.ask());
        async move {
            let grant = match asked? {
                Asked::Now(grant) => grant,
                Asked::Later(listener) => {
                    let given = poll_fn(|cx| listener.poll(cx));
                    match timeout(&client.inner.event_loop, Some(limit), given).await {
                        Ok(given) => given.map_err(|_| Error::Closed("redis client"))?,
                        Err(Error::Timeout(_)) => {
                            let most = client.inner.pool.most;
                            let text = format!("redis: all {most} connections of one's own were in use for {limit:?}");
                            return Err(Error::Timeout(text));
                        }
                        Err(other) => return Err(other),
                    }
                }
            };
            client.own_by(grant)
        }
    }

    /// Whether another connection may be made beside its own.
    pub(super) fn may_own(&self) -> Result<()> {
        let link = &self.inner.links[0];
        link.check()?;
        if link.is_closed() { Err(Error::Closed("redis client")) } else { Ok(()) }
    }

    fn own_by(&self, mut grant: Grant) -> Result<Own> {
        let inner = &self.inner;
        let link = match grant.what.take() {
            Some(What::Link(link)) => link,
            _ => {
                let mut link = inner.link(Use::Own);
                let pool = Arc::downgrade(&inner.pool);
                // Also if it cannot be started.
                link.on_end = Some(Box::new(move || {
                    if let Some(pool) = pool.upgrade() {
                        pool.give(What::Place);
                    }
                }));
                started(Arc::new(link))?
            }
        };
        Ok(Own { client: Self { inner: Arc::new(inner.beside(link)) }, home: inner.clone() })
    }
}

/// A connection of one's own: a [`Client`] of one connection, on which commands that change its state are allowed. See [`Client::own`].
pub struct Own {
    client: Client,
    home: Arc<Inner>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("server", &self.client.options().server).finish_non_exhaustive()
    }
}

impl Deref for Own {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let link = &self.client.inner.links[0];
        if link.check().is_err() || link.is_closed() || link.load() > 0 || link.is_changed() {
            return;
        }
        // A clone of this client may still be somewhere: its calls would come between those of the next owner.
        if let Some(inner) = Arc::get_mut(&mut self.client.inner) {
            // Not for a client that has been closed meanwhile: the pool sees to that.
            inner.links.drain(..).for_each(|link| self.home.pool.give(What::Link(link)));
        }
    }
}
