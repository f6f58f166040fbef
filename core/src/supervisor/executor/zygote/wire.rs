//! The sockets between a host, a zygote and its workers, and the files that are handed over by them.

#![forbid(unsafe_code)]

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair, sockopt::set_socket_passcred,
    },
};

use crate::error::{Error, Result};

/// The longest answer.
const ANSWER: usize = 16 * 1024;
/// The most descriptors that the system sends at once: `SCM_MAX_FD`.
const DESCRIPTORS: usize = 253;

fn os(what: &str) -> impl Fn(Errno) -> Error + '_ {
    move |errno| Error::os(what, &errno.into())
}

/// Two ends; the first one is told whose messages it gets.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (ours, theirs) = pair.map_err(os("make sockets for a zygote"))?;
    set_socket_passcred(&ours, true).map_err(os("make sockets for a zygote"))?;
    Ok((ours, theirs))
}

/// A descriptor that stands for the zygote's end where nothing is run.
pub(super) fn placeholder() -> Result<OwnedFd> {
    memory("coop-zygote", &[], false)
}

/// A file in memory with these bytes, which nobody can change any more if it is `sealed`.
pub(super) fn memory(name: &str, bytes: &[u8], sealed: bool) -> Result<OwnedFd> {
    let failed = os("make a file in memory for a worker");
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(&failed)?;
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::pwrite(&file, &bytes[written..], written as u64) {
            Err(Errno::INTR) => {}
            Ok(count) => written += count,
            Err(errno) => return Err(failed(errno)),
        }
    }
    if sealed {
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).map_err(&failed)?;
    }
    Ok(file)
}

/// A file in memory with these bytes, which nobody can change any more.
pub(crate) fn sealed(name: &str, bytes: &[u8]) -> Result<OwnedFd> {
    memory(name, bytes, true)
}

/// What came of a request that was to be sent.
#[derive(Debug)]
pub(super) enum Sent {
    Yes,
    /// There is no room now.
    Full,
    /// Nobody is there.
    Gone,
}

/// Sends a request, without waiting.
pub(super) fn request(socket: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> Result<Sent> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if descriptors.len() > DESCRIPTORS || !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Error::Invalid(format!(
            "a worker with {} descriptors: at most {DESCRIPTORS} can be handed over, some of which are its host's",
            descriptors.len()
        )));
    }
    loop {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        return match sendmsg(socket, &[IoSlice::new(b"F")], &mut control, flags) {
            Ok(_) => Ok(Sent::Yes),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS) => Ok(Sent::Full),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::CONNREFUSED) => Ok(Sent::Gone),
            Err(errno) => Err(os("send a request to a zygote")(errno)),
        };
    }
}

/// Lets a worker begin. One that has gone ends its run by itself.
pub(super) fn go(control: &OwnedFd) {
    let _ = send(control, b"g", SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Here,
    Hello,
    Error(String),
    /// Something else.
    Unknown(String),
    /// The stream has ended.
    End,
}

/// The next message, and the process that sent it. `None`: there is none yet.
pub(super) fn answer(control: &OwnedFd) -> Option<(Word, i32)> {
    let mut text = [0; ANSWER];
    // Descriptors that come with it are closed.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(4))];
    let mut buffer = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match recvmsg(control.as_fd(), &mut [IoSliceMut::new(&mut text)], &mut buffer, flags) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return None,
            Err(_) => return Some((Word::End, 0)),
            Ok(received) => break received,
        }
    };
    let mut sender = 0;
    for part in buffer.drain() {
        if let RecvAncillaryMessage::ScmCredentials(who) = part {
            sender = who.pid.as_raw_nonzero().get();
        }
    }
    Some((word(text.get(..received.bytes).unwrap_or(&text)), sender))
}

fn word(text: &[u8]) -> Word {
    match text {
        b"" => Word::End,
        b"here" => Word::Here,
        b"hello" => Word::Hello,
        other => {
            let text = String::from_utf8_lossy(other);
            match text.strip_prefix("error: ") {
                Some(why) => Word::Error(why.to_owned()),
                None => Word::Unknown(text.into_owned()),
            }
        }
    }
}

#[cfg(test)]
mod test {
    use std::os::fd::AsRawFd;

    use rustix::net::{recv, send};

    use super::*;

    fn say(socket: &OwnedFd, text: &[u8]) {
        assert_eq!(send(socket, text, SendFlags::empty()), Ok(text.len()));
    }

    #[test]
    fn an_answer_is_a_word_and_who_says_it() {
        let (ours, theirs) = pair().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(answer(&ours), None);
        for (text, word) in [
            ("here", Word::Here),
            ("hello", Word::Hello),
            ("error: a\nb", Word::Error("a\nb".into())),
            ("error:", Word::Unknown("error:".into())),
            ("hello ", Word::Unknown("hello ".into())),
        ] {
            say(&theirs, text.as_bytes());
            assert_eq!(answer(&ours), Some((word, own)));
        }
        // Longer than is taken, and no text.
        say(&theirs, &vec![0xff; ANSWER * 2]);
        assert!(matches!(answer(&ours), Some((Word::Unknown(text), _)) if text.chars().count() == ANSWER));
        assert_eq!(answer(&ours), None);
        go(&ours);
        assert_eq!(recv(&theirs, &mut [0; 2][..], RecvFlags::empty()).unwrap().0, 1);
        drop(theirs);
        assert_eq!(answer(&ours), Some((Word::End, 0)));
        go(&ours);
    }

    #[test]
    fn a_request_finds_room_or_none_or_nobody() {
        let (ours, theirs) = pair().unwrap();
        let file = memory("coop-test", b"bytes", false).unwrap();
        let mut sent = 0;
        while matches!(request(&ours, &[file.as_fd()]).unwrap(), Sent::Yes) {
            sent += 1;
        }
        assert!(sent > 0);
        assert_eq!(recv(&theirs, &mut [0; 2][..], RecvFlags::empty()).unwrap().0, 1);
        assert!(matches!(request(&ours, &[file.as_fd()]).unwrap(), Sent::Yes));
        drop(theirs);
        assert!(matches!(request(&ours, &[file.as_fd()]).unwrap(), Sent::Gone));
        let many = vec![file.as_fd(); DESCRIPTORS + 1];
        assert!(request(&ours, &many).unwrap_err().to_string().contains("a worker with 254 descriptors: at most 253"));
    }

    #[test]
    fn what_is_sealed_cannot_be_changed() {
        let sealed = memory("coop-test", b"bytes", true).unwrap();
        assert_eq!(rustix::io::pwrite(&sealed, b"other", 0), Err(Errno::PERM));
        let mut bytes = [0; 9];
        assert_eq!(rustix::io::pread(&sealed, &mut bytes, 0), Ok(5));
        assert_eq!(&bytes[..5], b"bytes");
        assert!(sealed.as_raw_fd() > 2);
    }
}
