//! `coop_host`: a tree of supervisors and services, on a thread of its own.

use std::{
    ffi::c_char,
    mem::ManuallyDrop,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coop_core::{
    Error, Result,
    slots::Slots,
    supervisor::{Host, HostOptions, ServiceId, Supervisor},
};

use crate::{
    event_loop::coop_event_loop,
    guard::{answer, guard, guard_stop, guard_tell, guard_wait},
    handle::{borrow, give, take, wanted},
    observer::Observing,
    options::{self, Options, text, timeout},
    status::coop_status,
    supervisor::coop_service_id,
    supervisor_options::{self, coop_supervisor_options},
};

/// A tree of supervisors and services, on a thread of its own.
#[derive(Debug)]
pub struct coop_host {
    /// Taken by the free.
    inner: ManuallyDrop<Arc<Inner>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    host: Host,
    observers: Mutex<Slots<Arc<Observing>>>,
}

/// How a host is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_host_options {
    /// sizeof(coop_host_options).
    pub size: usize,
    /// The root's name, which every path begins with: UTF-8, without '/'; copied. NULL: "root".
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// The root, with its own size; NULL is all defaults.
    pub root: *const coop_supervisor_options,
    /// The main loop, which async services run on; NULL: there are none. It stays the caller's, who frees it after the host.
    pub event_loop: *mut coop_event_loop,
    /// How many events are kept for observers that come late. 0: 256. COOP_NONE: none.
    pub history: i64,
}

// SAFETY: words and a number that fill 48 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_host_options {
    const NAME: &'static str = "coop_host_options";
    const FIRST: usize = size_of::<Self>();
}

/// Makes a host, and starts its thread. What is added to it is only noted before coop_host_start.
///
/// options: copied; NULL is all defaults. out: set to the host, which the caller frees with coop_host_free.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a name or what options say of the root, COOP_E_OS if the process has no descriptor or thread
/// left, COOP_E_UNSUPPORTED, COOP_E_FORKED for the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_new(options: *const coop_host_options, out: *mut *mut coop_host) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let read = unsafe { options::read(options) }?;
        let mut made = HostOptions::default();
        // SAFETY: the text is as long as told.
        if let Some(name) = unsafe { text(read.name, read.name_length, "coop_host_options.name") }? {
            made.name = name;
        }
        // SAFETY: as of the options.
        made.root = unsafe { supervisor_options::read(read.root) }?;
        if !read.event_loop.is_null() {
            // SAFETY: a loop that is not freed yet.
            made.event_loop = Some(unsafe { coop_event_loop::handle(read.event_loop) }?);
        }
        made.history = match read.history {
            0 => made.history,
            -1 => 0,
            given => usize::try_from(given).map_err(|_| {
                let text = format!("coop_host_options.history is {given}: allowed are numbers from 0, or COOP_NONE");
                Error::Invalid(text)
            })?,
        };
        let inner = Arc::new(Inner { host: Host::new(made)?, observers: Mutex::default() });
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_host { inner: ManuallyDrop::new(inner) }, out) };
        Ok(())
    })
}

/// Stops the host, waits until its services have ended, and releases it: those that may take as long as they like are given 5 s. NULL does
/// nothing.
///
/// Any thread; once, with no call begun after it. From a function of one of its services or observers, or on its main loop, it returns at once,
/// and the rest happens by itself; a coop_host_join that is under way returns as ever. In a forked child it touches no thread and no process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_free(host: *mut coop_host) {
    guard_stop!({
        if host.is_null() {
            return Ok(());
        }
        // SAFETY: made by coop_host_new and freed once.
        let inner = ManuallyDrop::into_inner(unsafe { take(host) }.inner);
        // Another call may hold it until the host has ended: a coop_host_join whose host a service frees.
        let _ = inner.host.stop();
        inner.leave_observers();
        drop(inner);
        Ok(())
    });
}

/// Starts the tree, in order, and waits until all services are ready.
///
/// Any thread; once, unless it failed: then what was started has been stopped, last first, and it may be called again. COOP_E_NULL;
/// COOP_E_FAILED, COOP_E_OS, COOP_E_TIMEOUT, ... with the service and why it did not start; COOP_E_EXISTS if it was started before, COOP_E_CLOSED if it
/// has ended, COOP_E_WOULD_DEADLOCK, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_start(host: *mut coop_host) -> coop_status {
    // SAFETY: a host that is not freed yet.
    guard_wait!(unsafe { coop_host::behind(host) }?.host.start())
}

/// Asks the host to stop its services, last first, and to end; returns at once.
///
/// Any thread, any number of times. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_stop(host: *mut coop_host) -> coop_status {
    // SAFETY: a host that is not freed yet.
    guard_tell!(unsafe { coop_host::behind(host) }?.host.stop())
}

