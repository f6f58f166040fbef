//! A run of CPU nodes allocates once. A process of its own, for it counts all that is allocated.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use coop_core::{
    Pool, PoolOptions,
    dag::{Builder, Engine, Graph, Inputs, NodeOptions, RunOptions},
};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Those of at least [`LARGE`].
static LARGE_COUNT: AtomicUsize = AtomicUsize::new(0);
/// A run of a thousand nodes is larger, a block of one of the pool's queues smaller.
const LARGE: usize = 16 * 1024;

// SAFETY: all is handed on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        LARGE_COUNT.fetch_add(usize::from(layout.size() >= LARGE), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NODES: usize = 1000;
const RUNS: usize = 200;

/// Layers of this width; each node waits for two of the layer before, or for the only one.
fn layers(width: usize) -> Graph {
    let mut builder = Builder::new();
    let mut nodes = Vec::new();
    for place in 0..NODES {
        let node = builder.cpu(&place.to_string(), NodeOptions::default(), (), |()| Ok(())).unwrap();
        if let Some(before) = (place / width).checked_sub(1) {
            let (one, other) = (before * width + place % width, before * width + (place + 1) % width);
            builder.after(node, nodes[one]);
            if one != other {
                builder.after(node, nodes[other]);
            }
        }
        nodes.push(node);
    }
    builder.build().unwrap()
}

/// All allocations, and the large ones, of so many runs.
fn allocated(width: usize, workers: usize) -> (usize, usize) {
    let pool = Pool::new(PoolOptions { workers: Some(workers), ..PoolOptions::default() }).unwrap();
    let (engine, graph, options) = (Engine::new(&pool), layers(width), RunOptions::default());
    let run = || {
        let outcome = graph.run(&engine, Inputs::new(), &options).unwrap().join(None).unwrap();
        outcome.result().unwrap();
    };
    (0..10).for_each(|_| run());
    let before = (COUNT.load(Ordering::Relaxed), LARGE_COUNT.load(Ordering::Relaxed));
    (0..RUNS).for_each(|_| run());
    (COUNT.load(Ordering::Relaxed) - before.0, LARGE_COUNT.load(Ordering::Relaxed) - before.1)
}

#[test]
fn a_run_allocates_once() {
    // One task of the pool in each run: its queue has a block for every 63.
    let (all, large) = allocated(1, 1);
    assert_eq!(large, RUNS);
    assert!(all <= RUNS + RUNS / 10, "{all} allocations in {RUNS} runs");
    // Many tasks: the blocks of the queues are all that is added.
    let (all, large) = allocated(10, 2);
    assert_eq!(large, RUNS);
    assert!(all < RUNS * NODES / 20, "{all} allocations in {RUNS} runs of {NODES} nodes");
}
