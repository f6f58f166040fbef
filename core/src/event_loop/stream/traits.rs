//! The traits that libraries of others ask for: those of `futures-io` always, tokio's with the feature `tokio-io`. hyper's are in
//! `hyper.rs`.
//!
//! They are the same attempts and waits as the stream's own calls, and the same for all of them: what differs is the names, and how a
//! buffer is told that it was filled. A task that uses them is the one that waits, so one task reads and
//! one writes: of two that read through the traits, the last is woken.

#![forbid(unsafe_code)]

use std::{
    io::{self, ErrorKind},
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{ReadHalf, Stream, WriteHalf};
use crate::{error::Error, event_loop::Direction};

impl From<Error> for io::Error {
    /// Its text and, where the standard library has one, its kind.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Os { errno, .. } => Self::from_raw_os_error(*errno).kind(),
            Error::WouldBlock(_) => ErrorKind::WouldBlock,
            Error::Timeout(_) => ErrorKind::TimedOut,
            Error::Invalid(_) | Error::Null(_) => ErrorKind::InvalidInput,
            Error::Exists(_) => ErrorKind::AlreadyExists,
            Error::Unsupported(_) => ErrorKind::Unsupported,
            _ => ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl Stream {
    /// Attempts when it is worth while, until the attempt does not block.
    pub(super) fn poll_attempt<T>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.io.poll_ready(direction, cx))?;
            match attempt() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

/// The methods of `futures-io`'s `AsyncRead`, for what is a [`Stream`] by `Deref`.
macro_rules! reads {
    () => {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_attempt(Direction::Read, cx, || self.read_now(buffer))
        }

        fn poll_read_vectored(
            self: std::pin::Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffers: &mut [io::IoSliceMut<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_attempt(Direction::Read, cx, || self.read_vectored_now(buffers))
        }
    };
}

/// The methods of a trait that writes, for what is a [`Stream`] by `Deref`: all have these, and each a name of its own for the end. Those
/// that ask whether writes of several buffers are one call are told so.
macro_rules! writes {
    (end: $end:ident, $asks:ident) => {
        $crate::event_loop::stream::traits::writes!(end: $end);

        fn $asks(&self) -> bool {
            true
        }
    };
    (end: $end:ident) => {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.poll_attempt($crate::event_loop::Direction::Write, cx, || self.write_now(bytes))
        }

        fn poll_write_vectored(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buffers: &[std::io::IoSlice<'_>],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.poll_attempt($crate::event_loop::Direction::Write, cx, || self.write_vectored_now(buffers))
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn $end(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(self.shutdown(std::net::Shutdown::Write)?))
        }
    };
}
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
pub(super) use writes;

impl AsyncRead for &Stream {
    reads!();
}

impl AsyncWrite for &Stream {
    writes!(end: poll_close);
}

impl AsyncRead for Stream {
    reads!();
}

impl AsyncWrite for Stream {
    writes!(end: poll_close);
}

impl AsyncRead for ReadHalf {
    reads!();
}

impl AsyncWrite for WriteHalf {
    writes!(end: poll_close);
}

#[cfg(feature = "tokio-io")]
mod of_tokio {
    use std::pin::Pin;

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::{Context, Direction, Poll, Stream, io, ready};

    impl AsyncRead for Stream {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let read = self.poll_attempt(Direction::Read, cx, || self.read_now(buffer.initialize_unfilled()));
            buffer.advance(ready!(read)?);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Stream {
        super::writes!(end: poll_shutdown, is_write_vectored);
    }
}
