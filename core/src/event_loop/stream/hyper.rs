//! hyper's traits, with the feature `hyper`: [`Stream`] is a connection to it, a loop's [`Handle`] its timer. Its executors, loops and
//! pools, are in `task/hyper.rs`.
//!
//! `unsafe` stands here for one thing: hyper's read buffer may not be initialized, and it has to be believed how much of it was filled.

use std::{
    future::Future,
    io::{self, IoSlice},
    net::Shutdown,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};

use super::Stream;
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_attempt(Direction::Write, cx, || self.write_now(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_attempt(Direction::Write, cx, || self.write_vectored_now(buffers))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(self.shutdown(Shutdown::Write)?))
    }
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
