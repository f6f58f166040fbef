//! What a handler may do: send datagrams, send messages, set timers, stop its set.

#![forbid(unsafe_code)]

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use super::{Mode, handler::Message, worker::Worker};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{TimerId, stream::Address},
};

/// A handler's way to its port. It may be kept, and used from any thread; when the port has ended, its calls answer
/// [`Error::Closed`], and in a forked child [`Error::Forked`].
#[derive(Clone)]
pub struct Context {
    pub(super) worker: Arc<Worker>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("port", &self.name()).field("address", &self.address()).finish()
    }
}

impl Context {
    /// The port's name.
    pub fn name(&self) -> &str {
        &self.worker.name
    }

    /// The address that the port's socket is bound to.
    pub fn address(&self) -> &Address {
        &self.worker.address
    }

    /// Whether the port takes connections, and not datagrams.
    pub fn takes_connections(&self) -> bool {
        self.worker.connections.is_some()
    }

    /// The set's mode.
    pub fn mode(&self) -> Mode {
        self.worker.mode
    }

    /// Which worker of its port this is, from 1. Only in PROCESS mode is there ever a second one.
    pub fn run(&self) -> u64 {
        self.worker.run
    }

    /// Saves the handler's state, in the place of what was saved before. In PROCESS mode the next worker of the port has it, whatever
    /// this one ends by; a save that is cut short leaves the one before.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than the set's `saved_bytes`; [`Error::Closed`] in a worker whose port another one has taken over;
    /// [`Error::Forked`].
    pub fn save(&self, state: &[u8]) -> Result<()> {
        self.worker.check_fork()?;
        self.worker.saved.save(state)
    }

    /// What was saved last; `None` if nothing was.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the memory between the workers was damaged, [`Error::Forked`].
    pub fn saved(&self) -> Result<Option<Vec<u8>>> {
        self.worker.check_fork()?;
        self.worker.saved.get()
    }

    /// Sends a datagram to an address, or to the connected peer. What a callback sends leaves in batches, at the latest
    /// when it returns.
    ///
    /// # Errors
    /// [`Error::QueueFull`] if the kernel does not keep up and as many bytes wait as the set may buffer,
    /// [`Error::Invalid`] if it is too long or has no destination, [`Error::Closed`].
    pub fn sendto(&self, data: &[u8], to: Option<SocketAddr>) -> Result<()> {
        let (_, flush) = self.enqueue(data, to, None)?;
        if flush {
            self.flush();
        }
        Ok(())
    }

    /// Sends the datagrams that `data` holds back to back, each of `segment_size` bytes and the last perhaps shorter, with GSO
    /// where the kernel has it; answers how many they are.
    ///
    /// # Errors
    /// As [`Context::sendto`].
    pub fn send_segments(&self, data: &[u8], segment_size: usize, to: Option<SocketAddr>) -> Result<usize> {
        let (count, flush) = self.enqueue(data, to, Some(segment_size))?;
        if flush {
            self.flush();
        }
        Ok(count)
    }

    /// The first half of [`Context::sendto`] and [`Context::send_segments`], for a caller that holds a lock which it would rather
    /// not hold during a system call: queues, and answers how many datagrams that were and whether to
    /// [`flush`](Context::flush) now.
    ///
    /// # Errors
    /// As [`Context::sendto`].
    pub fn enqueue(&self, data: &[u8], to: Option<SocketAddr>, segment_size: Option<usize>) -> Result<(usize, bool)> {
        self.worker.enqueue(data, to, segment_size)
    }

    /// Hands the kernel what is queued.
    pub fn flush(&self) {
        self.worker.flush();
    }

    /// Datagrams sent that the kernel has not taken yet.
    pub fn backlog(&self) -> usize {
        self.worker.backlog()
    }

    /// Sends a message to another port of the set: `on_message` there, in the order of sending.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no port of the set, and for a message that is longer than may wait; [`Error::QueueFull`] while that port does
    /// not keep up and as many of this one's wait as may ([`PortSetOptions::message_bytes`](super::PortSetOptions::message_bytes)); [`Error::Closed`]. In
    /// PROCESS mode also [`Error::QueueFull`] while it is gone, and [`Error::Invalid`] for what no other process understands. The message comes back.
    pub fn send(&self, port: &str, message: Message) -> Result<(), Refused<Message>> {
        match self.worker.members() {
            Some(members) => members.send(&self.worker.name, port, message),
            None => Err(Refused::new(Error::Closed("port set"), message)),
        }
    }

    /// As [`Context::send`], of [`Bytes`](super::Bytes) (tag 0) or [`Encoded`](super::Encoded) whose bytes are the caller's: in PROCESS mode they are
    /// copied once, to where the other process finds them.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub fn send_bytes(&self, port: &str, tag: u32, bytes: &[u8]) -> Result<()> {
        match self.worker.members() {
            Some(members) => members.send_bytes(&self.worker.name, port, tag, bytes),
            None => Err(Error::Closed("port set")),
        }
    }

    /// Calls `on_timer` after a delay, once, or again after every `every`. Zero is the loop's next turn.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a period of zero, [`Error::Closed`].
    pub fn set_timer(&self, after: Duration, every: Option<Duration>) -> Result<TimerId> {
        self.worker.set_timer(after, every)
    }

    /// Ends a timer.
    ///
    /// # Errors
    /// [`Error::Stale`] if it has ended already.
    pub fn cancel_timer(&self, timer: TimerId) -> Result<()> {
        self.worker.cancel_timer(timer)
    }

    /// Asks the whole set to stop, and returns at once. Does nothing in a forked child.
    pub fn stop(&self) {
        if self.worker.check_fork().is_err() {
            return;
        }
        if let Some(members) = self.worker.members() {
            members.ask_stop();
        }
    }
}
