//! The connections of a port, and its listener.

#![forbid(unsafe_code)]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{ConnectionId, link::Link, room::Room};
use crate::{
    error::{Error, Result},
    event_loop::{
        Handle,
        stream::{Bound, Listener, Stream},
    },
    fork::{OnlyHere, Private},
    slots::Slots,
};

/// See the module's text.
#[derive(Debug)]
pub(in super::super) struct Table {
    state: Mutex<State>,
    room: Arc<Room>,
    /// How many connections may be open.
    most: usize,
    /// What is read is put here, by one connection after the other.
    scratch: Mutex<Vec<u8>>,
}

#[derive(Debug)]
struct State {
    /// Until the handler has started.
    bound: Option<Private<Bound>>,
    /// From then on, until no more is to be accepted.
    listener: Option<Arc<(OnlyHere, Listener)>>,
    accepts: bool,
    open: Slots<Arc<Link>>,
    /// With something to send since the callback at hand began.
    listed: Vec<Arc<Link>>,
    /// What accepts.
    waker: Option<Waker>,
}

/// What is read at once.
const READ: usize = 64 << 10;

impl Table {
    pub(in super::super) fn new(bound: Bound, most: usize, buffer_bytes: usize) -> Self {
        let state = State {
            bound: Some(Private::new(bound)),
            listener: None,
            accepts: true,
            open: Slots::new(),
            listed: Vec::new(),
            waker: None,
        };
        let room = Arc::new(Room::new(buffer_bytes));
        Self { state: Mutex::new(state), room, most, scratch: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a loop accept. False if nothing is to be accepted any more.
    pub(super) fn listen(&self, event_loop: &Handle) -> Result<bool> {
        let bound = self.state().bound.take();
        let Some(bound) = bound else { return Ok(false) };
        let (only_here, bound) = bound.into_parts();
        let listener = Arc::new((only_here, Listener::new(event_loop, bound)?));
        let mut state = self.state();
        if !state.accepts {
            drop(state);
            drop(listener);
            return Ok(false);
        }
        state.listener = Some(listener);
        Ok(true)
    }

    /// The next connection, when there is one and room for it; `None` when no more is to be accepted.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Stream>>> {
        // Before the look: what is closed from here on wakes it.
        let before = self.state().waker.replace(cx.waker().clone());
        drop(before);
        let (listener, has_room) = {
            let state = self.state();
            let Some(listener) = &state.listener else { return Poll::Ready(None) };
            (listener.clone(), state.open.len() < self.most)
        };
        // With no lock held: it may write to the log.
        if has_room { listener.1.poll_accept(cx).map(Some) } else { Poll::Pending }
    }

    /// Accepts no more. Connections that wait are refused, unless others have the socket too.
    pub(in super::super) fn close(&self) {
        let (bound, listener, waker) = {
            let mut state = self.state();
            state.accepts = false;
            (state.bound.take(), state.listener.take(), state.waker.take())
        };
        drop((bound, listener));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn add(&self, stream: Stream) -> (ConnectionId, Arc<Link>) {
        let link = Arc::new(Link::new(stream, self.room.clone()));
        (ConnectionId(self.state().open.insert(link.clone())), link)
    }

    pub(super) fn find(&self, id: ConnectionId) -> Result<Arc<Link>> {
        self.state().open.get_mut(id.0).cloned().ok_or(Error::Stale("connection"))
    }

    /// False if it was not there any more.
    pub(super) fn remove(&self, id: ConnectionId) -> bool {
        let (removed, waker) = {
            let mut state = self.state();
            (state.open.remove(id.0), state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        removed.is_some()
    }

    pub(super) fn all(&self) -> Vec<(ConnectionId, Arc<Link>)> {
        self.state().open.all().map(|(id, link)| (ConnectionId(id), link.clone())).collect()
    }

    pub(in super::super) fn len(&self) -> usize {
        self.state().open.len()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn waits(&self) -> usize {
        self.room.waits()
    }

    /// Remembers a connection that has something to send.
    pub(super) fn list(&self, link: Arc<Link>) {
        self.state().listed.push(link);
    }

    /// Sends what waits; answers how much that was.
    pub(super) fn send(&self) -> usize {
        let listed = std::mem::take(&mut self.state().listed);
        listed.iter().map(|link| link.send()).sum()
    }

    /// A place to read to; given back, it need not be made again.
    pub(super) fn scratch(&self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut *self.scratch.lock().unwrap_or_else(PoisonError::into_inner));
        scratch.resize(READ, 0);
        scratch
    }

    pub(super) fn give_back(&self, scratch: Vec<u8>) {
        *self.scratch.lock().unwrap_or_else(PoisonError::into_inner) = scratch;
    }
}
