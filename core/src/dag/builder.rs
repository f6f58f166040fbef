//! The builder: nodes by name, what they read and wait for.

#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    call::{Call, Completer},
    check,
    graph::Graph,
    reads::Reads,
    value::{Failure, Value},
};
use crate::{
    cpu::CpuSet,
    error::{Error, Result},
    priority::Priority,
};

/// The most nodes that a graph may have.
pub const MAX_NODES: usize = 1 << 28;

/// A node's end: its result, or why there is none.
pub type Answer = Result<Value, Failure>;

/// What an I/O node waits for.
pub type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What a node does. One graph runs many times at once, so it is called from several threads.
#[derive(Clone)]
pub enum Function {
    /// Called by a worker of the pool. What is longer than a few milliseconds keeps that worker from everything else.
    Cpu(Arc<dyn Fn(&mut Call<'_>) -> Answer + Send + Sync>),
    /// Called on the loop's thread, where the future is then polled.
    Io(Arc<dyn Fn(&mut Call<'_>) -> AnswerFuture + Send + Sync>),
    /// Called on the loop's thread; the node ends when its completer is told the result, by any thread, now or later.
    #[allow(clippy::type_complexity, reason = "as the others")]
    Callback(Arc<dyn Fn(&mut Call<'_>, Completer) + Send + Sync>),
    /// Each run is given its value.
    Input,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu(_) => "Cpu",
            Self::Io(_) => "Io",
            Self::Callback(_) => "Callback",
            Self::Input => "Input",
        })
    }
}

/// Looks at what a node reads, and says whether the node runs.
pub type Predicate = Arc<dyn Fn(&Call<'_>) -> bool + Send + Sync>;

/// How a node is run.
#[derive(Clone, Default)]
pub struct NodeOptions {
    /// How urgent a CPU node is.
    pub priority: Priority,
    /// Where a CPU node may run. `None`: on every worker.
    pub cpus: Option<CpuSet>,
    /// Nodes that must have ended before, by name, though their results are not read. See [`Builder::after`].
    pub after: Vec<String>,
    /// How often the node is tried again when it fails.
    pub retries: u32,
    /// How long to wait before the first of these, and twice as long before each one more. Needs a loop, unless it is zero.
    pub backoff: Duration,
    /// How long the node may take from its beginning, all its attempts together: then it has failed with [`Error::Timeout`]. A function that
    /// runs in the pool goes on, and its result is dropped. Needs a loop.
    pub timeout: Option<Duration>,
    /// If it answers no, the node is skipped.
    pub only_if: Option<Predicate>,
    /// Runs also when what it reads or waits for was skipped. The values of those are not there.
    pub even_if_skipped: bool,
    /// Its result is kept for the [`Outcome`](super::Outcome) although other nodes read it. The result of a node that nobody reads always is.
    pub keep: bool,
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("priority", &self.priority)
            .field("cpus", &self.cpus)
            .field("after", &self.after)
            .field("retries", &self.retries)
            .field("backoff", &self.backoff)
            .field("timeout", &self.timeout)
            .field("only_if", &self.only_if.is_some())
            .field("even_if_skipped", &self.even_if_skipped)
            .field("keep", &self.keep)
            .finish()
    }
}

/// A node of a graph that is being built, and the type of its result.
pub struct Node<T> {
    pub(super) index: u32,
    pub(super) builder: u64,
    result: PhantomData<fn() -> T>,
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Node<T> {}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.index).finish()
    }
}

/// A node that another one is to read or to wait for: by its handle, or by its name, which may be that of a node to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// One of the same builder.
    Index {
        /// Its place in the order of being added.
        index: u32,
        /// Of which builder.
        builder: u64,
    },
    /// The one of this name.
    Name(String),
}

impl<T> From<Node<T>> for Dependency {
    fn from(node: Node<T>) -> Self {
        Self::Index { index: node.index, builder: node.builder }
    }
}

impl From<&str> for Dependency {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for Dependency {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

/// A node as it was described.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) name: Arc<str>,
    pub(super) options: NodeOptions,
    pub(super) reads: Vec<Dependency>,
    pub(super) after: Vec<Dependency>,
    pub(super) function: Function,
}

/// Collects nodes and edges, and [checks](Builder::build) them.
#[derive(Debug)]
pub struct Builder {
    pub(super) id: u64,
    pub(super) nodes: Vec<Described>,
    pub(super) names: HashMap<Arc<str>, u32>,
    /// What was told apart from the nodes: the later one first.
    pub(super) edges: Vec<(Dependency, Dependency)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// One with no nodes.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, nodes: Vec::new(), names: HashMap::new(), edges: Vec::new() }
    }

    /// One with room for so many nodes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`MAX_NODES`], and for more than there is memory for.
    pub fn with_capacity(nodes: usize) -> Result<Self> {
        if nodes > MAX_NODES {
            return Err(Error::Invalid(format!("{nodes} nodes: a graph has at most {MAX_NODES}")));
        }
        let mut builder = Self::new();
        let reserved = builder.nodes.try_reserve(nodes).is_ok() && builder.names.try_reserve(nodes).is_ok();
        if reserved { Ok(builder) } else { Err(Error::Invalid(format!("{nodes} nodes do not fit into memory"))) }
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node whose value each run is given.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub fn input<T: Send + Sync + 'static>(&mut self, name: &str) -> Result<Node<T>> {
        self.add_typed(name, NodeOptions::default(), Vec::new(), Function::Input)
    }

