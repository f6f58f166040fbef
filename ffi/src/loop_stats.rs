//! What an event loop did, and hooks for what takes too long in it.

use std::{ffi::c_void, time::Duration};

use coop_core::{
    Error, Result,
    event_loop::{CallbackKind, Handle},
};

use crate::{
    event_loop::coop_event_loop,
    foreign::{foreign, refused},
    guard::guard,
    handle::wanted,
    options::{self, Options},
    status::{COOP_NONE, coop_status},
};

/// A slow callback was a post, or what was woken by one.
pub const COOP_CALLBACK_POST: i32 = 0;
/// A timer's.
pub const COOP_CALLBACK_TIMER: i32 = 1;
/// A watch's, a socket's, or that of another source that a descriptor stands for.
pub const COOP_CALLBACK_WATCH: i32 = 2;

const _: () = assert!(
    COOP_CALLBACK_POST == CallbackKind::Post as i32
        && COOP_CALLBACK_TIMER == CallbackKind::Timer as i32
        && COOP_CALLBACK_WATCH == CallbackKind::Watch as i32
);

/// What an event loop did since it was made. The times are of callbacks on the loop's thread, and are measured from the
/// first coop_event_loop_stats of the loop on, or while it has a hook: until then they are 0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_event_loop_statistics {
    /// sizeof(coop_event_loop_statistics), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// Turns.
    pub iterations: u64,
    /// Descriptors that were ready.
    pub events: u64,
    /// Posts that have begun.
    pub posts: u64,
    /// Timers that have fired, each repetition anew.
    pub timers_fired: u64,
    /// Timers there are.
    pub timers: usize,
    /// Watches there are, and sockets of streams.
    pub watches: usize,
    /// The longest that a callback has run, in nanoseconds.
    pub longest_callback_ns: i64,
    /// In the last turn: from when the loop woke up to when its last callback began, which is how long the last of what
    /// was ready waited.
    pub lag_ns: i64,
    /// The longest such time of all turns.
    pub longest_lag_ns: i64,
    /// For how long the callback at hand has run so far; 0 if there is none. This tells of one that never returns.
    pub at_hand_ns: i64,
}

// SAFETY: numbers, eleven fields that fill 88 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_event_loop_statistics {
    const NAME: &'static str = "coop_event_loop_statistics";
    const FIRST: usize = size_of::<Self>();
}

/// A function that is told of a callback that took too long. It runs on the loop's thread, after that callback, with no
/// lock held. drop(arg) is called once: when the hook is replaced or taken away, or when the loop is freed. See
/// coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_slow_callback {
    /// what: one of COOP_CALLBACK_*. took_ns: how long it ran, in nanoseconds.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, what: i32, took_ns: i64)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// A function that is told how long what was ready in a turn of the loop has waited. It runs on the loop's thread, after
/// that turn, with no lock held. drop(arg) is called once: when the hook is replaced or taken away, or when the loop is
/// freed. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_lag_callback {
    /// lag_ns: from when the loop woke up to when the turn's last callback began, in nanoseconds.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, lag_ns: i64)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// Says what the loop did so far. The first call has the times measured from then on, which costs a look at the clock for each
/// callback.
///
/// out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL, COOP_E_INVALID for the size,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_stats(
    event_loop: *const coop_event_loop,
    out: *mut coop_event_loop_statistics,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out, "out")?;
        let stats = handle.stats()?;
        let filled = coop_event_loop_statistics {
            size: 0,
            iterations: stats.iterations,
            events: stats.events,
            posts: stats.posts,
            timers_fired: stats.timers_fired,
            timers: stats.timers,
            watches: stats.watches,
            longest_callback_ns: ns(stats.longest_callback),
            lag_ns: ns(stats.lag),
            longest_lag_ns: ns(stats.longest_lag),
            at_hand_ns: ns(stats.at_hand),
        };
        // SAFETY: as long as it says.
        unsafe { options::write(&filled, out) }
    })
}

/// Has the function called whenever a callback has run on the loop's thread for that long or longer; without a function, a
/// message is logged (see coop_set_log). What runs in a runtime's pool is not looked at. One hook at a time: the one
/// before is dropped.
///
/// threshold_ns: nanoseconds above 0; COOP_NONE takes the hook away, and callback.fn is NULL. callback: the loop owns
/// callback.arg if this answers COOP_OK and callback.fn is not NULL.
///
/// A callback that never returns is not told of: see coop_event_loop_statistics.at_hand_ns.
///
/// Any thread, also the hook itself. COOP_E_NULL, COOP_E_INVALID for another threshold, COOP_E_CLOSED once the loop was
/// stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_set_slow_hook(
    event_loop: *mut coop_event_loop,
    threshold_ns: i64,
    callback: coop_slow_callback,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of an argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        match threshold(threshold_ns, callback.r#fn.is_some())? {
            Some(threshold) if callback.r#fn.is_some() => {
                let foreign = foreign!(callback)?;
                handle
                    .set_slow_hook(threshold, move |slow| foreign.call_with_both(slow.what as i32, ns(slow.took)))
                    .map_err(refused)
            }
            threshold => Handle::set_slow_log(&handle, threshold),
        }
    })
}

/// Has the function called after every turn of the loop in which the last of what was ready waited that long or longer until
/// its callback began; without a function, a message is logged (see coop_set_log). One hook at a time: the one before
/// is dropped.
///
/// threshold_ns: nanoseconds above 0; COOP_NONE takes the hook away, and callback.fn is NULL. callback: the loop owns
/// callback.arg if this answers COOP_OK and callback.fn is not NULL.
///
/// Any thread, also the hook itself. COOP_E_NULL, COOP_E_INVALID for another threshold, COOP_E_CLOSED once the loop was
/// stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_set_lag_hook(
    event_loop: *mut coop_event_loop,
    threshold_ns: i64,
    callback: coop_lag_callback,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the drop of an argument may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        match threshold(threshold_ns, callback.r#fn.is_some())? {
            Some(threshold) if callback.r#fn.is_some() => {
                let foreign = foreign!(callback)?;
                handle.set_lag_hook(threshold, move |lag| foreign.call_with(ns(lag))).map_err(refused)
            }
            threshold => Handle::set_lag_log(&handle, threshold),
        }
    })
}

/// `None`: no hook any more.
fn threshold(ns: i64, has_function: bool) -> Result<Option<Duration>> {
    match u64::try_from(ns) {
        Ok(1..) => Ok(Some(Duration::from_nanos(ns.unsigned_abs()))),
        _ if ns == i64::from(COOP_NONE) && !has_function => Ok(None),
        _ => Err(Error::Invalid(format!(
            "threshold_ns is {ns}: allowed are nanoseconds above 0, or COOP_NONE (-1) without a function"
        ))),
    }
}

fn ns(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
