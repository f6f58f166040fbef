//! libcoop's C ABI: one file per C type, thin over `coop_core`.
//!
//! It is a C library, shared and static. As a Rust crate it has one user, the Python extension, which binds the core itself and
//! takes from here only what a native handler is given and how one is loaded ([`api`], [`native`]): so there is one table and one
//! meaning of it.
//!
//! What is written above an item here is what C users read in `include/coop.h`, which cbindgen makes of this crate.
//!
//! # What holds in every function
//!
//! * It is a [`guard`](guard): a panic becomes `COOP_E_PANIC`, an error becomes its number and this thread's last message.
//! * Options are copied in [`options`] before anything else is done, and a callback becomes a `Foreign` (foreign.rs), which
//!   owns its argument, last: a call that fails never drops the argument.
//! * A call may be on the stack, or in another thread, while a callback frees its object. So nothing that runs callbacks, waits,
//!   or touches the object after it has let a callback start borrows from the object's box (handle.rs).

// Every function that takes a pointer asks for the same: what coop.h says. A heading for it would leak into the header.
#![allow(clippy::missing_safety_doc, reason = "the comments are the header's, for readers of C")]
#![allow(non_camel_case_types, reason = "C's names")]

pub mod address;
pub mod api;
mod api_table;
pub mod async_signal;
pub mod child;
pub mod child_info;
pub mod command;
pub mod connect;
pub mod cpu_set;
pub mod dag;
pub mod dag_builder;
pub mod dag_call;
pub mod dag_completer;
pub mod dag_node;
mod dag_order;
pub mod dag_outcome;
pub mod dag_run;
pub mod dag_trace;
pub mod dag_value;
pub mod error;
pub mod event;
pub mod event_loop;
mod foreign;
mod guard;
mod handle;
pub mod host;
pub mod io_watch;
pub mod listener;
pub mod log;
pub mod loop_stats;
pub mod native;
pub mod observer;
mod options;
pub mod parallel_for;
pub mod parent_observer;
pub mod pool;
pub mod pool_stats;
pub mod port;
pub mod port_connection;
pub mod port_context;
pub mod port_handler;
pub mod port_place;
pub mod port_process;
pub mod port_set;
pub mod redis;
pub mod redis_call;
pub mod redis_options;
pub mod redis_reply;
pub mod redis_stats;
pub mod redis_subscriber;
pub mod runtime;
pub mod service;
pub mod service_context;
pub mod service_event;
pub mod signal;
pub mod source;
pub mod status;
pub mod stream;
pub mod stream_io;
pub mod stream_settings;
pub mod stream_transfer;
pub mod supervisor;
pub mod supervisor_options;
pub mod systemd;
pub mod task;
pub mod timer;
mod tsan;
pub mod udp;
mod udp_batch;
pub mod version;
pub mod worker;

pub use foreign::coop_callback;
