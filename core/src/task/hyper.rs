//! Loops and pools as hyper's executors, with the feature `hyper`.

#![forbid(unsafe_code)]

use std::future::Future;

use hyper::rt::Executor;

use crate::{event_loop, pool};

fn report(refused: Result<(), crate::Error>) {
    // The trait has no way to say so.
    if let Err(error) = refused {
        tracing::warn!(target: "coop", "a coroutine of hyper's was dropped: {error}");
    }
}

impl<F> Executor<F> for event_loop::Handle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        report(self.spawn(future).map(drop).map_err(Into::into));
    }
}

impl<F> Executor<F> for pool::Handle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        report(self.spawn(future).map(drop).map_err(Into::into));
    }
}
