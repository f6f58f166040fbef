//! What [`tsan`](crate::tsan) is told of graphs: a node comes after all that it waits for, and after whoever started its run.
//!
//! Nodes that do not wait for each other are in no order, so races between them are found.

use coop_core::dag::{Call, Graph};

use crate::tsan;

/// Stands for a graph.
fn place_of(graph: &Graph) -> usize {
    graph.name(0).map_or(0, |name| name.as_ptr().addr())
}

/// A run of this graph is about to start.
pub(crate) fn start(graph: &Graph) {
    tsan::happened(place_of(graph));
}

fn place(run: usize, node: u32) -> usize {
    run.wrapping_add((node as usize + 1).wrapping_mul(0x9e37_79b1))
}

/// A node between its beginning and its end; nothing, if nobody is to be told.
pub(crate) struct Order(Option<(usize, u32, Graph)>);

impl Order {
    pub(crate) fn begin(call: &Call<'_>) -> Self {
        if !tsan::is_told() {
            return Self(None);
        }
        let (run, node) = (call.run(), call.node());
        tsan::after(place_of(call.graph()));
        tsan::after(place(run, node));
        Self(Some((run, node, call.graph().clone())))
    }

    /// The node has ended, or this attempt at it.
    pub(crate) fn end(&self, is_skipped: bool) {
        let Some((run, node, graph)) = &self.0 else { return };
        tsan::happened(place(*run, *node));
        let mut waiting = graph.successors(*node).to_vec();
        let mut at = 0;
        while let Some(later) = waiting.get(at).copied() {
            tsan::happened(place(*run, later));
            // What is skipped for its sake has no end of its own, and one that depends on that may run.
            if is_skipped {
                for further in graph.successors(later) {
                    if !waiting.contains(further) {
                        waiting.push(*further);
                    }
                }
            }
            at += 1;
        }
    }
}
