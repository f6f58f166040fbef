//! Waiting that Ctrl-C can end: in slices ([`wait`]), or for a future, without waking up for nothing ([`until`]).

mod until;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use coop_core::fork::Process;
use pyo3::{exceptions::PyValueError, prelude::*};

pub(crate) use self::until::until;

/// How long a signal may wait to be heard, by the main thread while it waits. No other thread looks, nor wakes up to.
const SLICE: Duration = Duration::from_millis(50);

/// `timeout` in seconds as Python gives it: `None` is for ever, and a negative one is over.
pub(crate) fn timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds.map(duration_or_zero).transpose()
}

fn duration_or_zero(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err("timeout must be a number of seconds or None, not nan"));
    }
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// A delay in seconds; `name` says which, when it is refused.
pub(crate) fn delay(name: &str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("{name} must be at least 0 seconds, not {seconds}")));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Whether signals are handled in this thread.
pub(crate) fn in_main_thread(py: Python<'_>) -> PyResult<bool> {
    // In a forked child the thread that forked is the main thread.
    thread_local!(static KNOWN: Cell<Option<(Process, bool)>> = const { Cell::new(None) });
    if let Some((process, main)) = KNOWN.get()
        && !process.is_forked()
    {
        return Ok(main);
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("get_ident")?.eq(threading.call_method0("main_thread")?.getattr("ident")?)?;
    KNOWN.set(Some((Process::current(), main)));
    Ok(main)
}

/// Calls `step` with how long it may wait until it has an answer or the time is over, then answers its last; signals are
/// handled in between. `step` answers `Err` for "not yet".
pub(crate) fn wait<T: Send, E: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    step: impl Fn(Duration) -> Result<T, E> + Sync,
    not_yet: impl Fn(&E) -> bool,
) -> PyResult<Result<T, E>> {
    let longest = if in_main_thread(py)? { SLICE } else { Duration::MAX };
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = left.map_or(longest, |left| left.min(longest));
        let answer = py.detach(|| step(slice));
        match &answer {
            Err(error) if not_yet(error) && left.is_none_or(|left| left > slice) => py.check_signals()?,
            _ => return Ok(answer),
        }
    }
}
