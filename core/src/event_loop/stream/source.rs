//! What operations are made on: sockets of a loop that say when an attempt is worth while.

#![forbid(unsafe_code)]

use std::{
    fmt,
    task::{Context, Poll},
};

use super::{Listener, Stream};
use crate::{
    error::Result,
    event_loop::{Direction, Handle},
};

/// A socket of a loop: [`Stream`], [`Listener`].
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Its loop.
    fn event_loop(&self) -> &Handle;
    /// Ready when an attempt is worth while. Of those who poll, the last is woken.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<Result<()>>;
    /// Whoever polled last waits no longer.
    fn forget_polled(&self, direction: Direction);
}

impl Source for Stream {
    fn event_loop(&self) -> &Handle {
        self.event_loop()
    }
    fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.io().poll_ready(direction, cx).map_ok(|_| ())
    }
    fn forget_polled(&self, direction: Direction) {
        self.io().forget_polled(direction);
    }
}

impl Source for Listener {
    fn event_loop(&self) -> &Handle {
        self.event_loop()
    }
    fn poll_ready(&self, _: Direction, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_accept_ready(cx)
    }
    fn forget_polled(&self, direction: Direction) {
        self.io.forget_polled(direction);
    }
}
