//! What is stopped and joined when the interpreter exits: whatever runs Python code on threads of the library.

use pyo3::prelude::*;

/// The order of stopping: what brings work before what does it.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    PortSet = 0,
    EventLoop = 1,
    Runtime = 2,
    // Pools are 3.
    Observer = 4,
}

/// Has `libcoop._exit` call the object's `_stop_at_exit`, if it is still there then. Again is fine.
pub(crate) fn register(object: &Bound<'_, PyAny>, order: Order) -> PyResult<()> {
    object.py().import("libcoop._exit")?.call_method1("register", (object, order as u8)).map(drop)
}
