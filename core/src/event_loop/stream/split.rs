//! A stream in two halves, for two tasks: one reads, one writes.
//!
//! Both are the stream, by [`Deref`], so two tasks may as well share it in an [`Arc`]; what halves add is that each says what its task does,
//! and that a dropped [`WriteHalf`] ends its direction. Their traits are in `traits.rs`, with the stream's.

#![forbid(unsafe_code)]

use std::{net::Shutdown, ops::Deref, sync::Arc};

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
