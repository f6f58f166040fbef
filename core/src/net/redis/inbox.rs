//! Messages that came and that nobody has taken yet.
//!
//! Up to a number of them: then the oldest goes, and is counted. Who waits for one has a [`Place`], and leaves no trace when it has gone.

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

    pub(super) fn put(&self, message: Message, most: usize) {
        let mut state = self.lock();
        let oldest = if state.messages.len() >= most { state.messages.pop_front() } else { None };
        state.lost += u64::from(oldest.is_some());
        state.messages.push_back(message);
        wake(state);
    }

    pub(super) fn put_back(&self, message: Message) {
        let mut state = self.lock();
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
