//! The worker's side: calls, one after the other, on the main thread of a zygote's worker.

use std::sync::{Mutex, PoisonError};

use coop_core::{
    Error,
    process_pool::{Payload, Stopper, Ticket, Worker},
};
use pyo3::{intern, prelude::*, sync::PyOnceLock};

use super::{
    FAILED, RAISED, RETURNED, expect_large_objects,
    names::Names,
    pickling::{Pickled, pickled},
    unpickling::unpickled_call,
};
use crate::{errors::OrRaise, report};

const GIVEN: &str = "This was raised when what the call was given was unpickled in the worker.";
const RESULT: &str = "This was raised when the result of the call was pickled in the worker.";

/// What this process takes calls by.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct CallServer {
    worker: Mutex<Option<Worker>>,
    stopper: Stopper,
}

impl CallServer {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Worker>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl CallServer {
    /// Of the pool that this process was started for. Raises Invalid if it was started for none.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let none = || Error::Invalid("this process was started for the calls of a pool, and was told of none".into());
        let worker = py.detach(Worker::from_environment).and_then(|worker| worker.ok_or_else(none)).or_raise(py)?;
        Ok(Self { stopper: worker.stopper(), worker: Mutex::new(Some(worker)) })
    }

    /// Has `serve` return, now or when the call at hand is over. Any thread.
    fn stop(&self) {
        self.stopper.stop();
    }

    /// Says that this worker cannot begin, and no other one could: all calls of the pool fail for this reason.
    fn fail(&self, why: &str) {
        if let Some(worker) = &mut *self.lock() {
            worker.fail(why);
        }
    }

    /// Makes one call after the other, until there are to be no more.
    fn serve(&self, py: Python<'_>) -> PyResult<()> {
        let Some(mut worker) = self.lock().take() else { return Ok(()) };
        expect_large_objects();
        let mut names = Names::default();
        let mut taken = py.detach(|| worker.take()).or_raise(py)?;
        while let Some((ticket, payload)) = taken {
            let (status, answer) = match make(py, &mut names, payload) {
                Ok(result) => (RETURNED, Ok(result)),
                Err((error, note)) => (RAISED, told(py, error, note)),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    fail(py, &mut worker, &ticket, &error.to_string())?;
                    taken = py.detach(|| worker.take()).or_raise(py)?;
                    continue;
                }
            };
            // What holds the result itself is let go of before the next call is waited for.
            let at_once = answer.is_apart();
            let done = answer.with_parts(py, |parts| {
                py.detach(|| {
                    worker.done_in_pieces(&ticket, status, parts)?;
                    if at_once { worker.take().map(Some) } else { Ok(None) }
                })
            });
            drop(answer);
            taken = match done {
                Ok(Some(next)) => next,
                Ok(None) => py.detach(|| worker.take()).or_raise(py)?,
                Err(error @ Error::Os { .. }) => {
                    fail(py, &mut worker, &ticket, &format!("the result of the call cannot be sent: {error}"))?;
                    py.detach(|| worker.take()).or_raise(py)?
                }
                Err(error) => return Err(crate::errors::to_py(py, &error)),
            };
            // Handlers of the calls' own.
            if let Err(error) = py.check_signals() {
                report::callback_raised(py, error, "a signal handler of a call");
            }
        }
        Ok(())
    }
}

fn fail(py: Python<'_>, worker: &mut Worker, ticket: &Ticket, why: &str) -> PyResult<()> {
    py.detach(|| worker.done(ticket, FAILED, &[why.as_bytes()])).or_raise(py)
}

/// Makes a call: its result, pickled, or what it raised, with a note. All that was given to it is let go of.
fn make(py: Python<'_>, names: &mut Names, payload: Payload) -> Result<Pickled, (PyErr, Option<&'static str>)> {
    let call = unpickled_call(py, names, payload).map_err(|error| (error, Some(GIVEN)))?;
    let (f, args, kwargs) = call;
    let result = f.call(args, kwargs.as_ref());
    drop((f, kwargs));
    let result = result.map_err(|error| (error, None))?;
    pickled(&result, true).map_err(|error| (error, Some(RESULT)))
}

/// What a call raised, as `libcoop._process_pool_errors.made_again` takes it.
fn told(py: Python<'_>, error: PyErr, note: Option<&str>) -> PyResult<Pickled> {
    static TOLD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let import = || PyResult::Ok(py.import("libcoop._process_pool_worker")?.getattr(intern!(py, "told"))?.unbind());
    let told = TOLD.get_or_try_init(py, import)?.bind(py).call1((error.into_value(py), note))?;
    pickled(&told, true)
}
