//! Answers of a host: waited for here, or as a future for coroutines.

use std::future::Future;

use pyo3::prelude::*;

use super::attendant::attendant;
use crate::{
    errors::{OrRaise, to_py},
    future, wait,
};

/// With `waits` what `convert` makes of the answer, waited for here; Ctrl-C ends the wait, and the host goes on with what it was asked.
/// Without, a future of it.
pub(super) fn answer<T: Send + 'static>(
    py: Python<'_>,
    asked: impl Future<Output = coop_core::Result<T>> + Send + 'static,
    waits: bool,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    if !waits {
        return future::spawn(py, &attendant(py).or_raise(py)?, asked, convert);
    }
    match wait::until(py, None, asked)? {
        Some(answer) => convert(py, answer.or_raise(py)?),
        None => Err(to_py(py, &coop_core::Error::Timeout("the host has not answered yet".into()))),
    }
}
