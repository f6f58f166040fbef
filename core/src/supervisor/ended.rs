//! The end of a host, as a future.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::shared::{Finish, Shared};
use crate::error::Result;

/// See [`Host::ended`](super::Host::ended). Dropped, it is forgotten.
#[derive(Debug)]
#[must_use = "it tells how the host has ended"]
pub struct HostEnded {
    pub(super) shared: Arc<Shared>,
    pub(super) waiter: Option<u64>,
}

impl Future for HostEnded {
    type Output = Result<Finish>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Finish>> {
        self.shared.fork.check()?;
        let this = &mut *self;
        this.shared.poll_ended(&mut this.waiter, cx).map(Ok)
    }
}

impl Drop for HostEnded {
    fn drop(&mut self) {
        // In a forked child another thread may have held the lock.
        if !self.shared.fork.is_forked() {
            self.shared.leave_ended(self.waiter);
        }
    }
}
