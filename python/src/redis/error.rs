//! What a server refuses, as the exceptions of `libcoop._redis_errors`.

use coop_core::{Error, net::redis::ServerError};
use pyo3::{prelude::*, sync::PyOnceLock};

fn made<'py>(py: Python<'py>, code: &str, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make =
        MAKE.get_or_try_init(py, || PyResult::Ok(py.import("libcoop._redis_errors")?.getattr("of_server")?.unbind()))?;
    make.bind(py).call1((code, text))
}

/// The exception, to be raised or to stand among the replies of a pipeline.
pub(crate) fn to_py<'py>(py: Python<'py>, said: &ServerError) -> PyResult<Bound<'py, PyAny>> {
    made(py, said.code(), &said.text())
}

pub(crate) fn raised(py: Python<'_>, said: &ServerError) -> PyErr {
    to_py(py, said).map_or_else(|error| error, PyErr::from_value)
}

/// The exception for a call that has no reply. What the server said when the connection was made is a refusal of it, too.
pub(crate) fn of_call(py: Python<'_>, error: &Error) -> PyErr {
    if let Error::Failed(text) = error {
        for code in ["WRONGPASS", "NOAUTH", "NOPERM"] {
            if text.contains(&format!(": {code} ")) {
                return made(py, code, text).map_or_else(|error| error, PyErr::from_value);
            }
        }
    }
    crate::errors::to_py(py, error)
}
