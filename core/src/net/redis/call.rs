//! A call that waits for its reply, and what is told when it ends.

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{link::Link, reply::Reply};
use crate::{
    error::{Error, Refused, Result},
    event_loop::news::{Listener, Teller, channel},
    task::signal::Signal,
    time::Deadline,
};

/// Names a call of a client, for [`Client::cancel`](super::Client::cancel); never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub u64);

/// Who is told how a call has ended.
pub(super) enum Done {
    Future(Teller<Result<Reply>>),
    Callback(Box<dyn FnOnce(Result<Reply>) + Send>),
    Nobody,
}

impl Done {
    pub(super) fn callback(f: impl FnOnce(Result<Reply>) + Send + 'static) -> Self {
        Self::Callback(Box::new(f))
    }

    /// Foreign code: with no lock held.
    pub(super) fn tell(self, outcome: Result<Reply>) {
        match self {
            Self::Future(teller) => {
                teller.tell(outcome);
            }
            Self::Callback(f) => {
                crate::job::caught("redis client", || f(outcome));
            }
            Self::Nobody => {}
        }
    }
}

/// What is in a place, once.
pub(super) fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Sends with a callback that comes back if it is refused.
pub(super) fn with_callback<F>(f: F, send: impl FnOnce(Done) -> Result<u64, Refused<Done>>) -> Result<u64, Refused<F>>
where
    F: FnOnce(Result<Reply>) + Send + 'static,
{
    let place = Arc::new(Mutex::new(Some(f)));
    let kept = place.clone();
    let done = Done::callback(move |outcome| {
        if let Some(f) = take(&kept) {
            f(outcome);
        }
    });
    send(done).map_err(|refused| {
        let f = take(&place).unwrap_or_else(|| unreachable!("a refused callback has not run"));
        Refused::new(refused.error, f)
    })
}

/// A call as a future: awaited anywhere, or waited for by a plain thread. Dropped before its end it is cancelled: its reply is
/// read and goes nowhere.
#[must_use = "a call that is dropped is cancelled"]
pub struct Call {
    /// `None`: it has ended, or was refused.
    made: Option<(Arc<Link>, u64, Listener<Result<Reply>>)>,
    refused: Option<Error>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.made.as_ref().map(|(_, id, _)| id);
        f.debug_struct("Call").field("id", &id).field("refused", &self.refused).finish()
    }
}

impl Call {
    /// The call that `send` makes of the end that is told.
    #[inline]
    pub(super) fn make(link: &Arc<Link>, send: impl FnOnce(Done) -> Result<u64>) -> Self {
        let (teller, listener) = channel();
        match send(Done::Future(teller)) {
            Ok(id) => Self { made: Some((link.clone(), id, listener)), refused: None },
            Err(error) => Self::refused(error),
        }
    }

    pub(super) fn refused(error: Error) -> Self {
        Self { made: None, refused: Some(error) }
    }

    /// Waits for the end on this thread; after [`Error::Timeout`] the call is still there.
    ///
    /// # Errors
    /// Those of the call; [`Error::Timeout`], [`Error::WouldDeadlock`] on the loop's own thread.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Reply> {
        let deadline = Deadline::after(timeout);
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(signal.clone());
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut *self).poll(&mut Context::from_waker(&waker)) {
                return outcome;
            }
            if self.made.as_ref().is_some_and(|(link, ..)| link.event_loop().is_loop_thread()) {
                return Err(Error::WouldDeadlock("a loop's own callback cannot wait for a reply that the loop reads"));
            }
            if !signal.wait(deadline) {
                let limit = timeout.unwrap_or(Duration::MAX);
                return Err(Error::Timeout(format!("redis: no reply within {limit:?}")));
            }
        }
    }
}

impl Future for Call {
    type Output = Result<Reply>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        let this = &mut *self;
        let Some((link, _, listener)) = &this.made else {
            let ended = || Error::Invalid("a redis call was asked for its reply twice".into());
            return Poll::Ready(Err(this.refused.take().unwrap_or_else(ended)));
        };
        if let Err(error) = link.check() {
            return Poll::Ready(Err(error));
        }
        let polled = listener.poll(cx);
        if polled.is_ready() {
            this.made = None;
        }
        polled.map(|outcome| outcome.and_then(|outcome| outcome))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((link, id, listener)) = self.made.take()
            && link.check().is_ok()
        {
            link.forget(id);
            drop(listener);
        }
    }
}
