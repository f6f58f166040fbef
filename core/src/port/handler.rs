//! What a port runs: one handler per port, the same code in every mode.

#![forbid(unsafe_code)]

use std::any::Any;

use super::{batch::Batch, context::Context};
use crate::event_loop::TimerId;

/// What ports send each other.
pub type Message = Box<dyn Any + Send>;

/// The message that handlers of every language understand: bytes as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

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
    fn on_batch(&mut self, ctx: &Context, batch: &mut Batch) -> Outcome;

    /// A message from another port of the set, or from outside it (`sender` is empty).
    fn on_message(&mut self, ctx: &Context, sender: &str, message: Message) -> Outcome {
        let _ = (ctx, sender, message);
        Ok(())
    }

    /// A timer of [`Context::set_timer`] has come.
    fn on_timer(&mut self, ctx: &Context, timer: TimerId) -> Outcome {
        let _ = (ctx, timer);
        Ok(())
    }

    /// After everything else, unless the start had failed. What it sends is still sent.
    fn on_stop(&mut self, ctx: &Context) -> Outcome {
        let _ = ctx;
        Ok(())
    }
}
