//! New futures, without the way through the class: a pool makes one for each call, and calling the class takes as long as all the
//! rest of it. Unsafe for that alone: the class's own constructor is called directly.

use pyo3::{
    ffi,
    prelude::*,
    sync::PyOnceLock,
    types::{PyTuple, PyType},
};

use super::Future;

/// `libcoop.Future`, which is a subclass of both halves, and an empty tuple.
fn class(py: Python<'_>) -> PyResult<&(Py<PyType>, Py<PyTuple>)> {
    static CLASS: PyOnceLock<(Py<PyType>, Py<PyTuple>)> = PyOnceLock::new();
    CLASS.get_or_try_init(py, || {
        let class = py.import("libcoop._future")?.getattr("Future")?.cast_into::<PyType>()?;
        if !class.is_subclass_of::<Future>()? {
            return Err(pyo3::exceptions::PyTypeError::new_err("libcoop.Future is not made of the native one"));
        }
        Ok((class.unbind(), PyTuple::empty(py).unbind()))
    })
}

/// A pending `libcoop.Future`.
pub(crate) fn make(py: Python<'_>) -> PyResult<Bound<'_, Future>> {
    let (class, no_args) = class(py)?;
    let class = class.bind(py).as_type_ptr();
    // SAFETY: `class` is a heap type, which is held; the slot of a type is of the type that its number says.
    let new = unsafe { ffi::PyType_GetSlot(class, ffi::Py_tp_new) };
    // SAFETY: as above; a class that is made by `class` statements has this slot, and a null pointer would be `None`.
    let new: Option<ffi::newfunc> = unsafe { std::mem::transmute(new) };
    let new = new.ok_or_else(|| pyo3::exceptions::PyTypeError::new_err("libcoop.Future has no constructor"))?;
    // SAFETY: what `__new__` is called with: the class, a tuple, and no keywords. It answers a new reference, or null and an error.
    let future = unsafe { new(class, no_args.as_ptr(), std::ptr::null_mut()) };
    // SAFETY: as said above.
    let future = unsafe { Bound::from_owned_ptr_or_err(py, future) }?;
    Ok(future.cast_into::<Future>()?)
}
