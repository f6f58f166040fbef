//! Native handlers of ports, and the table of C functions that they are given.
//!
//! They run without the interpreter: nothing here holds a Python object after the set was made. What goes to them is bytes.

use std::{collections::HashSet, ffi::c_void, ptr::NonNull, sync::Arc};

use coop::native;
use coop_core::port::{Build, Bytes, Encoded, Message};
use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyCapsule, PyMemoryView, PyTuple},
};

use super::handler::Object;
use crate::callback::Held;

/// The names of a set's ports that have native handlers.
pub(super) type Natives = Arc<HashSet<String>>;

/// The table of C functions of this copy of libcoop, for other extension modules.
pub(crate) fn coop_api(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    let table = NonNull::new(coop::api::coop_api_get().cast_mut().cast::<c_void>()).expect("a static has an address");
    // SAFETY: a static, valid for as long as the process; whoever takes it out of the capsule knows by its name what it is.
    unsafe { PyCapsule::new_with_pointer(py, table, c"libcoop.coop_api") }
}

/// Whether a handler's name is "path/lib.so:symbol" and not "module:qualname": no name of a module has a slash or ends so.
pub(super) fn is_native(name: &str) -> bool {
    let library = name.rsplit_once(':').map_or(name, |(library, _)| library);
    library.contains('/') || library.ends_with(".so") || library.ends_with(".dylib") || library.contains(".so.")
}

/// What makes a native handler of this name. Its library is loaded inside the port's worker.
pub(super) fn build(port: &str, name: &str, args: &Bound<'_, PyTuple>) -> PyResult<Build> {
    native::check(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let args = match args.len() {
        0 => Vec::new(),
        1 => bytes(&args.get_item(0)?).ok_or_else(|| wrong_args(port, args))?,
        _ => return Err(wrong_args(port, args)),
    };
    Ok(native::build(name.to_owned(), args))
}

fn wrong_args(port: &str, args: &Bound<'_, PyTuple>) -> PyErr {
    PyTypeError::new_err(format!(
        "port {port:?} has a native handler: its args must be one bytes-like object or none, not {args}"
    ))
}

/// What a message is that was pickled.
pub(super) const PICKLED: u32 = 1;

/// An object as bytes for another process, or for later.
pub(super) fn pickled<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(obj.py().import("libcoop._ports")?.call_method1("pickled", (obj,))?.cast_into()?)
}

/// The inverse of [`pickled`].
pub(super) fn unpickled<'py>(bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    bytes.py().import("pickle")?.call_method1("loads", (bytes,))
}

/// What goes to another process: a tag, and bytes, which are lent.
pub(super) fn far<T>(obj: &Bound<'_, PyAny>, send: impl FnOnce(u32, &[u8]) -> T) -> PyResult<T> {
    if let Ok(data) = obj.cast::<PyBytes>() {
        return Ok(send(0, data.as_bytes()));
    }
    if obj.is_instance_of::<PyMemoryView>() {
        let data = obj.call_method0("tobytes")?;
        return Ok(send(0, data.cast::<PyBytes>()?.as_bytes()));
    }
    Ok(send(PICKLED, pickled(obj)?.as_bytes()))
}

/// A message as the port that it is for understands it: the object itself, or bytes for a native handler; for another process bytes, or what was
/// pickled.
pub(super) fn message(natives: &Natives, is_far: bool, port: &str, obj: &Bound<'_, PyAny>) -> PyResult<Message> {
    if !natives.contains(port) && is_far {
        return far(obj, |tag, bytes| -> Message {
            let bytes = bytes.to_vec();
            if tag == 0 { Box::new(Bytes(bytes)) } else { Box::new(Encoded { tag, bytes }) }
        });
    }
    if !natives.contains(port) {
        return Ok(Box::new(Object(Held::new(obj.clone().unbind()))));
    }
    let bytes = bytes(obj).ok_or_else(|| {
        let given = obj.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "port {port:?} has a native handler: it understands bytes-like objects, not {given}"
        ))
    })?;
    Ok(Box::new(Bytes(bytes)))
}

/// A copy of what a bytes-like object holds.
fn bytes(object: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    match object.cast::<PyBytes>() {
        Ok(bytes) => Some(bytes.as_bytes().to_vec()),
        Err(_) => PyBuffer::<u8>::get(object).ok()?.to_vec(object.py()).ok(),
    }
}
