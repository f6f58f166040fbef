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

// SAFETY: all is handed on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
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

/// Layers of ten; each node waits for two of the layer before.
fn layers() -> Graph {
    let mut builder = Builder::new();
    let mut nodes = Vec::new();
    for place in 0..1000_usize {
        let node = builder.cpu(&place.to_string(), NodeOptions::default(), (), |()| Ok(())).unwrap();
        if let Some(before) = (place / 10).checked_sub(1) {
            let (one, other) = (before * 10 + place % 10, before * 10 + (place + 1) % 10);
            builder.after(node, nodes[one]).after(node, nodes[other]);
        }
        nodes.push(node);
    }
    builder.build().unwrap()
}

#[test]
fn a_run_allocates_once() {
    const RUNS: usize = 200;
    let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() }).unwrap();
    let (engine, graph, options) = (Engine::new(&pool), layers(), RunOptions::default());
    let run = || {
        let outcome = graph.run(&engine, Inputs::new(), &options).unwrap().join(None).unwrap();
        outcome.result().unwrap();
    };
    (0..10).for_each(|_| run());
    let before = COUNT.load(Ordering::Relaxed);
    (0..RUNS).for_each(|_| run());
    let allocated = COUNT.load(Ordering::Relaxed) - before;
    // Beside the runs' own there are the blocks of the pool's queues, of some 60 tasks each, and what the queues give back late.
    assert!((RUNS..=2 * RUNS).contains(&allocated), "{allocated} allocations in {RUNS} runs of {} nodes", graph.len());
}
