//! What the sources of a loop have in common: options of those that have no others (events, children, signals, wake-ups from signal
//! handlers, look-ups), and the ids that they are known by.

use coop_core::{Refused, Result, event_loop::On};

use crate::{
    cpu_set::coop_cpu_set,
    event_loop::place,
    foreign::refused,
    options::{self, Options},
};

/// Where the callback of an event, a child, a signal, a coop_async or a look-up runs. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_source_options {
    /// sizeof(coop_source_options).
    pub size: usize,
    /// One of COOP_ON_*.
    pub on: i32,
    /// One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
    pub priority: i32,
    /// On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
    pub cpus: coop_cpu_set,
}

// SAFETY: numbers and a set of them, four fields that fill 32 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_source_options {
    const NAME: &'static str = "coop_source_options";
    const FIRST: usize = size_of::<Self>();
}

/// # Safety
/// As [`options::read`], and the CPU set is as [`coop_cpu_set::read`] wants it.
pub(crate) unsafe fn read(given: *const coop_source_options) -> Result<On> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(given) }?;
    // SAFETY: the caller's promise.
    unsafe { place(read.on, read.priority, read.cpus) }
}

/// How adding a source ends: C is told the id of what was `added`, if it asks, or keeps its argument.
///
/// # Safety
/// `id` is NULL or a place for a number.
pub(crate) unsafe fn named<T>(added: Result<u64, Refused<T>>, id: *mut u64) -> Result<()> {
    let added = added.map_err(refused)?;
    if !id.is_null() {
        // SAFETY: the caller's promise.
        unsafe { id.write(added) };
    }
    Ok(())
}
