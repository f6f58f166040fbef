//! What a port of datagrams sends.

#![forbid(unsafe_code)]

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use super::{Worker, lock};
use crate::{
    error::{Error, Result},
    event_loop::{
        Interest, On, WatchId, WatchOptions,
        udp::{Outgoing, UdpSocket},
    },
    fork::Private,
};

/// The longest datagram over IPv4.
const MAX_IPV4: usize = 65_507;
/// Datagrams that a callback may queue before they are sent while it still runs.
const SEND_AHEAD: usize = 256;
/// How long what is queued waits when the loop cannot watch for room.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be sent, and where.
pub(super) struct Out {
    pub(super) queue: Outgoing,
    /// Gone when the port has ended; never there where connections are taken.
    pub(super) socket: Option<Arc<Private<UdpSocket>>>,
    pub(super) connected: bool,
    /// The kernel has no room: what is queued waits for a watch, or for a timer if there can be none.
    pub(super) waits: bool,
    /// That watch, on a descriptor of its own: the socket's has the reader's.
    pub(super) writable: Option<(WatchId, Private<OwnedFd>)>,
}

impl Worker {
    /// Queues datagrams; also answers whether they are to be flushed now: those of a callback leave when it returns, unless they
    /// are many, and those of other threads at once.
    pub(in super::super) fn enqueue(
        &self,
        data: &[u8],
        to: Option<SocketAddr>,
        segment: Option<usize>,
    ) -> Result<(usize, bool)> {
        self.fork.check()?;
        if self.connections.is_some() {
            return Err(Error::Invalid(format!("port {} takes connections: it has no datagrams to send", self.name)));
        }
        let mut out = lock(&self.out);
        if out.socket.is_none() {
            return Err(Error::Closed("port"));
        }
        if to.is_none() && !out.connected {
            return Err(Error::Invalid(format!("port {} is not connected: an address is needed", self.name)));
        }
        let longest = segment.unwrap_or(data.len()).min(data.len());
        if self.address.as_ip().is_some_and(|address| address.is_ipv4()) && longest > MAX_IPV4 {
            return Err(Error::Invalid(format!(
                "a datagram of {longest} bytes is too long: at most {MAX_IPV4} over IPv4"
            )));
        }
        if out.queue.bytes().saturating_add(data.len()) > self.send_limit {
            return Err(Error::QueueFull { what: "send queue", capacity: format!("{} bytes", self.send_limit) });
        }
        let count = match segment {
            None => out.queue.push(data, to).map(|()| 1)?,
            Some(size) => out.queue.push_segments(data, size, to)?,
        };
        let many = out.queue.len() >= SEND_AHEAD && !out.waits;
        Ok((count, many || !self.is_current()))
    }

    pub(in super::super) fn backlog(&self) -> usize {
        if self.fork.is_forked() { 0 } else { lock(&self.out).queue.len() }
    }

    /// Sends what is queued; what the kernel has no room for waits for a watch.
    pub(in super::super) fn flush(self: &Arc<Self>) {
        if self.fork.is_forked() {
            return;
        }
        if let Some(connections) = &self.connections {
            return connections.flush(self);
        }
        let (flushed, reports) = {
            let mut out = lock(&self.out);
            let flushed = self.try_flush(&mut out);
            (flushed, out.socket.as_ref().filter(|socket| socket.has_report()).cloned())
        };
        if let Some(socket) = reports {
            socket.report();
        }
        match flushed {
            Ok(None) => {}
            Ok(Some(fd)) => self.wait_for_room(fd),
            Err(error) => tracing::error!(target: "coop", "port {}: {error}", self.name),
        }
    }

    /// A descriptor to watch is the answer to who is to wait for room.
    fn try_flush(&self, out: &mut Out) -> Result<Option<io::Result<OwnedFd>>> {
        let Out { queue, socket: Some(socket), waits, .. } = out else { return Ok(None) };
        if queue.is_empty() || *waits {
            return Ok(None);
        }
        let sent = socket.send_quietly(queue).inspect_err(|_| {
            self.counters.send_dropped().add(queue.len());
            queue.clear();
        })?;
        self.counters.sent().add(sent.datagrams);
        self.counters.sent_bytes().add(sent.bytes);
        self.counters.send_dropped().add(sent.errors);
        *waits = sent.would_block;
        Ok(sent.would_block.then(|| socket.as_fd().try_clone_to_owned()))
    }

    /// With no lock held: the loop may write to the log.
    fn wait_for_room(self: &Arc<Self>, fd: io::Result<OwnedFd>) {
        let worker = Arc::downgrade(self);
        let watched = fd.map_err(|error| Error::os("wait to send", &error)).and_then(|fd| {
            let fd = Private::new(fd);
            let options = WatchOptions { on: On::Loop, ..WatchOptions::new(Interest::WRITE) };
            let watch = self.handle.watch(fd.as_raw_fd(), options, move |_| {
                if let Some(worker) = worker.upgrade() {
                    worker.writable();
                }
            })?;
            Ok((watch, fd))
        });
        match watched {
            Ok(watch) => {
                let spare = {
                    let mut out = lock(&self.out);
                    // The loop may have told it already, or ended the port.
                    let is_waited_for = out.waits && out.socket.is_some() && out.writable.is_none();
                    if is_waited_for { out.writable.replace(watch) } else { Some(watch) }
                };
                self.end_watch(spare);
            }
            Err(error) => {
                tracing::error!(target: "coop", "port {}: datagrams wait: {error}; trying again every {PAUSE:?}", self.name);
                let worker = Arc::downgrade(self);
                // Refused when the loop has ended, and the port with it.
                let _ = self.handle.call_later(PAUSE, move || {
                    if let Some(worker) = worker.upgrade() {
                        worker.writable();
                    }
                });
            }
        }
    }

    pub(super) fn end_watch(&self, watch: Option<(WatchId, Private<OwnedFd>)>) {
        if let Some((watch, fd)) = watch {
            let _ = self.handle.cancel_watch(watch);
            drop(fd);
        }
    }

    /// The kernel may have room again.
    fn writable(self: &Arc<Self>) {
        let watch = {
            let mut out = lock(&self.out);
            out.waits = false;
            out.writable.take()
        };
        self.end_watch(watch);
        self.flush();
        self.look_whether_done();
    }
}
