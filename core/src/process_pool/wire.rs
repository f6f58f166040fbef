//! What goes beside the shared memory: the descriptors of blocks, through a pair of sockets that each run of a worker has with its pool.

#![forbid(unsafe_code)]

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};

use crate::error::{Error, Result};

fn os(what: &str) -> impl Fn(Errno) -> Error + '_ {
    move |errno| Error::Os { context: what.into(), errno: errno.raw_os_error() }
}

pub(super) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(os("make a pair of sockets for a worker"))
}

/// Hands over the memory of this number and serial; without one, says that there is none. Does not wait.
pub(super) fn send(socket: impl AsFd, number: u32, serial: u32, memory: Option<BorrowedFd<'_>>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let memory = memory.map(|memory| [memory]);
    if let Some(memory) = &memory {
        control.push(SendAncillaryMessage::ScmRights(memory));
    }
    let text = (u64::from(serial) << 32 | u64::from(number)).to_ne_bytes();
    loop {
        match sendmsg(&socket, &[IoSlice::new(&text)], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(os("hand over a block")(errno)),
        }
    }
}

/// The memory of this number and serial; what comes before it, for payloads that nobody looked at, is closed. Waits for it or does not.
pub(super) fn receive(socket: impl AsFd, number: u32, serial: u32, waits: bool) -> Result<OwnedFd> {
    let wanted = u64::from(serial) << 32 | u64::from(number);
    let wait = if waits { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    loop {
        let mut text = [0; 8];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | wait;
        let received = match recvmsg(&socket, &mut [IoSliceMut::new(&mut text)], &mut control, flags) {
            Err(Errno::INTR) => continue,
            received => received.map_err(os("be handed over a block"))?,
        };
        if received.bytes != text.len() {
            return Err(Error::Failed("a block was not handed over: the other side has gone".into()));
        }
        let memory = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut memory) => memory.next(),
            _ => None,
        });
        if u64::from_ne_bytes(text) == wanted {
            let none = || {
                Error::Failed("a block was not handed over: it is gone, or this process has too many files open".into())
            };
            return memory.ok_or_else(none);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;
    use crate::shm::block::{Store, View};

    #[test]
    fn what_was_asked_for_comes_and_what_was_before_it_is_left() {
        let (ours, theirs) = pair().unwrap();
        let store = Store::new("test", 4096).unwrap();
        assert!(receive(&theirs, 1, 1, false).is_err());
        for (number, serial) in [(1, 1), (2, 2), (3, 3)] {
            send(&ours, number, serial, Some(store.as_fd())).unwrap();
        }
        assert!(View::new(receive(&theirs, 2, 2, false).unwrap()).is_ok());
        send(&ours, 9, 9, None).unwrap();
        assert!(receive(&theirs, 9, 9, true).unwrap_err().to_string().contains("it is gone"));
        drop(ours);
        assert!(receive(&theirs, 1, 1, true).unwrap_err().to_string().contains("has gone"));
        assert!(send(&theirs, 1, 1, None).is_err());
    }
}
