//! `EventLoop.sleep`, `readable` and `writable`: one timer or one watch, whose callback settles a future.

use std::sync::{Arc, Mutex, PoisonError};

use coop_core::event_loop::{Interest, On, Readiness, TimerOptions, WatchId, WatchOptions};
use pyo3::prelude::*;

use crate::{
    errors::OrRaise,
    event_loop::EventLoop,
    future::Promise,
    wait,
    watch::{bits, descriptor},
};

#[pymethods]
impl EventLoop {
    /// A future that ends with None when `delay` seconds have passed; cancelled, it ends its timer.
    ///
    /// Like every future of a loop it ends while somebody runs the loop, and with Closed when the loop is over first. Any thread.
    /// Raises ValueError for a delay below 0, Closed after `stop`, Forked.
    fn sleep(&self, py: Python<'_>, delay: f64) -> PyResult<Py<PyAny>> {
        let options = TimerOptions { after: wait::delay("delay", delay)?, on: On::Loop, ..TimerOptions::default() };
        let (future, promise) = Promise::new(py, &self.handle)?;
        let canceller = promise.canceller();
        let mut promise = Some(promise);
        let told = move |_| {
            if let Some(promise) = promise.take() {
                promise.settle(|py| Ok(py.None()));
            }
        };
        let id = self.handle.timer(options, told).or_raise(py)?;
        let event_loop = self.handle.downgrade();
        canceller.ends_by(move || {
            // Stale if it has just fired.
            let _ = event_loop.upgrade().map(|event_loop| event_loop.cancel_timer(id));
        });
        Ok(future)
    }

    /// A future that ends when a file descriptor, or what has `fileno()`, can be read without waiting, with what it is ready for:
    /// READ, ERROR, HANG_UP.
    ///
    /// The descriptor stays the caller's, who keeps it open until then, or cancels the future first. Any thread. Raises as `watch`:
    /// Exists also while another future waits for the same descriptor.
    fn readable(&self, fd: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.ready(fd, Interest::READ)
    }

    /// A future that ends when a write to a file descriptor would not wait, with WRITE, ERROR, HANG_UP; otherwise as `readable`.
    fn writable(&self, fd: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.ready(fd, Interest::WRITE)
    }
}

impl EventLoop {
    fn ready(&self, fd: &Bound<'_, PyAny>, interest: Interest) -> PyResult<Py<PyAny>> {
        let py = fd.py();
        let fd = descriptor(fd)?;
        let (future, promise) = Promise::new(py, &self.handle)?;
        let canceller = promise.canceller();
        let mut promise = Some(promise);
        // Told once, so edge-triggered does. Locked until the watch is made: its callback may come before that.
        let made: Arc<Mutex<Option<WatchId>>> = Arc::default();
        let mut making = made.lock().unwrap_or_else(PoisonError::into_inner);
        let options = WatchOptions { edge: true, on: On::Loop, ..WatchOptions::new(interest) };
        let told = {
            let (event_loop, made) = (self.handle.downgrade(), made.clone());
            move |readiness: Readiness| {
                let id = made.lock().unwrap_or_else(PoisonError::into_inner).take();
                // Ended before the future is told, so that the descriptor may be waited for again.
                if let (Some(id), Some(event_loop)) = (id, event_loop.upgrade()) {
                    let _ = event_loop.cancel_watch(id);
                }
                if let Some(promise) = promise.take() {
                    promise.settle(|py| Ok(bits(readiness).into_pyobject(py)?.into_any().unbind()));
                }
            }
        };
        let id = self.handle.watch(fd, options, told).or_raise(py)?;
        *making = Some(id);
        drop(making);
        let event_loop = self.handle.downgrade();
        canceller.ends_by(move || {
            let _ = event_loop.upgrade().map(|event_loop| event_loop.cancel_watch(id));
        });
        Ok(future)
    }
}
