//! Parts of a call or of a result as the object that they are of.
//!
//! # Invariant
//!
//! A memoryview of a part holds a [`Lent`], which holds the part; so the bytes under a live view are there, and belong to
//! nobody else. Who wrote them may be another process, which could go on writing: pickle reads each byte of a stream once, and checks
//! what it has read.

#![allow(unsafe_code)]

use std::ffi::c_int;

use coop_core::process_pool::{Part, Payload};
use pyo3::{
    ffi, intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyList, PyMemoryView, PyTuple},
};

use super::names::{NAMED, Names};
use crate::errors::to_py;

/// The bytes of a part.
fn bytes(part: &Part) -> &[u8] {
    if part.is_empty() {
        return &[];
    }
    // SAFETY: the part's bytes are readable as long as it is there, which is as long as the answer is used. See the module's text for
    // who could write to them.
    unsafe { std::slice::from_raw_parts(part.as_ptr(), part.len()) }
}

/// A part, as a buffer.
#[pyclass(frozen, module = "libcoop._libcoop", name = "_Lent")]
struct Lent {
    part: Part,
    writable: bool,
}

#[pymethods]
impl Lent {
    /// # Safety
    /// Called by the interpreter, with a view to fill.
    unsafe fn __getbuffer__(this: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let Self { part, writable } = this.get();
        let pointer = if *writable { part.as_mut_ptr() } else { part.as_ptr().cast_mut() };
        let read_only = c_int::from(!writable);
        // SAFETY: the bytes live as long as the part, which this object holds, and the view holds this object. They may be written
        // to if `as_mut_ptr` was asked for them. NULL and a wish to write that is not granted are answered with BufferError.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, this.as_ptr(), pointer.cast(), part.len().cast_signed(), read_only, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(this.py())) }
    }
}

fn loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(LOADS.get_or_try_init(py, || PyResult::Ok(py.import("pickle")?.getattr("loads")?.unbind()))?.bind(py))
}

fn damaged(py: Python<'_>) -> PyErr {
    to_py(py, &coop_core::Error::Failed("what came from another process is no object that was pickled".to_owned()))
}

/// What is called, and with what.
pub(super) type Call<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// The call of these parts. Raises what unpickling raises.
pub(super) fn unpickled_call<'py>(py: Python<'py>, names: &mut Names, payload: Payload) -> PyResult<Call<'py>> {
    if payload.is_empty() {
        return Err(damaged(py));
    }
    let first = payload.part(0);
    let name = bytes(&first);
    if name.first() != Some(&NAMED) {
        let (args, kwargs) =
            unpickled(py, 0, payload)?.extract::<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)>()?;
        return Ok((args.get_item(0)?, args.get_slice(1, args.len()), kwargs));
    }
    let f = names.find(py, name)?;
    if payload.len() == 1 {
        return Ok((f, PyTuple::empty(py), None));
    }
    drop(first);
    let (args, kwargs) = unpickled(py, 1, payload)?.extract()?;
    Ok((f, args, kwargs))
}

/// The object of the parts from one on. Raises what unpickling raises.
pub(super) fn unpickled<'py>(py: Python<'py>, start: usize, payload: Payload) -> PyResult<Bound<'py, PyAny>> {
    let count = payload.len();
    if count <= start {
        return Err(damaged(py));
    }
    let first = payload.part(start);
    if count == start + 1 {
        if !payload.is_in_block() {
            drop(payload);
            return loads(py)?.call1((PyBytes::new(py, bytes(&first)),));
        }
        drop(payload);
        return loads(py)?.call1((Lent { part: first, writable: false },));
    }
    let buffers = PyList::empty(py);
    for index in start + 1..count {
        let lent = Bound::new(py, Lent { part: payload.part(index), writable: true })?;
        buffers.append(PyMemoryView::from(lent.as_any())?)?;
    }
    let options = PyDict::new(py);
    options.set_item(intern!(py, "buffers"), buffers)?;
    drop(payload);
    loads(py)?.call((Lent { part: first, writable: false },), Some(&options))
}
