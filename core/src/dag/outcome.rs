//! The outcome of a run: how it ended, and what its nodes have made.

#![forbid(unsafe_code)]

use std::{fmt, sync::Arc};

use super::{
    block::{Block, state},
    graph::Graph,
    run::Head,
    trace::Trace,
    value::{Failure, Value},
};
use crate::error::{Error, Result};

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum NodeState {
    /// It has no result: the run ended before it did, or what it depends on failed.
    Cancelled = 0,
    /// It runs in the pool, although its run has ended; its result will be dropped. Or it waits on the loop, which is about to cancel it.
    Running = 1,
    /// It has a result.
    Done = 2,
    /// It was skipped.
    Skipped = 3,
    /// It has failed.
    Failed = 4,
}

impl NodeState {
    pub(super) fn of(state: u8) -> Self {
        match state {
            state::RUNNING => Self::Running,
            state::DONE => Self::Done,
            state::SKIPPED => Self::Skipped,
            state::FAILED => Self::Failed,
            _ => Self::Cancelled,
        }
    }
}

/// How a run ended. It keeps the results that nobody has taken.
#[derive(Clone)]
pub struct Outcome(Block<Head>);

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("result", &self.result()).finish_non_exhaustive()
    }
}

impl Outcome {
    pub(super) fn new(block: Block<Head>) -> Self {
        Self(block)
    }

    /// The graph that was run.
    pub fn graph(&self) -> &Graph {
        &self.0.graph
    }

    /// How the run ended.
    ///
    /// # Errors
    /// The first node's that failed, with its name; [`Error::Timeout`], [`Error::Cancelled`]; [`Error::Closed`] if the pool or the loop was closed before.
    pub fn result(&self) -> Result<()> {
        self.0.result().unwrap_or_else(|| unreachable!("an outcome is that of a run that has ended"))
    }

    /// The outcome, if the run ended well.
    ///
    /// # Errors
    /// Those of [`Outcome::result`].
    pub fn ok(self) -> Result<Self> {
        self.result().map(|()| self)
    }

    /// Which node has this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if none has.
    fn node(&self, name: &str) -> Result<u32> {
        self.graph().index(name).ok_or_else(|| Error::Invalid(format!("the graph has no node {name:?}")))
    }

    /// What became of a node.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that no node has.
    pub fn state(&self, name: &str) -> Result<NodeState> {
        Ok(self.state_at(self.node(name)?))
    }

    fn state_at(&self, node: u32) -> NodeState {
        NodeState::of(self.0.state(node))
    }

    /// When its nodes ran, if the run was asked to [keep](super::RunOptions::trace) that.
    pub fn trace(&self) -> Option<Trace> {
        Trace::of(&self.0)
    }

    /// The failure that the run ended with, and its node; `None` if it ended well, or for another reason.
    pub fn ended_by(&self) -> Option<(String, Failure)> {
        let Err(result) = self.result() else { return None };
        let (node, failure) = self.0.lock().first()?;
        (self.0.named(node, &failure) == result)
            .then(|| (self.graph().name(node).unwrap_or_default().to_owned(), failure))
    }

    /// Why a node has failed; `None` if it has not.
    pub fn failure(&self, name: &str) -> Option<Failure> {
        let node = self.graph().index(name)?;
        self.0.lock().failures.get(&node).cloned()
    }

    /// Each node that failed, and why, in the order of the graph.
    pub fn failures(&self) -> Vec<(String, Failure)> {
        let failures = self.0.lock().failures.clone();
        let name = |node: u32| self.graph().name(node).unwrap_or_default().to_owned();
        failures.into_iter().map(|(node, failure)| (name(node), failure)).collect()
    }

    /// A node's result, once.
    ///
    /// # Errors
    /// The node's failure, with its name; [`Error::Cancelled`] if it has not run to its end or was skipped; [`Error::Stale`] if its result was taken before;
    /// [`Error::Invalid`] for a name that no node has, and for a node whose result was not [kept](super::NodeOptions::keep), as other nodes read it.
    pub fn value(&self, name: &str) -> Result<Value> {
        let node = self.node(name)?;
        match self.state_at(node) {
            NodeState::Done if !self.graph().0.links.keeps(node) => {
                Err(Error::Invalid(format!("node {name:?}: its result is not kept, for other nodes read it")))
            }
            NodeState::Done => self.0.ask(node).ok_or(Error::Stale("node's result")),
            NodeState::Failed => match self.failure(name) {
                Some(failure) => Err(self.0.named(node, &failure)),
                None => Err(Error::Cancelled("node")),
            },
            _ => Err(Error::Cancelled("node")),
        }
    }

    /// A node's result, of this type, once; shared if others have it.
    ///
    /// # Errors
    /// Those of [`Outcome::value`]; [`Error::Invalid`] for another type.
    pub fn share<T: Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>> {
        self.value(name)?
            .downcast()
            .map_err(|_| Error::Invalid(format!("node {name:?}: its result is no {}", std::any::type_name::<T>())))
    }

    /// A node's result, of this type, once; a copy if somebody else still has it.
    ///
    /// # Errors
    /// Those of [`Outcome::share`].
    pub fn take<T: Clone + Send + Sync + 'static>(&self, name: &str) -> Result<T> {
        self.share(name).map(Arc::unwrap_or_clone)
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if self.0.born.is_forked() {
            std::mem::forget(self.0.clone());
        }
    }
}
