//! Observers of a host's events: a function that is called with each, or a queue that is asked.

use std::{
    ffi::c_char,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{
    Error, Result,
    supervisor::{Filter, Observer, ObserverOptions, Place, event::Kind},
};

use crate::{
    event_loop::coop_event_loop,
    guard::{guard, guard_wait},
    handle::wanted,
    host::coop_host,
    options::{self, Options, flag, text, timeout},
    service::{GiveBack, Given},
    service_event::{Run, Shown, coop_service_event, coop_service_event_callback},
    status::coop_status,
};

/// Names an observer of one host; never 0, and never used again for another one.
pub type coop_observer_id = u64;

/// How to observe. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_observer_options {
    /// sizeof(coop_observer_options).
    pub size: usize,
    /// Events of these services and supervisors, and of what is below them; NULL is all. In a name '*' stands for any text and '?' for one
    /// character: "root/web*" is root/web and root/web-2, and what is below each.
    pub path: *const c_char,
    /// The bytes of path.
    pub path_length: usize,
    /// How many events may wait for the function, or to be asked for; the oldest go first, and are counted. 0: 1024.
    pub queue: usize,
    /// How many of the events before are told first, as far as the host has kept them.
    pub replay: usize,
    /// The function is called on this loop's thread; NULL: on a thread of the observer's own.
    pub event_loop: *mut coop_event_loop,
    /// COOP_SERVICE_* or'ed: events of these kinds. 0: of all.
    pub kinds: i32,
    /// 1: each event has itself as JSON, too.
    pub json: i32,
}

// SAFETY: words and numbers that fill 56 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_observer_options {
    const NAME: &'static str = "coop_observer_options";
    const FIRST: usize = size_of::<Self>();
}

/// The options, in the core's terms.
pub(crate) struct Read {
    pub(crate) filter: Filter,
    pub(crate) how: ObserverOptions,
    pub(crate) json: bool,
    /// Where its function is called; `None`: nothing was said.
    pub(crate) place: Option<Place>,
}

impl Read {
    /// # Safety
    /// `options` are NULL or as long as they say, with a loop that is not freed yet.
    pub(crate) unsafe fn of(options: *const coop_observer_options, has_function: bool) -> Result<Self> {
        // SAFETY: the caller's promise.
        let read = unsafe { options::read(options) }?;
        // SAFETY: the text is as long as told.
        let path = unsafe { text(read.path, read.path_length, "coop_observer_options.path") }?;
        let filter = Filter { paths: path.into_iter().collect(), kinds: kinds(read.kinds)? };
        let queue = if read.queue == 0 { ObserverOptions::default().queue } else { read.queue };
        let how = ObserverOptions { queue, replay: read.replay };
        let json = flag(read.json, "coop_observer_options.json")?;
        let place = if read.event_loop.is_null() {
            None
        } else if !has_function {
            let text = "coop_observer_options.event_loop is set, and there is no function to call on it";
            return Err(Error::Invalid(text.into()));
        } else {
            // SAFETY: the caller's promise.
            Some(Place::Loop(unsafe { coop_event_loop::handle(read.event_loop) }?))
        };
        Ok(Self { filter, how, json, place })
    }
}

/// An observer, as its host keeps it for C.
#[derive(Debug)]
pub(crate) struct Observing {
    observer: Observer,
    /// What the last coop_observer_next has shown; `None` for one with a function.
    shown: Option<Mutex<Option<Box<Shown>>>>,
    json: bool,
}

impl Observing {
    /// The host is freed.
    pub(crate) fn leave(self) {
        if self.shown.is_none() {
            self.observer.detach();
        }
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.observer.close()
    }
}

