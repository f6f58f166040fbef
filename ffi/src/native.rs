//! Native handlers: a function of a shared library fills the handler's table of functions.
//!
//! The library is loaded when a port is built and stays loaded, as an extension module of Python does: nobody knows which of its
//! threads, or of the destructors of its threads' variables, are the last to run its code.

use std::{
    ffi::{CStr, CString, c_char, c_void},
    mem::{self, offset_of},
    ptr,
};

use coop_core::{
    Error, Result,
    port::{Build, Context, Fault, Handler},
};

use crate::{
    api::coop_api,
    api_table::TABLE,
    guard::guard,
    handle::{null, wanted},
    options::{self, array},
    port_handler::{Given, coop_port_handler},
    status::{COOP_OK, coop_status, coop_status_str},
};

/// What a shared library exports, under any name, to make a handler of a port: "lib.so:symbol".
///
/// api: the functions of the library that calls; they are to be used, and none that the shared library may be linked with: objects
/// of one copy mean nothing to another. A function of this header is there if it ends within api->size. args, length:
/// the port's argument, the caller's. out: all zeros; to be filled as the handler of a coop_port is, with its size.
///
/// On COOP_OK the port owns out->arg. Any other answer fails the start of the set, and nothing is owned.
pub type coop_port_handler_init = Option<
    unsafe extern "C" fn(
        api: *const coop_api,
        args: *const c_void,
        length: usize,
        out: *mut coop_port_handler,
    ) -> coop_status,
>;

pub(crate) type Init =
    unsafe extern "C" fn(*const coop_api, *const c_void, usize, *mut coop_port_handler) -> coop_status;

/// Room for the handler of a later version, whose additions are looked at only to refuse them.
#[repr(C, align(16))]
struct Room([u8; options::SILLY]);

/// Makes a handler with the coop_port_handler_init that name names: "path/lib.so:symbol". A path without a slash is looked
/// for where the system looks for shared libraries. The library stays loaded.
///
/// name, name_length: UTF-8. args, length: handed to the function; NULL if there are none. out: its size says how much of it is filled (0: all up
/// to on_message); set to the handler, whose arg is the caller's until a coop_port_set_new takes it.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a name of another form, a handler without a size, or an out of an odd one, COOP_E_FAILED if the library
/// cannot be loaded, has no such symbol, or its function answers an error, COOP_E_UNSUPPORTED if it fills a field that this version
/// does not know, or that out has no room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_handler_load(
    name: *const c_char,
    name_length: usize,
    args: *const c_void,
    length: usize,
    out: *mut coop_port_handler,
) -> coop_status {
    guard!({
        wanted(out, "out")?;
        if name.is_null() {
            return Err(null("name"));
        }
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(name, name_length, "name") }?.unwrap_or_default();
        // SAFETY: the bytes are as many as told.
        let args = unsafe { array(args.cast::<u8>(), length, "args") }?;
        // SAFETY: `out` is there, and begins with its size, which was not looked at once.
        let size = match unsafe { out.cast::<usize>().read() } {
            0 => offset_of!(coop_port_handler, on_connect),
            // SAFETY: as above.
            _ => unsafe { options::room(out) }?,
        };
        let made = load(&name, args)?;
        // SAFETY: any value of it is that many bytes.
        let bytes = unsafe { array((&raw const made).cast::<u8>(), size_of_val(&made), "handler") }?;
        if bytes.iter().skip(size).any(|byte| *byte != 0) {
            // It is nobody's.
            drop(Given(made).own());
            let text = format!("it fills more than coop_port_handler.size, {size}, has room for");
            return Err(named(&name, Error::Unsupported(text)));
        }
        // SAFETY: `out` has room for as much: no more than its size says.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast::<u8>(), size.min(bytes.len())) };
        // SAFETY: as above.
        unsafe { out.cast::<usize>().write(size) };
        Ok(())
    })
}

/// What makes the handler of a port that `name` names: loads the library and calls its function, inside the port's worker.
pub fn build(name: String, args: Vec<u8>) -> Build {
    Box::new(move |context| {
        let made = load(&name, &args).map_err(|error| Fault::new(error.to_string()))?;
        own(&name, made, context)
    })
}

