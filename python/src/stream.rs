//! `libcoop.Stream`.
//!
//! An operation is tried at once in the calling thread; what would block goes on as a coroutine on the loop. Reads, and writes, each
//! stand in a [`Line`]. What a read took from the system and could not hand over, because it was cancelled, is kept for the next.

use std::{
    cell::Cell,
    future::poll_fn,
    net::Shutdown,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{Error, Result, event_loop::stream as core};
use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    pybacked::PyBackedBytes,
    sync::PyOnceLock,
    types::{PyBytes, PyType},
};

use crate::{
    address,
    callback::Held,
    detached::Detached,
    errors::{OrRaise, to_py},
    future,
    line::{Line, Place},
    stream_options,
    with::with_block,
};

/// The most that one read takes.
pub(crate) const STEP: usize = 256 * 1024;

// Where reads put bytes before they are made an object of their size.
thread_local!(static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });

/// What a stream's operations share with it.
pub(crate) struct Connection {
    pub(crate) stream: core::Stream,
    /// What reads have taken and not handed over.
    unread: Mutex<Vec<u8>>,
    /// What came with those, and was not handed over either.
    descriptors: Mutex<Vec<OwnedFd>>,
    pub(crate) reads: Arc<Line>,
    pub(crate) writes: Arc<Line>,
}

impl Connection {
    fn unread(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_unread(&self, most: usize) -> Vec<u8> {
        let mut unread = self.unread();
        let most = most.min(unread.len());
        unread.drain(..most).collect()
    }

    /// Descriptors that came with what is unread.
    pub(crate) fn take_descriptors(&self, most: usize) -> Vec<OwnedFd> {
        let mut descriptors = self.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.min(descriptors.len());
        descriptors.drain(..most).collect()
    }

    pub(crate) fn give_descriptors_back(&self, back: Vec<OwnedFd>) {
        self.descriptors.lock().unwrap_or_else(PoisonError::into_inner).splice(..0, back);
    }

    /// Calls `f` with up to `most` bytes that are there, none at the end. `WouldBlock`: it was not called.
    fn take<R>(&self, most: usize, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let before = self.take_unread(most);
        if !before.is_empty() {
            // A plain read drops the descriptors that came with its bytes.
            drop(self.take_descriptors(usize::MAX));
            return Ok(f(&before));
        }
        // Taken out, for `f` may come here again.
        let mut scratch = SCRATCH.take();
        let most = most.min(STEP);
        if scratch.len() < most {
            scratch.resize(most, 0);
        }
        let taken = self.stream.try_read(&mut scratch[..most]).map(|count| f(&scratch[..count]));
        SCRATCH.set(scratch);
        taken
    }

    pub(crate) fn give_back(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.unread().splice(..0, bytes.iter().copied());
        }
    }

    /// Waits until `take` answers.
    async fn taken<R>(&self, most: usize, mut f: impl FnMut(&[u8]) -> R) -> Result<R> {
        loop {
            if self.unread().is_empty() {
                poll_fn(|cx| self.stream.poll_read_ready(cx)).await?;
            }
            match self.take(most, &mut f) {
                Err(Error::WouldBlock(_)) => {}
                other => return other,
            }
        }
    }
}

/// A read of several steps: cancelled in between, it gives back what it has.
struct Gathering {
    bytes: Vec<u8>,
    connection: Arc<Connection>,
    // Goes last: the next read finds what was given back.
    _place: Option<Place>,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.connection.give_back(&self.bytes);
    }
}

