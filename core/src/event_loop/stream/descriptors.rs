//! Descriptors over Unix sockets: another process, or thread, is given an open file.
//!
//! What is received is closed on exec. Descriptors that do not fit are closed by the system, and those that came beside them here: a part of
//! them is of no use, and none leaks.

#![forbid(unsafe_code)]

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use socket2::Socket;

use super::Stream;
use crate::{
    error::{Error, Result},
    event_loop::Direction,
};

/// The most that go with one message: the system's limit.
pub const MAX_DESCRIPTORS: usize = 253;

#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();
#[cfg(not(target_vendor = "apple"))]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const RECEIVE: RecvFlags = RecvFlags::empty();

/// What one receive brought.
#[derive(Debug)]
pub struct WithDescriptors {
    /// Bytes that are in the buffer; 0 is the end.
    pub bytes: usize,
    /// The descriptors that came with them.
    pub descriptors: Vec<OwnedFd>,
    /// More came than were asked for, or than the process may have: all that came with these bytes were closed.
    pub truncated: bool,
}

impl Stream {
    fn check_unix(&self) -> Result<()> {
        self.io.check()?;
        if self.is_unix { Ok(()) } else { Err(Error::Invalid("descriptors go over Unix sockets only".into())) }
    }

    fn check_sending(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.check_unix()?;
        if bytes.is_empty() {
            return Err(Error::Invalid("descriptors go with at least one byte".into()));
        }
        if descriptors.len() > MAX_DESCRIPTORS {
            let count = descriptors.len();
            return Err(Error::Invalid(format!("{count} descriptors: at most {MAX_DESCRIPTORS} go with one message")));
        }
        Ok(())
    }

    fn send_now(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let message = SendAncillaryMessage::ScmRights(descriptors);
        let mut space = vec![MaybeUninit::uninit(); message.size()];
        self.io.attempt_bytes(Direction::Write, bytes.len(), |socket| {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)), "the space is made to measure");
            }
            Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SEND)?)
        })
    }

    fn receive_now(&self, buffer: &mut [u8], most: usize) -> io::Result<WithDescriptors> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(most))];
        // Never drained by a short one: the system ends a read where descriptors are.
        self.io.attempt(Direction::Read, |socket| {
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RECEIVE)?;
            let mut descriptors = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    descriptors.extend(some);
                }
            }
            let truncated = received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > most;
            if truncated {
                descriptors.clear();
            }
            Ok(WithDescriptors { bytes: received.bytes, descriptors, truncated })
        })
    }

    /// Sends bytes and descriptors, which stay the caller's too. They go with the first byte, so when fewer bytes were sent than given, only
    /// bytes are left to send.
    ///
    /// # Errors
    /// [`Error::Invalid`] for TCP, for no bytes and for more than [`MAX_DESCRIPTORS`], [`Error::WouldBlock`], [`Error::Os`],
    /// [`Error::Forked`].
    pub fn try_send_with_fds(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize> {
        self.check_sending(bytes, descriptors)?;
        self.send_now(bytes, descriptors).map_err(|error| self.failed("send descriptors to", &error))
    }

    /// [`Stream::try_send_with_fds`], waiting until there is room.
    ///
    /// # Errors
    /// As that, and [`Error::Closed`].
    pub async fn send_with_fds(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize> {
        self.check_sending(bytes, descriptors)?;
        let sent = self.io.when(Direction::Write, |_| self.send_now(bytes, descriptors)).await?;
        sent.map_err(|error| self.failed("send descriptors to", &error))
    }

    /// Receives bytes and up to `most` descriptors that were sent with them, or with others before that were received without.
    ///
    /// # Errors
    /// [`Error::Invalid`] for TCP and for more than [`MAX_DESCRIPTORS`], [`Error::WouldBlock`], [`Error::Os`], [`Error::Forked`].
    pub fn try_recv_with_fds(&self, buffer: &mut [u8], most: usize) -> Result<WithDescriptors> {
        self.check_receiving(buffer, most)?;
        self.receive_now(buffer, most).map_err(|error| self.failed("receive descriptors from", &error))
    }

    /// [`Stream::try_recv_with_fds`], waiting until something is there.
    ///
    /// # Errors
    /// As that, and [`Error::Closed`].
    pub async fn recv_with_fds(&self, buffer: &mut [u8], most: usize) -> Result<WithDescriptors> {
        self.check_receiving(buffer, most)?;
        let received = self.io.when(Direction::Read, |_| self.receive_now(buffer, most)).await?;
        received.map_err(|error| self.failed("receive descriptors from", &error))
    }

    fn check_receiving(&self, buffer: &[u8], most: usize) -> Result<()> {
        self.check_unix()?;
        if buffer.is_empty() {
            return Err(Error::Invalid("descriptors come with at least one byte".into()));
        }
        if most > MAX_DESCRIPTORS {
            return Err(Error::Invalid(format!("{most} descriptors: at most {MAX_DESCRIPTORS} come with one message")));
        }
        Ok(())
    }
}

/// Reads from a Unix socket, and answers too whether there were descriptors with it, which are dropped: then a short read says nothing of
/// what is left.
pub(super) fn read_without(socket: &Socket, buffers: &mut [IoSliceMut<'_>]) -> io::Result<(usize, bool)> {
    let received = recvmsg(socket, buffers, &mut RecvAncillaryBuffer::default(), RECEIVE)?;
    Ok((received.bytes, received.flags.contains(ReturnFlags::CTRUNC)))
}
