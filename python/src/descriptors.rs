//! `Stream.send_descriptors` and `receive_descriptors`.
//!
//! Unsafe is here for one thing: a number that Python gives is borrowed as a descriptor, for as long as it takes to duplicate it.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use coop_core::Error;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

use crate::{
    errors::to_py,
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
    /// In line with the reads; a plain read drops the descriptors that come with its bytes. Ends with Failed if there were more, which are
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
                    return Ok((before, Vec::new()));
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
                        let numbers: Vec<RawFd> = descriptors.into_iter().map(IntoRawFd::into_raw_fd).collect();
                        Ok((PyBytes::new(py, &bytes), numbers).into_pyobject(py)?.into_any().unbind())
                    });
                    if !told {
                        connection.give_back(&bytes);
                    }
                }
            }
        })
    }
}

fn duplicate(py: Python<'_>, fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("file descriptor {fd} is negative")));
    }
    // SAFETY: not -1, by the look above; used only for the call that duplicates it, while the caller, who gave the number, keeps it
    // open. If it is open no more, the system says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map_err(|error| to_py(py, &Error::os(format!("send fd {fd}"), &error)))
}
