//! `libcoop.PortContext`: what a handler may do.

use coop_core::{
    event_loop::TimerId,
    port::{ConnectionId, Context, Mode},
};
use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyBytes,
};

use super::native::{Natives, far, message, pickled, unpickled};
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

    /// The address that the port's socket is bound to: `(host, port)`, or a Unix socket's path.
    #[getter]
    fn address(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        address::of_stream(py, self.context.address())
    }

    /// The set's mode.
    #[getter]
    fn mode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("libcoop")?.getattr("Mode")?.call1((self.context.mode() as i32,))
    }

    /// Which worker of its port this is, from 1: in PROCESS mode one more after each restart.
    #[getter]
    fn run(&self) -> u64 {
        self.context.run()
    }

    /// Keeps an object, pickled, in the place of what was kept before. In PROCESS mode the port's next worker has it as `saved`, whatever this
    /// one ends by; a save that is cut short leaves the one before.
    ///
    /// Raises ValueError for more than the set's `saved_bytes`, what pickling raises, Os, Forked.
    #[pyo3(signature = (obj, /))]
    fn save(&self, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = obj.py();
        let state = pickled(obj)?;
        let bytes = state.as_bytes();
        py.detach(|| self.context.save(bytes)).or_raise(py)
    }

    /// What was saved last, made anew at each look; None if nothing was. Raises what unpickling raises, ValueError if it was damaged, Forked.
    #[getter]
    fn saved<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let state = py.detach(|| self.context.saved()).or_raise(py)?;
        state.map(|state| unpickled(&PyBytes::new(py, &state))).transpose()
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
            let buffer = PyBuffer::<u8>::get(data).map_err(|_| wrong_data("a datagram", data))?;
            let pointer = buffer.as_slice_ptr().ok_or_else(|| wrong_data("a datagram", data))?;
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

    /// Sends bytes to a connection. What a callback writes leaves at the latest when it returns.
    ///
    /// Raises QueueFull if the peer does not keep up and an eighth of `buffer_bytes` waits for it, or all of them for all connections; ValueError for
    /// more bytes than that eighth; Closed if it is being closed, or its writing was ended; Stale, TypeError, Forked.
    #[pyo3(signature = (connection, data, /))]
    fn write(&self, connection: u64, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, connection) = (data.py(), ConnectionId(connection));
        let queued = if let Ok(bytes) = data.cast::<PyBytes>() {
            self.context.enqueue_to(connection, bytes.as_bytes())
        } else {
            let buffer = PyBuffer::<u8>::get(data).map_err(|_| wrong_data("what is written to a connection", data))?;
            let pointer = buffer.as_slice_ptr().ok_or_else(|| wrong_data("what is written to a connection", data))?;
            // SAFETY: as in sendto.
            self.context.enqueue_to(connection, unsafe { pointer.as_ref() })
        };
        if queued.or_raise(py)? {
            py.detach(|| self.context.flush());
        }
        Ok(())
    }

    /// Closes a connection, when what was written to it is sent: `on_close` comes then. Nothing more is read. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn close(&self, py: Python<'_>, connection: u64) -> PyResult<()> {
        self.context.close(ConnectionId(connection)).or_raise(py)
    }

    /// Closes a connection at once, with a reset; what waits to be sent is dropped. `on_close` comes later. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn abort(&self, py: Python<'_>, connection: u64) -> PyResult<()> {
        self.context.abort(ConnectionId(connection)).or_raise(py)
    }

    /// Ends the writing to a connection: its peer reads to the end of what was written. What it sends is still heard. When both sides have ended,
    /// the connection is closed. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn shutdown_write(&self, py: Python<'_>, connection: u64) -> PyResult<()> {
        self.context.shutdown_write(ConnectionId(connection)).or_raise(py)
    }

    /// Reads nothing more from a connection, so that its peer has to wait, until `resume`. A peer that goes meanwhile is noticed only by a
    /// write. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn pause(&self, py: Python<'_>, connection: u64) -> PyResult<()> {
        self.context.pause(ConnectionId(connection)).or_raise(py)
    }

    /// Reads again after `pause`. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn resume(&self, py: Python<'_>, connection: u64) -> PyResult<()> {
        self.context.resume(ConnectionId(connection)).or_raise(py)
    }

    /// Where a connection's other end is: `(host, port)`, or as `socket.getpeername` has it for a Unix socket. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn peer(&self, py: Python<'_>, connection: u64) -> PyResult<Py<PyAny>> {
        address::of_stream(py, &self.context.peer(ConnectionId(connection)).or_raise(py)?)
    }

    /// Bytes written to a connection that the system has not taken yet. Raises Stale, Forked.
    #[pyo3(signature = (connection, /))]
    fn backlog_of(&self, py: Python<'_>, connection: u64) -> PyResult<usize> {
        self.context.backlog_of(ConnectionId(connection)).or_raise(py)
    }

    /// How many connections are open.
    #[getter]
    fn connections(&self) -> usize {
        self.context.connections()
    }

    /// Sends an object to another port of the set, as it is: `on_message` there, in the order of sending. A native handler is given a
    /// copy of a bytes-like object. In PROCESS mode bytes and memoryviews arrive as bytes, and other objects are pickled.
    ///
    /// Raises ValueError for a name that is no port of the set, TypeError for what a native handler does not understand, Closed; in PROCESS mode
    /// also QueueFull while that port does not keep up or is not there, ValueError for more than the set's `message_bytes`, and what
    /// pickling raises.
    #[pyo3(signature = (port, obj, /))]
    fn send(&self, port: &str, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = obj.py();
        if self.context.mode() != Mode::Process || self.natives.contains(port) {
            let message = message(&self.natives, false, port, obj)?;
            return self.context.send(port, message).or_raise(py);
        }
        far(obj, |tag, bytes| self.context.send_bytes(port, tag, bytes))?.or_raise(py)
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

fn wrong_data(what: &str, data: &Bound<'_, PyAny>) -> PyErr {
    let given = data.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{what} is a contiguous bytes-like object, not {given}"))
}
