//! `libcoop.Listener`, `EventLoop.listen` and `listen_unix`.

use std::{
    collections::VecDeque,
    os::fd::{AsRawFd, RawFd},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{Error, event_loop::stream as core};
use pyo3::{exceptions::PyStopAsyncIteration, prelude::*};

use crate::{
    address,
    callback::Held,
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::EventLoop,
    future::{self, Promise},
    line::Line,
    stream, stream_options,
    with::with_block,
};

/// Accepts connections, as `EventLoop.listen` and `listen_unix` give it. `async for stream in listener` goes on until it is closed.
///
/// Any thread. One that is let go of is closed when the accepts that wait have ended; as a context manager it is closed at the end.
#[pyclass(frozen, weakref, module = "libcoop")]
pub(crate) struct Listener {
    /// None once closed.
    listening: Mutex<Option<Detached<Arc<Listening>>>>,
    local: core::Address,
}

struct Listening {
    listener: core::Listener,
    accepts: Arc<Line>,
    /// Connections, as Streams, of accepts that were cancelled when they had them.
    left: Mutex<VecDeque<Held<Py<PyAny>>>>,
}

impl Listening {
    fn take_left(&self) -> Option<Held<Py<PyAny>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn accept(&self) -> coop_core::Result<Accepted> {
        match self.take_left() {
            Some(left) => Ok(Accepted::Left(left)),
            None => self.listener.accept().await.map(Accepted::New),
        }
    }

    /// Settles with a connection, which is the next one's if nobody wants it here.
    fn hand_over(&self, promise: Promise, answer: coop_core::Result<Accepted>) {
        let convert = |py: Python<'_>, accepted| match accepted {
            Accepted::Left(left) => Ok(left.take()),
            Accepted::New(accepted) => stream::new(py, accepted),
        };
        promise.settle_or(
            |py| convert(py, answer.or_raise(py)?),
            |unwanted| self.left.lock().unwrap_or_else(PoisonError::into_inner).push_back(Held::new(unwanted)),
        );
    }
}

enum Accepted {
    New(core::Stream),
    Left(Held<Py<PyAny>>),
}

impl Listener {
    fn of(listener: core::Listener) -> Self {
        let local = listener.local_addr().clone();
        let listening = Listening { listener, accepts: Line::of("listener"), left: Mutex::default() };
        Self { listening: Mutex::new(Some(Detached::new(Arc::new(listening)))), local }
    }

    fn open(&self, py: Python<'_>) -> PyResult<Arc<Listening>> {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let open = listening.as_ref().map(|listening| Arc::clone(listening));
        open.ok_or_else(|| to_py(py, &Error::Closed("listener")))
    }
}

#[pymethods]
impl Listener {
    /// A future of the next connection, a Stream. Those who wait get theirs in the order they asked.
    ///
    /// Cancelled, it leaves the connection to the next. While the process has no descriptor left it waits, and a warning is logged
    /// once. Ends with Closed when the listener or the loop is closed. Raises Closed, Forked.
    fn accept(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let listening = self.open(py)?;
        let (place, is_first) = listening.accepts.join();
        if is_first {
            if let Some(left) = listening.take_left() {
                return future::done(py, Ok(left.take()));
            }
            match listening.listener.try_accept() {
                // No descriptor is left: waited for on the loop, as is a connection.
                Err(Error::WouldBlock(_) | Error::Os { .. }) => {}
                done => return future::done(py, done.or_raise(py).and_then(|accepted| stream::new(py, accepted))),
            }
        }
        let event_loop = listening.listener.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let answer = place.run(listening.accept()).await;
            listening.hand_over(promise, answer);
        })
    }

    /// Stops listening; any number of times. Those who wait for a connection end with Closed.
    fn close(&self, py: Python<'_>) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            if !listening.listener.event_loop().is_forked() {
                py.detach(|| listening.accepts.close());
            }
            drop(listening);
        }
    }

    /// The descriptor, which stays the listener's. Raises Closed.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.open(py)?.listener.as_raw_fd())
    }

    /// Where it listens, with the port that it was given: (host, port), or a Unix socket's path; also when closed.
    #[getter]
    fn local_address(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        address::of_stream(py, &self.local)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn __aiter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Ok(listening) = self.open(py) else {
            return Err(PyStopAsyncIteration::new_err(()));
        };
        let (place, _) = listening.accepts.join();
        let event_loop = listening.listener.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            match place.run(listening.accept()).await {
                Err(Error::Closed("listener")) => drop(promise.settle(|_| Err(PyStopAsyncIteration::new_err(())))),
                answer => listening.hand_over(promise, answer),
            }
        })
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { ", closed" } else { "" };
        format!("<libcoop.Listener at {}{state}>", self.local)
    }
}

with_block!(Listener, |this, py| {
    this.close(py);
    Ok(())
});

#[pymethods]
impl EventLoop {
    /// Listens at a numeric host, "0.0.0.0" and "::" for all, and a port, 0 for a free one; a Listener.
    ///
    /// `backlog` connections wait to be accepted; with `reuse_port` others may listen there too; `only_v6` says whether "::" takes IPv4
    /// connections. The rest is about each connection, as for `connect`. Any thread; it listens at once, accepting needs a loop that
    /// runs. Raises Os, ValueError, TypeError, Closed, Forked.
    #[pyo3(signature = (host, port, *, backlog = 4096, reuse_port = false, only_v6 = None, nodelay = false, keepalive = None,
                        linger = None, recv_buffer = None, send_buffer = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn listen(
        &self,
        py: Python<'_>,
        host: &str,
        port: i64,
        backlog: i64,
        reuse_port: bool,
        only_v6: Option<bool>,
        nodelay: bool,
        keepalive: Option<&Bound<'_, PyAny>>,
        linger: Option<f64>,
        recv_buffer: Option<usize>,
        send_buffer: Option<usize>,
    ) -> PyResult<Listener> {
        let stream = stream_options::stream(nodelay, keepalive, linger, recv_buffer, send_buffer)?;
        let backlog = stream_options::backlog(backlog)?;
        let options = core::ListenOptions { backlog, reuse_port, only_v6, stream, ..core::ListenOptions::default() };
        let address = address::of_parts(host, port)?;
        Ok(Listener::of(self.handle.listen(address, &options).or_raise(py)?))
    }

    /// Listens at a Unix socket: a path, or on Linux a name that begins with "\0" and is no file; a Listener.
    ///
    /// The file is removed when the listener is closed. With `replace` a socket's file that nobody listens at any more is replaced. Raises
    /// Exists if there is a file, and as `listen`.
    #[pyo3(signature = (path, *, backlog = 4096, replace = false, recv_buffer = None, send_buffer = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn listen_unix(
        &self,
        py: Python<'_>,
        path: PathBuf,
        backlog: i64,
        replace: bool,
        recv_buffer: Option<usize>,
        send_buffer: Option<usize>,
    ) -> PyResult<Listener> {
        let stream = stream_options::stream(false, None, None, recv_buffer, send_buffer)?;
        let backlog = stream_options::backlog(backlog)?;
        let options = core::ListenOptions { backlog, replace, stream, ..core::ListenOptions::default() };
        Ok(Listener::of(self.handle.listen_unix(path, &options).or_raise(py)?))
    }
}
