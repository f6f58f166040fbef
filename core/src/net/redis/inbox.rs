//! Messages that came and that nobody has taken yet.
//!
//! Up to a number of them, and of their bytes: then the oldest go, and are counted; the newest one stays, however large it is. Who waits for one has a [`Place`], and leaves no trace when it has gone.

#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::pubsub::Message;
use crate::error::{Error, Result};

/// See the module's text.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    /// Of the messages.
    bytes: usize,
    /// Of those who wait, by place.
    wakers: BTreeMap<u64, Waker>,
    last_place: u64,
    lost: u64,
    is_closed: bool,
}

/// Of one who waits; `None` before it does.
#[derive(Debug, Default)]
pub(super) struct Place(Option<u64>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, message: Message, most: usize, most_bytes: usize) {
        let mut oldest = Vec::new();
        let mut state = self.lock();
        state.bytes += message.length();
        while state.messages.len() >= most || state.bytes > most_bytes {
            let Some(first) = state.messages.pop_front() else { break };
            state.bytes -= first.length();
            state.lost += 1;
            oldest.push(first);
        }
        state.messages.push_back(message);
        wake(state);
    }

    pub(super) fn put_back(&self, message: Message) {
        let mut state = self.lock();
        state.bytes += message.length();
        state.messages.push_front(message);
        wake(state);
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake(state);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// The next message.
    pub(super) fn poll(&self, place: &mut Place, cx: &Context<'_>) -> Poll<Result<Message>> {
        // Wakers are foreign: cloned and dropped with no lock held.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(message) = state.messages.pop_front() {
            state.bytes -= message.length();
            drop(state);
            return Poll::Ready(Ok(message));
        }
        if state.is_closed {
            drop(state);
            return Poll::Ready(Err(Error::Closed("redis subscriber")));
        }
        let at = *place.0.get_or_insert_with(|| {
            state.last_place += 1;
            state.last_place
        });
        let before = state.wakers.insert(at, waker);
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Waits no more.
    pub(super) fn leave(&self, place: &mut Place) {
        if let Some(at) = place.0.take() {
            // Bound first: it is dropped with no lock held.
            let waker = self.lock().wakers.remove(&at);
            drop(waker);
        }
    }
}

/// Wakes all who wait, with no lock held.
fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = mem::take(&mut state.wakers);
    drop(state);
    wakers.into_values().for_each(Waker::wake);
}
