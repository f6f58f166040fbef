//! The future as it is run: what a coroutine's cell holds, and how it ends.
//!
//! async-task's cell has one word of state for running, woken, cancelled and done, and holds the future, then its output. Around
//! the user's future stands [`Coroutine`], so that whatever happens inside comes out as an [`Outcome`] and no panic, not
//! even one of a drop, reaches the cell: it would end the process.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_task::{Builder, FallibleTask, Runnable, ScheduleInfo, WithInfo};
use pin_project_lite::pin_project;

use super::{place::Belongs, run};
use crate::{
    error::{Error, Result},
    fork::Process,
    job::{caught, panic_text},
};

/// What a coroutine's cell holds beside the future.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) born: Process,
    /// Why the last move failed; told to the future in its next turn.
    failed: Mutex<Option<Box<Error>>>,
    has_failed: AtomicBool,
}

impl Meta {
    /// Keeps why a move failed. Only the one who is about to queue the coroutine calls it.
    pub(super) fn fail(&self, error: Error) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(error));
        self.has_failed.store(true, Ordering::Release);
    }

    /// Takes why the last move failed.
    #[inline]
    pub(super) fn take_failure(&self) -> Option<Box<Error>> {
        if !self.has_failed.load(Ordering::Acquire) {
            return None;
        }
        self.has_failed.store(false, Ordering::Relaxed);
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How a coroutine ended, until somebody takes it.
#[derive(Debug)]
pub(super) struct Outcome<T>(Option<Result<T, Box<Error>>>);

impl<T> Outcome<T> {
    pub(super) fn take(mut self) -> Result<T> {
        match self.0.take() {
            Some(result) => result.map_err(|error| *error),
            None => Err(Error::Stale("coroutine")),
        }
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        let Some(untold) = self.0.take() else { return };
        run::not_in_place(|| match untold {
            Ok(unclaimed) => {
                caught("coroutine", || drop(unclaimed));
            }
            Err(error) => {
                if let Error::Panic(text) = *error {
                    tracing::error!(target: "coop", "a coroutine that nobody joined panicked: {text}");
                }
            }
        });
    }
}

pin_project! {
    /// A future, until it ends.
    struct Coroutine<F> {
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Coroutine<F> {
        fn drop(this: Pin<&mut Self>) {
            drop_future(this.project().future);
        }
    }
}

fn drop_future<F>(mut future: Pin<&mut Option<F>>) {
    if future.is_some() {
        caught("coroutine", || future.set(None));
    }
}

impl<F: Future> Future for Coroutine<F> {
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        if let Some(error) = run::ends_with() {
            drop_future(future);
            return Poll::Ready(Outcome(Some(Err(error))));
        }
        run::polled_with(cx.waker());
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().as_pin_mut().map(|future| future.poll(cx))));
        let result = match polled {
            Ok(Some(Poll::Pending)) => {
                run::keep(cx.waker());
                return Poll::Pending;
            }
            Ok(Some(Poll::Ready(value))) => Ok(value),
            Ok(None) => Err(Box::new(Error::Stale("coroutine"))),
            Err(payload) => {
                let text = panic_text(&*payload).to_owned();
                // The payload's own drop may panic too: it is user code.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                Err(Box::new(Error::Panic(text)))
            }
        };
        // Whoever awaits the end finds that what the future held is gone.
        drop_future(future);
        run::ending();
        Poll::Ready(Outcome(Some(result)))
    }
}

/// Makes the cell: the coroutine's first turn, to be queued by the caller, and the way to its outcome.
pub(super) fn make<F>(future: F, belongs: Belongs) -> (Runnable<Meta>, FallibleTask<Outcome<F::Output>, Meta>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let meta = Meta { born: Process::current(), failed: Mutex::new(None), has_failed: AtomicBool::new(false) };
    // The closure owns where the coroutine belongs: that keeps the cell in place while a turn is being queued.
    let schedule = WithInfo(move |runnable: Runnable<Meta>, info: ScheduleInfo| belongs.queue(runnable, info));
    let (runnable, task) = Builder::new().metadata(meta).spawn(move |_| Coroutine { future: Some(future) }, schedule);
    (runnable, task.fallible())
}
