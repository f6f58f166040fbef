//! The answer to a verb, to be waited for by a plain thread or a coroutine.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    error::{Error, Result},
    event_loop::news::Listener,
    fork::ForkGuard,
    task::signal::Signal,
    time::Deadline,
};

/// A verb on its way. Dropped, it is carried out all the same, and nobody is told.
#[derive(Debug)]
#[must_use = "it tells what came of the call"]
pub struct Asked<T> {
    pub(super) fork: ForkGuard,
    pub(super) listener: Listener<Result<T>>,
}

impl<T> Asked<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// What the verb answers; [`Error::Closed`] if the host has gone, [`Error::Timeout`]: the verb goes on, and this may be called
    /// again; [`Error::Forked`].
    pub fn join(&self, timeout: Option<Duration>) -> Result<T> {
        self.fork.check()?;
        let deadline = Deadline::after(timeout);
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(signal.clone());
        loop {
            if let Poll::Ready(told) = self.poll_with(&mut Context::from_waker(&waker)) {
                return told;
            }
            if !signal.wait(deadline) {
                return Err(Error::Timeout("the host has not answered yet".into()));
            }
        }
    }

    fn poll_with(&self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.listener.poll(cx).map(|told| told.unwrap_or(Err(Error::Closed("host"))))
    }
}

impl<T> Future for Asked<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.fork.check()?;
        self.poll_with(cx)
    }
}
