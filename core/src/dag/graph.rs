//! The graph: nodes and edges that were checked, which never change.

#![forbid(unsafe_code)]

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use super::{
    block::START,
    builder::{Dependency, Described, Function, NodeOptions},
    links::Links,
    trace::Sums,
};
use crate::pool::SubmitOptions;

/// What is looked at when a node is ready.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) function: Function,
    /// Where a CPU node goes: below 3 a priority, on any worker; from there on one of [`Inner::narrow`].
    pub(super) class: u32,
    /// It has no options that are looked at while it runs.
    pub(super) plain: bool,
}

pub(super) struct Inner {
    pub(super) ready: Box<[Ready]>,
    pub(super) links: Arc<Links>,
    pub(super) described: Box<[Described]>,
    pub(super) names: HashMap<Arc<str>, u32>,
    pub(super) inputs: Box<[u32]>,
    /// The places of nodes with CPU sets.
    pub(super) narrow: Box<[SubmitOptions]>,
    /// Whether a run needs a loop.
    pub(super) waits: bool,
    /// All nodes that a run begins with are of the loop, or its inputs'.
    pub(super) starts_on_loop: bool,
    /// Of its traced runs.
    pub(super) sums: Sums,
}

impl Inner {
    pub(super) fn new(described: Vec<Described>, names: HashMap<Arc<str>, u32>, links: Arc<Links>) -> Self {
        let mut narrow: Vec<SubmitOptions> = Vec::new();
        let mut class = |node: &Described| {
            let options = &node.options;
            if options.cpus.is_none() {
                return (1 - options.priority as i32) as u32;
            }
            let wanted = SubmitOptions { priority: options.priority, cpus: options.cpus, ..SubmitOptions::default() };
            let at = narrow.iter().position(|place| *place == wanted).unwrap_or_else(|| {
                narrow.push(wanted);
                narrow.len() - 1
            });
            3 + at as u32
        };
        let ready = |node: &Described| Ready {
            function: node.function.clone(),
            class: class(node),
            plain: node.options.retries == 0
                && node.options.timeout.is_none()
                && node.options.only_if.is_none()
                && !node.options.even_if_skipped,
        };
        let ready: Box<[Ready]> = described.iter().map(ready).collect();
        let waits = |node: &Described| {
            !matches!(node.function, Function::Cpu(_) | Function::Input)
                || node.options.timeout.is_some()
                || (node.options.retries > 0 && !node.options.backoff.is_zero())
        };
        let is_input = |node: &u32| matches!(described[*node as usize].function, Function::Input);
        Self {
            ready,
            inputs: (0..described.len() as u32).filter(is_input).collect(),
            narrow: narrow.into(),
            waits: described.iter().any(waits),
            starts_on_loop: starts_on_loop(&described, &links),
            sums: Sums::default(),
            links,
            described: described.into(),
            names,
        }
    }
}

/// Of the nodes that wait for nothing but inputs, none is for the pool.
fn starts_on_loop(described: &[Described], links: &Links) -> bool {
    let is = |node: &u32, function: fn(&Function) -> bool| function(&described[*node as usize].function);
    let sources = links.successors(START);
    let inputs = sources.iter().filter(|node| is(node, |function| matches!(function, Function::Input)));
    let after_inputs = inputs.flat_map(|node| links.successors(*node));
    let cpu = |function: &Function| matches!(function, Function::Cpu(_));
    let mut first = sources
        .iter()
        .chain(after_inputs)
        .filter(|node| !is(node, |function| matches!(function, Function::Input)))
        .peekable();
    first.peek().is_some() && !first.any(|node| cpu(&described[*node as usize].function))
}

/// A graph that was checked: it does not change, is shared by whoever clones it, and runs any number of times, also at once.
#[derive(Clone)]
pub struct Graph(pub(super) Arc<Inner>);

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("nodes", &self.len()).finish_non_exhaustive()
    }
}

impl Graph {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.0.ready.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which node has this name: its place in the order of being added.
    pub fn index(&self, name: &str) -> Option<u32> {
        self.0.names.get(name).copied()
    }

    /// The name of the node at this place.
    pub fn name(&self, index: u32) -> Option<&str> {
        self.0.described.get(index as usize).map(|node| &*node.name)
    }

    /// The nodes that wait for this one, by their places.
    pub fn successors(&self, index: u32) -> &[u32] {
        if (index as usize) < self.len() { self.links().successors(index) } else { &[] }
    }

    /// Whether the outcome has this node's result: nobody reads it, or it is to be [kept](NodeOptions::keep).
    pub fn keeps(&self, index: u32) -> bool {
        (index as usize) < self.len() && self.links().keeps(index)
    }

    /// The names of its inputs.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.0.inputs.iter().map(|node| &*self.0.described[*node as usize].name)
    }

    /// Whether a run needs a loop: it has I/O nodes, deadlines or waits before retries.
    pub fn needs_event_loop(&self) -> bool {
        self.0.waits
    }

    pub(super) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(super) fn options(&self, node: u32) -> &NodeOptions {
        &self.0.described[node as usize].options
    }

    /// Its nodes as they may be added to another graph: all dependencies by name.
    pub(super) fn described(&self) -> impl Iterator<Item = Described> {
        let by_name = |node: u32| Dependency::Name(self.0.described[node as usize].name.to_string());
        let links = self.links();
        let mut before = vec![HashSet::new(); self.len()];
        for node in 0..self.len() as u32 {
            links.successors(node).iter().for_each(|later| {
                before[*later as usize].insert(node);
            });
        }
        before.into_iter().enumerate().map(move |(node, mut after)| {
            let mut described = self.0.described[node].clone();
            described.options.after.clear();
            let reads = links.reads(node as u32);
            described.reads = reads.iter().map(|read| by_name(*read)).collect();
            reads.iter().for_each(|read| {
                after.remove(read);
            });
            described.after = after.into_iter().map(by_name).collect();
            described
        })
    }
}