impl Gathering {
    /// Reads up to the limit or, without one, to the end. True at the end.
    async fn gather(&mut self, limit: Option<usize>) -> Result<bool> {
        while limit.is_none_or(|limit| self.bytes.len() < limit) {
            let most = limit.map_or(STEP, |limit| limit - self.bytes.len());
            let (connection, bytes) = (&self.connection, &mut self.bytes);
            let count = connection.taken(most, |more| {
                bytes.extend_from_slice(more);
                more.len()
            });
            if count.await? == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is to be written, unchanged for as long as that takes.
pub(crate) enum Data {
    Kept(Held<PyBackedBytes>),
    Copied(Vec<u8>),
}

impl Data {
    pub(crate) fn of(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Self::Kept(Held::new(PyBackedBytes::from(bytes.clone()))));
        }
        match PyBuffer::<u8>::get(data) {
            Ok(buffer) => Ok(Self::Copied(buffer.to_vec(data.py())?)),
            Err(_) => Err(PyTypeError::new_err(format!("data must be bytes-like, not {}", data.get_type().name()?))),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes.get(),
            Self::Copied(bytes) => bytes,
        }
    }
}

/// A TCP or Unix connection of a loop, as `EventLoop.connect` and `Listener.accept` give it.
///
/// Reads take what has come, one after another in the order they were asked for; so do writes. What can be done at once is done at once,
/// and its future has ended when the call returns; the rest needs a loop that runs. An error of the connection is its future's. Any
/// thread. After `close` every call raises Closed, in a forked child Forked. One that is let go of is closed when its operations have
/// ended; as a context manager it is closed at the end.
#[pyclass(frozen, weakref, module = "libcoop")]
pub(crate) struct Stream {
    /// None once closed.
    connection: Mutex<Option<Detached<Arc<Connection>>>>,
    peer: core::Address,
}

impl Stream {
    pub(crate) fn of(stream: core::Stream) -> Self {
        let peer = stream.peer_addr().clone();
        let (reads, writes) = (Line::of("stream"), Line::of("stream"));
        let connection = Connection { stream, unread: Mutex::default(), descriptors: Mutex::default(), reads, writes };
        Self { connection: Mutex::new(Some(Detached::new(Arc::new(connection)))), peer }
    }

    pub(crate) fn open(&self, py: Python<'_>) -> PyResult<Arc<Connection>> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let open = connection.as_ref().map(|connection| Arc::clone(connection));
        let open = open.ok_or_else(|| to_py(py, &Error::Closed("stream")))?;
        open.stream.io().check().or_raise(py)?;
        Ok(open)
    }

    fn gather(
        &self,
        py: Python<'_>,
        limit: Option<usize>,
        convert: impl FnOnce(Python<'_>, &[u8], bool) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        let connection = self.open(py)?;
        let (place, _) = connection.reads.join();
        let event_loop = connection.stream.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let place = place;
            let mut gathering = Gathering { bytes: Vec::new(), connection, _place: None };
            let answer = place.run(gathering.gather(limit)).await;
            gathering._place = Some(place);
            let bytes = std::mem::take(&mut gathering.bytes);
            let is_whole = answer.is_ok();
            let is_told = promise.answer(answer, |py, at_end| convert(py, &bytes, at_end));
            if !(is_told && is_whole) {
                gathering.bytes = bytes;
            }
        })
    }
}

