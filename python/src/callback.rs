//! A Python callable with its arguments, as the core's threads call it.

use pyo3::{exceptions::PyTypeError, prelude::*, types::PyTuple};

use crate::{report, thread_state};

/// Python objects that library threads hold. They are let go of attached, here and now: left to itself, a reference that is dropped
/// detached waits until some thread happens to enter the interpreter, in an idle program for ever.
///
/// Not to be dropped with a lock held that an attached thread may wait for.
pub(crate) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(crate) fn new(objects: T) -> Self {
        Self(Some(objects))
    }

    pub(crate) fn get(&self) -> &T {
        self.0.as_ref().expect("there until it is taken")
    }

    pub(crate) fn take(mut self) -> T {
        self.0.take().expect("there until it is taken")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(objects) = self.0.take() {
            thread_state::attach(|_| drop(objects));
        }
    }
}

/// Calls `f(*args)`; what it raises is reported as a callback of `whose`.
pub(crate) struct Callback(Held<(Py<PyAny>, Py<PyTuple>)>);

impl Callback {
    pub(crate) fn new(f: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        check_callable("callback", f)?;
        Ok(Self(Held::new((f.clone().unbind(), args.clone().unbind()))))
    }

    pub(crate) fn call(&self, whose: &str) {
        let (_, args) = self.0.get();
        self.call_with(whose, |py, f| f.call1(args.bind(py)));
    }

    /// For the last time: it is let go of before the thread detaches.
    pub(crate) fn call_once(self, whose: &str) {
        let (f, args) = self.0.take();
        thread_state::attach(|py| {
            let f = f.into_bound(py);
            report(&f, whose, f.call1(args.into_bound(py)));
        });
    }

    /// With other arguments than its own.
    pub(crate) fn call_with<'a>(
        &'a self,
        whose: &str,
        call: impl for<'py> FnOnce(Python<'py>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> + 'a,
    ) {
        // Without an interpreter there is nobody left to call.
        thread_state::attach(|py| {
            let f = self.0.get().0.bind(py);
            report(f, whose, call(py, f));
        });
    }
}

/// What becomes of the result of a callback of `whose`.
pub(crate) fn report(f: &Bound<'_, PyAny>, whose: &str, result: PyResult<Bound<'_, PyAny>>) {
    if let Err(error) = result {
        report::callback_raised(f.py(), error, &format!("callback {} of {whose}", name_of(f)));
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
