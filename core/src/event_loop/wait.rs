//! What a coroutine waits for on a loop: a time, and a file descriptor that is ready.
//!
//! Each is a timer or a watch of the loop whose callback wakes the coroutine; it goes on where it belongs. Dropped before
//! that, the future ends its timer or watch. When the loop has finished, stopped or freed, the callback goes with it, and the future
//! answers [`Error::Closed`].

#![forbid(unsafe_code)]

use std::{
    future::Future,
    mem,
    os::fd::RawFd,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    dispatch::On,
    handle::Handle,
    news::{Listener, channel},
    timer::{TimerId, TimerOptions},
    watch::{Interest, Readiness, WatchId, WatchOptions},
};
use crate::error::{Error, Result};

/// Ends at a time; made by [`sleep`].
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub struct Sleep {
    event_loop: Handle,
    at: Option<Instant>,
    timer: Option<(TimerId, Listener<()>)>,
}

/// Waits until `duration` from now has passed. Awaited it answers [`Error::Closed`] when the loop was stopped before, or finishes
/// meanwhile, and [`Error::Forked`]. A loop that is stopped meanwhile and not run any more finishes when it is freed.
pub fn sleep(event_loop: &Handle, duration: Duration) -> Sleep {
    Sleep { event_loop: event_loop.clone(), at: Instant::now().checked_add(duration), timer: None }
}

impl Future for Sleep {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        if this.timer.is_none() {
            let left = this.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            let (teller, listener) = channel();
            // Set before the timer, which may fire at once.
            let _ = listener.poll(cx);
            let options = TimerOptions { after: left, on: On::Loop, ..TimerOptions::default() };
            let id = this.event_loop.timer(options, move |_| {
                teller.tell(());
            })?;
            this.timer = Some((id, listener));
            return Poll::Pending;
        }
        match &this.timer {
            Some((_, listener)) => listener.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((id, _)) = mem::take(&mut self.timer) {
            // Stale when it has fired.
            let _ = self.event_loop.cancel_timer(id);
        }
    }
}

pin_project_lite::pin_project! {
    /// A future with a time by which it must have ended; made by [`timeout`].
    #[derive(Debug)]
    #[must_use = "nothing happens until it is awaited"]
    pub struct Late<F> {
        #[pin]
        future: F,
        sleep: Option<Sleep>,
        duration: Duration,
    }
}

/// Awaits the future for no longer than `duration`: then it answers [`Error::Timeout`], and the future is dropped with it. `None` is for
/// ever. Otherwise it answers what [`sleep`] answers when the loop ends.
pub fn timeout<F: Future>(event_loop: &Handle, duration: Option<Duration>, future: F) -> Late<F> {
    let sleep = duration.map(|duration| sleep(event_loop, duration));
    Late { future, sleep, duration: duration.unwrap_or(Duration::MAX) }
}

impl<F: Future> Future for Late<F> {
    type Output = Result<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(done) = this.future.poll(cx) {
            return Poll::Ready(Ok(done));
        }
        match this.sleep.as_mut().map(|sleep| Pin::new(sleep).poll(cx)) {
            None | Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(()))) => {
                Poll::Ready(Err(Error::Timeout(format!("not done within {:?}", this.duration))))
            }
        }
    }
}

/// Ends when an fd is ready; made by [`readable`], [`writable`] and [`ready`].
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub struct Ready {
    event_loop: Handle,
    fd: RawFd,
    interest: Interest,
    watch: Option<(WatchId, Listener<Readiness>)>,
}

/// Waits until a read of the fd would not block. The fd stays the caller's, who keeps it open meanwhile.
///
/// Awaited it answers what [`watch`](Handle::watch) answers: [`Error::Exists`] also when another coroutine waits for the same fd, in either
/// direction; [`Error::Closed`] when the loop finishes, as for [`sleep`]. One coroutine waits for both directions with [`ready`]; of two, one waits for a
/// duplicate of the fd, as `try_clone` makes it.
pub fn readable(event_loop: &Handle, fd: RawFd) -> Ready {
    ready(event_loop, fd, Interest::READ)
}

/// Waits until a write to the fd would not block; otherwise as [`readable`].
pub fn writable(event_loop: &Handle, fd: RawFd) -> Ready {
    ready(event_loop, fd, Interest::WRITE)
}

/// Waits until the fd is ready in one of these directions, and answers in which; otherwise as [`readable`].
pub fn ready(event_loop: &Handle, fd: RawFd, interest: Interest) -> Ready {
    Ready { event_loop: event_loop.clone(), fd, interest, watch: None }
}

impl Future for Ready {
    type Output = Result<Readiness>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let this = &mut *self;
        if this.watch.is_none() {
            let (teller, listener) = channel();
            let _ = listener.poll(cx);
            // Edge-triggered, as it is wanted once; what is ready now is told at once all the same.
            let options = WatchOptions { edge: true, on: On::Loop, ..WatchOptions::new(this.interest) };
            let id = this.event_loop.watch(this.fd, options, move |ready| {
                teller.tell(ready);
            })?;
            this.watch = Some((id, listener));
            return Poll::Pending;
        }
        let polled = match &this.watch {
            Some((_, listener)) => listener.poll(cx),
            None => Poll::Pending,
        };
        if polled.is_ready() {
            this.end();
        }
        polled
    }
}

impl Ready {
    /// Ends the watch, so that the fd may be watched again.
    fn end(&mut self) {
        if let Some((id, _)) = mem::take(&mut self.watch) {
            let _ = self.event_loop.cancel_watch(id);
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.end();
    }
}
