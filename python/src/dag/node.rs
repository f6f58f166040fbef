//! A node's function, what it is given, and what comes of it.

use std::sync::{Arc, OnceLock};

use coop_core::{
    Error,
    dag::{self, Answer, Call, Failure, Value},
};
use pyo3::{
    PyTraverseError, PyVisit, intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple},
};

use super::run::Shared;
use crate::{callback::Held, pool, report, thread_state};

/// A node's result, unless that is None, which is `Value::UNIT`.
struct Object(Held<Py<PyAny>>);

/// The exception that a node has ended with.
pub(super) struct Raised(Held<Py<PyAny>>);

impl Raised {
    pub(super) fn get(&self, py: Python<'_>) -> Py<PyAny> {
        self.0.get().clone_ref(py)
    }
}

/// What stands for a result that is not there.
fn skip(py: Python<'_>) -> PyResult<&Py<PyAny>> {
    static SKIP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    SKIP.get_or_try_init(py, || Ok(py.import("libcoop._dag_outcome")?.getattr("SKIP")?.unbind()))
}

/// A result, to be handed to others.
pub(super) fn value(object: Bound<'_, PyAny>) -> Value {
    if object.is_none() { Value::UNIT } else { Value::new(Object(Held::new(object.unbind()))) }
}

/// The object of a value: the last one who has it takes it out.
pub(super) fn object(py: Python<'_>, value: Value) -> PyResult<Py<PyAny>> {
    if value.is_unit() {
        return Ok(py.None());
    }
    match value.downcast::<Object>() {
        Ok(shared) => Ok(match Arc::try_unwrap(shared) {
            Ok(Object(own)) => own.take(),
            Err(shared) => shared.0.get().clone_ref(py),
        }),
        Err(_absent) => Ok(skip(py)?.clone_ref(py)),
    }
}

/// What a node's function has answered.
pub(super) fn answer(py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> Answer {
    match result {
        Ok(object) => match skip(py) {
            Ok(skip) if object.is(skip) => Err(Failure::skip()),
            Ok(_) => Ok(value(object)),
            Err(error) => Err(raised(py, error)),
        },
        Err(error) => Err(raised(py, error)),
    }
}

pub(super) fn raised(py: Python<'_>, error: PyErr) -> Failure {
    // Its own words are the user's code, which nobody may ever ask for.
    let class = error.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    let exception = error.into_value(py).into_any();
    Failure::with_cause(Error::Failed(format!("it raised {class}")), Value::new(Raised(Held::new(exception))))
}

/// The interpreter is gone.
fn gone() -> Failure {
    Failure::with_cause(Error::Closed("interpreter"), Value::UNIT)
}

/// A function of a node, with the names of the arguments that it takes by name: they are the last ones.
pub(super) struct Function {
    function: Py<PyAny>,
    keywords: Vec<String>,
}

impl Function {
    pub(super) fn new(function: Py<PyAny>, keywords: Vec<String>) -> Arc<Self> {
        Arc::new(Self { function, keywords })
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)
    }

    /// As a node of the pool.
    pub(super) fn cpu(self: &Arc<Self>) -> dag::Function {
        static KIND: OnceLock<usize> = OnceLock::new();
        let (this, kind) = (self.clone(), *KIND.get_or_init(dag::job_kind));
        dag::Function::Cpu(Arc::new(move |call| {
            let answer = thread_state::attach_for_many(kind, |py| this.run(py, call));
            pool::call_ended();
            answer.unwrap_or_else(|| Err(gone()))
        }))
    }

    fn run(&self, py: Python<'_>, call: &mut Call<'_>) -> Answer {
        let Some(run) = Shared::of(call) else { return Err(gone()) };
        if let Err(error) = pool::name_thread(py) {
            report::callback_raised(py, error, "naming a thread of the pool");
        }
        let result = (|| {
            // Each node has a copy: a context is entered by one thread at a time.
            let context = run.context(py)?;
            let values = std::iter::from_fn(|| call.next());
            let (args, keywords) = self.arguments(py, values, true)?;
            context.getattr(intern!(py, "run"))?.call(args, keywords.as_ref())
        })();
        run.heed(|| call.control());
        answer(py, result)
    }

    /// The function's arguments, behind itself if that is asked for.
    pub(super) fn arguments<'py>(
        &self,
        py: Python<'py>,
        values: impl Iterator<Item = Value>,
        behind_itself: bool,
    ) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
        let mut args: Vec<Py<PyAny>> = Vec::new();
        if behind_itself {
            args.push(self.function(py));
        }
        for value in values {
            args.push(object(py, value)?);
        }
        if self.keywords.is_empty() {
            return Ok((PyTuple::new(py, args)?, None));
        }
        let keywords = PyDict::new(py);
        for (name, value) in self.keywords.iter().zip(args.split_off(args.len() - self.keywords.len())) {
            keywords.set_item(name, value)?;
        }
        Ok((PyTuple::new(py, args)?, Some(keywords)))
    }

    pub(super) fn function(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }
}
