//! Core's errors as the exceptions of `libcoop._errors`, which are named like them.

use coop_core::{Error, Refused};
use pyo3::{prelude::*, sync::PyOnceLock, types::PyType};

/// The exception for an error of the core.
pub(crate) fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    static BASE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let made = BASE
        .get_or_try_init(py, || py.import("libcoop._errors").map(Bound::unbind))
        .and_then(|module| Ok(module.bind(py).getattr(error.name())?.cast_into::<PyType>()?))
        .and_then(|class| match error {
            // As OSError wants it: the number, then the text, to which it adds nothing.
            Error::Os { context, errno } => {
                let reason = std::io::Error::from_raw_os_error(*errno).to_string();
                let reason = reason.split(" (os error").next().unwrap_or_default().to_owned();
                class.call1((*errno, format!("{context}: {reason}")))
            }
            other => class.call1((other.to_string(),)),
        });
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// `?` for results of the core.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_py(py, &error))
    }
}

impl<T, U> OrRaise<T> for Result<T, Refused<U>> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|refused| to_py(py, &refused.error))
    }
}
