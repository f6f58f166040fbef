//! Waiting for a future of the core: nothing wakes up meanwhile but for its answer, the deadline, and in the main thread for signals.
//!
//! In the main thread the interpreter's signal handlers and the future's waker write to one socket, which is read: so a signal that
//! comes at any moment is heard, whichever thread the system gives it to. `signal.set_wakeup_fd` is put back afterwards, and what came
//! meanwhile is passed on to the descriptor that was there.

use std::{
    future::Future,
    io::{ErrorKind, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use coop_core::Error;
use pyo3::{prelude::*, sync::PyOnceLock, types::PyDict};

use super::in_main_thread;
use crate::errors::to_py;

/// Waits for `future`, detached; `None` at the deadline. In the main thread signal handlers run meanwhile, and what they raise ends
/// the wait.
pub(crate) fn until<F: Future<Output: Send> + Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    future: F,
) -> PyResult<Option<F::Output>> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut future = pin!(future);
    if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(Some(answer));
    }
    if in_main_thread(py)? {
        let wakeups = Wakeups::new(py)?;
        let waited = wakeups.wait(py, future.as_mut(), deadline);
        return wakeups.leave(py, waited);
    }
    Ok(py.detach(|| parked(future, deadline)))
}

/// Nothing is left of the time.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn parked<F: Future>(mut future: Pin<&mut F>, deadline: Option<Instant>) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(answer);
        }
        if is_over(deadline) {
            return None;
        }
        match deadline {
            Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

/// The sending end.
struct Knock(UnixStream);

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        // Full is fine: then there is something to read.
        let _ = (&self.0).write(&[0]);
    }
}

/// What the main thread hears.
struct Wakeups {
    heard: UnixStream,
    knock: Arc<Knock>,
    /// What `set_wakeup_fd` had before; none outside the main interpreter, whose signals are handled elsewhere.
    previous: Option<i64>,
    /// Numbers of signals, for who had it before.
    passed_on: std::cell::RefCell<Vec<u8>>,
}

impl Wakeups {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let pair = || {
            let (heard, knock) = UnixStream::pair()?;
            knock.set_nonblocking(true)?;
            Ok((heard, knock))
        };
        let (heard, knock) = pair().map_err(|error| to_py(py, &Error::os("listen for signals", &error)))?;
        let previous = set_wakeup_fd(py, i64::from(knock.as_raw_fd())).ok();
        Ok(Self { heard, knock: Arc::new(Knock(knock)), previous, passed_on: std::cell::RefCell::default() })
    }

    fn wait<F: Future<Output: Send> + Send>(
        &self,
        py: Python<'_>,
        mut future: Pin<&mut F>,
        deadline: Option<Instant>,
    ) -> PyResult<Option<F::Output>> {
        let waker = Waker::from(self.knock.clone());
        let mut signals = [0; 64];
        loop {
            // What came before it was listened for, too.
            py.check_signals()?;
            let (heard, signals) = (&self.heard, &mut signals);
            let (answer, count) = py.detach(|| {
                if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return (Some(answer), 0);
                }
                (None, read(heard, signals, deadline))
            });
            if answer.is_some() || (count == 0 && is_over(deadline)) {
                return Ok(answer);
            }
            self.passed_on.borrow_mut().extend(signals[..count].iter().filter(|byte| **byte != 0));
        }
    }

    fn leave<T>(self, py: Python<'_>, waited: PyResult<T>) -> PyResult<T> {
        let Some(previous) = self.previous else { return waited };
        if set_wakeup_fd(py, previous).is_err() {
            // It was closed meanwhile.
            let _ = set_wakeup_fd(py, -1);
        } else if previous >= 0 && !self.passed_on.borrow().is_empty() {
            // Full or closed: its owner hears of the signals by their handlers.
            let _ = py.import("os").and_then(|os| os.call_method1("write", (previous, &self.passed_on.borrow()[..])));
        }
        waited
    }
}

/// How many bytes came; 0 at the deadline, or when a signal came instead.
fn read(mut heard: &UnixStream, bytes: &mut [u8], deadline: Option<Instant>) -> usize {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left == Some(Duration::ZERO) || heard.set_read_timeout(left).is_err() {
        return 0;
    }
    match heard.read(bytes) {
        Ok(count) => count,
        Err(error) => {
            debug_assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted), "{error}");
            0
        }
    }
}

fn set_wakeup_fd(py: Python<'_>, fd: i64) -> PyResult<i64> {
    // The C module's: no Python code runs in it, so no signal handler does.
    static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let set = SET.get_or_try_init(py, || Ok::<_, PyErr>(py.import("_signal")?.getattr("set_wakeup_fd")?.unbind()))?;
    let options = PyDict::new(py);
    options.set_item("warn_on_full_buffer", false)?;
    set.bind(py).call((fd,), Some(&options))?.extract()
}
