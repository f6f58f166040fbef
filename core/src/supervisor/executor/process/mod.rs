//! Services that are processes.

#![allow(dead_code, reason = "the executor that uses it comes next")]

mod child;
mod command;
mod failure;
mod listen;
mod plan;
#[allow(unsafe_code)]
mod spawn;

pub use self::command::{Command, Descriptor, Limit, Resource};

#[cfg(all(test, not(loom)))]
mod test;
