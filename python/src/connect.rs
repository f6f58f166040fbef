//! `EventLoop.connect` and `connect_unix`.

use std::path::PathBuf;

use coop_core::event_loop::stream::ConnectOptions;
use pyo3::prelude::*;

use crate::{event_loop::EventLoop, future, stream, stream_options};

#[pymethods]
impl EventLoop {
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
}
