//! `coop_workers_run`: a program that enters itself once more, to be a service in a process of its own.

use std::ffi::c_char;

use coop_core::{Error, Result, supervisor::Workers};

use crate::{
    guard::guard_wait,
    handle::{null, wanted},
    options::{self, Options, array},
    service::{HandedOver, coop_async_service, coop_thread_service},
    service_context::{self, OnLoop},
    status::coop_status,
};

/// An entry of a program: what coop_service_options.worker names. Exactly one of async and thread must be there.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_worker {
    /// sizeof(coop_worker), in each of an array.
    pub size: usize,
    /// Its name in this program: UTF-8, copied. Must be there.
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// It lives on the process's main loop, coop_service_context_event_loop, which coop_workers_run runs; or start is NULL.
    pub r#async: coop_async_service,
    /// It is a function on a thread of its own, beside the main loop; or fn is NULL.
    pub thread: coop_thread_service,
}

// SAFETY: words that fill 80 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_worker {
    const NAME: &'static str = "coop_worker";
    const FIRST: usize = size_of::<Self>();
}

/// Runs the entry that this process was started for, if it was: a host starts the program of a coop_service_options.worker anew for each
/// run. In any other process it does nothing. To be called first of all in main, on the main thread, before there are other threads; main
/// then returns status, unless that is COOP_NONE.
///
/// workers, count: the program's entries; copied. When this answers COOP_OK each of their arguments has been dropped once. status: set
/// to COOP_NONE if this process is no worker, else to the status that it is to exit with: 0, 1 if the entry failed, which is then told on the
/// error output, and 78 if there is no entry of this name.
///
/// SIGTERM and SIGINT ask the entry to stop, once, as the host does by SIGTERM. What it says by its context is told to the host. A worker is
/// started anew also by hand, with COOP_SERVICE=name in its environment.
///
/// COOP_E_NULL, COOP_E_INVALID for a table that is none: a size, a name that is empty or is there twice, an entry without a function or with both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_workers_run(workers: *const coop_worker, count: usize, status: *mut i32) -> coop_status {
    guard_wait!({
        wanted(status, "status")?;
        // SAFETY: as many as counted, and each is as long as the first says.
        let (table, handed_over) = unsafe { read_all(workers, count) }?;
        let ran = table.run();
        drop((table, handed_over));
        // SAFETY: a place for a number.
        unsafe { status.write(ran.unwrap_or(-1)) };
        Ok(())
    })
}

/// The program's entries. Nothing is handed over if this fails.
///
/// # Safety
/// `workers` is NULL or points to `count` workers, each as long as the size of the first.
unsafe fn read_all(workers: *const coop_worker, count: usize) -> Result<(Workers, Vec<HandedOver>)> {
    if workers.is_null() {
        return Err(null("workers"));
    }
    if count == 0 {
        return Err(Error::Invalid("count is 0: a program without an entry cannot be a worker".into()));
    }
    // SAFETY: each begins with its size.
    let step = unsafe { workers.cast::<usize>().read() };
    if !(size_of::<coop_worker>()..=options::SILLY).contains(&step) {
        let known = size_of::<coop_worker>();
        return Err(Error::Invalid(format!(
            "coop_worker.size is {step}: set it to sizeof(coop_worker), which is {known}"
        )));
    }
    // SAFETY: the caller's promise; only how many bytes they have is looked at.
    unsafe { array(workers.cast::<u8>(), step.saturating_mul(count), "workers") }?;
    let mut entries: Vec<(String, coop_worker)> = Vec::new();
    for index in 0..count {
        let at = workers.wrapping_byte_add(index * step);
        // SAFETY: within what was checked; each begins with its size.
        let size = unsafe { at.cast::<usize>().read() };
        if size != step {
            return Err(Error::Invalid(format!(
                "workers[{index}].size is {size}, and workers[0].size is {step}: set each to sizeof(coop_worker)"
            )));
        }
        // SAFETY: as long as its size says.
        let entry = unsafe { options::read(at) }?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(entry.name, entry.name_length, "coop_worker.name") }?;
        let name = match name {
            Some(name) => name,
            None if entry.name.is_null() => return Err(null("coop_worker.name")),
            None => return Err(Error::Invalid("coop_worker.name is empty: a worker is started by its name".into())),
        };
        match (entry.r#async.start, entry.thread.r#fn) {
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => return Err(null(&format!("worker {name:?}: coop_worker.async.start and thread.fn"))),
            (Some(_), Some(_)) => {
                let text = format!("worker {name:?} has both async.start and thread.fn: exactly one is allowed");
                return Err(Error::Invalid(text));
            }
        }
        if entries.iter().any(|(other, _)| *other == name) {
            return Err(Error::Invalid(format!("worker {name:?} is there twice: each name is allowed once")));
        }
        entries.push((name, entry));
    }
    // Last: what follows is owned.
    let mut table = Workers::new();
    let mut all = Vec::new();
    for (name, entry) in entries {
        let (executor, handed_over) = match (entry.r#async.start, entry.thread.r#fn) {
            (Some(start), _) => {
                let functions = OnLoop { start, stop: entry.r#async.stop };
                service_context::on_loop(functions, entry.r#async.arg, entry.r#async.drop)
            }
            (None, Some(run)) => service_context::thread(run, entry.thread.arg, entry.thread.drop),
            (None, None) => continue,
        };
        table = table.executor(name, executor);
        all.push(handed_over);
    }
    Ok((table, all))
}
