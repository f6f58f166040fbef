//! `coop_parent_observer`: the events of the host that this process is a service of.

use std::{
    mem::ManuallyDrop,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{
    Error, Result,
    supervisor::{Observer, Place},
};

use crate::{
    guard::{guard_stop, guard_wait},
    handle::{borrow, give, take, wanted},
    observer::{Read, coop_observer_options},
    options::timeout,
    service::{GiveBack, Given},
    service_event::{Run, Shown, coop_service_event, coop_service_event_callback},
    status::coop_status,
};

/// An observer of the host that this process is a service of.
#[derive(Debug)]
pub struct coop_parent_observer {
    /// Taken by the free.
    inner: ManuallyDrop<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    observer: Observer,
    /// What the last coop_parent_observer_next has shown; `None` for one with a function.
    shown: Option<Mutex<Option<Box<Shown>>>>,
    json: bool,
}

/// Begins to observe the host that this process was started by: the one that NOTIFY_SOCKET in its environment names. Any process below a host may,
/// a worker or another program. When this returns no event is missed any more.
///
/// options: as for coop_host_observe. callback: called with each event, one after another; the observer owns callback.arg if this answers
/// COOP_OK. With fn NULL there is none (arg and drop are not looked at): events wait for coop_parent_observer_next. out: set to the observer, which
/// the caller frees with coop_parent_observer_free.
///
/// It ends after the host's last event, and by the free; then its argument is dropped, when its function has returned.
///
/// Any thread, but one that the host waits for. COOP_E_UNSUPPORTED where there is no host, or it tells no events; COOP_E_TIMEOUT if it does not
/// answer within 30 s; COOP_E_NULL, COOP_E_INVALID for what options say, COOP_E_OS if there is no descriptor or thread left, COOP_E_CLOSED if the
/// loop was stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_parent_observer_new(
    options: *const coop_observer_options,
    callback: coop_service_event_callback,
    out: *mut *mut coop_parent_observer,
) -> coop_status {
    guard_wait!({
        wanted(out, "out")?;
        let run: Option<Run> = callback.r#fn;
        // SAFETY: options are NULL or as long as they say.
        let Read { filter, how, json, place } = unsafe { Read::of(options, run.is_some()) }?;
        let inner = match run {
            None => Inner { observer: Observer::of_parent(filter, &how)?, shown: Some(Mutex::default()), json },
            Some(run) => {
                let given = Arc::new(Given::new(run, callback.arg, callback.drop));
                let called = given.clone();
                let place = place.unwrap_or(Place::Thread);
                let tell = move |item| called.call_with(&item, json);
                // The function may have gone with the closure; its argument is still the caller's.
                let observer = Observer::of_parent_with(filter, &how, place, tell);
                let observer = observer.inspect_err(|_| given.give_back())?;
                Inner { observer, shown: None, json }
            }
        };
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_parent_observer { inner: ManuallyDrop::new(Arc::new(inner)) }, out) };
        Ok(())
    })
}

/// Waits for the next event of an observer without a function.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes. out: set to the event, which is there until the next
/// call for this observer, or its free.
///
/// Any thread, one at a time. COOP_E_TIMEOUT, COOP_E_CLOSED after the last event of a host that has ended, COOP_E_INVALID for another time and for
/// an observer with a function, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_parent_observer_next(
    observer: *mut coop_parent_observer,
    timeout_ns: i64,
    out: *mut *const coop_service_event,
) -> coop_status {
    guard_wait!({
        // SAFETY: an observer that is not freed yet.
        let inner = unsafe { behind(observer) }?;
        wanted(out, "out")?;
        let timeout = timeout(timeout_ns, "timeout_ns")?;
        let Some(shown) = &inner.shown else {
            return Err(Error::Invalid("this observer has a function, which is called with the events".into()));
        };
        let item = inner.observer.next(timeout)?;
        let next = Box::new(Shown::of(&item, inner.json));
        // A box: it does not move any more.
        let event: *const coop_service_event = next.event();
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { out.write(event) };
        Ok(())
    })
}

/// Ends an observer and releases it: its function does not begin any more, and its argument is dropped; if it is running (it may be the caller), when
/// it returns. NULL does nothing.
///
/// Any thread; once, with no call begun after it. In a forked child it touches no thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_parent_observer_free(observer: *mut coop_parent_observer) {
    guard_stop!({
        if !observer.is_null() {
            // SAFETY: made by coop_parent_observer_new and freed once.
            let inner = ManuallyDrop::into_inner(unsafe { take(observer) }.inner);
            // Refused in a forked child, where the drop leaves all as it is.
            let _ = inner.observer.close();
        }
        Ok(())
    });
}

/// # Safety
/// `pointer` is NULL or an observer that is not freed yet.
unsafe fn behind(pointer: *const coop_parent_observer) -> Result<Arc<Inner>> {
    // SAFETY: the caller's promise.
    Ok(Arc::clone(&unsafe { borrow(pointer, "observer") }?.inner))
}
