//! Graphs of tasks: what is computed runs in a pool, what waits waits on a loop, and each begins when what it needs is there.
//!
//! ```
//! use coop_core::{Runtime, RuntimeOptions, dag, runtime::StartMode, task};
//! use std::time::Duration;
//!
//! let runtime = Runtime::new(RuntimeOptions::default())?;
//! runtime.start(StartMode::Return)?;
//!
//! let (mut builder, event_loop) = (dag::Builder::new(), runtime.event_loop().handle());
//! let plain = dag::NodeOptions::default;
//! let name = builder.input::<String>("name")?;
//! let length = builder.cpu("length", plain(), name, |name| Ok(name.len()))?;
//! let reply = builder.io("reply", plain(), name, move |name| {
//!     let event_loop = event_loop.clone();
//!     async move {
//!         task::sleep(&event_loop, Duration::from_millis(1)).await?; // no thread waits meanwhile
//!         Ok(format!("hello {}", *name))
//!     }
//! })?;
//! builder.cpu("result", plain(), (length, reply), |(length, reply)| Ok((*length, reply.take())))?;
//! let graph = builder.build()?;
//!
//! let inputs = dag::Inputs::new().with("name", String::from("world"));
//! let run = graph.run(&(&runtime).into(), inputs, &dag::RunOptions::default())?;
//! let outcome = run.join(Some(Duration::from_secs(60)))?.ok()?;
//! assert_eq!(outcome.take::<(usize, String)>("result")?, (5, "hello world".into()));
//! # Ok::<(), coop_core::Error>(())
//! ```
//!
//! # What it guarantees
//!
//! * A node begins when all that it reads or waits for has ended, and runs at most once in a run, but for its retries. CPU nodes run in the pool, at their level and inside their
//!   CPU set; I/O nodes on the loop's thread.
//! * A run ends exactly once: with all results; with the first failure, which names its node; [`Error::Cancelled`](crate::Error::Cancelled);
//!   [`Error::Timeout`](crate::Error::Timeout); or [`Error::Closed`](crate::Error::Closed) when its pool or its loop is stopped or freed under it.
//! * A run that ends early does so at once. What waits on the loop is dropped there; a function that runs in the pool goes on, and its result is dropped when it comes.
//! * A node that fails, by an error or a panic, cancels what depends on it; the rest runs or the run ends, as [asked](OnFailure). A node that is skipped has what
//!   depends on it skipped, unless that says [otherwise](NodeOptions::even_if_skipped).
//! * A result is shared by the nodes that read it; the last of them may have it for itself, and then it is gone. Those that no node reads, and those that
//!   are to be [kept](NodeOptions::keep), are the outcome's.
//! * A graph does not change; it runs any number of times at once, and a long run does not starve others.
//!
//! # Where things are
//!
//! `builder.rs` nodes and edges as they are told, `reads.rs` what a node reads, as types, `check.rs` what is refused, `links.rs` and `graph.rs` what is
//! left: the graph. `run.rs` a run and its end, `block.rs` its memory, `work.rs` how a worker goes from node to node, `io.rs` nodes of the loop,
//! `attempt.rs` predicates, retries and deadlines, `call.rs` what a function is given, `value.rs` what it makes, `outcome.rs` what comes of it, `trace.rs`
//! when it came.

// Not forbidden: `block.rs` has a run's memory.
#![deny(unsafe_code)]

mod attempt;
mod block;
mod builder;
mod call;
mod check;
mod graph;
mod io;
mod links;
mod outcome;
mod reads;
mod run;
mod trace;
mod value;
mod work;

#[cfg(all(test, not(loom)))]
mod test;

pub use self::{
    builder::{Answer, AnswerFuture, Builder, Dependency, Function, MAX_NODES, Node, NodeOptions, Predicate},
    call::{Call, Completer, Control},
    graph::Graph,
    outcome::{NodeState, Outcome},
    reads::{Optional, Reads},
    run::{Engine, Inputs, OnFailure, Run, RunOptions},
    trace::{NodeStats, NodeTiming, Spread, Trace},
    value::{Arg, Failure, Value},
    work::job_kind,
};
