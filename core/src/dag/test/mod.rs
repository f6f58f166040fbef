//! Graphs as they are built, run and ended.

mod build;
mod ends;
mod io;
mod nodes;
mod races;
mod trace;
mod values;

use std::time::Duration;

use super::*;
use crate::{
    error::{Error, Result},
    pool::{Pool, PoolOptions},
    runtime::{Runtime, RuntimeOptions, StartMode},
};

/// Longer than anything takes.
const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn pool() -> Pool {
    Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() }).unwrap()
}

fn runtime() -> Runtime {
    let pool = PoolOptions { workers: Some(2), ..PoolOptions::default() };
    let runtime = Runtime::new(RuntimeOptions { pool, ..RuntimeOptions::default() }).unwrap();
    runtime.start(StartMode::Return).unwrap();
    runtime
}

fn plain() -> NodeOptions {
    NodeOptions::default()
}

/// A run without inputs, to its end.
fn run(graph: &Graph, engine: &Engine) -> Outcome {
    run_with(graph, engine, Inputs::new(), &RunOptions::default())
}

fn run_with(graph: &Graph, engine: &Engine, inputs: Inputs, options: &RunOptions) -> Outcome {
    graph.run(engine, inputs, options).unwrap().join(LONG).unwrap()
}
