//! The atomics and locks that loom can check: `std`'s in a build, loom's under `--cfg loom`.
//!
//! Only the modules that a loom model runs take theirs from here.

#[cfg(loom)]
#[allow(unused_imports, reason = "a swap list: not every name is wanted in every build")]
pub(crate) use loom::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};

#[cfg(not(loom))]
#[allow(unused_imports, reason = "a swap list: not every name is wanted in every build")]
pub(crate) use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};
