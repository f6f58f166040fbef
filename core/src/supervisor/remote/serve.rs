//! The host's end: events from the journal to the sockets of those who asked.

#![forbid(unsafe_code)]

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, SocketType, recv, send, sockopt::socket_type},
};

use super::{PACKET, Packet, VERSION, Wanted, packet};
use crate::{
    error::{Error, Result},
    event_loop::{Direction, EventLoop, EventLoopOptions, Handle, Io},
    supervisor::{
        event::Event,
        journal::Journal,
        observer::{Item, Observer, ObserverOptions},
    },
};

/// The thread that tells observers in other processes; made when the first of them asks.
#[derive(Default)]
pub(in super::super) struct Hub {
    event_loop: Mutex<Option<EventLoop>>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Option<EventLoop>> {
        self.event_loop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event_loop(&self) -> Result<Handle> {
        let mut place = self.lock();
        if let Some(event_loop) = &*place {
            return Ok(event_loop.handle());
        }
        let event_loop = EventLoop::new(EventLoopOptions { name: "coop-observers".into() })?;
        event_loop.start()?;
        let handle = event_loop.handle();
        *place = Some(event_loop);
        Ok(handle)
    }

    /// Nobody is told anything any more.
    pub(in super::super) fn close(&self) {
        // Bound first: what it waits for may need the lock.
        let event_loop = self.lock().take();
        drop(event_loop);
    }

    /// Tells events to this socket, as its other end asks in `request`; `who` is the service that it came from. What cannot be is told
    /// to the socket, and to the log.
    pub(in super::super) fn serve(&self, journal: &Arc<Journal>, who: &str, request: &str, socket: OwnedFd) {
        if let Err(error) = check(&socket) {
            // Whatever it is, it is not written to.
            return tracing::warn!(target: "coop", "an observer in {who} was refused: {error}");
        }
        if let Err((error, socket)) = self.begin(journal, request, socket) {
            tracing::warn!(target: "coop", "an observer in {who} was refused: {error}");
            if let Some(socket) = socket {
                let _ = tell(&socket, &Packet::Refused(error.to_string()));
            }
        }
    }

    fn begin(&self, journal: &Arc<Journal>, request: &str, socket: OwnedFd) -> Result<(), (Error, Option<OwnedFd>)> {
        let made = || {
            let wanted: Wanted = serde_json::from_str(request)
                .map_err(|error| Error::Invalid(format!("an observer's request {request:?}: {error}")))?;
            let options = ObserverOptions { queue: wanted.queue, replay: wanted.replay };
            let observer = Observer::new(journal, wanted.filter, &options)?;
            Ok((observer, self.event_loop()?))
        };
        let (observer, event_loop) = match made() {
            Ok(made) => made,
            Err(error) => return Err((error, Some(socket))),
        };
        if let Err(error) = tell(&socket, &Packet::Observing(VERSION)) {
            return Err((error, None));
        }
        let io = Io::new(&event_loop, socket).map_err(|refused| (refused.error, Some(refused.value)))?;
        event_loop.spawn(observe(observer, io)).map(drop).map_err(|refused| (refused.error, None))
    }
}

/// Refuses what keeps no bounds of packets, and what would have to be waited for.
fn check(socket: &OwnedFd) -> Result<()> {
    let os = |errno: Errno| Error::os("an observer's socket", &errno.into());
    let kind = socket_type(socket).map_err(os)?;
    if kind != SocketType::SEQPACKET {
        return Err(Error::Invalid(format!("an observer's socket is of type {kind:?}: allowed is SEQPACKET")));
    }
    rustix::io::ioctl_fionbio(socket, true).map_err(os)
}

fn tell(socket: &OwnedFd, packet: &Packet<&Event>) -> Result<()> {
    let text = serde_json::to_vec(packet).map_err(|error| Error::Invalid(error.to_string()))?;
    send_packet(socket, &text).map_err(|error| Error::os("tell an observer", &error))
}

fn send_packet(socket: &OwnedFd, packet: &[u8]) -> io::Result<()> {
    send(socket, packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Tells what comes until the host or the other end is gone.
async fn observe(observer: Observer, io: Io<OwnedFd>) {
    let mut lost = 0_u64;
    while let Some(item) = next(&observer, &io).await {
        let text = match &item {
            Item::Event(event) => packet(event),
            Item::Lost(count) => {
                lost = lost.saturating_add(*count);
                None
            }
        };
        let Some(text) = text else {
            if let Item::Event(_) = item {
                lost = lost.saturating_add(1);
            }
            continue;
        };
        if lost > 0 {
            let Ok(count) = serde_json::to_vec(&Packet::<&Event>::Lost(lost)) else { return };
            if !send_when_ready(&io, &count).await {
                return;
            }
            lost = 0;
        }
        if !send_when_ready(&io, &text).await {
            return;
        }
    }
}

/// The next item; `None` when the host has ended, or nobody reads any more.
async fn next(observer: &Observer, io: &Io<OwnedFd>) -> Option<Item> {
    let mut item = std::pin::pin!(observer.next_async());
    std::future::poll_fn(|cx| {
        if let Poll::Ready(item) = item.as_mut().poll(cx) {
            return Poll::Ready(item.ok());
        }
        if has_left(io, cx) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// Whether the other end is closed. What it sends is thrown away.
fn has_left(io: &Io<OwnedFd>, cx: &mut std::task::Context<'_>) -> bool {
    let mut thrown_away = [0; 64];
    loop {
        match io.poll_ready(Direction::Read, cx) {
            Poll::Pending => return false,
            Poll::Ready(Err(_)) => return true,
            Poll::Ready(Ok(_)) => {}
        }
        let received = io.attempt(Direction::Read, |socket| {
            Ok(recv(socket, &mut thrown_away[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC)?.1)
        });
        match received {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
}

/// False when nobody reads any more.
async fn send_when_ready(io: &Io<OwnedFd>, text: &[u8]) -> bool {
    debug_assert!(text.len() <= PACKET);
    let sent = io.when(Direction::Write, |io| io.attempt(Direction::Write, |socket| send_packet(socket, text)));
    matches!(sent.await, Ok(Ok(())))
}
