//! Options of connections and listeners, as keyword arguments give them.

use std::time::Duration;

use coop_core::event_loop::stream::{KeepAlive, StreamOptions};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
};

use crate::wait;

/// `keepalive` as Python gives it: seconds, (seconds, interval, count), None.
pub(crate) fn keepalive(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<KeepAlive>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(None) };
    if let Ok(idle) = given.extract::<f64>() {
        return Ok(Some(KeepAlive::after(wait::delay("keepalive", idle)?)));
    }
    let parts: Result<(f64, f64, i64), _> = given.extract();
    let Ok((idle, interval, count)) = parts else {
        let shown = given.repr()?;
        return Err(PyTypeError::new_err(format!(
            "keepalive must be seconds, (seconds, interval, count) or None, not {shown}"
        )));
    };
    let count = u32::try_from(count)
        .map_err(|_| PyValueError::new_err(format!("keepalive count must be 1 to 127, not {count}")))?;
    Ok(Some(KeepAlive {
        idle: wait::delay("keepalive", idle)?,
        interval: Some(wait::delay("keepalive interval", interval)?),
        count: Some(count),
    }))
}

/// A time that may be left out.
pub(crate) fn seconds(name: &str, given: Option<f64>) -> PyResult<Option<Duration>> {
    given.map(|seconds| wait::delay(name, seconds)).transpose()
}

/// The options of one connection.
pub(crate) fn stream(
    nodelay: bool,
    keepalive: Option<&Bound<'_, PyAny>>,
    linger: Option<f64>,
    recv_buffer: Option<usize>,
    send_buffer: Option<usize>,
) -> PyResult<StreamOptions> {
    Ok(StreamOptions {
        nodelay,
        keepalive: self::keepalive(keepalive)?,
        linger: seconds("linger", linger)?,
        recv_buffer,
        send_buffer,
        ..StreamOptions::default()
    })
}

/// How many connections may wait.
pub(crate) fn backlog(given: i64) -> PyResult<u32> {
    u32::try_from(given).map_err(|_| PyValueError::new_err(format!("backlog must be 0 to {}, not {given}", u32::MAX)))
}
