//! What is stopped and joined when the interpreter exits: whatever runs Python code on threads of the library.

use pyo3::prelude::*;

/// Has `libcoop._exit` stop this object at exit, if it is still there. Again is fine.
pub(crate) fn register(object: &Bound<'_, PyAny>) -> PyResult<()> {
    object.py().import("libcoop._exit")?.call_method1("register", (object,)).map(drop)
}
