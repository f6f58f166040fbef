//! The end in the child: a socket for the host to tell events to, and a thread that takes them.

#![forbid(unsafe_code)]

use std::{
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
        sendmsg, socketpair,
    },
};

use super::{OBSERVE, PACKET, Packet, VERSION, Wanted};
use crate::{
    error::{Error, Result},
    supervisor::{
        event::Event,
        filter::Filter,
        journal::Queue,
        observer::{Item, Observer, ObserverOptions, Place},
        systemd::Systemd,
    },
    thread,
    time::Deadline,
};

/// How long the host may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest request: the host takes messages of 8 KiB.
const REQUEST: usize = 8 * 1024 - 64;

impl Observer {
    /// Sees the events of the host that this process lives under, from any of its processes: the one that `NOTIFY_SOCKET` names. When this
    /// returns, no event that the filter wants is missed any more. What comes is read by a thread, so that this process's own
    /// queue may lose the oldest, and the host's only while this process does not run.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no host, or it tells no events; [`Error::Invalid`] for a queue of none and for a filter that is too
    /// long; [`Error::Timeout`] if it does not answer; [`Error::Os`] without a descriptor or thread left.
    pub fn of_parent(filter: Filter, options: &ObserverOptions) -> Result<Self> {
        options.check()?;
        let Some(host) = Systemd::from_environment()? else {
            return Err(Error::Unsupported("this process has no host: NOTIFY_SOCKET is not set".into()));
        };
        let socket = ask(&host, &Wanted { filter, queue: options.queue, replay: options.replay })?;
        begin(socket, options.queue)
    }

    /// [`Observer::of_parent`], whose events are told to a callback: one after another, until the host has ended or the observer is
    /// dropped.
    ///
    /// # Errors
    /// As there, and of the place.
    pub fn of_parent_with(
        filter: Filter,
        options: &ObserverOptions,
        place: Place,
        callback: impl FnMut(Item) + Send + 'static,
    ) -> Result<Self> {
        let mut observer = Self::of_parent(filter, options)?;
        observer.run(place, callback)?;
        Ok(observer)
    }
}

/// Waits until the host begins to tell, and takes what it tells.
pub(super) fn begin(socket: OwnedFd, queue: usize) -> Result<Observer> {
    wait(&socket)?;
    hear(&socket)?;
    let queue = Queue::apart(queue);
    let (socket, feeds) = (Arc::new(socket), queue.clone());
    let its = socket.clone();
    thread::spawn("coop-observe", move || {
        receive(&its, &feeds);
        feeds.close();
    })?;
    Ok(Observer::far(queue, socket))
}

fn os(errno: Errno) -> Error {
    Error::os("observe the host", &errno.into())
}

/// Sends the host one end, and answers the other one.
fn ask(host: &Systemd, wanted: &Wanted) -> Result<OwnedFd> {
    let json = serde_json::to_string(wanted).map_err(|error| Error::Invalid(error.to_string()))?;
    if json.len() > REQUEST {
        let length = json.len();
        return Err(Error::Invalid(format!("an observer's filter of {length} bytes: at most {REQUEST}, as JSON")));
    }
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(os)?;
    {
        let manager = host.connect()?;
        let message = format!("{OBSERVE}{json}");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [theirs.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&manager, &[IoSlice::new(message.as_bytes())], &mut control, SendFlags::NOSIGNAL).map_err(os)?;
    }
    // The host's is the last one then: if it closes it, this end is told.
    drop(theirs);
    Ok(ours)
}

/// The host's first word.
fn hear(socket: &OwnedFd) -> Result<()> {
    let mut buffer = vec![0; PACKET];
    let (length, _) = recv(socket, &mut buffer[..], RecvFlags::empty()).map_err(os)?;
    match serde_json::from_slice::<Packet<Event>>(&buffer[..length]) {
        Ok(Packet::Observing(VERSION)) => Ok(()),
        Ok(Packet::Refused(why)) => Err(Error::Invalid(format!("the host refused an observer: {why}"))),
        _ if length == 0 => Err(Error::Unsupported(
            "the service manager of this process tells no events: it is no host, or has ended".into(),
        )),
        other => Err(Error::Unsupported(format!("the host speaks another protocol than {VERSION}: {other:?}"))),
    }
}

fn wait(socket: &OwnedFd) -> Result<()> {
    let deadline = Deadline::after(Some(ANSWER));
    loop {
        let left = deadline.remaining().unwrap_or(ANSWER);
        let left = Timespec::try_from(left).map_err(|_| Error::Invalid("a time that is too long".into()))?;
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(Error::Timeout("the host has not answered an observer".into())),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(os(errno)),
        }
    }
}

/// Takes what comes, until the host ends or the socket is shut down.
fn receive(socket: &OwnedFd, queue: &Queue) {
    let mut buffer = vec![0; PACKET];
    loop {
        let length = match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => return,
            Ok((length, _)) => length,
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        match serde_json::from_slice::<Packet<Event>>(&buffer[..length]) {
            Ok(Packet::Event(event)) => queue.add(Item::Event(Arc::new(event))),
            Ok(Packet::Lost(count)) => queue.add(Item::Lost(count)),
            Ok(Packet::Observing(_) | Packet::Refused(_)) => {}
            Err(error) => {
                // One event that a newer host may have other words for.
                tracing::warn!(target: "coop", "an event of the host's cannot be read: {error}");
                queue.add(Item::Lost(1));
            }
        }
    }
}
