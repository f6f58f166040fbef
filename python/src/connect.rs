//! `EventLoop.connect`, `connect_unix` and `resolve`.

use std::path::PathBuf;

use coop_core::event_loop::stream::ConnectOptions;
use pyo3::{prelude::*, types::PyList};

use crate::{address, event_loop::EventLoop, future, stream, stream_options};

#[pymethods]
impl EventLoop {
    /// A future of a Stream to a host, by its name or address, and a port.
    ///
    /// A name is looked up without holding up the loop, and its addresses are tried in turn, the next a quarter of a second after the
    /// one before. `timeout` in seconds is for all of it. `local_address` is (host, port) to connect from. `nodelay` sends small writes
    /// at once; `keepalive` asks a silent peer: seconds, or (seconds, interval, count); `linger` seconds: closing waits for delivery, 0
    /// resets; `recv_buffer` and `send_buffer` are bytes that the system may hold.
    ///
    /// It ends with Resolve, Timeout, Os, whose text names the addresses that were tried, Closed. Any thread. Raises ValueError,
    /// TypeError, Closed after `stop`, Forked.
    #[pyo3(signature = (host, port, *, timeout = None, local_address = None, nodelay = false, keepalive = None, linger = None,
                        recv_buffer = None, send_buffer = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn connect(
        &self,
        py: Python<'_>,
        host: &str,
        port: i64,
        timeout: Option<f64>,
        local_address: Option<&Bound<'_, PyAny>>,
        nodelay: bool,
        keepalive: Option<&Bound<'_, PyAny>>,
        linger: Option<f64>,
        recv_buffer: Option<usize>,
        send_buffer: Option<usize>,
    ) -> PyResult<Py<PyAny>> {
        let options = ConnectOptions {
            timeout: stream_options::seconds("timeout", timeout)?,
            local: local_address.map(address::numeric).transpose()?,
            stream: stream_options::stream(nodelay, keepalive, linger, recv_buffer, send_buffer)?,
        };
        let connecting = self.handle.connect(host, address::port(port)?, &options);
        future::spawn(py, &self.handle, connecting, stream::new)
    }

    /// A future of a Stream to a Unix socket: a path, or on Linux a name that begins with "\0". Otherwise as `connect`.
    #[pyo3(signature = (path, *, timeout = None, recv_buffer = None, send_buffer = None))]
    fn connect_unix(
        &self,
        py: Python<'_>,
        path: PathBuf,
        timeout: Option<f64>,
        recv_buffer: Option<usize>,
        send_buffer: Option<usize>,
    ) -> PyResult<Py<PyAny>> {
        let options = ConnectOptions {
            timeout: stream_options::seconds("timeout", timeout)?,
            stream: stream_options::stream(false, None, None, recv_buffer, send_buffer)?,
            ..ConnectOptions::default()
        };
        future::spawn(py, &self.handle, self.handle.connect_unix(&path, &options), stream::new)
    }

    /// A future of the addresses of a host, by its name or address: a list of (host, port), in the system's order of preference, each with
    /// this port.
    ///
    /// It is looked up without holding up the loop. Ends with Resolve, which names the host. Any thread. Raises ValueError, Closed, Forked.
    #[pyo3(signature = (host, port = 0))]
    fn resolve(&self, py: Python<'_>, host: &str, port: i64) -> PyResult<Py<PyAny>> {
        let resolving = self.handle.resolve(host, address::port(port)?);
        future::spawn(py, &self.handle, resolving, |py, addresses| {
            let addresses = addresses.into_iter().map(|found| address::to_py(py, found));
            Ok(PyList::new(py, addresses.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
        })
    }
}
