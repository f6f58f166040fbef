//! Calls that are over: each ends its future, on the thread that hears of it, attached once for all of the moment.

use coop_core::{
    Error,
    process_pool::{Completion, Death, Outcome, Payload},
    supervisor::Ended,
};
use pyo3::{prelude::*, sync::PyOnceLock};

use super::{FAILED, NativeProcessPool, RAISED, RETURNED, unpickling::unpickled};
use crate::{errors::to_py, native_future::Future, report, thread_state};

/// What a call is submitted with, and what comes back with it.
pub(super) struct Waiting {
    pub(super) future: Py<Future>,
    /// The pool: it is there as long as it has calls.
    pub(super) owner: Py<NativeProcessPool>,
    /// For the words.
    pub(super) deadline: Option<f64>,
}

/// The calls that are over now.
pub(super) fn end(batch: Vec<Completion<Waiting>>) {
    thread_state::attach(|py| {
        for Completion { context, outcome, .. } in batch {
            let future = context.future.bind(py);
            let ended = match outcome {
                Outcome::Killed if context.owner.get().kills() => {
                    let died = made(py, "ended_with_its_pool", ());
                    Future::settle(future, Err(died.into_value(py).into_any()))
                }
                Outcome::Killed | Outcome::Cancelled => {
                    Future::cancel_unrun(future);
                    Ok(())
                }
                outcome => settle(py, &context, outcome),
            };
            if let Err(error) = ended {
                report::callback_raised(py, error, "ending a future of a process pool");
            }
            // Of a pool that was let go of, this may be the last that is left.
            drop(context);
        }
    });
}

fn settle(py: Python<'_>, context: &Waiting, outcome: Outcome) -> PyResult<()> {
    let future = context.future.bind(py);
    let raised = match result(py, context, outcome) {
        Ok(result) => return Future::settle(future, Ok(result)),
        Err(error) => error,
    };
    Future::settle(future, Err(raised.into_value(py).into_any()))
}

/// The result of a call, or what its future raises.
fn result(py: Python<'_>, context: &Waiting, outcome: Outcome) -> PyResult<Py<PyAny>> {
    match outcome {
        Outcome::Done { status: RETURNED, result } => match unpickled(py, 0, result) {
            Ok(result) => Ok(result.unbind()),
            Err(error) => Err(made(py, "not_made_again", (error.into_value(py),))),
        },
        Outcome::Done { status: RAISED, result } => Err(match unpickled(py, 0, result) {
            Ok(told) => made(py, "made_again", (told,)),
            Err(error) => error,
        }),
        Outcome::Done { status, result } => {
            let said = if status == FAILED && !result.is_empty() { text(&result) } else { "nothing is known".into() };
            Err(to_py(py, &Error::Failed(said)))
        }
        Outcome::Died(death) => Err(died(py, death)),
        Outcome::TimedOut { ran } => {
            let seconds = context.deadline.unwrap_or_default();
            let how = if ran { "its worker was ended" } else { "it had not begun" };
            Err(to_py(py, &Error::Timeout(format!("the call was not over within its deadline of {seconds} s: {how}"))))
        }
        Outcome::Broken(why) => {
            context.owner.bind(py).call_method1("_break", (&why,))?;
            Err(made(py, "broken", (why,)))
        }
        Outcome::Lost(why) => Err(to_py(py, &Error::Failed(why))),
        Outcome::Killed | Outcome::Cancelled => Err(to_py(py, &Error::Closed("call"))),
    }
}

fn text(result: &Payload) -> String {
    String::from_utf8_lossy(&result.part(0).to_vec()).into_owned()
}

fn died(py: Python<'_>, death: Death) -> PyErr {
    let (cause, code) = match &death.how {
        Ended::Exited(code) => (format!("exited with status {code}"), Some(*code)),
        Ended::Returned => ("exited with status 0".to_owned(), Some(0)),
        how @ Ended::Signaled { signal, .. } => (how.to_string(), Some(-signal)),
        how => (how.to_string(), None),
    };
    made(py, "died", (cause, death.pid, code, death.tail, death.details))
}

/// An exception that a function of `libcoop._process_pool_errors` makes.
pub(super) fn made<'py>(py: Python<'py>, name: &str, args: impl pyo3::call::PyCallArgs<'py>) -> PyErr {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = ERRORS.get_or_try_init(py, || py.import("libcoop._process_pool_errors").map(Bound::unbind));
    let made = module.and_then(|module| module.bind(py).getattr(name)?.call1(args));
    made.map_or_else(|error| error, PyErr::from_value)
}
