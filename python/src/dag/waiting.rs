//! Nodes that wait: coroutine functions, which are started on the loop's thread and driven by who was asked to.
//!
//! Between the node's future, which the core polls and drops, and the [`NodeEnd`], which who drives the coroutine has, stands a [`Place`] for the
//! answer. Either end may go first: an answer that comes too late is dropped, and a future that is dropped before it has one ends the coroutine.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use coop_core::{
    Error,
    dag::{self, Answer, AnswerFuture, Call, Control, Failure, Value},
};
use pyo3::prelude::*;

use super::{
    node::{self, Function},
    run::Shared,
};
use crate::{callback::Held, posts, report, thread_state};

#[derive(Default)]
struct Place {
    /// The answer came, or nobody waits for it.
    over: bool,
    answer: Option<Answer>,
    waker: Option<Waker>,
    /// What is called to end the coroutine.
    ends_by: Option<Held<Py<PyAny>>>,
}

type Shelf = Arc<Mutex<Place>>;

fn lock(shelf: &Shelf) -> MutexGuard<'_, Place> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first answer is the one.
fn settle(shelf: &Shelf, answer: Answer) {
    let mut place = lock(shelf);
    if place.over {
        // Dropped with the lock released: it is foreign code.
        drop(place);
        return drop(answer);
    }
    place.over = true;
    place.answer = Some(answer);
    let (waker, ends_by) = (place.waker.take(), place.ends_by.take());
    drop(place);
    drop(ends_by);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What the core waits with.
struct Waiting {
    shelf: Shelf,
    run: Arc<Shared>,
    control: Control,
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut place = lock(&self.shelf);
        if let Some(answer) = place.answer.take() {
            drop(place);
            self.run.heed(|| self.control.clone());
            return Poll::Ready(answer);
        }
        let before = place.waker.replace(cx.waker().clone());
        drop(place);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut place = lock(&self.shelf);
        place.over = true;
        let (answer, waker, ends_by) = (place.answer.take(), place.waker.take(), place.ends_by.take());
        drop(place);
        drop((answer, waker));
        if let Some(end) = ends_by {
            let end = Arc::new(Mutex::new(Some(end)));
            let later = end.clone();
            if self.run.post(posts::Call::Native(Box::new(move |py| call_end(py, &later)))).is_err() {
                // The loop is over.
                thread_state::attach(|py| call_end(py, &end));
            }
        }
    }
}

fn call_end(py: Python<'_>, end: &Mutex<Option<Held<Py<PyAny>>>>) {
    let end = end.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(end) = end else { return };
    if let Err(error) = end.take().call0(py) {
        report::callback_raised(py, error, "ending a coroutine");
    }
}

impl Function {
    /// As a node of the loop.
    pub(super) fn io(self: &Arc<Self>) -> dag::Function {
        let this = self.clone();
        dag::Function::Io(Arc::new(move |call| this.begin(call)))
    }

    fn begin(self: &Arc<Self>, call: &mut Call<'_>) -> AnswerFuture {
        let closed =
            || Box::pin(std::future::ready(Err(Failure::with_cause(Error::Closed("event loop"), Value::UNIT))));
        let Some(run) = Shared::of(call) else { return closed() };
        let values: Vec<Value> = std::iter::from_fn(|| call.next()).collect();
        let shelf = Shelf::default();
        let start = {
            let (this, run, shelf) = (self.clone(), run.clone(), shelf.clone());
            move |py: Python<'_>| this.start(py, &run, values, shelf)
        };
        match run.post(posts::Call::Native(Box::new(start))) {
            Ok(()) => Box::pin(Waiting { shelf, run, control: call.control() }),
            Err(_) => closed(),
        }
    }

    /// On the loop's thread.
    fn start(&self, py: Python<'_>, run: &Shared, values: Vec<Value>, shelf: Shelf) {
        if lock(&shelf).over {
            return;
        }
        let started = (|| {
            let (context, starter) = (run.context(py)?, run.starter(py)?);
            let (args, keywords) = self.arguments(py, values.into_iter(), false)?;
            let end = Py::new(py, NodeEnd(shelf.clone()))?;
            starter.bind(py).call1((self.function(py), args, keywords, context, end)).map(drop)
        })();
        if let Err(error) = started {
            settle(&shelf, Err(node::raised(py, error)));
        }
    }
}

/// The end of a node that waits, for who drives its coroutine. Let go of before, the node ends with Closed.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NodeEnd(Shelf);

#[pymethods]
impl NodeEnd {
    /// The coroutine returned this.
    #[pyo3(signature = (result, /))]
    fn returned(&self, result: Bound<'_, PyAny>) {
        settle(&self.0, node::answer(result.py(), Ok(result)));
    }

    /// It raised this.
    #[pyo3(signature = (exception, /))]
    fn raised(&self, exception: Bound<'_, PyAny>) {
        let py = exception.py();
        settle(&self.0, Err(node::raised(py, PyErr::from_value(exception))));
    }

    /// Has `callback()` called, once, if the coroutine is to end before that; now, if it is already.
    #[pyo3(signature = (callback, /))]
    fn ends_by(&self, callback: Bound<'_, PyAny>) -> PyResult<()> {
        let callback = Held::new(callback.unbind());
        let mut place = lock(&self.0);
        if !place.over {
            place.ends_by = Some(callback);
            return Ok(());
        }
        drop(place);
        Python::attach(|py| callback.take().call0(py).map(drop))
    }
}

impl Drop for NodeEnd {
    fn drop(&mut self) {
        if !lock(&self.0).over {
            settle(&self.0, Err(Failure::with_cause(Error::Closed("event loop"), Value::UNIT)));
        }
    }
}
