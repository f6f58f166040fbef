//! `EventLoop.udp` and `libcoop.UdpSocket`.
//!
//! Receives stand in a [`Line`], and so do sends. The first receive of the line has the inbox to itself; what the system gave and nobody
//! has got, because a receive was cancelled or wanted one datagram of many, stays there for the next.

use std::{
    future::Future,
    net::SocketAddr,
    os::fd::{AsRawFd, RawFd},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use coop_core::{
    Error, Result,
    event_loop::udp::{self, Datagrams, Outgoing, Receiver},
};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyList, PyTuple, PyType},
};

use crate::{
    address,
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::EventLoop,
    future,
    line::{Line, Place},
    stream::Data,
    with::with_block,
};

/// A UDP socket of a loop, as `EventLoop.udp` gives it. What comes and goes is Datagrams, tuples (data, address, received_ns).
///
/// Receives get what comes in the order they were asked for; sends keep theirs. What can be done at once is done at once, and its future
/// has ended when the call returns; the rest needs a loop that runs. Any thread. After `close` every call raises Closed, in a
/// forked child Forked; as a context manager it is closed at the end.
#[pyclass(frozen, weakref, module = "libcoop")]
pub(crate) struct UdpSocket {
    /// None once closed.
    socket: Mutex<Option<Detached<Arc<Socket>>>>,
}

struct Socket {
    bound: udp::Bound,
    inbox: Mutex<Inbox>,
    receives: Arc<Line>,
    sends: Arc<Line>,
}

#[derive(Default)]
struct Inbox {
    /// Made at the first receive.
    scratch: Option<Receiver>,
    datagrams: Datagrams,
    /// The first that nobody has got.
    next: usize,
}

/// The inbox in the hands of a receive.
struct Receiving {
    inbox: Inbox,
    socket: Arc<Socket>,
    // Goes last: the next receive finds the inbox.
    _place: Option<Place>,
}

impl Receiving {
    fn begin(socket: &Arc<Socket>) -> Self {
        let inbox = std::mem::take(&mut *socket.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        Self { inbox, socket: socket.clone(), _place: None }
    }

    /// Ends when something is in the inbox. Dropped, it has lost nothing.
    async fn fill(&mut self) -> Result<()> {
        let Inbox { scratch, datagrams, next } = &mut self.inbox;
        if *next < datagrams.len() {
            return Ok(());
        }
        datagrams.clear();
        *next = 0;
        // One call of the system's is the bound, so nothing is dropped here.
        self.socket.bound.receive(scratch.get_or_insert_default(), datagrams, usize::MAX).await.map(drop)
    }

    /// One datagram, or a list of all.
    fn answer(&self, py: Python<'_>, all: bool) -> PyResult<Py<PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = CLASS.import(py, "libcoop._udp", "Datagram")?;
        let datagrams = &self.inbox.datagrams;
        let mut sender: Option<(SocketAddr, Bound<'_, PyTuple>)> = None;
        let mut made = |index: usize| {
            let (data, from) = datagrams.get(index);
            let shown = match sender.take() {
                Some((known, shown)) if known == from => shown,
                _ => address::to_py(py, from)?,
            };
            let at = datagrams.received_at(index).and_then(|at| u64::try_from(at.as_nanos()).ok());
            let datagram = class.call1((PyBytes::new(py, data), &shown, at))?;
            sender = Some((from, shown));
            Ok(datagram)
        };
        if !all {
            return Ok(made(self.inbox.next)?.unbind());
        }
        let list = (self.inbox.next..datagrams.len()).map(made).collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, list)?.into_any().unbind())
    }

    fn got(&mut self, all: bool) {
        self.inbox.next = if all { self.inbox.datagrams.len() } else { self.inbox.next + 1 };
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        *self.socket.inbox.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut self.inbox);
    }
}