/// Whether the text is the name of a native handler in form: "path/lib.so:symbol".
///
/// # Errors
/// [`Error::Invalid`].
pub fn check(name: &str) -> Result<()> {
    split(name).map(drop)
}

fn split(name: &str) -> Result<(CString, CString)> {
    let parts = name.rsplit_once(':').filter(|(library, symbol)| !library.is_empty() && !symbol.is_empty());
    let parts = parts.and_then(|(library, symbol)| Some((CString::new(library).ok()?, CString::new(symbol).ok()?)));
    parts.ok_or_else(|| Error::Invalid(format!("native handler {name:?} must be \"path/lib.so:symbol\"")))
}

/// A function of this program, which needs no table of others to call them.
pub(crate) type Make = unsafe extern "C" fn(*const c_void, usize, *mut coop_port_handler) -> coop_status;

/// What makes a handler by a function of this program.
pub(crate) fn build_by(name: String, make: Make, args: Vec<u8>) -> Build {
    Box::new(move |context| {
        // SAFETY: what the function is, as the header says; it writes a handler, for which there is room.
        let made = call(&name, |out| unsafe { make(args.as_ptr().cast(), args.len(), out) });
        own(&name, made.map_err(|error| Fault::new(error.to_string()))?, context)
    })
}

/// The handler of a port, which owns its argument from here on.
fn own(name: &str, made: coop_port_handler, context: &Context) -> std::result::Result<Box<dyn Handler>, Fault> {
    let fault = |fault: Fault| Fault { message: fault.message.map(|text| format!("native handler {name:?}: {text}")) };
    Given(made).own()(context).map_err(fault)
}

fn load(name: &str, args: &[u8]) -> Result<coop_port_handler> {
    let init = find(name)?;
    // SAFETY: what the symbol is, as the header says; the library writes a handler of whatever version, for which there is room.
    call(name, |out| unsafe { init(&raw const TABLE, args.as_ptr().cast(), args.len(), out) })
}

fn call(name: &str, make: impl FnOnce(*mut coop_port_handler) -> coop_status) -> Result<coop_port_handler> {
    let mut room = Box::new(Room([0; options::SILLY]));
    let handler = (&raw mut *room).cast::<coop_port_handler>();
    let status = make(handler);
    if status != COOP_OK {
        // SAFETY: a C string that lives for ever.
        let text = unsafe { CStr::from_ptr(coop_status_str(status)) }.to_string_lossy();
        return Err(Error::Failed(format!("native handler {name:?}: its function answered {text} ({status})")));
    }
    // SAFETY: the size is at its beginning, and all of the room is readable.
    let read = unsafe { options::read(handler.cast_const()) };
    let read = read.map_err(|error| named(name, error))?;
    Ok(coop_port_handler { size: size_of::<coop_port_handler>(), ..read })
}

fn named(name: &str, error: Error) -> Error {
    let text = format!("native handler {name:?}: {error}");
    match error {
        Error::Unsupported(_) => Error::Unsupported(text),
        _ => Error::Invalid(text),
    }
}

fn find(name: &str) -> Result<Init> {
    let (library, symbol) = split(name)?;
    let failed = |what: &str| Error::Failed(format!("native handler {name:?}: {what}: {}", loader_error()));
    // SAFETY: a C string. Loading runs the library's initializers, as the caller asks for by naming it.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(failed("its library cannot be loaded"));
    }
    // SAFETY: a library that is loaded, and a C string.
    let found = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
    if found.is_null() {
        let error = failed("its library has no such symbol");
        // SAFETY: loaded above; nothing of it is used.
        unsafe { libc::dlclose(handle) };
        return Err(error);
    }
    // SAFETY: the header says what such a symbol is; a function's address fits into a pointer wherever there is dlsym.
    Ok(unsafe { mem::transmute::<*mut c_void, Init>(found) })
}

/// What the system's loader says of this thread's last failure.
fn loader_error() -> String {
    // SAFETY: answers NULL or a C string, valid until this thread's next call of the loader.
    let text = unsafe { libc::dlerror() };
    if ptr::eq(text, ptr::null()) {
        return "no reason is known".into();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
