//! What a node's function is given: the results that it reads, and a way to its run.

#![forbid(unsafe_code)]

use std::fmt;

use super::{
    block::{Block, Token},
    builder::Answer,
    graph::Graph,
    run::Head,
    value::{Arg, Failure, Value},
    work::{self, Right},
};
use crate::error::Error;

/// Where a call has the results from.
pub(super) enum Args<'a> {
    /// Where they lie: what is taken is gone for a second attempt.
    Slots(&'a Token<Head>),
    Owned(&'a Block<Head>, u32, std::vec::IntoIter<Value>),
}

/// One call of a node's function.
pub struct Call<'a> {
    pub(super) args: Args<'a>,
    pub(super) attempt: u32,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("node", &self.name()).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

impl Call<'_> {
    fn head(&self) -> &Head {
        match &self.args {
            Args::Slots(token) => token,
            Args::Owned(block, ..) => block,
        }
    }

    /// The node's place in its graph.
    pub fn node(&self) -> u32 {
        match &self.args {
            Args::Slots(token) => token.node(),
            Args::Owned(_, node, _) => *node,
        }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.head().graph.name(self.node()).unwrap_or_default()
    }

    /// The graph that is run.
    pub fn graph(&self) -> &Graph {
        &self.head().graph
    }

    /// Tells this run from others while it goes on; of no other meaning.
    pub fn run(&self) -> usize {
        match &self.args {
            Args::Slots(token) => token.address(),
            Args::Owned(block, ..) => block.address(),
        }
    }

    /// What the run was [given](super::RunOptions::data) for its nodes' functions.
    pub fn data(&self) -> Option<&Value> {
        self.head().data.as_ref()
    }

    /// 0 for the first attempt.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How many results the node reads.
    pub fn reads(&self) -> usize {
        self.head().graph.links().reads(self.node()).len()
    }

    /// The next result that the node reads, in their order; `None` when it has had them all. That of a node that was skipped [is
    /// absent](Value::is_absent).
    #[allow(clippy::should_implement_trait, reason = "what it lends is not iterated over")]
    pub fn next(&mut self) -> Option<Value> {
        match &mut self.args {
            Args::Slots(token) => token.next(),
            Args::Owned(_, _, values) => values.next(),
        }
    }

    /// A look at one of the results that were not taken yet: what a [predicate](super::Predicate) asks.
    pub fn peek(&self, index: usize) -> Option<Value> {
        match &self.args {
            Args::Slots(token) => token.peek(index),
            Args::Owned(_, _, values) => {
                let taken = self.reads() - values.len();
                values.as_slice().get(index.checked_sub(taken)?).cloned()
            }
        }
    }

    /// The next result, which is of this type.
    ///
    /// # Errors
    /// There is none, or it is of another type.
    pub fn arg<T: Send + Sync + 'static>(&mut self) -> Result<Arg<T>, Failure> {
        match self.optional_arg()? {
            Some(arg) => Ok(arg),
            None => Err(Failure::text("a node whose result it reads was skipped")),
        }
    }

    /// As [`Call::arg`]; `None` if that node was skipped.
    ///
    /// # Errors
    /// The result is of another type.
    pub fn optional_arg<T: Send + Sync + 'static>(&mut self) -> Result<Option<Arg<T>>, Failure> {
        let Some(value) = self.next() else { return Err(Failure::text("it reads no more results")) };
        if value.is_absent() {
            return Ok(None);
        }
        match value.downcast() {
            Ok(value) => Ok(Some(Arg::new(value))),
            Err(_) => Err(Failure::text(format!("a result that it reads is no {}", std::any::type_name::<T>()))),
        }
    }

    /// A way to the run that this call is part of.
    pub fn control(&self) -> Control {
        Control(match &self.args {
            Args::Slots(token) => token.block(),
            Args::Owned(block, ..) => Block::clone(block),
        })
    }
}

/// A way to a run, for its own nodes and for others: cheap to clone, and from any thread.
#[derive(Clone)]
pub struct Control(pub(super) Block<Head>);

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("is_ended", &self.is_ended()).finish()
    }
}

impl Control {
    /// Ends the run with [`Error::Cancelled`]: no node of it begins any more, what waits on the loop is dropped, and what runs in the pool has its result
    /// dropped. False if the run had ended before.
    pub fn cancel(&self) -> bool {
        !self.0.born.is_forked() && self.0.end(&self.0, Err(Error::Cancelled("run")))
    }

    /// Whether the run has ended: a function that takes long may look, and give up.
    pub fn is_ended(&self) -> bool {
        self.0.is_over()
    }
}

/// Completes a node that [somebody else](super::Function::Callback) does the work of, from any thread. Dropped before that, the node has failed.
pub struct Completer {
    pub(super) right: Option<Right>,
    pub(super) attempt: u32,
    pub(super) args: Vec<Value>,
}

impl fmt::Debug for Completer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer").field("is_ended", &self.is_ended()).finish_non_exhaustive()
    }
}

impl Completer {
    /// The node has ended like this. False, and the value is dropped, if the run or the node had ended before.
    pub fn complete(mut self, answer: Answer) -> bool {
        self.end(answer)
    }

    fn end(&mut self, answer: Answer) -> bool {
        match self.right.take() {
            Some(right) => work::completed(right, answer, self.attempt, std::mem::take(&mut self.args)),
            None => false,
        }
    }

    /// Whether nobody waits for the result any more, because the run or the node has ended.
    pub fn is_ended(&self) -> bool {
        self.right.as_ref().is_none_or(Right::is_over)
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        let Some(right) = &self.right else { return };
        if right.head().born.is_forked() {
            return std::mem::forget(self.right.take());
        }
        self.end(Err(Failure::text("it was not completed: its completer was dropped")));
    }
}