/// Begins to observe a host.
///
/// options: copied; NULL is all defaults. callback: called with each event, one after another; the observer owns callback.arg if this
/// answers COOP_OK. With fn NULL there is none (arg and drop are not looked at): events wait for coop_observer_next. id: set to the observer's id,
/// for coop_observer_cancel; may be NULL if there is a function, which may run before id is set.
///
/// An observer ends after the host's last event, and by coop_observer_cancel; then its argument is dropped, when its function has returned.
/// One that is slow loses the oldest events and is told how many; it never holds up the host.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for what options say, COOP_E_OS if there is no thread left, COOP_E_CLOSED if the loop was stopped,
/// COOP_E_UNSUPPORTED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_observe(
    host: *mut coop_host,
    options: *const coop_observer_options,
    callback: coop_service_event_callback,
    id: *mut coop_observer_id,
) -> coop_status {
    guard!({
        // SAFETY: a host that is not freed yet; the function may free it.
        let host = unsafe { coop_host::behind(host) }?;
        let run: Option<Run> = callback.r#fn;
        // SAFETY: options are NULL or as long as they say.
        let Read { filter, how, json, place } = unsafe { Read::of(options, run.is_some()) }?;
        let made = match run {
            None => {
                wanted(id, "id")?;
                let observer = host.root().observe(filter, &how)?;
                Observing { observer, shown: Some(Mutex::default()), json }
            }
            Some(run) => {
                let place = place.unwrap_or(Place::Thread);
                let given = Arc::new(Given::new(run, callback.arg, callback.drop));
                let called = given.clone();
                let observer = host.root().observe_with(filter, &how, place, move |item| called.call_with(&item, json));
                // The function may have gone with the closure; its argument is still the caller's.
                let observer = observer.inspect_err(|_| given.give_back())?;
                Observing { observer, shown: None, json }
            }
        };
        let made = host.keep(made)?;
        if !id.is_null() {
            // SAFETY: a place for a number.
            unsafe { id.write(made) };
        }
        Ok(())
    })
}

/// Waits for the next event of an observer without a function.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes. out: set to the event, which is there until the next
/// call for this observer, or its end.
///
/// Any thread, one at a time for an observer. COOP_E_TIMEOUT, COOP_E_CLOSED after the last event of a host that has ended, COOP_E_STALE if the
/// observer was cancelled, COOP_E_INVALID for another time and for one with a function, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_observer_next(
    host: *mut coop_host,
    id: coop_observer_id,
    timeout_ns: i64,
    out: *mut *const coop_service_event,
) -> coop_status {
    guard_wait!({
        // SAFETY: a host that is not freed yet.
        let host = unsafe { coop_host::behind(host) }?;
        wanted(out, "out")?;
        let timeout = timeout(timeout_ns, "timeout_ns")?;
        let observing = host.observer(id)?;
        let Some(shown) = &observing.shown else {
            return Err(Error::Invalid("this observer has a function, which is called with the events".into()));
        };
        let item = observing.observer.next(timeout)?;
        let next = Box::new(Shown::of(&item, observing.json));
        // A box: it does not move any more.
        let event: *const coop_service_event = next.event();
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { out.write(event) };
        Ok(())
    })
}

/// Ends an observer: its function does not begin any more, and its argument is dropped now; if it is running (it may be the caller), when
/// it returns. A call of coop_observer_next that waits is answered COOP_E_CLOSED.
///
/// Any thread. COOP_E_STALE if it was cancelled, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_observer_cancel(host: *mut coop_host, id: coop_observer_id) -> coop_status {
    guard!({
        // SAFETY: a host that is not freed yet; the drop of the argument may free it.
        let host = unsafe { coop_host::behind(host) }?;
        host.forget(id)
    })
}

fn kinds(mask: i32) -> Result<Vec<Kind>> {
    let all = (1 << Kind::ALL.len()) - 1;
    if mask & !all != 0 {
        return Err(Error::Invalid(format!(
            "coop_observer_options.kinds is {mask}: allowed are COOP_SERVICE_*, up to {all}"
        )));
    }
    Ok(Kind::ALL.into_iter().filter(|kind| mask >> *kind as u32 & 1 == 1).collect())
}