/// What an operation answers if it need not wait.
fn at_once<T>(operation: impl Future<Output = T>) -> Option<T> {
    match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

impl UdpSocket {
    fn open(&self, py: Python<'_>) -> PyResult<Arc<Socket>> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let open = socket.as_ref().map(|socket| Arc::clone(socket));
        let open = open.ok_or_else(|| to_py(py, &Error::Closed("UDP socket")))?;
        open.bound.io().check().or_raise(py)?;
        Ok(open)
    }

    fn get(&self, py: Python<'_>, all: bool) -> PyResult<Py<PyAny>> {
        let socket = self.open(py)?;
        let (place, is_first) = socket.receives.join();
        if is_first {
            let mut receiving = Receiving::begin(&socket);
            let filled = at_once(receiving.fill());
            if let Some(filled) = filled {
                let answer = filled.or_raise(py).and_then(|()| receiving.answer(py, all));
                if answer.is_ok() {
                    receiving.got(all);
                }
                receiving._place = Some(place);
                drop(receiving);
                return future::done(py, answer);
            }
        }
        let event_loop = socket.bound.io().event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let mut receiving = None;
            let filled = place
                .run(async {
                    // Not before its turn.
                    receiving.insert(Receiving::begin(&socket)).fill().await
                })
                .await;
            match (filled, receiving) {
                (Ok(()), Some(mut receiving)) => {
                    if promise.settle(|py| receiving.answer(py, all)) {
                        receiving.got(all);
                    }
                    receiving._place = Some(place);
                }
                (Err(error), receiving) => {
                    drop(receiving);
                    promise.settle(|py| Err(to_py(py, &error)));
                }
                (Ok(()), None) => {}
            }
        })
    }
}

#[pymethods]
impl UdpSocket {
    /// A future of the next Datagram. Cancelled, it loses nothing. That the network refused what was sent earlier is no error here.
    fn receive(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.get(py, false)
    }

    /// A future of a list of what has come, at least one Datagram: at most what one call of the system gives. Cancelled, it loses nothing.
    fn receive_batch(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.get(py, true)
    }

