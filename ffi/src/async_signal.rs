//! `coop_async`: wakes a loop from a signal handler.

use std::ffi::c_void;

use coop_core::event_loop::AsyncSignal;

use crate::{
    event_loop::coop_event_loop,
    foreign::{foreign, refused},
    guard::guard,
    handle::{give, take, wanted},
    source::{self, coop_source_options},
    status::{COOP_E_FORKED, COOP_E_NULL, COOP_OK, coop_status},
    tsan,
};

/// What a signal handler may wake a loop with.
#[derive(Debug)]
pub struct coop_async {
    signal: AsyncSignal,
    /// What ThreadSanitizer knows the hand-over by; not looked at.
    arg: *mut c_void,
}

/// A function that runs after coop_async_send. drop(arg) is called once: after coop_async_free, or with the loop. See
/// coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_async_callback {
    /// Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// Makes what a signal handler may wake the loop with.
///
/// options: copied; NULL is all defaults. callback: called after each coop_async_send, or once after several; not in the
/// handler, so that it may do anything. The loop owns callback.arg if this answers COOP_OK. out: set to the object, which the caller frees with
/// coop_async_free.
///
/// Any thread, also the loop's own callbacks; not from a signal handler. COOP_E_NULL, COOP_E_INVALID for place or priority,
/// COOP_E_AFFINITY for a CPU set without a worker, COOP_E_OS if the process has no file descriptor left, COOP_E_UNSUPPORTED for
/// options and on other systems than Linux, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_async_new(
    event_loop: *mut coop_event_loop,
    options: *const coop_source_options,
    callback: coop_async_callback,
    out: *mut *mut coop_async,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let on = unsafe { source::read(options) }?;
        let foreign = foreign!(callback)?;
        let signal = handle.async_signal(on, move || foreign.call_again()).map_err(refused)?;
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_async { signal, arg: callback.arg }, out) };
        Ok(())
    })
}

/// Has the callback called soon. Sends before it begins are one call; a send while it runs is another one. Sends are in no order with posts.
/// After the loop's end they do nothing.
///
/// Any thread, and any signal handler: it is async-signal-safe, takes no lock, allocates nothing and leaves errno alone. For that it
/// leaves coop_last_error alone, too. COOP_E_NULL; COOP_E_FORKED in a forked child, where it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_async_send(r#async: *mut coop_async) -> coop_status {
    // Not a guard: words for an error are allocated.
    // SAFETY: NULL, or an object that is not freed yet: the callback may free it, but not before the last that is done here.
    let Some(object) = (unsafe { r#async.as_ref() }) else { return COOP_E_NULL };
    // The sanitizer's function was looked up when the callback was handed over.
    tsan::hand_over(object.arg);
    if object.signal.send() { COOP_OK } else { COOP_E_FORKED }
}

/// Ends it: the callback does not begin any more, and its argument is dropped now, or when it returns if it is running. NULL does
/// nothing.
///
/// Any thread, also the callback itself; before the loop's end or after it. Once, with no send begun after it or under way: the
/// signal's handler is put back before, and no thread may be in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_async_free(r#async: *mut coop_async) {
    guard!({
        if !r#async.is_null() {
            // SAFETY: made by coop_async_new and freed once.
            drop(unsafe { take(r#async) });
        }
        Ok(())
    });
}
