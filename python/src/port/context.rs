//! `libcoop.PortContext`: what a handler may do.

use coop_core::{event_loop::TimerId, port::Context};
use pyo3::{
    buffer::PyBuffer,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyTuple},
};

use super::handler::Object;
use crate::{address, errors::OrRaise, wait};

/// A handler's way to its port.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct PortContext {
    pub(super) context: Context,
}

impl PortContext {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }
}

#[pymethods]
impl PortContext {
    #[getter]
    fn name(&self) -> &str {
        self.context.name()
    }

    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        address::to_py(py, self.context.address())
    }

    #[getter]
    fn mode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("libcoop")?.getattr("Mode")?.call1((self.context.mode() as i32,))
    }

    #[getter]
    fn backlog(&self) -> usize {
        self.context.backlog()
    }

    #[pyo3(signature = (data, address = None, *, segment_size = 0))]
    fn sendto(
        &self,
        data: &Bound<'_, PyAny>,
        address: Option<&Bound<'_, PyAny>>,
        segment_size: usize,
    ) -> PyResult<usize> {
        let py = data.py();
        let to = address.map(address::numeric).transpose()?;
        let segment = (segment_size > 0).then_some(segment_size);
        let queued = if let Ok(bytes) = data.cast::<PyBytes>() {
            self.context.enqueue(bytes.as_bytes(), to, segment)
        } else {
            let buffer = PyBuffer::<u8>::get(data).map_err(|_| wrong_data(data))?;
            let pointer = buffer.as_slice_ptr().ok_or_else(|| wrong_data(data))?;
            // SAFETY: the buffer is held, contiguous and of bytes; it is copied before this thread detaches, so no other code runs
            // that could change it. (Without a GIL that is the caller's to keep, as with every buffer.)
            self.context.enqueue(unsafe { pointer.as_ref() }, to, segment)
        };
        let (count, flush) = queued.or_raise(py)?;
        if flush {
            py.detach(|| self.context.flush());
        }
        Ok(count)
    }

    fn send(&self, py: Python<'_>, port: &str, obj: Py<PyAny>) -> PyResult<()> {
        self.context.send(port, Box::new(Object(obj))).or_raise(py)
    }

    #[pyo3(signature = (delay, *, repeat = false))]
    fn set_timer(&self, py: Python<'_>, delay: f64, repeat: bool) -> PyResult<u64> {
        let delay = wait::delay("delay", delay)?;
        Ok(self.context.set_timer(delay, repeat.then_some(delay)).or_raise(py)?.0)
    }

    fn cancel_timer(&self, py: Python<'_>, timer: u64) -> PyResult<()> {
        self.context.cancel_timer(TimerId(timer)).or_raise(py)
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.context.stop());
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.PortContext of {} at {}>", self.context.name(), self.context.address())
    }
}

fn wrong_data(data: &Bound<'_, PyAny>) -> PyErr {
    let given = data.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("a datagram is a contiguous bytes-like object, not {given}"))
}
