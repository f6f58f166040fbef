//! Operations of one direction of a socket, one after another in the order that they were asked for.
//!
//! Each takes a [`Place`] and goes on when that is the first. A closed line ends all of them with `Closed`. A place that is dropped lets
//! the next one go on.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use coop_core::{Error, Result};

#[derive(Default)]
struct State {
    last: u64,
    waiting: VecDeque<(u64, Option<Waker>)>,
    closed: bool,
}

pub(crate) struct Line {
    /// Whose it is.
    what: &'static str,
    state: Mutex<State>,
}

impl Line {
    pub(crate) fn of(what: &'static str) -> Arc<Self> {
        Arc::new(Self { what, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at the end, and whether that is the first one.
    pub(crate) fn join(self: &Arc<Self>) -> (Place, bool) {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        state.waiting.push_back((number, None));
        let is_first = state.waiting.len() == 1 && !state.closed;
        (Place { line: self.clone(), number }, is_first)
    }

    /// Ends all that is in it and all that will be.
    pub(crate) fn close(&self) {
        let wakers: Vec<_> = {
            let mut state = self.lock();
            state.closed = true;
            state.waiting.iter_mut().filter_map(|(_, waker)| waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One operation's place; given up when dropped.
pub(crate) struct Place {
    line: Arc<Line>,
    number: u64,
}

impl Place {
    fn poll_first(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.line.lock();
        if state.closed {
            return Poll::Ready(Err(Error::Closed(self.line.what)));
        }
        let is_first = state.waiting.front().is_some_and(|(number, _)| *number == self.number);
        let mine = state.waiting.iter_mut().find(|(number, _)| *number == self.number);
        let before = mine.and_then(|(_, waker)| waker.replace(cx.waker().clone()));
        drop(state);
        drop(before);
        if is_first { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Runs the operation when its turn has come, and until the line is closed.
    pub(crate) async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let mut operation = pin!(operation);
        poll_fn(|cx| {
            ready!(self.poll_first(cx))?;
            operation.as_mut().poll(cx)
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        let mine = state.waiting.iter().position(|(number, _)| *number == self.number);
        let gone = mine.and_then(|index| state.waiting.remove(index));
        let next = if mine == Some(0) { state.waiting.front_mut().and_then(|(_, waker)| waker.take()) } else { None };
        drop(state);
        drop(gone);
        if let Some(next) = next {
            next.wake();
        }
    }
}
