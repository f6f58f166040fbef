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
    detached::Detached,
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
    /// The `libcoop.Pool`: it is there as long as it has work, and exit finds it.
    owner: Py<PyAny>,
    future: Py<PyAny>,
    f: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
}

impl Work {
    fn run(mut self) {
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
        let Self { owner: _owner, future, f, args, kwargs } = self;
        let future = future.bind(py);
        if !future.call_method0("set_running_or_notify_cancel")?.is_truthy()? {
            return Ok(());
        }
        let result = f.bind(py).call(args.bind(py), kwargs.as_ref().map(|kwargs| kwargs.bind(py)));
        // The call's own objects go before the future is done, as its waiter may expect.
        drop((f, args, kwargs));
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

/// The workers under `libcoop.Pool`, which is what to use: an executor made of them.
#[pyclass(frozen, weakref, module = "libcoop._libcoop", name = "Pool")]
pub(crate) struct NativePool {
    source: Source,
}

enum Source {
    /// Nothing is queued when it is dropped, since a call keeps it. A call that is just ending may be the one that lets go of it;
    /// another may wait to attach for its last step: so detached.
    Own(Detached<Pool>),
    Runtime(Weak<Runtime>),
}

impl NativePool {
    /// The pool of a runtime, for as long as that is there.
    pub(crate) fn of_runtime(runtime: &Arc<Runtime>) -> Self {
        Self { source: Source::Runtime(Arc::downgrade(runtime)) }
    }

    /// `None`: the runtime is gone, and its pool with it.
    fn if_there<R>(&self, py: Python<'_>, f: impl FnOnce(&Pool) -> R) -> Option<R> {
        match &self.source {
            Source::Own(pool) => Some(f(pool)),
            Source::Runtime(runtime) => {
                let runtime = runtime.upgrade()?;
                let result = f(runtime.pool());
                if let Some(last) = Arc::into_inner(runtime) {
                    // It waits for threads that may wait to attach.
                    py.detach(|| drop(last));
                }
                Some(result)
            }
        }
    }

    fn with<R>(&self, py: Python<'_>, f: impl FnOnce(&Pool) -> R) -> PyResult<R> {
        self.if_there(py, f).ok_or_else(|| to_py(py, &Error::Closed("pool")))
    }
}

#[pymethods]
impl NativePool {
    #[new]
    #[pyo3(signature = (workers, name, pin, /))]
    fn new(py: Python<'_>, workers: Option<usize>, name: String, pin: bool) -> PyResult<Self> {
        let options = PoolOptions { workers, name, no_pin: !pin, ..PoolOptions::default() };
        let pool = py.detach(|| Pool::new(options)).or_raise(py)?;
        Ok(Self { source: Source::Own(Detached::new(pool)) })
    }

    /// Queues `f(*args, **kwargs)`, whose outcome is the future's. `owner` is kept until then.
    #[pyo3(signature = (owner, priority, cpus, future, f, args, kwargs, /))]
    #[allow(clippy::too_many_arguments, reason = "one flat call is what makes it cheap")]
    fn submit(
        &self,
        py: Python<'_>,
        owner: Py<PyAny>,
        priority: i32,
        cpus: Option<Vec<i64>>,
        future: Py<PyAny>,
        f: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
    ) -> PyResult<()> {
        let priority = Priority::try_from(priority).or_raise(py)?;
        let cpus = cpus.map(cpu_set).transpose().or_raise(py)?;
        let work = Box::new(Work { call: Some(Call { owner, future, f, args, kwargs }) });
        let options = SubmitOptions { priority, cpus };
        self.with(py, |pool| pool.submit_with(&options, Job::new(move || work.run())))?.or_raise(py)
    }

    /// How many workers there are.
    #[getter]
    fn workers(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |pool| pool.workers())
    }

    /// The CPU that each worker is pinned to, if it is.
    #[getter]
    fn worker_cpus(&self, py: Python<'_>) -> PyResult<Vec<Option<usize>>> {
        self.with(py, |pool| pool.worker_cpus())
    }

    /// How many calls of all pools have ended so far.
    #[getter]
    fn ended(&self) -> u64 {
        ENDED.load(Ordering::Relaxed)
    }

    /// Closes it: what is queued runs, unless it is discarded. Does not wait.
    #[pyo3(signature = (discard, /))]
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
        self.if_there(py, |pool| py.detach(|| close(pool))).unwrap_or(Ok(())).or_raise(py)
    }

    /// Waits for a closed pool's workers; false at the timeout.
    #[pyo3(signature = (timeout = None, /))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = wait::timeout(timeout)?;
        let not_yet = |error: &Error| matches!(error, Error::Timeout(_));
        let join = |pool: &Pool| wait::wait(py, timeout, |slice| pool.join(Some(slice)), not_yet);
        match self.if_there(py, join).unwrap_or(Ok(Ok(())))? {
            Ok(()) => Ok(true),
            Err(error) if not_yet(&error) => Ok(false),
            Err(error) => Err(to_py(py, &error)),
        }
    }
}

fn cpu_set(cpus: Vec<i64>) -> coop_core::Result<CpuSet> {
    let out_of_range = |cpu| Error::Invalid(format!("CPU {cpu} is out of range: CPUs are 0 to {}", CpuSet::MAX - 1));
    let cpus = cpus.into_iter().map(|cpu| usize::try_from(cpu).map_err(|_| out_of_range(cpu)));
    CpuSet::new(cpus.collect::<coop_core::Result<Vec<_>>>()?)
}
