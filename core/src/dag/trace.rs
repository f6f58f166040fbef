//! When each node of a run was ready, began and ended, for a run that is asked to keep that: as Chrome's trace format and as a Graphviz graph, and
//! summed up over the runs of a graph.

#![forbid(unsafe_code)]

use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::{block::Block, builder::Function, graph::Graph, outcome::NodeState, run::Head};
use crate::{
    primitive::{AtomicU64, Ordering},
    thread,
};

/// Times of one node, in nanoseconds after the start and one more; 0: not yet. Only who runs the node writes them, before it settles.
#[derive(Default)]
struct Times {
    ready: AtomicU64,
    began: AtomicU64,
    ended: AtomicU64,
    thread: AtomicU64,
}

/// The times of one run.
pub(super) struct Clock {
    start: Instant,
    nodes: Box<[Times]>,
}

impl Clock {
    pub(super) fn new(nodes: usize) -> Self {
        Self { start: Instant::now(), nodes: (0..nodes).map(|_| Times::default()).collect() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    #[cold]
    pub(super) fn ready(&self, node: u32) {
        self.nodes[node as usize].ready.store(self.now(), Ordering::Relaxed);
    }

    /// Its first attempt begins.
    #[cold]
    pub(super) fn began(&self, node: u32) {
        let times = &self.nodes[node as usize];
        times.thread.store(thread::number(), Ordering::Relaxed);
        times.began.store(self.now(), Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn ended(&self, node: u32) {
        self.nodes[node as usize].ended.store(self.now(), Ordering::Relaxed);
    }

    fn timing(&self, node: u32) -> Option<(Duration, Duration, Duration, u64)> {
        let times = &self.nodes[node as usize];
        let at = |time: &AtomicU64| time.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_nanos);
        let (began, ended) = (at(&times.began)?, at(&times.ended)?);
        Some((at(&times.ready)?.min(began), began, ended.max(began), times.thread.load(Ordering::Relaxed)))
    }
}

/// When one node of a run was what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTiming {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub state: NodeState,
    /// Whether it waited on the loop: its calls overlap those of others.
    pub waits: bool,
    /// After the start of the run, nothing was left that it waited for.
    pub ready: Duration,
    /// Its function was called.
    pub began: Duration,
    /// It had ended.
    pub ended: Duration,
    /// Which thread called its function: a number of that thread's own.
    pub thread: u64,
}

/// The times of a run that was asked to [take](super::RunOptions::trace) them.
#[derive(Debug, Clone)]
pub struct Trace {
    graph: Graph,
    /// Those of the nodes that ran to their end, in the order of the graph.
    pub nodes: Vec<NodeTiming>,
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// A name inside a double-quoted string of Graphviz.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

impl Trace {
    pub(super) fn of(block: &Block<Head>) -> Option<Self> {
        let clock = block.clock.as_ref()?;
        let graph = block.graph.clone();
        let timing = |node: u32| {
            let state = NodeState::of(block.state(node));
            let (ready, began, ended, thread) = clock.timing(node)?;
            let name = graph.name(node).unwrap_or_default().to_owned();
            Some(NodeTiming { name, state, waits: graph.waits_on_loop(node), ready, began, ended, thread })
        };
        let nodes = (0..graph.len() as u32).filter_map(timing).collect();
        Some(Self { graph, nodes })
    }

    /// As JSON that `chrome://tracing` and Perfetto show: CPU nodes on the threads that ran them, calls that wait each on a line of its own.
    pub fn chrome_json(&self) -> String {
        let mut events: Vec<Json> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.nodes.iter().enumerate() {
            let waited = microseconds(node.began - node.ready);
            let arguments = json!({ "state": format!("{:?}", node.state), "waited_us": waited });
            let (began, ended) = (microseconds(node.began), microseconds(node.ended));
            if node.waits {
                for (phase, at) in [("b", began), ("e", ended)] {
                    events.push(json!({
                        "name": node.name, "cat": "io", "ph": phase, "id": id, "ts": at, "pid": 1, "tid": node.thread, "args": arguments,
                    }));
                }
            } else {
                events.push(json!({
                    "name": node.name, "cat": "cpu", "ph": "X", "ts": began, "dur": ended - began, "pid": 1, "tid": node.thread,
                    "args": arguments,
                }));
            }
        }
        json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string()
    }

    /// As a graph for Graphviz, with how long each node ran, and how long it was ready before that.
    pub fn dot(&self) -> String {
        let mut times = vec![None; self.graph.len()];
        for node in &self.nodes {
            if let Some(index) = self.graph.index(&node.name) {
                times[index as usize] = Some(node);
            }
        }
        self.graph.dot_with(|index| match times[index as usize] {
            Some(node) => {
                let colour = match node.state {
                    NodeState::Done => "palegreen",
                    NodeState::Failed => "lightcoral",
                    _ => "lightgrey",
                };
                let (ran, waited) = (microseconds(node.ended - node.began), microseconds(node.began - node.ready));
                (format!("\\n{ran:.1} us, waited {waited:.1} us"), colour)
            }
            None => (String::new(), "white"),
        })
    }
}

impl Graph {
    /// As a graph for Graphviz: `dot -Tsvg`. Nodes that wait on the loop are round; edges that carry no result are dashed.
    pub fn dot(&self) -> String {
        self.dot_with(|_| (String::new(), "white"))
    }

    pub(super) fn waits_on_loop(&self, node: u32) -> bool {
        matches!(self.0.ready[node as usize].function, Function::Io(_) | Function::Callback(_))
    }

    fn dot_with(&self, more: impl Fn(u32) -> (String, &'static str)) -> String {
        let mut dot = String::from("digraph dag {\n  rankdir=LR;\n  node [style=filled, fontname=\"sans-serif\"];\n");
        let links = self.links();
        for node in 0..self.len() as u32 {
            let (text, colour) = more(node);
            let name = quoted(self.name(node).unwrap_or_default());
            let shape = if self.waits_on_loop(node) { "ellipse" } else { "box" };
            // Writing to a string does not fail.
            let _ = writeln!(dot, "  n{node} [label=\"{name}{text}\", shape={shape}, fillcolor={colour}];");
        }
        for node in 0..self.len() as u32 {
            for later in links.successors(node) {
                // Of a node that reads very many the edges are looked at that often; it is for pictures.
                let style = if links.reads(*later).contains(&node) { "" } else { " [style=dashed]" };
                let _ = writeln!(dot, "  n{node} -> n{later}{style};");
            }
        }
        dot.push_str("}\n");
        dot
    }

    /// What its nodes took in all traced runs that have ended, in the order of the graph.
    pub fn stats(&self) -> Vec<NodeStats> {
        let sums = self.0.sums.lock();
        (0..self.len() as u32).filter_map(|node| self.summed_up(&sums, node)).collect()
    }

    /// The same of the node at this place; `None` if there is none.
    pub fn node_stats(&self, node: u32) -> Option<NodeStats> {
        self.summed_up(&self.0.sums.lock(), node)
    }

    fn summed_up(&self, sums: &[NodeStats], node: u32) -> Option<NodeStats> {
        let name = self.name(node)?.to_owned();
        Some(NodeStats { name, ..sums.get(node as usize).cloned().unwrap_or_default() })
    }
}

/// The least, the mean and the greatest of some durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub min: Duration,
    /// The greatest.
    pub max: Duration,
    /// All together.
    pub total: Duration,
    count: u32,
}

impl Spread {
    fn add(&mut self, duration: Duration) {
        self.min = if self.count == 0 { duration } else { self.min.min(duration) };
        self.max = self.max.max(duration);
        self.total = self.total.saturating_add(duration);
        self.count = self.count.saturating_add(1);
    }

    /// The mean; zero of none.
    pub fn mean(&self) -> Duration {
        self.total.checked_div(self.count).unwrap_or_default()
    }
}

/// What a node took, over the traced runs of its graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// Its name.
    pub name: String,
    /// How often it ran to its end, well or not.
    pub count: u64,
    /// How often it failed.
    pub failures: u64,
    /// From being ready to its beginning.
    pub waited: Spread,
    /// From its beginning to its end, with all attempts.
    pub ran: Spread,
}

/// The sums of a graph, once there are any.
#[derive(Debug, Default)]
pub(super) struct Sums(Mutex<Vec<NodeStats>>);

impl Sums {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<NodeStats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the times of a run that has ended to those of its graph.
pub(super) fn sum_up(block: &Block<Head>) {
    let Some(clock) = &block.clock else { return };
    let mut sums = block.graph.0.sums.lock();
    if sums.is_empty() {
        sums.resize(block.graph.len(), NodeStats::default());
    }
    for (node, sum) in sums.iter_mut().enumerate() {
        let Some((ready, began, ended, _)) = clock.timing(node as u32) else { continue };
        sum.count += 1;
        sum.failures += u64::from(NodeState::of(block.state(node as u32)) == NodeState::Failed);
        sum.waited.add(began - ready);
        sum.ran.add(ended - began);
    }
}
