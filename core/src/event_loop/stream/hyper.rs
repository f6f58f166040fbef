//! hyper's traits, with the feature `hyper`: [`Stream`] is a connection to it, a loop's [`Handle`] its timer. Its executors, loops and
//! pools, are in `task/hyper.rs`.
//!
//! `unsafe` stands here for one thing: hyper's read buffer may not be initialized, and it has to be believed how much of it was filled.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};

use super::{Stream, traits::writes};
use crate::event_loop::{Direction, Handle, sleep};

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = self.poll_attempt(Direction::Read, cx, || {
            // SAFETY: a read writes bytes and takes none away.
            self.read_uninit_now(unsafe { buffer.as_mut() })
        });
        let filled = ready!(read)?;
        // SAFETY: the system has written so many bytes at the beginning of what `as_mut` gave.
        unsafe { buffer.advance(filled) };
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    writes!(end: poll_shutdown, is_write_vectored);
}

/// A time of the loop. When the loop has ended, it does not come.
#[derive(Debug)]
struct OnLoop(crate::event_loop::Sleep);

impl Future for OnLoop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            // The connection it is for ends with the loop too.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Sleep for OnLoop {}

impl Timer for Handle {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(OnLoop(sleep(self, duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Timer::sleep(self, deadline.saturating_duration_since(Instant::now()))
    }
}
