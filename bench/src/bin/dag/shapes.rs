//! The graphs: for each node, which ones it waits for.

use coop_core::dag::{Builder, Graph, NodeOptions};

/// Nodes of each.
pub const NODES: usize = 100_000;

/// For each node those that it waits for, which come before it.
pub struct Shape {
    pub name: &'static str,
    pub before: Vec<Vec<u32>>,
}

/// One after the other.
fn chain() -> Shape {
    let before = (0..NODES as u32).map(|node| node.checked_sub(1).into_iter().collect()).collect();
    Shape { name: "chain", before }
}

/// All but two beside each other: one is before them, one after them.
fn wide() -> Shape {
    let middle = NODES as u32 - 2;
    let mut before = vec![vec![]];
    before.extend((0..middle).map(|_| vec![0]));
    before.push((1..=middle).collect());
    Shape { name: "wide", before }
}

/// Layers of 100; each node waits for one to four of the layer before, chosen by a generator that always chooses the same.
fn layers() -> Shape {
    const LAYER: u32 = 100;
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32 % below
    };
    let before = (0..NODES as u32).map(|node| {
        let Some(first) = (node / LAYER).checked_sub(1).map(|layer| layer * LAYER) else { return vec![] };
        let mut before: Vec<u32> = (0..1 + random(4)).map(|_| first + random(LAYER)).collect();
        before.sort_unstable();
        before.dedup();
        before
    });
    Shape { name: "layers", before: before.collect() }
}

pub fn all() -> [Shape; 3] {
    [chain(), wide(), layers()]
}

impl Shape {
    pub fn graph(&self) -> Graph {
        let mut builder = Builder::with_capacity(self.before.len()).expect("it fits");
        let mut nodes = Vec::with_capacity(self.before.len());
        for (place, before) in self.before.iter().enumerate() {
            let tick = |()| {
                coop_bench::tick(1);
                Ok(())
            };
            let node = builder.cpu(&place.to_string(), NodeOptions::default(), (), tick).expect("its own name");
            before.iter().for_each(|earlier| {
                builder.after(node, nodes[*earlier as usize]);
            });
            nodes.push(node);
        }
        builder.build().expect("a graph")
    }
}
