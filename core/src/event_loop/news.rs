//! What a callback of the loop tells a future, once.
//!
//! The callback owns the [`Teller`], the future the [`Listener`]. A callback that is dropped without having told (cancelled, or gone
//! with its loop) tells that, so no future waits for what cannot come.

#![forbid(unsafe_code)]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    error::{Error, Result},
    job::caught,
};

/// What the callback has told, or who waits for it.
#[derive(Debug)]
enum News<T> {
    None(Option<Waker>),
    Told(T),
    /// The callback was dropped without a run; or what it told was taken.
    Gone,
}

/// The callback's end: tells once, also by being dropped.
#[derive(Debug)]
pub(crate) struct Teller<T>(Arc<Mutex<News<T>>>);

/// The future's end.
#[derive(Debug)]
pub(crate) struct Listener<T>(Arc<Mutex<News<T>>>);

/// Both ends.
pub(crate) fn channel<T>() -> (Teller<T>, Listener<T>) {
    let news = Arc::new(Mutex::new(News::None(None)));
    (Teller(news.clone()), Listener(news))
}

fn lock<T>(news: &Mutex<News<T>>) -> MutexGuard<'_, News<T>> {
    news.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Teller<T> {
    /// Whether the future is still there.
    pub(crate) fn is_heard(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Tells, and wakes who waits. False: it has told before, or nobody listens any more.
    pub(crate) fn tell(&self, told: T) -> bool {
        self.set(News::Told(told))
    }

    fn set(&self, told: News<T>) -> bool {
        let mut news = lock(&self.0);
        let News::None(waker) = &mut *news else { return false };
        let waker = waker.take();
        *news = told;
        drop(news);
        // Foreign code, so with no lock held.
        if let Some(waker) = waker {
            caught("waker", || waker.wake());
        }
        true
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.set(News::Gone);
    }
}

impl<T> Listener<T> {
    /// What was told, once; [`Error::Closed`] when nobody will tell any more.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut new = None;
        loop {
            let mut news = lock(&self.0);
            match (&mut *news, new.take()) {
                (News::None(Some(waker)), _) if waker.will_wake(cx.waker()) => return Poll::Pending,
                (News::None(waker), Some(new)) => {
                    let before = waker.replace(new);
                    drop(news);
                    drop(before);
                    return Poll::Pending;
                }
                // Cloned, as it is dropped, with no lock held.
                (News::None(_), None) => {
                    drop(news);
                    new = Some(cx.waker().clone());
                }
                (told, new) => {
                    let told = std::mem::replace(told, News::Gone);
                    drop(news);
                    drop(new);
                    return Poll::Ready(match told {
                        News::Told(told) => Ok(told),
                        _ => Err(Error::Closed("event loop")),
                    });
                }
            }
        }
    }

    /// Listens no more; what was told and not taken.
    pub(crate) fn close(&self) -> Option<T> {
        // Bound first: a waker is dropped with no lock held.
        let news = std::mem::replace(&mut *lock(&self.0), News::Gone);
        match news {
            News::Told(told) => Some(told),
            _ => None,
        }
    }
}
