//! What a port runs: one handler per port, the same code in every mode.

#![forbid(unsafe_code)]

use std::any::Any;

use super::{
    batch::Batch,
    context::Context,
    stream::{Closed, ConnectionId},
};
use crate::{event_loop::TimerId, shm::Record};

/// What ports send each other: anything within a process; between processes [`Bytes`] and [`Encoded`].
pub type Message = Box<dyn Any + Send>;

/// The message that handlers of every language understand: bytes as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// A message that a language has made of something of its own, and knows again by the tag. One with tag 0 is [`Bytes`] in another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// What it was.
    pub tag: u32,
    /// What it became.
    pub bytes: Vec<u8>,
}

impl Encoded {
    /// What it is in another process.
    pub(super) fn message(tag: u32, bytes: Vec<u8>) -> Message {
        if tag == 0 { Box::new(Bytes(bytes)) } else { Box::new(Self { tag, bytes }) }
    }
}

/// A message of another process which still lies where that has put it, in memory that the two share.
#[derive(Debug)]
pub struct Incoming<'a>(pub(super) Record<'a>);

impl Incoming<'_> {
    /// 0 for [`Bytes`], else that of [`Encoded`].
    pub fn tag(&self) -> u32 {
        self.0.tag()
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies the first of its bytes, as many as fit. Its room is the sender's again when this returns.
    pub fn take(self, into: &mut [u8]) {
        self.0.copy_to(into);
    }

    /// A copy of its own: [`Bytes`] or [`Encoded`].
    pub fn into_message(self) -> Message {
        Encoded::message(self.tag(), self.0.to_vec())
    }
}

/// What surrounds a row of callbacks; see [`Handler::turns`].
pub type Turns = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Makes a handler, inside the worker that it will run in.
pub type Build = Box<dyn FnOnce(&Context) -> Result<Box<dyn Handler>, Fault> + Send>;

/// Why a callback of a handler gave up. It is counted; the port goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What to report; `None` if the handler has reported it itself.
    pub message: Option<String>,
}

impl Fault {
    /// A fault that the port reports in these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()) }
    }

    /// A fault that was reported already.
    pub fn reported() -> Self {
        Self { message: None }
    }
}

/// The answer of a handler's callback.
pub type Outcome = Result<(), Fault>;

/// A port's handler. Its callbacks run on one thread, one at a time; a panic in one is a fault.
pub trait Handler: Send {
    /// Before anything else. A fault here fails the start of the whole set.
    fn on_start(&mut self, ctx: &Context) -> Outcome {
        let _ = ctx;
        Ok(())
    }

    /// Datagrams have come. A fault skips the one that [`Batch::index`] names; the rest comes again as a new batch.
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome {
        let _ = (ctx, batch);
        Err(Fault::new("this handler takes no datagrams"))
    }

    /// A peer has connected. After a fault here it is closed at once, and nothing more is told of it.
    fn on_connect(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        let _ = (ctx, connection);
        Ok(())
    }

    /// Bytes have come from a connection, in their order. A fault closes it, as in [`Handler::on_end`].
    fn on_data(&mut self, ctx: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        let _ = (ctx, connection, bytes);
        Err(Fault::new("this handler takes no connections"))
    }

    /// A connection has room again: a write to it was refused ([`Error::QueueFull`](crate::Error::QueueFull)), or the peer had fallen behind by more than
    /// a quarter of what may wait for one connection (which is an eighth of the set's `buffer_bytes`), and now no more than that waits. Once for
    /// each time; not of a connection that is written to no more. A fault closes it.
    fn on_drained(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        let _ = (ctx, connection);
        Ok(())
    }

    /// The peer sends nothing more. Unless this is overridden the connection is closed when all is sent; a handler that is not done writes
    /// on, and closes it then.
    fn on_end(&mut self, ctx: &Context, connection: ConnectionId) -> Outcome {
        let _ = ctx.close(connection);
        Ok(())
    }

    /// A connection is no more; its id is stale from here on.
    fn on_close(&mut self, ctx: &Context, connection: ConnectionId, why: &Closed) -> Outcome {
        let _ = (ctx, connection, why);
        Ok(())
    }

    /// A message from another port of the set, or from outside it (`sender` is empty).
    fn on_message(&mut self, ctx: &Context, sender: &str, message: Message) -> Outcome {
        let _ = (ctx, sender, message);
        Ok(())
    }

    /// As [`Handler::on_message`], of a message that lies in shared memory: for handlers that copy its bytes to where they want them.
    fn on_incoming(&mut self, ctx: &Context, sender: &str, incoming: Incoming<'_>) -> Outcome {
        self.on_message(ctx, sender, incoming.into_message())
    }

    /// What is to be called, once, around a row of callbacks: for a language whose interpreter is entered for each of them otherwise. It calls what it is
    /// given, once. Asked for when the handler has started.
    fn turns(&self) -> Option<Turns> {
        None
    }

    /// A timer of [`Context::set_timer`] has come.
    fn on_timer(&mut self, ctx: &Context, timer: TimerId) -> Outcome {
        let _ = (ctx, timer);
        Ok(())
    }

    /// Another worker of the port is about to take over, in a reload of a set in mode PROCESS: what it is to find must be saved now, and messages to
    /// other ports sent; from here on both are refused. Connections, their timers and what is sent to peers go on, until
    /// [`Handler::on_stop`]. If the other one cannot start, this one has the port again.
    fn on_hand_over(&mut self, ctx: &Context) -> Outcome {
        let _ = ctx;
        Ok(())
    }

    /// After everything else, unless the start had failed. What it sends is still sent.
    fn on_stop(&mut self, ctx: &Context) -> Outcome {
        let _ = ctx;
        Ok(())
    }
}
