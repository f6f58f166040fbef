//! `coop_port_worker_main`: a program that enters itself once more, to serve a port in a process of its own; and handlers by their names.

use std::ffi::{c_char, c_void};

use coop_core::{Error, Result, port::Handlers};

use crate::{
    guard::guard_wait,
    handle::{null, wanted},
    native,
    options::{self, Options, array},
    port_handler::coop_port_handler,
    status::coop_status,
};

/// A handler of the program: what coop_port.handler_name names.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_named_handler {
    /// sizeof(coop_named_handler), in each of an array.
    pub size: usize,
    /// Its name in this program: UTF-8, copied. Must be there.
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// Makes it, inside the port's worker. args, length: the port's, the library's. out: all zeros; to be filled as the handler of a coop_port
    /// is, with its size. On COOP_OK the port owns out->arg; any other answer fails the start of the set, and nothing is owned. Must
    /// not be NULL.
    pub init:
        Option<unsafe extern "C" fn(args: *const c_void, length: usize, out: *mut coop_port_handler) -> coop_status>,
}

// SAFETY: words that fill 32 bytes (tests/c/layout.c); NULL is None, and the caller gives functions or NULL.
unsafe impl Options for coop_named_handler {
    const NAME: &'static str = "coop_named_handler";
    const FIRST: usize = size_of::<Self>();
}

/// Serves the port that this process was started for, if it was: a set in mode PROCESS starts its workers' program anew for each. In any other
/// process it does nothing. To be called first of all in main, on the main thread, before there are other threads; main then returns
/// status, unless that is COOP_NONE. A program that calls coop_workers_run too does so before or after this.
///
/// handlers, count: the program's handlers; copied. "path/lib.so:symbol" is known without them: NULL and 0 if there are no others. status: set
/// to COOP_NONE if this process is no worker of a port, else to the status that it is to exit with: 0, or 1 if the port could not be
/// served, which is then told to the set.
///
/// SIGTERM asks the port to stop, as its set does.
///
/// COOP_E_NULL, COOP_E_INVALID for a table that is none: a size, a name that is empty or is there twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_worker_main(
    handlers: *const coop_named_handler,
    count: usize,
    status: *mut i32,
) -> coop_status {
    guard_wait!({
        wanted(status, "status")?;
        // SAFETY: as many as counted, and each is as long as the first says.
        let ran = unsafe { self::handlers(handlers, count) }?.run();
        // SAFETY: a place for a number.
        unsafe { status.write(ran.unwrap_or(-1)) };
        Ok(())
    })
}

/// The program's handlers, and those of shared libraries.
///
/// # Safety
/// `handlers` is NULL or points to `count` handlers, each as long as the size of the first.
pub(crate) unsafe fn handlers(handlers: *const coop_named_handler, count: usize) -> Result<Handlers> {
    let mut table = Handlers::new().otherwise(|name, args| {
        native::check(name).ok()?;
        Some(Ok(native::build(name.to_owned(), args)))
    });
    if count == 0 {
        return Ok(table);
    }
    if handlers.is_null() {
        return Err(null("handlers"));
    }
    // SAFETY: each begins with its size.
    let step = unsafe { handlers.cast::<usize>().read() };
    let known = size_of::<coop_named_handler>();
    if !(known..=options::SILLY).contains(&step) || !step.is_multiple_of(align_of::<coop_named_handler>()) {
        return Err(Error::Invalid(format!(
            "coop_named_handler.size is {step}: set it to sizeof(coop_named_handler), which is {known}"
        )));
    }
    // SAFETY: the caller's promise; only how many bytes they have is looked at.
    unsafe { array(handlers.cast::<u8>(), step.saturating_mul(count), "handlers") }?;
    let mut names = Vec::new();
    for index in 0..count {
        let at = handlers.wrapping_byte_add(index * step);
        // SAFETY: within what was checked; each begins with its size.
        let size = unsafe { at.cast::<usize>().read() };
        if size != step {
            return Err(Error::Invalid(format!(
                "handlers[{index}].size is {size}, and handlers[0].size is {step}: set each to sizeof(coop_named_handler)"
            )));
        }
        // SAFETY: as long as its size says.
        let entry = unsafe { options::read(at) }?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(entry.name, entry.name_length, "coop_named_handler.name") }?;
        let name = name.ok_or_else(|| null("coop_named_handler.name"))?;
        let init = entry.init.ok_or_else(|| null("coop_named_handler.init"))?;
        if names.contains(&name) {
            return Err(Error::Invalid(format!("handler {name:?} is there twice: each name is allowed once")));
        }
        let its = name.clone();
        table = table.building(name.clone(), move |args| native::build_by(its.clone(), init, args));
        names.push(name);
    }
    Ok(table)
}