    /// A node that a worker of the pool runs, with the results that it reads.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub fn cpu<R, T, F>(&mut self, name: &str, options: NodeOptions, reads: R, f: F) -> Result<Node<T>>
    where
        R: Reads,
        T: Send + Sync + 'static,
        F: Fn(R::Given) -> Result<T, Failure> + Send + Sync + 'static,
    {
        let edges = reads.edges();
        let function = Function::Cpu(Arc::new(move |call| f(reads.given(call)?).map(Value::new)));
        self.add_typed(name, options, edges, function)
    }

    /// A node that waits on the loop: `f` is called, and its future polled, on the loop's thread.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub fn io<R, T, F, W>(&mut self, name: &str, options: NodeOptions, reads: R, f: F) -> Result<Node<T>>
    where
        R: Reads,
        T: Send + Sync + 'static,
        F: Fn(R::Given) -> W + Send + Sync + 'static,
        W: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let edges = reads.edges();
        let function = Function::Io(Arc::new(move |call| match reads.given(call) {
            Ok(given) => {
                let future = f(given);
                Box::pin(async move { future.await.map(Value::new) })
            }
            Err(failure) => Box::pin(std::future::ready(Err(failure))),
        }));
        self.add_typed(name, options, edges, function)
    }

    /// A node that somebody else completes: `f` is called on the loop's thread, and the node ends when its [`Completer`] is told
    /// a value of type `T`, by any thread.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub fn callback<R, T, F>(&mut self, name: &str, options: NodeOptions, reads: R, f: F) -> Result<Node<T>>
    where
        R: Reads,
        T: Send + Sync + 'static,
        F: Fn(R::Given, Completer) + Send + Sync + 'static,
    {
        let edges = reads.edges();
        let function = Function::Callback(Arc::new(move |call, completer| match reads.given(call) {
            Ok(given) => f(given, completer),
            Err(failure) => {
                completer.complete(Err(failure));
            }
        }));
        self.add_typed(name, options, edges, function)
    }

    fn add_typed<T>(
        &mut self,
        name: &str,
        options: NodeOptions,
        reads: Vec<Dependency>,
        function: Function,
    ) -> Result<Node<T>> {
        let index = self.add(name, options, reads, function)?;
        Ok(Node { index, builder: self.id, result: PhantomData })
    }

    /// A node of any kind, whose types nobody checks: what bindings are made of. It reads these, in this order.
    ///
    /// # Errors
    /// [`Error::Exists`] for a name that another node has, [`Error::Invalid`] for an empty one, for one node more than [`MAX_NODES`], and for an input
    /// that reads something.
    pub fn add(&mut self, name: &str, options: NodeOptions, reads: Vec<Dependency>, function: Function) -> Result<u32> {
        check::node(name, &options, &reads, &function)?;
        if self.nodes.len() >= MAX_NODES {
            return Err(Error::Invalid(format!("node {name:?}: a graph has at most {MAX_NODES} nodes")));
        }
        if self.names.contains_key(name) {
            return Err(Error::Exists(format!("node {name:?}: the graph has one of this name")));
        }
        let (index, name) = (self.nodes.len() as u32, Arc::<str>::from(name));
        self.names.insert(name.clone(), index);
        self.nodes.push(Described { name, options, reads, after: Vec::new(), function });
        Ok(index)
    }

    /// The node that [`Builder::add`] has answered, for another one to read or to wait for.
    pub fn dependency(&self, index: u32) -> Dependency {
        Dependency::Index { index, builder: self.id }
    }

    /// `later` begins when `earlier` has ended, and does not read its result. If that one fails or is skipped, `later` is not run, as
    /// if it read it.
    pub fn after(&mut self, later: impl Into<Dependency>, earlier: impl Into<Dependency>) -> &mut Self {
        self.edges.push((later.into(), earlier.into()));
        self
    }

    /// All the nodes of another graph, their names behind `prefix` and a `/`. Its inputs become those nodes of this graph that `inputs` names: pairs of
    /// an input's name there and a node here. Each of its inputs must be among them.
    ///
    /// # Errors
    /// As [`Builder::add`]; [`Error::Invalid`] for an input that is missing, or that the graph does not have. Nothing was added then.
    pub fn insert<D: Into<Dependency>>(
        &mut self,
        prefix: &str,
        graph: &Graph,
        inputs: impl IntoIterator<Item = (impl Into<String>, D)>,
    ) -> Result<()> {
        let inputs: HashMap<String, Dependency> =
            inputs.into_iter().map(|(name, node)| (name.into(), node.into())).collect();
        check::insert(self, prefix, graph, &inputs)?;
        for node in graph.described() {
            if matches!(node.function, Function::Input) {
                continue;
            }
            let outer = |dependency: Dependency| match dependency {
                Dependency::Name(name) => match inputs.get(&name) {
                    Some(node) => node.clone(),
                    None => Dependency::Name(format!("{prefix}/{name}")),
                },
                other => other,
            };
            let reads = node.reads.into_iter().map(outer).collect();
            let index = self.add(&format!("{prefix}/{}", node.name), node.options, reads, node.function)?;
            self.nodes[index as usize].after = node.after.into_iter().map(outer).collect();
        }
        Ok(())
    }

    /// The graph, if it is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cycle, which is named, also one of a single node; for a node that is not there or that is of another builder;
    /// for an edge that is there twice.
    pub fn build(self) -> Result<Graph> {
        check::build(self)
    }
}
