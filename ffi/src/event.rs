//! `coop_event`: a flag with a descriptor, that threads set and loops wait for.

use std::{
    ffi::c_void,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
};

use coop_core::{Result, event_loop::Event};

use crate::{
    event_loop::coop_event_loop,
    foreign::foreign,
    guard::{answer, guard},
    handle::{borrow, give, take, wanted},
    io_watch::coop_io_watch_id,
    options::{self, Options},
    source::{self, coop_source_options},
    status::{COOP_OK, coop_status},
    tsan::{self, Inside},
};

/// An event: not signalled, or signalled. Its descriptor is readable while it is signalled.
#[derive(Debug)]
pub struct coop_event {
    // A callback that a call lets start may free the box before the call is over.
    event: Arc<Event>,
}

/// How an event is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_event_options {
    /// sizeof(coop_event_options).
    pub size: usize,
    /// 0: each signal lets one waiter through and is taken by it; while nobody waits, signals do not add up. 1: it stays
    /// signalled until coop_event_reset, and lets all through.
    pub manual_reset: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: numbers, three fields that fill 16 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_event_options {
    const NAME: &'static str = "coop_event_options";
    const FIRST: usize = size_of::<Self>();
}

/// A function that runs whenever an event is signalled. drop(arg) is called once: when the watch is cancelled, or with its
/// loop. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_event_callback {
    /// Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// Makes an event, not signalled.
///
/// options: copied; NULL is all defaults. out: set to the event, which the caller frees with coop_event_free.
///
/// Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_OS if the process has no
/// file descriptor left, COOP_E_UNSUPPORTED on other systems than Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_new(options: *const coop_event_options, out: *mut *mut coop_event) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let read = unsafe { options::read(options) }?;
        options::reserved(read.reserved, "coop_event_options.reserved")?;
        let event = Event::new(options::flag(read.manual_reset, "coop_event_options.manual_reset")?)?;
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_event { event: Arc::new(event) }, out) };
        Ok(())
    })
}

/// Releases the event. A watch of it stays until it is cancelled, and is not called any more. NULL does nothing.
///
/// Any thread; once, with no call begun after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_free(event: *mut coop_event) {
    guard!({
        if !event.is_null() {
            // SAFETY: made by coop_event_new and freed once.
            drop(unsafe { take(event) });
        }
        Ok(())
    });
}

/// Sets the event.
///
/// Any thread; not from a signal handler. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_signal(event: *mut coop_event) -> coop_status {
    guard!({
        // SAFETY: an event that is not freed yet.
        let shared = unsafe { coop_event::behind(event) }?;
        tsan::hand_over(event.cast());
        shared.signal()
    })
}

/// Takes the signal away, if there is one.
///
/// Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_reset(event: *mut coop_event) -> coop_status {
    guard!({
        // SAFETY: an event that is not freed yet.
        unsafe { coop_event::behind(event) }?.reset()
    })
}

/// Whether the event is signalled. It only looks. False for NULL and in a forked child. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_is_signaled(event: *const coop_event) -> bool {
    answer(false, || {
        // SAFETY: an event that is not freed yet.
        let signaled = unsafe { coop_event::behind(event) }?.is_signaled();
        if signaled {
            drop(Inside::once(event.cast_mut().cast()));
        }
        Ok(signaled)
    })
}

/// The event's descriptor, an eventfd that does not block: readable while the event is signalled, for poll() and foreign loops. Eight
/// bytes written to it (a uint64_t, 1) are a signal; eight read from it take the signal away. It stays the event's.
/// COOP_E_NULL, which is negative, if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_fd(event: *const coop_event) -> i32 {
    let mut fd = COOP_OK;
    let status = guard!({
        // SAFETY: an event that is not freed yet.
        fd = unsafe { coop_event::behind(event) }?.as_fd().as_raw_fd();
        Ok(())
    });
    if status == COOP_OK { fd } else { status }
}

/// Has a loop call the function whenever the event is signalled, until the watch is cancelled.
///
/// Of an event that resets itself the function has taken the signal when it runs; of several that wait for it, one is called. Of one with manual
/// reset it is called once for each signal (several may be one call), and at once if the event is signalled now.
///
/// options: copied; NULL is all defaults. callback: the loop owns callback.arg if this answers COOP_OK. id: set to the
/// watch's id, for coop_io_watch_cancel; may be NULL. The function may run before id is set, and may free the event.
///
/// Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for place or priority, COOP_E_AFFINITY for a
/// CPU set without a worker, COOP_E_OS if the process has no file descriptor left, COOP_E_UNSUPPORTED for options,
/// COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_watch(
    event: *mut coop_event,
    event_loop: *mut coop_event_loop,
    options: *const coop_source_options,
    callback: coop_event_callback,
    id: *mut coop_io_watch_id,
) -> coop_status {
    guard!({
        // SAFETY: an event that is not freed yet; the callback may free it.
        let shared = unsafe { coop_event::behind(event) }?;
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: options are NULL or as long as they say.
        let on = unsafe { source::read(options) }?;
        let foreign = foreign!(callback)?;
        let signalled_by = Place(event.cast());
        let watch = shared.watch(&handle, on, move || {
            let signalled_by = &signalled_by;
            let _after_signal = Inside::once(signalled_by.0);
            foreign.call_again();
        });
        // SAFETY: NULL or a place for a number.
        unsafe { source::named(watch.map(|id| id.0), id) }
    })
}

impl coop_event {
    /// # Safety
    /// `pointer` is NULL or an event that is not freed yet.
    unsafe fn behind(pointer: *const Self) -> Result<Arc<Event>> {
        // SAFETY: the caller's promise.
        Ok(unsafe { borrow(pointer, "event") }?.event.clone())
    }
}

/// What ThreadSanitizer knows an event by; not looked at.
struct Place(*mut c_void);

// SAFETY: an address, never dereferenced.
unsafe impl Send for Place {}