/// Ends everything that runs, without asking; returns at once.
///
/// Any thread, any number of times. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_kill(host: *mut coop_host) -> coop_status {
    // SAFETY: a host that is not freed yet.
    guard_tell!(unsafe { coop_host::behind(host) }?.host.kill())
}

/// coop_host_stop, and waits until the host has ended.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.
///
/// Any thread, any number of times. COOP_E_TIMEOUT: it goes on stopping. COOP_E_WOULD_DEADLOCK from a service and from the main loop's thread,
/// which have coop_host_stop; COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_shutdown(host: *mut coop_host, timeout_ns: i64) -> coop_status {
    guard_stop!({
        // SAFETY: a host that is not freed yet.
        let inner = unsafe { coop_host::behind(host) }?;
        inner.host.shutdown(timeout(timeout_ns, "timeout_ns")?)
    })
}

/// Waits until the host has ended: it was stopped, its root gave up, or its significant services have ended.
///
/// timeout_ns: as coop_host_shutdown.
///
/// Any thread. COOP_E_FAILED with the reason if its root gave up, COOP_E_TIMEOUT, COOP_E_INVALID before the start and for another time,
/// COOP_E_WOULD_DEADLOCK as coop_host_shutdown, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_join(host: *mut coop_host, timeout_ns: i64) -> coop_status {
    guard_wait!({
        // SAFETY: a host that is not freed yet.
        let inner = unsafe { coop_host::behind(host) }?;
        inner.host.join(timeout(timeout_ns, "timeout_ns")?).map(drop)
    })
}

/// coop_host_join as the main thread of a program: SIGINT and SIGTERM stop the host meanwhile, and a second one ends everything at once. If
/// the host was given a main loop that nobody runs, it is run here.
///
/// Signals are taken on the process's main thread only, and do after the call what they did before.
///
/// Any thread. COOP_E_OS if the signals cannot be watched, and as coop_host_join.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_wait(host: *mut coop_host) -> coop_status {
    guard_wait!({
        // SAFETY: a host that is not freed yet.
        let inner = unsafe { coop_host::behind(host) }?;
        inner.host.wait().map(drop)
    })
}

/// The host's root supervisor; 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_host_root(host: *const coop_host) -> coop_service_id {
    // SAFETY: a host that is not freed yet.
    answer(0, || Ok(unsafe { coop_host::behind(host) }?.host.root().id().0))
}

impl coop_host {
    /// A hold of its own for each call: a service may free the host before the call is over.
    ///
    /// # Safety
    /// `pointer` is NULL or a host that is not freed yet.
    pub(crate) unsafe fn behind(pointer: *const Self) -> Result<Arc<Inner>> {
        // SAFETY: the caller's promise.
        Ok(Arc::clone(&unsafe { borrow(pointer, "host") }?.inner))
    }

    /// A supervisor of a host, which it does not keep alive; 0 is the root.
    ///
    /// # Safety
    /// As [`coop_host::behind`].
    pub(crate) unsafe fn supervisor(pointer: *const Self, id: coop_service_id) -> Result<Supervisor> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "host") }?;
        let root = object.inner.host.root();
        Ok(if id == 0 { root.clone() } else { root.at(ServiceId(id)) })
    }
}

impl Inner {
    pub(crate) fn root(&self) -> &Supervisor {
        self.host.root()
    }

    fn observers(&self) -> Result<MutexGuard<'_, Slots<Arc<Observing>>>> {
        // Refused in a forked child: another thread may have held the lock.
        self.host.finished()?;
        // Nothing foreign runs under it.
        Ok(self.observers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those with a function are told until the last event, whenever that is.
    fn leave_observers(&self) {
        let Ok(mut observers) = self.observers() else { return };
        let all = observers.take_all();
        drop(observers);
        for (_, observing) in all {
            if let Some(observing) = Arc::into_inner(observing) {
                observing.leave();
            }
        }
    }

    pub(crate) fn keep(&self, observing: Observing) -> Result<u64> {
        Ok(self.observers()?.insert(Arc::new(observing)))
    }

    pub(crate) fn observer(&self, id: u64) -> Result<Arc<Observing>> {
        self.observers()?.get_mut(id).map(|found| found.clone()).ok_or(Error::Stale("observer"))
    }

    pub(crate) fn forget(&self, id: u64) -> Result<()> {
        let found = self.observers()?.remove(id).ok_or(Error::Stale("observer"))?;
        // Another thread may wait for its next event, and hold it.
        found.close()
    }
}
