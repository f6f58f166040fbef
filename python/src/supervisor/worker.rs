//! The run of a worker, for `libcoop._worker`: one in a process, kept until that ends.

use std::sync::OnceLock;

use coop_core::{error::Error, supervisor::worker::Run};
use pyo3::prelude::*;

use super::context::ServiceContext;
use crate::errors::OrRaise;

static RUN: OnceLock<Run> = OnceLock::new();

fn run(py: Python<'_>) -> PyResult<&'static Run> {
    RUN.get().ok_or(Error::Closed("run")).or_raise(py)
}

/// Begins what the environment says of this process's run, which each of these signals asks to stop from now on; what its entry is
/// given. None if this process was not started for one. Once in a process.
#[pyfunction]
#[pyo3(name = "_begin_run")]
pub(crate) fn begin_run(py: Python<'_>, signals: Vec<i32>) -> PyResult<Option<ServiceContext>> {
    let Some(begun) = py.detach(|| Run::from_environment(&signals)).or_raise(py)? else { return Ok(None) };
    let context = ServiceContext::new(begun.context().clone());
    RUN.set(begun).map_err(|_| Error::Exists("a run of this process".into())).or_raise(py)?;
    Ok(Some(context))
}

/// Its entry is made, and about to run.
#[pyfunction]
#[pyo3(name = "_run_begun")]
pub(crate) fn run_begun(py: Python<'_>) -> PyResult<()> {
    let run = run(py)?;
    py.detach(|| run.begun());
    Ok(())
}

/// It is about to end with this error, and status 1; it need not have begun.
#[pyfunction]
#[pyo3(name = "_run_failed")]
pub(crate) fn run_failed(py: Python<'_>, text: String) -> PyResult<()> {
    py.detach(|| match RUN.get() {
        Some(run) => {
            run.failed(&text);
            Ok(())
        }
        None => Run::never_began(&text),
    })
    .or_raise(py)
}
