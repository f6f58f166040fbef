//! Services on threads of the host's process.

use std::sync::Arc;

use coop_core::supervisor::Thread;
use pyo3::prelude::*;

use super::{ServiceContext, attendant::Attended, options::NativeExecutor};
use crate::{callback, errors::OrRaise, thread_state};

/// Calls `run(context)` on a thread of its own; a text that it answers is why the run failed.
#[pyfunction]
#[pyo3(name = "_on_thread")]
pub(crate) fn on_thread(run: &Bound<'_, PyAny>) -> PyResult<NativeExecutor> {
    callback::check_callable("run", run)?;
    let run = Arc::new(Attended::new(run.py(), run.clone().unbind()).or_raise(run.py())?);
    Ok(NativeExecutor::new(Thread::new(move |context| {
        let ran = thread_state::attach(|py| {
            let context = Bound::new(py, ServiceContext::new(context))?;
            run.get().bind(py).call1((context,))?.extract::<Option<String>>()
        });
        match ran {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(failed))) => Err(failed),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the interpreter has ended".to_owned()),
        }
    })))
}
