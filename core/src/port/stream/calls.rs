//! What a handler may ask for its connections.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{
    super::{Context, worker::Worker},
    Closed, ConnectionId, Table,
    link::Link,
};
use crate::{
    error::{Error, Result},
    event_loop::stream::Address,
};

/// As much as is sent while a callback still runs.
const SEND_AHEAD: usize = 256 << 10;

fn table(worker: &Worker) -> Result<&Table> {
    worker.check_fork()?;
    // A port of datagrams has none that the id could name.
    worker.connections.as_ref().ok_or(Error::Stale("connection"))
}

impl Context {
    fn link(&self, connection: ConnectionId) -> Result<Arc<Link>> {
        table(&self.worker)?.find(connection)
    }

    /// Sends bytes to a connection. What a callback writes leaves at the latest when it returns.
    ///
    /// # Errors
    /// [`Error::QueueFull`] if the peer does not keep up and as many bytes wait as the set may buffer, or an eighth of that for this connection:
    /// [`Handler::on_drained`](crate::port::Handler::on_drained) tells when there is room again; [`Error::Invalid`] for more bytes than may ever wait for it;
    /// [`Error::Closed`] if it is being closed, or its writing was ended; [`Error::Stale`], [`Error::Forked`].
    pub fn write(&self, connection: ConnectionId, bytes: &[u8]) -> Result<()> {
        if self.enqueue_to(connection, bytes)? {
            self.flush();
        }
        Ok(())
    }

    /// The first half of [`Context::write`], as [`Context::enqueue`] is of [`Context::sendto`]: answers whether to
    /// [`flush`](Context::flush) now.
    ///
    /// # Errors
    /// As [`Context::write`].
    pub fn enqueue_to(&self, connection: ConnectionId, bytes: &[u8]) -> Result<bool> {
        let table = table(&self.worker)?;
        let link = table.find(connection)?;
        let (waits, list) = link.push(bytes)?;
        if list {
            table.list(link);
        }
        Ok(waits >= SEND_AHEAD || !self.worker.is_current())
    }

    /// Bytes written to a connection that the system has not taken yet.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn backlog_of(&self, connection: ConnectionId) -> Result<usize> {
        Ok(self.link(connection)?.waits())
    }

    /// Closes a connection, when what was written to it is sent: `on_close` comes then. Nothing more is read.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn close(&self, connection: ConnectionId) -> Result<()> {
        self.link(connection)?.close(Closed::Asked);
        Ok(())
    }

    /// Closes a connection at once, with a reset; what waits to be sent is dropped. `on_close` comes in another turn of the loop.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn abort(&self, connection: ConnectionId) -> Result<()> {
        self.link(connection)?.close(Closed::Aborted);
        Ok(())
    }

    /// Ends the writing to a connection: its peer reads to the end of what was written. What it sends is still heard. When both sides
    /// have ended, the connection is closed.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn shutdown_write(&self, connection: ConnectionId) -> Result<()> {
        self.link(connection)?.finish();
        Ok(())
    }

    /// Reads nothing more from a connection, so that its peer has to wait. While nothing is read, a peer that goes is noticed only by a write.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn pause(&self, connection: ConnectionId) -> Result<()> {
        self.link(connection)?.pause(true);
        Ok(())
    }

    /// Reads again after [`Context::pause`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn resume(&self, connection: ConnectionId) -> Result<()> {
        self.link(connection)?.pause(false);
        Ok(())
    }

    /// Where a connection's other end is.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`].
    pub fn peer(&self, connection: ConnectionId) -> Result<Address> {
        Ok(self.link(connection)?.peer.clone())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        table(&self.worker).map_or(0, Table::len)
    }
}
