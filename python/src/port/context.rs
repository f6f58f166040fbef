//! `libcoop.PortContext`: what a handler may do.

use coop_core::{event_loop::TimerId, port::Context};
use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyTuple},
};

use super::native::{Natives, message};
use crate::{address, detached::Detached, errors::OrRaise, wait};

/// A handler's way to its port. It may be kept and used from any thread; when the port has ended, its calls raise Closed.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct PortContext {
    pub(super) context: Detached<Context>,
    natives: Natives,
}

impl PortContext {
    pub(super) fn new(context: Context, natives: Natives) -> Self {
        Self { context: Detached::new(context), natives }
    }
}

#[pymethods]
impl PortContext {
    /// The port's name.
    #[getter]
    fn name(&self) -> &str {
        self.context.name()
    }

    /// The address that the port's socket is bound to.
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        address::to_py(py, self.context.address().as_ip().expect("a port of datagrams has an IP address"))
    }

    /// The set's mode.
    #[getter]
    fn mode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("libcoop")?.getattr("Mode")?.call1((self.context.mode() as i32,))
    }

    /// How many datagrams are queued that the kernel has not taken yet: a measure for going slower.
    #[getter]
    fn backlog(&self) -> usize {
        self.context.backlog()
    }

    /// Queues a datagram to `address`, `(host, port)` with a numeric host, or to the connected peer; answers how many it queued.
    ///
    /// What a callback sends leaves in batches, at the latest when it returns. With `segment_size` above 0, `data` holds datagrams
    /// of that size back to back, the last perhaps shorter, and is sent with GSO where the kernel has it.
    ///
    /// Raises QueueFull if the kernel does not keep up and `buffer_bytes` wait, ValueError for one that is too long or has no
    /// destination, TypeError, Closed.
    #[pyo3(signature = (data, address = None, *, segment_size = 0))]
    fn sendto(
        &self,
        data: &Bound<'_, PyAny>,
        address: Option<&Bound<'_, PyAny>>,
        segment_size: i64,
    ) -> PyResult<usize> {
        let py = data.py();
        let segment_size = usize::try_from(segment_size)
            .map_err(|_| PyValueError::new_err(format!("segment_size must be at least 0, not {segment_size}")))?;
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

    /// Sends an object to another port of the set, as it is: `on_message` there, in the order of sending. A native handler is given a
    /// copy of a bytes-like object.
    ///
    /// Raises ValueError for a name that is no port of the set, TypeError for what a native handler does not understand, Closed.
    #[pyo3(signature = (port, obj, /))]
    fn send(&self, port: &str, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        self.context.send(port, message(&self.natives, port, obj)?).or_raise(obj.py())
    }

    /// Calls `on_timer` in `delay` seconds, once, or again every `delay` seconds; answers the timer's id. 0 is the loop's next turn.
    ///
    /// Raises ValueError for a delay below 0 or a repeated one of 0, Closed.
    #[pyo3(signature = (delay, *, repeat = false))]
    fn set_timer(&self, py: Python<'_>, delay: f64, repeat: bool) -> PyResult<u64> {
        let delay = wait::delay("delay", delay)?;
        Ok(self.context.set_timer(delay, repeat.then_some(delay)).or_raise(py)?.0)
    }

    /// Ends a timer. Raises Stale if it has ended already.
    #[pyo3(signature = (timer, /))]
    fn cancel_timer(&self, py: Python<'_>, timer: u64) -> PyResult<()> {
        self.context.cancel_timer(TimerId(timer)).or_raise(py)
    }

    /// Asks the whole set to stop, and returns at once.
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