#[pymethods]
impl Stream {
    /// A future of what has come, at least one byte and up to `n`; b"" at the end, when the peer has shut down or closed.
    ///
    /// Cancelled, it loses nothing: the next read has it. Raises ValueError for `n` below 1.
    #[pyo3(signature = (n = 65536, /))]
    fn read(&self, py: Python<'_>, n: i64) -> PyResult<Py<PyAny>> {
        let most = count(n)?;
        let connection = self.open(py)?;
        let (place, is_first) = connection.reads.join();
        if is_first {
            match connection.take(most, |bytes| PyBytes::new(py, bytes).into_any().unbind()) {
                Err(Error::WouldBlock(_)) => {}
                done => return future::done(py, done.or_raise(py)),
            }
        }
        let event_loop = connection.stream.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            // The place is left after what was read in vain was given back.
            let (place, connection, mut promise) = (place, connection, Some(promise));
            let hand_over = |bytes: &[u8]| {
                let told = promise
                    .take()
                    .is_some_and(|promise| promise.settle(|py| Ok(PyBytes::new(py, bytes).into_any().unbind())));
                if !told {
                    connection.give_back(bytes);
                }
            };
            let read = place.run(connection.taken(most, hand_over)).await;
            if let (Err(error), Some(promise)) = (read, promise) {
                promise.settle(|py| Err(to_py(py, &error)));
            }
        })
    }

    /// A future of exactly `n` bytes. It ends with IncompleteRead, an EOFError that has what came, if the peer ends before.
    ///
    /// Cancelled, it loses nothing. Raises ValueError for `n` below 1.
    #[pyo3(signature = (n, /))]
    fn read_exactly(&self, py: Python<'_>, n: i64) -> PyResult<Py<PyAny>> {
        let limit = count(n)?;
        self.gather(py, Some(limit), move |py, bytes, at_end| {
            let bytes = PyBytes::new(py, bytes);
            if !at_end {
                return Ok(bytes.into_any().unbind());
            }
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            let class = CLASS.import(py, "libcoop._streams", "IncompleteRead")?;
            Err(PyErr::from_value(class.call1((bytes, limit))?))
        })
    }

    /// A future of all that comes until the peer ends. Cancelled, it loses nothing.
    fn read_to_end(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.gather(py, None, |py, bytes, _| Ok(PyBytes::new(py, bytes).into_any().unbind()))
    }

    /// A future that ends with None when all of `data`, bytes-like, is with the system, which may be long after the call if the peer does
    /// not read.
    ///
    /// Bytes are kept until then, anything else is copied. Cancelled, or ended with an error, it may have written a part. Raises TypeError.
    #[pyo3(signature = (data, /))]
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = data.py();
        let data = Data::of(data)?;
        let connection = self.open(py)?;
        let (place, is_first) = connection.writes.join();
        let mut written = 0;
        if is_first {
            let all = py.detach(|| {
                while written < data.bytes().len() {
                    written += connection.stream.try_write(&data.bytes()[written..])?;
                }
                Ok(())
            });
            match all {
                Err(Error::WouldBlock(_)) => {}
                done => return future::done(py, done.or_raise(py).map(|()| py.None())),
            }
        }
        let event_loop = connection.stream.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let answer = place.run(connection.stream.write_all(&data.bytes()[written..])).await;
            promise.answer(answer, |py, ()| Ok(py.None()));
        })
    }

    /// A future that ends with None when what was written before is with the system and the peer was told that no more comes: it reads to
    /// the end. Reading goes on.
    fn shutdown(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let connection = self.open(py)?;
        let (place, is_first) = connection.writes.join();
        if is_first {
            return future::done(py, connection.stream.shutdown(Shutdown::Write).or_raise(py).map(|()| py.None()));
        }
        let event_loop = connection.stream.event_loop().clone();
        future::spawn(
            py,
            &event_loop,
            async move { place.run(async { connection.stream.shutdown(Shutdown::Write) }).await },
            |py, ()| Ok(py.None()),
        )
    }

    /// Closes the connection; any number of times. Operations that wait end with Closed, and then the descriptor closes.
    fn close(&self, py: Python<'_>) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connection) = connection {
            if connection.stream.io().check().is_ok() {
                py.detach(|| {
                    connection.reads.close();
                    connection.writes.close();
                });
            }
            drop(connection);
        }
    }

    /// Sends small writes at once (TCP), or has them wait for the answer to those before. Raises Os.
    fn set_nodelay(&self, py: Python<'_>, nodelay: bool) -> PyResult<()> {
        self.open(py)?.stream.set_nodelay(nodelay).or_raise(py)
    }

    /// Has the system ask a silent peer whether it is still there (TCP): seconds of silence, or (seconds, interval, count), or None.
    /// Raises ValueError, TypeError, Os.
    #[pyo3(signature = (keepalive, /))]
    fn set_keepalive(&self, keepalive: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = keepalive.py();
        let keepalive = stream_options::keepalive(Some(keepalive))?;
        self.open(py)?.stream.set_keepalive(keepalive).or_raise(py)
    }

    /// How closing waits for what was written to be delivered: so many seconds, 0 to discard it and reset the connection, None for the
    /// system's way. Raises ValueError, TypeError, Os.
    #[pyo3(signature = (linger, /))]
    fn set_linger(&self, py: Python<'_>, linger: Option<f64>) -> PyResult<()> {
        let linger = stream_options::seconds("linger", linger)?;
        self.open(py)?.stream.set_linger(linger).or_raise(py)
    }

    /// The descriptor, which stays the stream's.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.open(py)?.stream.as_raw_fd())
    }

    /// This end: (host, port), or a Unix socket's path: a str, bytes for one that is no file, "" without a name. Raises Os.
    #[getter]
    fn local_address(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let local = self.open(py)?.stream.local_addr().or_raise(py)?;
        address::of_stream(py, &local)
    }

    /// The other end, as `local_address`; also when closed.
    #[getter]
    fn peer_address(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        address::of_stream(py, &self.peer)
    }

    /// Whether it was closed here.
    #[getter]
    fn closed(&self) -> bool {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { ", closed" } else { "" };
        format!("<libcoop.Stream to {}{state}>", self.peer)
    }
}

with_block!(Stream, |this, py| {
    this.close(py);
    Ok(())
});

pub(crate) fn count(n: i64) -> PyResult<usize> {
    let count = usize::try_from(n).ok().filter(|count| *count > 0);
    count.ok_or_else(|| PyValueError::new_err(format!("n must be at least 1, not {n}")))
}

/// What the promise of a connection is settled with.
pub(crate) fn new(py: Python<'_>, stream: core::Stream) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Stream::of(stream))?.into_any())
}
