//! The workers under `libcoop.Pool`, which `libcoop/_pool.py` makes an executor of.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coop_core::{CpuSet, Error, Job, Pool, PoolOptions, Priority, Runtime, ShutdownMode, SubmitOptions};
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{
    errors::{OrRaise, to_py},
    report, thread_state, wait,
};

/// How many calls have ended, of all pools: whether there is progress.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// One call of a `concurrent.futures.Future`: it ends the future, by its run or instead of it.
struct Work {
    /// None once it has run.
    call: Option<Call>,
}

struct Call {
    future: Py<PyAny>,
    f: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
}

impl Work {
    fn run(mut self: Box<Self>) {
        let Some(call) = self.call.take() else { return };
        thread_state::attach(|py| {
            if let Err(error) = call.run(py) {
                report::callback_raised(py, error, "ending a future of the pool");
            }
        });
    }
}

impl Call {
    fn run(self, py: Python<'_>) -> PyResult<()> {
        let future = self.future.bind(py);
        if !future.call_method0("set_running_or_notify_cancel")?.is_truthy()? {
            return Ok(());
        }
        let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
        let result = self.f.bind(py).call(self.args.bind(py), kwargs);
        // The call's own objects go before the future is done, as its waiter may expect.
        drop((self.f, self.args));
        match result {
            Ok(result) => future.call_method1("set_result", (result,))?,
            Err(error) => future.call_method1("set_exception", (error.into_value(py),))?,
        };
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        ENDED.fetch_add(1, Ordering::Relaxed);
        let Some(call) = self.call.take() else { return };
        // Dropped unrun, by a pool that was shut down: whoever waits for the future is told.
        thread_state::attach(|py| {
            let future = call.future.bind(py);
            let ended = future.call_method0("cancel").and_then(|_| future.call_method0("set_running_or_notify_cancel"));
            if let Err(error) = ended {
                report::callback_raised(py, error, "cancelling a future of the pool");
            }
            drop(call);
        });
    }
}

/// See the module's text.
#[pyclass(frozen, weakref, module = "libcoop._libcoop", name = "Pool")]
pub(crate) struct NativePool {
    source: Source,
}

enum Source {
    /// None only while it is dropped.
    Own(Option<Pool>),
    Runtime(Weak<Runtime>),
}

impl NativePool {
    /// The pool of a runtime, for as long as that is there.
    pub(crate) fn of_runtime(runtime: &Arc<Runtime>) -> Self {
        Self { source: Source::Runtime(Arc::downgrade(runtime)) }
    }

    fn with<R>(&self, py: Python<'_>, f: impl FnOnce(&Pool) -> R) -> PyResult<R> {
        match &self.source {
            Source::Own(pool) => Ok(f(pool.as_ref().expect("there until it is dropped"))),
            Source::Runtime(runtime) => match runtime.upgrade() {
                Some(runtime) => {
                    let result = f(runtime.pool());
                    // Perhaps the last owner by now: it waits for threads that may wait to attach.
                    py.detach(|| drop(runtime));
                    Ok(result)
                }
                None => Err(to_py(py, &Error::Closed("pool"))),
            },
        }
    }
}

#[pymethods]
impl NativePool {
    #[new]
    fn new(py: Python<'_>, workers: Option<usize>, name: String, pin: bool) -> PyResult<Self> {
        let options = PoolOptions { workers, name, no_pin: !pin, ..PoolOptions::default() };
        let pool = py.detach(|| Pool::new(options)).or_raise(py)?;
        Ok(Self { source: Source::Own(Some(pool)) })
    }

    /// Queues `f(*args, **kwargs)`, whose outcome is the future's.
    #[pyo3(signature = (priority, cpus, future, f, args, kwargs))]
    #[allow(clippy::too_many_arguments, reason = "one flat call is what makes it cheap")]
    fn submit(
        &self,
        py: Python<'_>,
        priority: i32,
        cpus: Option<Vec<usize>>,
        future: Py<PyAny>,
        f: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
    ) -> PyResult<()> {
        let priority = Priority::try_from(priority).or_raise(py)?;
        let cpus = cpus.map(CpuSet::new).transpose().or_raise(py)?;
        let work = Box::new(Work { call: Some(Call { future, f, args, kwargs }) });
        let options = SubmitOptions { priority, cpus };
        self.with(py, |pool| pool.submit_with(&options, Job::new(move || work.run())))?.or_raise(py)
    }

    #[getter]
    fn workers(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, Pool::workers)
    }

    #[getter]
    fn worker_cpus(&self, py: Python<'_>) -> PyResult<Vec<Option<usize>>> {
        self.with(py, Pool::worker_cpus)
    }

    /// How many calls of all pools have ended so far.
    #[getter]
    fn ended(&self) -> u64 {
        ENDED.load(Ordering::Relaxed)
    }

    /// Closes it: what is queued runs, unless it is discarded. Does not wait.
    fn close(&self, py: Python<'_>, discard: bool) -> PyResult<()> {
        let close = |pool: &Pool| {
            if !discard {
                return pool.close();
            }
            match pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)) {
                Err(Error::Timeout(_)) => Ok(()),
                answer => answer,
            }
        };
        self.with(py, |pool| py.detach(|| close(pool)))?.or_raise(py)
    }

    /// Waits for a closed pool's workers; false at the timeout.
    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = wait::timeout(timeout)?;
        let not_yet = |error: &Error| matches!(error, Error::Timeout(_));
        let waited = self.with(py, |pool| wait::wait(py, timeout, |slice| pool.join(Some(slice)), not_yet))??;
        match waited {
            Ok(()) => Ok(true),
            Err(error) if not_yet(&error) => Ok(false),
            Err(error) => Err(to_py(py, &error)),
        }
    }
}

impl Drop for NativePool {
    fn drop(&mut self) {
        // Nobody can wait for it any more, but what was accepted still runs, as with concurrent.futures.
        if let Source::Own(pool) = &mut self.source
            && let Some(pool) = pool.take()
        {
            pool.disown();
        }
    }
}
