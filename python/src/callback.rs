//! A Python callable with its arguments, as the core's threads call it.

use pyo3::{exceptions::PyTypeError, prelude::*, types::PyTuple};

use crate::{report, thread_state};

/// Calls `f(*args)`; what it raises is reported as a callback of `whose`.
pub(crate) struct Callback {
    f: Py<PyAny>,
    args: Py<PyTuple>,
}

impl Callback {
    pub(crate) fn new(f: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        check_callable("callback", f)?;
        Ok(Self { f: f.clone().unbind(), args: args.clone().unbind() })
    }

    pub(crate) fn call(&self, whose: &str) {
        self.call_with(whose, |py, f| f.call1(self.args.bind(py)));
    }

    /// With other arguments than its own.
    pub(crate) fn call_with<'a>(
        &'a self,
        whose: &str,
        call: impl for<'py> FnOnce(Python<'py>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> + 'a,
    ) {
        // Without an interpreter there is nobody left to call.
        thread_state::attach(|py| {
            let f = self.f.bind(py);
            if let Err(error) = call(py, f) {
                report::callback_raised(py, error, &format!("callback {} of {whose}", name_of(f)));
            }
        });
    }
}

/// TypeError for what cannot be called.
pub(crate) fn check_callable(name: &str, f: &Bound<'_, PyAny>) -> PyResult<()> {
    if f.is_callable() {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("{name} must be callable, not {}", f.repr()?)))
}

fn name_of(f: &Bound<'_, PyAny>) -> String {
    let name =
        f.getattr("__qualname__").and_then(|name| name.extract()).or_else(|_| f.repr().map(|text| text.to_string()));
    name.unwrap_or_else(|_| "?".to_owned())
}