    /// A future that ends with None when the system has taken one datagram: `data`, bytes-like, for `address`, a tuple (host, port) with a
    /// numeric host, or for the connected peer.
    ///
    /// Ends with Invalid for one that no network carries, and with Os if the network refuses it, or (connected) refused an earlier one.
    /// Raises TypeError, ValueError.
    #[pyo3(signature = (data, address = None, /))]
    fn send(&self, data: &Bound<'_, PyAny>, address: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = data.py();
        let (data, to) = (Data::of(data)?, address.map(address::numeric).transpose()?);
        let socket = self.open(py)?;
        let (place, is_first) = socket.sends.join();
        if is_first && let Some(sent) = at_once(socket.bound.send_to(data.bytes(), to)) {
            return future::done(py, sent.or_raise(py).map(|()| py.None()));
        }
        let event_loop = socket.bound.io().event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let answer = place.run(socket.bound.send_to(data.bytes(), to)).await;
            promise.answer(answer, |py, ()| Ok(py.None()));
        })
    }

    /// A future of how many of these datagrams the system took, many at a time: an iterable of (data, address), with None for the
    /// address of the connected peer. Those that the network refuses are skipped.
    ///
    /// They are copied before the call returns. Cancelled, it may have sent a part. Raises Invalid for one that no network carries, and
    /// then sends none, TypeError, ValueError.
    #[pyo3(signature = (datagrams, /))]
    fn send_batch(&self, datagrams: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = datagrams.py();
        let mut out = Outgoing::new();
        for datagram in datagrams.try_iter()? {
            let (data, to): (Bound<'_, PyAny>, Option<Bound<'_, PyAny>>) = datagram?.extract()?;
            let to = to.as_ref().map(address::numeric).transpose()?;
            out.push(Data::of(&data)?.bytes(), to).or_raise(py)?;
        }
        let socket = self.open(py)?;
        let (place, is_first) = socket.sends.join();
        let mut before = 0;
        if is_first {
            let sent = py.detach(|| socket.bound.socket().send(&mut out));
            match sent {
                Ok(sent) if sent.would_block => before = sent.datagrams,
                done => {
                    let count =
                        done.or_raise(py).and_then(|sent| Ok(sent.datagrams.into_pyobject(py)?.into_any().unbind()));
                    return future::done(py, count);
                }
            }
        }
        let event_loop = socket.bound.io().event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let answer = place.run(socket.bound.send(&mut out)).await;
            promise.answer(answer, |py, sent| Ok((before + sent.datagrams).into_pyobject(py)?.into_any().unbind()));
        })
    }

    /// Sets the peer, (host, port) with a numeric host: what is sent without an address goes there, and only what it sends is received
    /// from now on. Raises Os, TypeError, ValueError.
    #[pyo3(signature = (address, /))]
    fn connect(&self, address: &Bound<'_, PyAny>) -> PyResult<()> {
        let peer = address::numeric(address)?;
        self.open(address.py())?.bound.socket().connect(peer).or_raise(address.py())
    }

    /// Closes it; any number of times. Operations that wait end with Closed, and then the descriptor closes.
    fn close(&self, py: Python<'_>) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(socket) = socket {
            if socket.bound.io().check().is_ok() {
                py.detach(|| {
                    socket.receives.close();
                    socket.sends.close();
                });
            }
            drop(socket);
        }
    }

    /// The descriptor, which stays the socket's.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.open(py)?.bound.socket().as_raw_fd())
    }

    /// Where it is bound: (host, port). Raises Os.
    #[getter]
    fn local_address(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Ok(address::to_py(py, self.open(py)?.bound.socket().local_addr().or_raise(py)?)?.unbind())
    }

    /// What the system has dropped because its buffer for this socket was full, in its own units, modulo 2**32; None where it does not say.
    #[getter]
    fn kernel_dropped(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        Ok(self.open(py)?.bound.socket().kernel_dropped())
    }

    /// Whether it was closed here.
    #[getter]
    fn closed(&self) -> bool {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.open(py).and_then(|socket| socket.bound.socket().local_addr().or_raise(py)) {
            Ok(local) => format!("<libcoop.UdpSocket at {local}>"),
            Err(_) => "<libcoop.UdpSocket closed>".to_owned(),
        }
    }
}

with_block!(UdpSocket, |this, py| {
    this.close(py);
    Ok(())
});

#[pymethods]
impl EventLoop {
    /// A UdpSocket bound to a numeric host, "0.0.0.0" and "::" for all, and a port, 0 for a free one.
    ///
    /// `peer`, (host, port), is whom it is connected to; others may bind a port with `reuse_port` too, and the system spreads the senders;
    /// with `receive_times` each datagram says when it came; `recv_buffer` and `send_buffer` are bytes that the system may hold. Any
    /// thread. Raises Os, Unsupported (receive times), ValueError, TypeError, Closed, Forked.
    #[pyo3(signature = (host, port, *, peer = None, reuse_port = false, receive_times = false, recv_buffer = None, send_buffer = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn udp(
        &self,
        py: Python<'_>,
        host: &str,
        port: i64,
        peer: Option<&Bound<'_, PyAny>>,
        reuse_port: bool,
        receive_times: bool,
        recv_buffer: Option<usize>,
        send_buffer: Option<usize>,
    ) -> PyResult<UdpSocket> {
        let address = address::of_parts(host, port)?;
        let peer = peer.map(address::numeric).transpose()?;
        let options =
            udp::UdpOptions { recv_buffer, send_buffer, reuse_port, receive_times, ..udp::UdpOptions::default() };
        let socket = udp::UdpSocket::bind(address, &options).or_raise(py)?;
        peer.map_or(Ok(()), |peer| socket.connect(peer)).or_raise(py)?;
        let bound = udp::Bound::new(&self.handle, socket).or_raise(py)?;
        let (receives, sends) = (Line::of("UDP socket"), Line::of("UDP socket"));
        let socket = Arc::new(Socket { bound, inbox: Mutex::default(), receives, sends });
        Ok(UdpSocket { socket: Mutex::new(Some(Detached::new(socket))) })
    }
}
