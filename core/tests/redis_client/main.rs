//! `net::redis` against real servers, and against hostile ones.

mod calls;
mod faults;
mod hostile;
mod messages;
mod own;
mod pipeline;
mod races;
mod server;
mod tls;

#[path = "../support/ports.rs"]
mod ports;
