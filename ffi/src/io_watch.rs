//! Watches of file descriptors.

use std::ffi::c_void;

use coop_core::{
    Error, Result,
    event_loop::{Interest, Readiness, WatchId, WatchOptions},
};

use crate::{
    cpu_set::coop_cpu_set,
    event_loop::{coop_event_loop, place},
    foreign::foreign,
    guard::guard,
    options::{self, Options},
    source,
    status::coop_status,
};

/// A read would not block. In options: tell so.
pub const COOP_IO_READ: u32 = 1;
/// A write would not block. In options: tell so.
pub const COOP_IO_WRITE: u32 = 2;
/// The descriptor has an error to fetch. Told unasked.
pub const COOP_IO_ERROR: u32 = 4;
/// The other side has closed, or shut down its writing half. Told unasked.
pub const COOP_IO_HANG_UP: u32 = 8;

/// Names a watch of one loop; never 0, and never used again for another one.
pub type coop_io_watch_id = u64;

/// A function that runs when a descriptor is ready. drop(arg) is called once: when the watch is cancelled, or when
/// the loop has finished, stopped or freed. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_io_watch_callback {
    /// ready: COOP_IO_* bits. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, ready: u32)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// How to watch a descriptor. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_io_watch_options {
    /// sizeof(coop_io_watch_options).
    pub size: usize,
    /// COOP_IO_READ, COOP_IO_WRITE or both; 0 is COOP_IO_READ.
    pub interest: u32,
    /// 1 tells once for each change: read or write until it would block. 0 tells for as long as the descriptor is
    /// ready.
    pub edge: i32,
    /// One of COOP_ON_*.
    pub on: i32,
    /// One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
    pub priority: i32,
    /// 1: a COOP_RUN_UNTIL_IDLE does not wait for this watch.
    pub unref: i32,
    /// Must be 0.
    pub reserved: i32,
    /// On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
    pub cpus: coop_cpu_set,
}

// SAFETY: numbers and a set of them, eight fields that fill 48 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_io_watch_options {
    const NAME: &'static str = "coop_io_watch_options";
    const FIRST: usize = 32;
}

/// Has the loop call the function when a descriptor is ready: a socket, a pipe, an eventfd; not a file or a
/// directory.
///
/// fd: stays the caller's, who cancels the watch before closing it. One watch covers both directions, and there is
/// one for each fd. options: copied; NULL is reads, for as long as it is ready. callback: the loop owns
/// callback.arg if this answers COOP_OK. id: set to the watch's id, for coop_io_watch_cancel; may be NULL. The
/// function may run before id is set.
///
/// Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for fd, interest, place or priority,
/// COOP_E_AFFINITY for a CPU set without a worker, COOP_E_EXISTS if fd has a watch in this loop, COOP_E_OS if the system cannot watch it, COOP_E_UNSUPPORTED for
/// options, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_watch(
    event_loop: *mut coop_event_loop,
    fd: i32,
    options: *const coop_io_watch_options,
    callback: coop_io_watch_callback,
    id: *mut coop_io_watch_id,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: options are NULL or as long as they say, and so is their CPU set.
        let options = unsafe { watch_options(options) }?;
        let foreign = foreign!(callback)?;
        let watch = handle.watch(fd, options, move |ready| foreign.call_with(bits(ready)));
        // SAFETY: NULL or a place for a number.
        unsafe { source::named(watch.map(|id| id.0), id) }
    })
}

/// Ends a watch: its function does not begin any more, and its argument is dropped now; if it is running (it may
/// be the caller), when it returns. The descriptor may be closed after this.
///
/// Any thread, also the loop's own callbacks. COOP_E_STALE if it was cancelled or is of no watch of this loop;
/// COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_io_watch_cancel(event_loop: *mut coop_event_loop, id: coop_io_watch_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of the argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.cancel_watch(WatchId(id))
    })
}

/// Watches other directions of the descriptor from now on; what is ready in them is told anew.
///
/// interest: COOP_IO_READ, COOP_IO_WRITE or both.
///
/// Any thread, also the loop's own callbacks. COOP_E_INVALID for interest, COOP_E_STALE if the watch was cancelled or is of
/// no watch of this loop, COOP_E_OS (EBADF) if the descriptor was closed under it, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_io_watch_set_interest(
    event_loop: *mut coop_event_loop,
    id: coop_io_watch_id,
    interest: u32,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; a callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        if interest == 0 {
            return Err(no_interest(0));
        }
        handle.set_watch_interest(WatchId(id), directions(interest)?)
    })
}

/// A COOP_RUN_UNTIL_IDLE waits for the watch, as it does for each that is not made with unref. It does not count: once is enough.
///
/// Any thread. COOP_E_STALE as coop_io_watch_cancel, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_io_watch_ref(event_loop: *mut coop_event_loop, id: coop_io_watch_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.set_watch_ref(WatchId(id), true)
    })
}

/// A COOP_RUN_UNTIL_IDLE does not wait for the watch; one that waits for nothing else ends.
///
/// Any thread. COOP_E_STALE as coop_io_watch_cancel, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_io_watch_unref(event_loop: *mut coop_event_loop, id: coop_io_watch_id) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.set_watch_ref(WatchId(id), false)
    })
}

/// # Safety
/// `options` is NULL or as long as it says, and the CPU set is as [`coop_cpu_set::read`] wants it.
unsafe fn watch_options(options: *const coop_io_watch_options) -> Result<WatchOptions> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    let interest = directions(read.interest)?;
    let edge = options::flag(read.edge, "coop_io_watch_options.edge")?;
    let unref = options::flag(read.unref, "coop_io_watch_options.unref")?;
    options::reserved(read.reserved, "coop_io_watch_options.reserved")?;
    // SAFETY: the caller's promise.
    let on = unsafe { place(read.on, read.priority, read.cpus) }?;
    Ok(WatchOptions { interest, edge, on, unref })
}

fn directions(interest: u32) -> Result<Interest> {
    match interest {
        0 | COOP_IO_READ => Ok(Interest::READ),
        COOP_IO_WRITE => Ok(Interest::WRITE),
        3 => Ok(Interest::BOTH),
        other => Err(no_interest(other)),
    }
}

fn no_interest(interest: u32) -> Error {
    let allowed = "COOP_IO_READ is 1, COOP_IO_WRITE is 2, both is 3";
    Error::Invalid(format!("interest {interest} is out of range: {allowed}"))
}

fn bits(ready: Readiness) -> u32 {
    let bit = |is, bit| if is { bit } else { 0 };
    bit(ready.readable, COOP_IO_READ)
        | bit(ready.writable, COOP_IO_WRITE)
        | bit(ready.error, COOP_IO_ERROR)
        | bit(ready.hang_up, COOP_IO_HANG_UP)
}
