//! Graphs of Python functions, over `coop_core::dag`: the native half of `libcoop.Dag` and `libcoop.DagRun`.
//!
//! * A plain function is called by a worker of the pool, which stays attached from one node to the next. A coroutine function is started on the
//!   loop's thread, and there handed to who drives it: asyncio (libcoop/_dag_asyncio.py), or a driver of our own (libcoop/_dag_loop.py).
//! * Results are Python objects by reference. A node's result is let go of when its last reader has been called, unless the outcome has it.
//! * A function is held by the `Dag` it was added to, which the collector can look into; a run holds that, and whatever else it needs,
//!   until it has ended.
//!
//! `graph.rs` the graph and its nodes, `node.rs` a node's function and what it is given, `waiting.rs` nodes that wait, `run.rs` a run and its end.

mod graph;
mod node;
mod run;
mod waiting;

pub(crate) use self::{graph::Dag, run::RunHandle, waiting::NodeEnd};
