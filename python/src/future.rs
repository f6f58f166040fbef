//! `libcoop.Future`s of a loop's operations, which threads of the library settle.
//!
//! A [`Promise`] is the native end of a future. It settles it once: with an outcome, or with `Closed` when it is dropped without one,
//! as happens to what still waits when its loop ends. Cancelled from Python, the future calls [`Operation::cancel`], which ends what
//! the promise stands for; settling it then does nothing. The promise holds the future and the operation holds how to end it, and
//! both let go when the one or the other has come.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{Error, event_loop::Handle};
use pyo3::{exceptions::PyException, intern, prelude::*, sync::PyOnceLock, types::PyType};

use crate::{
    callback::Held,
    errors::{OrRaise, to_py},
    native_future, report, thread_state,
};

/// How an operation is ended.
enum End {
    /// Not known yet.
    ToCome,
    By(Box<dyn FnOnce() + Send>),
    /// It has ended, or was cancelled.
    Over,
}

#[derive(Clone)]
struct Link(Arc<Mutex<End>>);

impl Link {
    fn replace(&self, end: End) -> End {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), end)
    }

    /// Says how the operation is ended; false if it is over already.
    fn ended_by(&self, end: impl FnOnce() + Send + 'static) -> bool {
        let mut link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = matches!(*link, End::ToCome);
        if waits {
            *link = End::By(Box::new(end));
        }
        waits
    }
}

/// What a future of an event loop stands for.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct Operation(Link);

#[pymethods]
impl Operation {
    /// Ends it, for its future was cancelled; again is fine.
    fn cancel(&self, py: Python<'_>) {
        let end = self.0.replace(End::Over);
        py.detach(|| {
            if let End::By(end) = end {
                end();
            }
        });
    }
}

/// The end of a future that settles it.
pub(crate) struct Promise {
    /// None once it is settled.
    future: Option<Held<Py<PyAny>>>,
    link: Link,
}

impl Promise {
    /// A future, and the promise that settles it on this loop's thread.
    pub(crate) fn new(py: Python<'_>, event_loop: &Handle) -> PyResult<(Py<PyAny>, Self)> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = CLASS.import(py, "libcoop._future", "LoopFuture")?;
        let link = Link(Arc::new(Mutex::new(End::ToCome)));
        let future = class.call1((Operation(link.clone()),))?;
        future.cast::<native_future::Future>()?.get().set_home(event_loop);
        let future = future.unbind();
        let promise = Self { future: Some(Held::new(future.clone_ref(py))), link };
        Ok((future, promise))
    }

    /// A future of a call that is queued, to be settled by [`Promise::run`]; cancelled before that, the call is not made.
    pub(crate) fn of_call(py: Python<'_>) -> PyResult<(Py<PyAny>, Self)> {
        let future = future_class(py)?.call0()?.unbind();
        let promise =
            Self { future: Some(Held::new(future.clone_ref(py))), link: Link(Arc::new(Mutex::new(End::ToCome))) };
        Ok((future, promise))
    }

    /// What is called, detached, when the future is cancelled. Taken before the promise is on its way to another thread, and told
    /// when the operation has begun.
    pub(crate) fn canceller(&self) -> Canceller {
        Canceller(self.link.clone())
    }

    /// Settles the future on this thread. False if it was cancelled before: then the outcome was made and dropped.
    pub(crate) fn settle(mut self, outcome: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> bool {
        self.future.take().is_some_and(|future| settle(future, &self.link, outcome))
    }

    /// [`Promise::settle`]; what came of `outcome` goes to `unwanted` if the future was cancelled before.
    pub(crate) fn settle_or(
        mut self,
        outcome: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>,
        unwanted: impl FnOnce(Py<PyAny>),
    ) {
        let Some(future) = self.future.take() else { return };
        let mut made = None;
        let told = settle(future, &self.link, |py| {
            let value = outcome(py)?;
            made = Some(Held::new(value.clone_ref(py)));
            Ok(value)
        });
        match made {
            Some(made) if !told => unwanted(made.take()),
            _ => {}
        }
    }

    /// Settles the future of a call with its outcome, whatever it raises; the call is not made if the future was cancelled.
    pub(crate) fn run<'py>(mut self, py: Python<'py>, call: impl FnOnce() -> PyResult<Bound<'py, PyAny>>) {
        let Some(future) = self.future.take() else { return };
        let future = future.take().into_bound(py);
        let ran = (|| {
            if !future.call_method0(intern!(py, "set_running_or_notify_cancel"))?.is_truthy()? {
                return Ok(());
            }
            set(&future, call()).map(drop)
        })();
        if let Err(error) = ran {
            report::callback_raised(py, error, "ending a future");
        }
    }

    /// [`Promise::settle`] with what the core answered.
    pub(crate) fn answer<T>(
        self,
        answer: coop_core::Result<T>,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>>,
    ) -> bool {
        self.settle(|py| convert(py, answer.or_raise(py)?))
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            settle(future, &self.link, |py| Err(to_py(py, &Error::Closed("event loop"))));
        }
    }
}

fn settle(future: Held<Py<PyAny>>, link: &Link, outcome: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> bool {
    // Out of the lock first: its drop is foreign code.
    drop(link.replace(End::Over));
    let future = future.take();
    let settled = thread_state::attach(|py| {
        let future = future.into_bound(py);
        match set(&future, outcome(py).map(|value| value.into_bound(py))) {
            Ok(_) => true,
            // It raises InvalidStateError, for it was cancelled.
            Err(error) if error.is_instance_of::<PyException>(py) => false,
            Err(error) => {
                report::callback_raised(py, error, "a callback of a future");
                true
            }
        }
    });
    settled == Some(true)
}

fn set<'py>(future: &Bound<'py, PyAny>, outcome: PyResult<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    match outcome {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,)),
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),)),
    }
}

fn future_class<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "libcoop._future", "Future")
}

/// See [`Promise::canceller`].
pub(crate) struct Canceller(Link);

impl Canceller {
    /// Has `end` called when the future is cancelled, unless the operation is over by now.
    pub(crate) fn ends_by(self, end: impl FnOnce() + Send + 'static) {
        self.0.ended_by(end);
    }
}

/// Runs an operation as a coroutine on a loop; the future has what `convert` makes of its answer. Cancelling the future drops the
/// operation on the loop's thread.
pub(crate) fn spawn<T: Send + 'static>(
    py: Python<'_>,
    event_loop: &Handle,
    operation: impl Future<Output = coop_core::Result<T>> + Send + 'static,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    spawn_settling(py, event_loop, |promise| async move {
        promise.answer(operation.await, convert);
    })
}

/// [`spawn`] for an operation that settles the future itself.
pub(crate) fn spawn_settling<F: Future<Output = ()> + Send + 'static>(
    py: Python<'_>,
    event_loop: &Handle,
    operation: impl FnOnce(Promise) -> F,
) -> PyResult<Py<PyAny>> {
    let (future, promise) = Promise::new(py, event_loop)?;
    let canceller = promise.canceller();
    let mut coroutine = event_loop.spawn(operation(promise)).or_raise(py)?;
    canceller.ends_by(move || {
        coroutine.cancel();
    });
    Ok(future)
}

/// A future that has ended.
pub(crate) fn done(py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    let future = future_class(py)?.call0()?;
    set(&future, outcome.map(|value| value.into_bound(py)))?;
    Ok(future.unbind())
}
