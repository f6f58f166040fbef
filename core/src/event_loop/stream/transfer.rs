//! Reading and writing: attempts, and attempts that wait.

#![forbid(unsafe_code)]

use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    task::{Context, Poll},
};

use super::{SEND_FLAGS, Stream, descriptors::read_without};
use crate::{
    error::{Error, Result},
    event_loop::Direction,
};

/// The most buffers that the system takes in one call, at the least.
const MAX_BUFFERS: usize = 1024;

impl Stream {
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_unix {
            return self.read_unix_now(&mut [IoSliceMut::new(buffer)]);
        }
        self.io.attempt_bytes(Direction::Read, buffer.len(), |mut socket| socket.read(buffer))
    }

    pub(super) fn read_vectored_now(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let most = buffers.len().min(MAX_BUFFERS);
        let buffers = &mut buffers[..most];
        if self.is_unix {
            return self.read_unix_now(buffers);
        }
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.io.attempt_bytes(Direction::Read, wanted, |mut socket| socket.read_vectored(buffers))
    }

    /// A read of a Unix socket ends where descriptors were sent.
    fn read_unix_now(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut is_cut = false;
        let seen = self.io.seen();
        let read = self.io.attempt(Direction::Read, |socket| {
            let (read, beside) = read_without(socket, buffers)?;
            is_cut = beside;
            Ok(read)
        })?;
        if 0 < read && read < wanted && !is_cut && seen.is_short_drained() {
            self.io.clear(Direction::Read, seen);
        }
        Ok(read)
    }

    #[cfg(feature = "hyper")]
    pub(super) fn read_uninit_now(&self, buffer: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize> {
        if self.is_unix {
            return self.io.attempt(Direction::Read, |socket| socket.recv(buffer));
        }
        self.io.attempt_bytes(Direction::Read, buffer.len(), |socket| socket.recv(buffer))
    }

    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.attempt_bytes(Direction::Write, bytes.len(), |socket| socket.send_with_flags(bytes, SEND_FLAGS))
    }

    pub(super) fn write_vectored_now(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let buffers = &buffers[..buffers.len().min(MAX_BUFFERS)];
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.io.attempt_bytes(Direction::Write, wanted, |socket| socket.send_vectored_with_flags(buffers, SEND_FLAGS))
    }

    /// Reads what is there, up to the buffer's length; 0 is the end.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if nothing is there, [`Error::Os`], [`Error::Forked`].
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<usize> {
        self.io.check()?;
        self.read_now(buffer).map_err(|error| self.failed("read from", &error))
    }

    /// [`Stream::try_read`] into several buffers, one after the other.
    ///
    /// # Errors
    /// As [`Stream::try_read`].
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.io.check()?;
        self.read_vectored_now(buffers).map_err(|error| self.failed("read from", &error))
    }

    /// Writes what the system has room for, and answers how much that was.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if there is no room, [`Error::Os`], [`Error::Forked`].
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        self.io.check()?;
        self.write_now(bytes).map_err(|error| self.failed("write to", &error))
    }

    /// [`Stream::try_write`] of several buffers, one after the other, in one system call.
    ///
    /// # Errors
    /// As [`Stream::try_write`].
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        self.io.check()?;
        self.write_vectored_now(buffers).map_err(|error| self.failed("write to", &error))
    }

    /// Ready when a read is worth an attempt. Of those who poll, the last is woken.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.io.poll_ready(Direction::Read, cx).map_ok(|_| ())
    }

    /// Ready when a write is worth an attempt. Of those who poll, the last is woken.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.io.poll_ready(Direction::Write, cx).map_ok(|_| ())
    }

    /// Reads at least one byte and up to the buffer's length; 0 is the end.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Closed`], [`Error::Forked`].
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.io.when(Direction::Read, |_| self.read_now(buffer)).await?;
        read.map_err(|error| self.failed("read from", &error))
    }

    /// [`Stream::read`] into several buffers, one after the other.
    ///
    /// # Errors
    /// As [`Stream::read`].
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let read = self.io.when(Direction::Read, |_| self.read_vectored_now(buffers)).await?;
        read.map_err(|error| self.failed("read from", &error))
    }

    /// Fills the buffer.
    ///
    /// # Errors
    /// [`Error::Failed`] if the end comes first, and those of [`Stream::read`]; what had come by then is in the buffer.
    pub async fn read_exact(&self, buffer: &mut [u8]) -> Result<()> {
        let mut have = 0;
        while have < buffer.len() {
            match self.read(&mut buffer[have..]).await? {
                0 => {
                    let wanted = buffer.len();
                    return Err(Error::Failed(format!("{} ended after {have} of {wanted} bytes", self.peer)));
                }
                more => have += more,
            }
        }
        Ok(())
    }

    /// Appends all that comes until the end.
    ///
    /// # Errors
    /// Those of [`Stream::read`]; what had come by then is appended.
    pub async fn read_to_end(&self, bytes: &mut Vec<u8>) -> Result<usize> {
        const STEP: usize = 64 * 1024;
        let before = bytes.len();
        loop {
            let at = bytes.len();
            bytes.resize(at + STEP, 0);
            let read = self.read(&mut bytes[at..]).await;
            bytes.truncate(at + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                return Ok(bytes.len() - before);
            }
        }
    }

    /// Writes at least one byte, and answers how many.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Closed`], [`Error::Forked`].
    pub async fn write(&self, bytes: &[u8]) -> Result<usize> {
        let written = self.io.when(Direction::Write, |_| self.write_now(bytes)).await?;
        written.map_err(|error| self.failed("write to", &error))
    }

    /// [`Stream::write`] of several buffers, one after the other, in one system call.
    ///
    /// # Errors
    /// As [`Stream::write`].
    pub async fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        let written = self.io.when(Direction::Write, |_| self.write_vectored_now(buffers)).await?;
        written.map_err(|error| self.failed("write to", &error))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Those of [`Stream::write`]; how much went before is not told.
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}
