//! A stream in two halves, for two tasks: one reads, one writes.
//!
//! Both are the stream, by [`Deref`], so two tasks may as well share it in an [`Arc`]; what halves add is that each says what its task does,
//! and that a dropped [`WriteHalf`] ends its direction.

#![forbid(unsafe_code)]

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::Shutdown,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::Stream;

/// The half that reads; made by [`Stream::split`].
#[derive(Debug)]
pub struct ReadHalf(Arc<Stream>);

/// The half that writes; made by [`Stream::split`]. Dropped, the peer reads to the end.
#[derive(Debug)]
pub struct WriteHalf(Option<Arc<Stream>>);

impl Stream {
    /// Splits it; it is closed when both halves are dropped.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let stream = Arc::new(self);
        (ReadHalf(stream.clone()), WriteHalf(Some(stream)))
    }
}

impl ReadHalf {
    /// Puts the halves together again; those of two streams come back.
    ///
    /// # Errors
    /// The halves, if they are not of one stream.
    pub fn unite(self, mut writer: WriteHalf) -> Result<Stream, (Self, WriteHalf)> {
        if !Arc::ptr_eq(&self.0, writer.shared()) {
            return Err((self, writer));
        }
        drop(writer.0.take());
        Ok(Arc::into_inner(self.0).unwrap_or_else(|| unreachable!("the two halves are all that hold it")))
    }
}

impl WriteHalf {
    fn shared(&self) -> &Arc<Stream> {
        self.0.as_ref().unwrap_or_else(|| unreachable!("taken only when it ends"))
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

impl Deref for ReadHalf {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.0
    }
}

impl Deref for WriteHalf {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        self.shared()
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &**self).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &**self).poll_read_vectored(cx, buffers)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &**self).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &**self).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &**self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &**self).poll_close(cx)
    }
}
