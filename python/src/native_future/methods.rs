//! What Python calls: the methods of `concurrent.futures.Future`, and the names that its functions reach into.

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyRuntimeError, PyTimeoutError},
    intern,
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};

use super::{End, Future, State, base, raised, waiting};

#[pymethods]
impl Future {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::new_pending()
    }

    /// Cancels it if it is pending; True if it is cancelled then.
    ///
    /// `_on_cancel` is called once, by the thread that cancelled it, before this returns; its exceptions pass through.
    fn cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        if let Some(far) = slf.get().far()
            && slf.get().state() == State::Pending
        {
            if !far.take_back(slf.py())? {
                return Ok(slf.get().cancelled());
            }
            // Nobody else will end it, nor tell who waits.
            Self::cancel_unrun(slf);
            return slf.call_method0(intern!(slf.py(), "_on_cancel")).map(|_| true);
        }
        match Self::end(slf, End::Cancel)? {
            Ok(()) => slf.call_method0(intern!(slf.py(), "_on_cancel")).map(|_| true),
            Err(state) => Ok(matches!(state, State::Cancelled | State::Notified)),
        }
    }

    /// What ends the operation when its future was cancelled. For subclasses; no lock is held.
    #[allow(clippy::unused_self, reason = "subclasses have their own")]
    fn _on_cancel(&self) {}

    /// Whether it was cancelled.
    fn cancelled(&self) -> bool {
        matches!(self.state(), State::Cancelled | State::Notified)
    }

    /// Whether its call runs now.
    fn running(&self) -> bool {
        self.state_there() == State::Running
    }

    /// Whether it was cancelled, or has its result or exception.
    fn done(&self) -> bool {
        self.state().is_done()
    }

    /// Waits for the result, at most `timeout` seconds, and returns it, or raises the call's exception.
    ///
    /// Raises TimeoutError, CancelledError if it was cancelled, and in a forked child Forked for one that only its parent can end. One
    /// of an event loop's that is not done raises WouldDeadlock on that loop's own thread, if there is no timeout.
    /// From any thread; the interpreter is free while it waits, and Ctrl-C ends the wait in the main thread.
    #[pyo3(signature = (timeout = None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        match self.outcome(py, timeout)? {
            (State::Raised, error) => Err(PyErr::from_value(error.into_bound(py))),
            (_, result) => Ok(result),
        }
    }

    /// As `result`, but answers the call's exception, or None if it returned.
    #[pyo3(signature = (timeout = None))]
    fn exception(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Py<PyAny>>> {
        let (state, outcome) = self.outcome(py, timeout)?;
        Ok((state == State::Raised).then_some(outcome))
    }

    /// Has `fn(future)` called when it is done, by the thread that ends it; at once, by this one, if it is.
    ///
    /// Callbacks run in the order they were added. An exception of one is logged (logger "concurrent.futures").
    #[pyo3(signature = (r#fn, /))]
    fn add_done_callback(slf: &Bound<'_, Self>, r#fn: Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        this.check_fork(slf.py())?;
        {
            let mut inner = this.lock();
            if !this.state().is_done() {
                inner.extras.get_or_insert_default().callbacks.push(r#fn.unbind());
                return Ok(());
            }
        }
        Self::call_back(slf, &r#fn)
    }

    /// For executors: marks it as running; False if it was cancelled, and then who waits is told.
    fn set_running_or_notify_cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        match Self::begin(slf)? {
            Ok(call) => Ok(call.is_some() || slf.get().state() == State::Running),
            Err(state) => {
                let logger = base(slf.py())?.getattr("LOGGER")?;
                let address = slf.as_ptr().addr();
                logger.call_method1("critical", ("Future %s in unexpected state: %s", address, state.name()))?;
                Err(PyRuntimeError::new_err("Future in unexpected state"))
            }
        }
    }

    /// For executors: ends it with a result. Raises InvalidStateError if it is done.
    fn set_result(slf: &Bound<'_, Self>, result: Py<PyAny>) -> PyResult<()> {
        Self::set_once(slf, End::Return(result))
    }

    /// For executors: ends it with an exception. Raises InvalidStateError if it is done.
    fn set_exception(slf: &Bound<'_, Self>, exception: Py<PyAny>) -> PyResult<()> {
        Self::set_once(slf, if exception.is_none(slf.py()) { End::Return(exception) } else { End::Raise(exception) })
    }

    /// The `threading.Condition` that `concurrent.futures` waits with, made now if it was not.
    #[getter]
    fn _condition<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.show(py)?.0)
    }

    #[getter]
    fn _waiters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.show(py)?.1)
    }

    #[getter]
    fn _state(&self, py: Python<'_>) -> Py<PyAny> {
        let name = match self.state_there() {
            State::Pending => intern!(py, "PENDING"),
            State::Running => intern!(py, "RUNNING"),
            State::Cancelled => intern!(py, "CANCELLED"),
            State::Notified => intern!(py, "CANCELLED_AND_NOTIFIED"),
            State::Returned | State::Raised => intern!(py, "FINISHED"),
        };
        name.clone().into_any().unbind()
    }

    #[getter]
    fn _result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let inner = self.lock();
        let outcome = if self.state() == State::Returned { inner.outcome.as_ref() } else { None };
        outcome.map(|outcome| outcome.clone_ref(py))
    }

    #[getter]
    fn _exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let inner = self.lock();
        let outcome = if self.state() == State::Raised { inner.outcome.as_ref() } else { None };
        outcome.map(|outcome| outcome.clone_ref(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let state = this.state_there();
        let outcome = match state {
            State::Returned | State::Raised => this.lock().outcome.as_ref().map(|outcome| outcome.clone_ref(slf.py())),
            _ => None,
        };
        let of = |outcome: Py<PyAny>| outcome.bind(slf.py()).get_type().name();
        let how = match (state, outcome) {
            (State::Pending, _) => "pending".to_owned(),
            (State::Running, _) => "running".to_owned(),
            (State::Cancelled | State::Notified, _) => "cancelled".to_owned(),
            (State::Raised, Some(error)) => format!("finished raised {}", of(error)?),
            (_, Some(result)) => format!("finished returned {}", of(result)?),
            (_, None) => "finished".to_owned(),
        };
        Ok(format!("<{} at {:#x} state={how}>", slf.get_type().name()?, slf.as_ptr().addr()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.visit(&visit)
    }

    fn __clear__(&self) {
        let inner = std::mem::take(&mut *self.lock());
        drop(inner);
    }
}

impl Future {
    fn set_once(future: &Bound<'_, Self>, end: End) -> PyResult<()> {
        Self::end(future, end)?.map_err(|state| match future.repr() {
            Ok(repr) => raised(future.py(), "InvalidStateError", (format!("{}: {repr}", state.name()),)),
            Err(error) => error,
        })
    }

    /// Waits for it: how it ended, and with what.
    fn outcome(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<(State, Py<PyAny>)> {
        if !self.state().is_done() && !waiting::wait(py, self, timeout)? {
            return Err(PyTimeoutError::new_err(()));
        }
        let inner = self.lock();
        if let Some(outcome) = inner.outcome.as_ref().map(|outcome| outcome.clone_ref(py)) {
            return Ok((self.state(), outcome));
        }
        drop(inner);
        Err(raised(py, "CancelledError", ()))
    }

    /// Makes the condition, and the list of those who wait, if they are not there.
    fn show<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyList>)> {
        self.check_fork(py)?;
        if let Some(shown) = self.shown(py) {
            return Ok(shown);
        }
        let condition = py.import(intern!(py, "threading"))?.call_method0(intern!(py, "Condition"))?;
        let mut made = Some((condition.unbind(), PyList::empty(py).unbind()));
        let (condition, waiters) = {
            let mut inner = self.lock();
            let shown = &mut inner.extras.get_or_insert_default().shown;
            let (condition, waiters) = shown.get_or_insert_with(|| made.take().expect("made above"));
            (condition.clone_ref(py), waiters.clone_ref(py))
        };
        Ok((condition.into_bound(py), waiters.into_bound(py)))
    }
}
