//! The peers: TBB's flow graph through C functions, and what one would write with rayon.

#[cfg(feature = "tbb")]
use std::ffi::c_void;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::shapes::Shape;

/// A graph of counters; whoever brings one to 0 spawns that node.
pub struct ByHand {
    pool: rayon::ThreadPool,
    graph: Arc<Counters>,
}

struct Counters {
    waits: Vec<AtomicU32>,
    before: Vec<u32>,
    successors: Vec<Vec<u32>>,
}

impl ByHand {
    pub fn new(shape: &Shape, workers: usize) -> Self {
        let mut successors = vec![Vec::new(); shape.before.len()];
        for (node, before) in shape.before.iter().enumerate() {
            before.iter().for_each(|earlier| successors[*earlier as usize].push(node as u32));
        }
        let before: Vec<u32> = shape.before.iter().map(|before| before.len() as u32).collect();
        let waits = before.iter().map(|_| AtomicU32::new(0)).collect();
        Self {
            pool: rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("a pool"),
            graph: Arc::new(Counters { waits, before, successors }),
        }
    }

    pub fn run(&self) {
        let graph = &*self.graph;
        graph.waits.iter().zip(&graph.before).for_each(|(waits, before)| waits.store(*before, Ordering::Relaxed));
        let sources = (0..graph.before.len() as u32).filter(|node| graph.before[*node as usize] == 0);
        self.pool.in_place_scope(|scope| sources.for_each(|node| scope.spawn(move |scope| visit(graph, node, scope))));
    }
}

fn visit<'a>(graph: &'a Counters, mut node: u32, scope: &rayon::Scope<'a>) {
    loop {
        coop_bench::tick(1);
        let mut next = None;
        for later in &graph.successors[node as usize] {
            if graph.waits[*later as usize].fetch_sub(1, Ordering::AcqRel) == 1
                && let Some(other) = next.replace(*later)
            {
                scope.spawn(move |scope| visit(graph, other, scope));
            }
        }
        match next {
            Some(next) => node = next,
            None => return,
        }
    }
}

#[cfg(feature = "tbb")]
type Tick = extern "C" fn(u64);

#[cfg(feature = "tbb")]
extern "C" fn tick(by: u64) {
    coop_bench::tick(by);
}

#[cfg(feature = "tbb")]
unsafe extern "C" {
    fn bench_flow_new(workers: i32, nodes: usize, starts: *const u32, edges: *const u32, call: Tick) -> *mut c_void;
    fn bench_flow_run(graph: *mut c_void);
    fn bench_flow_free(graph: *mut c_void);
}

/// TBB's flow graph.
#[cfg(feature = "tbb")]
pub struct Flow(*mut c_void);

#[cfg(feature = "tbb")]
impl Flow {
    pub fn new(shape: &Shape, workers: usize) -> Self {
        let mut starts = vec![0];
        starts.extend(shape.before.iter().scan(0, |at, before| {
            *at += before.len() as u32;
            Some(*at)
        }));
        let edges: Vec<u32> = shape.before.concat();
        // SAFETY: the arrays are as long as they say; nothing of them is kept.
        Self(unsafe { bench_flow_new(workers as i32, shape.before.len(), starts.as_ptr(), edges.as_ptr(), tick) })
    }

    pub fn run(&self) {
        // SAFETY: a live graph, which one thread runs.
        unsafe { bench_flow_run(self.0) };
    }
}

#[cfg(feature = "tbb")]
impl Drop for Flow {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and freed once.
        unsafe { bench_flow_free(self.0) };
    }
}
