//! `Stream.send_descriptors` and `receive_descriptors`, and `EventLoop.adopt`.
//!
//! Unsafe is here for two things: a number that Python gives is borrowed as a descriptor, for as long as it takes to duplicate it, or
//! it is taken over.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use coop_core::{Error, event_loop::stream as core};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyInt},
};

use crate::{
    errors::to_py,
    event_loop::EventLoop,
    future,
    stream::{Data, STEP, Stream, count},
    watch::descriptor,
};

#[pymethods]
impl Stream {
    /// A future that ends with None when `data`, at least one byte, is with the system, and with it these descriptors: numbers or what has
    /// `fileno()`. Unix streams only.
    ///
    /// They are duplicated before the call returns. In line with the writes, and cancelled as they are. Raises ValueError, TypeError, Os.
    #[pyo3(signature = (data, descriptors, /))]
    fn send_descriptors(&self, data: &Bound<'_, PyAny>, descriptors: Vec<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = data.py();
        let data = Data::of(data)?;
        let copies = descriptors.iter().map(|one| duplicate(py, descriptor(one)?));
        let copies = copies.collect::<PyResult<Vec<_>>>()?;
        let connection = self.open(py)?;
        let (place, _) = connection.writes.join();
        let event_loop = connection.stream.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let answer = place.run(async {
                let borrowed: Vec<_> = copies.iter().map(AsFd::as_fd).collect();
                let sent = connection.stream.send_with_fds(data.bytes(), &borrowed).await?;
                connection.stream.write_all(&data.bytes()[sent..]).await
            });
            let answer = answer.await;
            promise.answer(answer, |py, ()| Ok(py.None()));
        })
    }

    /// A future of (bytes, descriptors): up to `n` bytes, b"" at the end, and up to `most` descriptors that came with them, which are the
    /// caller's to close.
    ///
    /// In line with the reads; cancelled, it loses nothing. A plain read drops the descriptors that come with its bytes. Ends with Failed if there were more, which are
    /// closed. Raises ValueError.
    #[pyo3(signature = (n = 65536, most = 16, /))]
    fn receive_descriptors(&self, py: Python<'_>, n: i64, most: i64) -> PyResult<Py<PyAny>> {
        let n = count(n)?.min(STEP);
        let most =
            usize::try_from(most).map_err(|_| PyValueError::new_err(format!("most must be at least 0, not {most}")))?;
        let connection = self.open(py)?;
        let (place, _) = connection.reads.join();
        let event_loop = connection.stream.event_loop().clone();
        future::spawn_settling(py, &event_loop, move |promise| async move {
            let (place, connection) = (place, connection);
            let answer = place.run(async {
                let before = connection.take_unread(n);
                if !before.is_empty() {
                    return Ok((before, connection.take_descriptors(most)));
                }
                let mut bytes = vec![0; n];
                let received = connection.stream.recv_with_fds(&mut bytes, most).await?;
                if received.truncated {
                    let text = format!("more than {most} descriptors came with a message: they were closed");
                    return Err(Error::Failed(text));
                }
                bytes.truncate(received.bytes);
                Ok((bytes, received.descriptors))
            });
            match answer.await {
                Err(error) => drop(promise.settle(|py| Err(to_py(py, &error)))),
                Ok((bytes, descriptors)) => {
                    let told = promise.settle(|py| {
                        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
                        Ok((PyBytes::new(py, &bytes), numbers).into_pyobject(py)?.into_any().unbind())
                    });
                    if told {
                        // The numbers are the caller's now.
                        descriptors.into_iter().for_each(|descriptor| _ = descriptor.into_raw_fd());
                    } else {
                        connection.give_descriptors_back(descriptors);
                        connection.give_back(&bytes);
                    }
                }
            }
        })
    }
}

#[pymethods]
impl EventLoop {
    /// A Stream of a connected TCP or Unix stream socket: a `socket.socket`, which is detached from its descriptor, or the number of a
    /// descriptor, such as `receive_descriptors` answers, which is the Stream's from now on. It is made non-blocking.
    ///
    /// Any thread. Refused, it stays the caller's. Raises Invalid for what is no stream socket, Exists for one that has a watch, Os,
    /// ValueError, TypeError, Closed after `stop`, Forked.
    #[pyo3(signature = (socket, /))]
    fn adopt(&self, socket: &Bound<'_, PyAny>) -> PyResult<Stream> {
        let py = socket.py();
        let is_number = socket.is_instance_of::<PyInt>();
        if !is_number && !socket.is_instance(&py.import("socket")?.getattr("socket")?)? {
            let text = format!("socket must be a socket.socket or the number of a descriptor, not {}", socket.repr()?);
            return Err(PyTypeError::new_err(text));
        }
        let fd = not_negative(descriptor(socket)?)?;
        // SAFETY: not -1. Whoever gives the number gives the descriptor with it; if that is refused, it is let go of below unclosed. If
        // it is open no more, the system says so at the first look.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        match core::Stream::from_fd(&self.handle, owned) {
            Ok(stream) => {
                let stream = Stream::of(stream);
                if !is_number {
                    socket.call_method0("detach")?;
                }
                Ok(stream)
            }
            Err(refused) => {
                _ = refused.value.into_raw_fd();
                Err(to_py(py, &refused.error))
            }
        }
    }
}

fn not_negative(fd: RawFd) -> PyResult<RawFd> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("file descriptor {fd} is negative")));
    }
    Ok(fd)
}

/// A descriptor of the caller's, as one of ours.
pub(crate) fn duplicate(py: Python<'_>, fd: RawFd) -> PyResult<OwnedFd> {
    let fd = not_negative(fd)?;
    // SAFETY: not -1, by the look above; used only for the call that duplicates it, while the caller, who gave the number, keeps it
    // open. If it is open no more, the system says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map_err(|error| to_py(py, &Error::os(format!("send fd {fd}"), &error)))
}
