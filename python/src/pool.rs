//! The workers under `libcoop.Pool`, which `libcoop/_pool.py` makes an executor of.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use coop_core::{
    CpuSet, Error, Job, Pool, PoolOptions, Priority, Runtime, ShutdownMode, SubmitOptions,
    pool::{PoolStats, Target, WorkerStats},
};
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple},
};

use crate::{
    detached::Detached,
    errors::{OrRaise, to_py},
    native_future::{self, Call, Future},
    report, thread_state, wait,
};

/// How many calls have ended, of all pools: whether there is progress.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// The interpreter is on its way out: pools take no more calls.
static EXITING: AtomicBool = AtomicBool::new(false);

/// The kind of jobs that calls are.
static KIND: AtomicUsize = AtomicUsize::new(0);

type Stats = ((usize, usize, usize), Option<usize>, Vec<(Option<usize>, u64, u64, u64)>, (u64, f64, f64, f64, f64));

/// A pool takes no more calls from now on, whichever it is. Called at exit.
#[pyfunction]
#[pyo3(name = "_refuse_calls")]
pub(crate) fn refuse_calls() {
    EXITING.store(true, Ordering::Release);
}

/// Whether that was called.
pub(crate) fn is_exiting() -> bool {
    EXITING.load(Ordering::Acquire)
}

/// A future that a pool has accepted with its call: ended by its run or instead of it.
struct Work {
    /// None once it has run.
    future: Option<Py<Future>>,
}

impl Work {
    fn job(future: Py<Future>) -> Job {
        let work = Self { future: Some(future) };
        let job = Job::new(move || work.run());
        KIND.store(job.kind(), Ordering::Relaxed);
        job
    }

    fn run(mut self) {
        let Some(future) = self.future.take() else { return };
        thread_state::attach_for_many(KIND.load(Ordering::Relaxed), |py| {
            let future = future.into_bound(py);
            if let Err(error) = name_thread(py).and_then(|()| Future::run(&future)) {
                report::callback_raised(py, error, "ending a future of the pool");
            }
        });
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        ENDED.fetch_add(1, Ordering::Relaxed);
        let Some(future) = self.future.take() else { return };
        // Dropped unrun, by a pool that was shut down.
        thread_state::attach(|py| Future::cancel_unrun(&future.into_bound(py)));
    }
}

/// A call has ended that was not submitted as one.
pub(crate) fn call_ended() {
    ENDED.fetch_add(1, Ordering::Relaxed);
}

/// Tells `threading` the name of a worker's thread, once.
pub(crate) fn name_thread(py: Python<'_>) -> PyResult<()> {
    thread_local!(static NAMED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if NAMED.replace(true) {
        return Ok(());
    }
    let thread = std::thread::current();
    let Some((name, number)) = thread.name().and_then(|name| name.rsplit_once('-')) else { return Ok(()) };
    let module = py.import("libcoop._threads")?;
    module.call_method1("begin", (format!("{name}_{number}"),)).map(drop)
}

/// `contextvars.copy_context()`.
fn copy_context(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let import = || PyResult::Ok(py.import("contextvars")?.getattr("copy_context")?.unbind());
    Ok(COPY.get_or_try_init(py, import)?.bind(py).call0()?.unbind())
}

/// The workers under `libcoop.Pool`, which is what to use: an executor made of them.
#[pyclass(frozen, subclass, module = "libcoop._libcoop", name = "Pool")]
pub(crate) struct NativePool {
    /// Unset until `_open`.
    source: OnceLock<Source>,
    /// `submit` asks `_refusal` before it goes on.
    refuses: AtomicBool,
    /// Calls go through `_call_initialized`.
    initializes: AtomicBool,
}

enum Source {
    /// Nothing is queued when it is dropped, since a call keeps it. A call that is just ending may be the one that lets go of it;
    /// another may wait to attach for its last step: so detached.
    Own(Detached<Pool>),
    /// For as long as that is there.
    Runtime(Weak<Runtime>),
}

/// How calls are submitted: at what priority, where, and how long to wait for room.
struct Way {
    options: SubmitOptions,
    /// What the options come to, but for the time.
    target: Target,
}

impl NativePool {
    fn unopened() -> Self {
        Self { source: OnceLock::new(), refuses: AtomicBool::new(false), initializes: AtomicBool::new(false) }
    }

    /// `None`: the runtime is gone, and its pool with it.
    fn if_there<R>(&self, py: Python<'_>, f: impl FnOnce(&Pool) -> R) -> Option<R> {
        match self.source.get()? {
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

    pub(crate) fn with<R>(&self, py: Python<'_>, f: impl FnOnce(&Pool) -> R) -> PyResult<R> {
        self.if_there(py, f).ok_or_else(|| to_py(py, &Error::Closed("pool")))
    }

    /// Queues `args[0](*args[1:], **kwargs)`; the future has its outcome.
    fn submit_call<'py>(
        slf: &Bound<'py, Self>,
        way: Option<&Way>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        let (py, this) = (slf.py(), slf.get());
        let Ok(f) = args.get_borrowed_item(0) else {
            return Err(PyTypeError::new_err("submit() takes what to call as its first argument"));
        };
        if !f.is_callable() {
            return Err(PyTypeError::new_err(format!("fn must be callable, not {}", f.repr()?)));
        }
        if this.refuses.load(Ordering::Acquire) || is_exiting() {
            slf.call_method0(intern!(py, "_refuse"))?;
        }
        let (args, kwargs) = if this.initializes.load(Ordering::Relaxed) {
            let through = slf.getattr(intern!(py, "_call_initialized"))?;
            let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
            ((through, args, kwargs).into_pyobject(py)?, None)
        } else {
            (args.clone(), kwargs.map(|kwargs| kwargs.clone().unbind()))
        };
        let owner = slf.clone().into_any().unbind();
        let future = native_future::make(py)?;
        future.get().set_call(Call { owner, context: copy_context(py)?, args: args.unbind(), kwargs });
        let job = Work::job(future.clone().unbind());
        match way {
            None => this.with(py, |pool| pool.submit_with(&SubmitOptions::default(), job))?.or_raise(py),
            Some(Way { options: SubmitOptions { timeout: Some(Duration::ZERO), .. }, target }) => {
                this.with(py, |pool| pool.submit_to(target, job))?.or_raise(py)
            }
            Some(Way { options, .. }) => this.with(py, |pool| submit_in_time(py, pool, options, job))?,
        }?;
        Ok(future)
    }
}

/// Waits for room in a full pool, and Ctrl-C ends that in the main thread.
fn submit_in_time(py: Python<'_>, pool: &Pool, options: &SubmitOptions, job: Job) -> PyResult<()> {
    let waiting = Mutex::new(Some(job));
    let submit = |slice| {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = waiting.take() else { return Ok(()) };
        let options = SubmitOptions { timeout: Some(slice), ..options.clone() };
        pool.submit_with(&options, job).map_err(|refused| {
            *waiting = Some(refused.value);
            refused.error
        })
    };
    wait::wait(py, options.timeout, submit, |error| matches!(error, Error::Timeout(_)))?.or_raise(py)
}

#[pymethods]
impl NativePool {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::unopened()
    }

    /// Starts the workers, once.
    #[pyo3(signature = (workers, name, pin, capacity, initializes, /))]
    fn _open(
        &self,
        py: Python<'_>,
        workers: Option<usize>,
        name: String,
        pin: bool,
        capacity: Option<usize>,
        initializes: bool,
    ) -> PyResult<()> {
        let options = PoolOptions { workers, name, no_pin: !pin, capacity, ..PoolOptions::default() };
        let pool = py.detach(|| Pool::new(options)).or_raise(py)?;
        self.initializes.store(initializes, Ordering::Relaxed);
        let mut pool = Some(Detached::new(pool));
        self.source.get_or_init(|| Source::Own(pool.take().expect("just made")));
        match pool {
            None => Ok(()),
            Some(_) => Err(to_py(py, &Error::Invalid("a pool is made once".to_owned()))),
        }
    }

    /// As `_open`, with the workers of a runtime.
    #[pyo3(signature = (runtime, /))]
    fn _open_runtime(&self, py: Python<'_>, runtime: &crate::runtime::Runtime) -> PyResult<()> {
        let runtime = runtime.weak(py)?;
        self.source.get_or_init(|| Source::Runtime(runtime));
        Ok(())
    }

    /// Has `submit` ask `_refuse` first from now on.
    fn _refuse_calls(&self) {
        self.refuses.store(true, Ordering::Release);
    }

    /// Has a worker call `fn(*args, **kwargs)`, with the context variables of now; the future has its outcome.
    ///
    /// Raises TypeError for what cannot be called, Closed (a RuntimeError) after `shutdown` or when the interpreter exits,
    /// QueueFull in a full pool, BrokenThreadPool after a failed initializer, Forked in a child of the process that made the pool.
    /// From any thread; it does not wait.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, fn, /, *args, **kwargs)")]
    fn submit<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        Self::submit_call(slf, None, args, kwargs)
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

    /// Depth by level, capacity, each worker's counts, and how long calls waited, in seconds.
    fn _stats(&self, py: Python<'_>) -> PyResult<Stats> {
        let PoolStats { depth, capacity, workers, wait } =
            self.with(py, |pool| py.detach(|| pool.stats()))?.or_raise(py)?;
        let count = |worker: WorkerStats| (worker.cpu, worker.executed, worker.stolen, worker.parked);
        let [mean, p50, p99, max] = [wait.mean, wait.p50, wait.p99, wait.max].map(|time| time.as_secs_f64());
        Ok((depth.into(), capacity, workers.into_iter().map(count).collect(), (wait.samples, mean, p50, p99, max)))
    }

    /// How many calls of all pools have ended so far.
    #[getter]
    fn _ended(&self) -> u64 {
        ENDED.load(Ordering::Relaxed)
    }

    /// Closes it: what is queued runs, unless it is discarded. Does not wait.
    #[pyo3(signature = (discard, /))]
    fn _close(&self, py: Python<'_>, discard: bool) -> PyResult<()> {
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
    fn _join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
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

/// The native half of `libcoop.PoolView`: a pool's workers, with a way to submit of its own.
#[pyclass(frozen, subclass, module = "libcoop._libcoop", name = "PoolView")]
pub(crate) struct NativeView {
    pool: Py<NativePool>,
    way: Way,
}

#[pymethods]
impl NativeView {
    #[new]
    #[pyo3(signature = (pool, priority, cpus, timeout, /))]
    fn new(
        py: Python<'_>,
        pool: Py<NativePool>,
        priority: i32,
        cpus: Option<Vec<i64>>,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        let options = SubmitOptions {
            priority: Priority::try_from(priority).or_raise(py)?,
            cpus: cpus.map(cpu_set).transpose().or_raise(py)?,
            timeout: timeout.map(|seconds| wait::delay("timeout", seconds)).transpose()?,
        };
        let target = pool.get().with(py, |pool| pool.target(&options))?.or_raise(py)?;
        Ok(Self { pool, way: Way { options, target } })
    }

    /// As `Pool.submit`, at this view's priority and on its CPUs; in a full pool it waits as long as it says.
    ///
    /// Raises Timeout if no room came in time, WouldDeadlock to one of the pool's own calls that would wait.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, fn, /, *args, **kwargs)")]
    fn submit<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        NativePool::submit_call(self.pool.bind(py), Some(&self.way), args, kwargs)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.pool)
    }
}

pub(crate) fn cpu_set(cpus: Vec<i64>) -> coop_core::Result<CpuSet> {
    let out_of_range = |cpu| Error::Invalid(format!("CPU {cpu} is out of range: CPUs are 0 to {}", CpuSet::MAX - 1));
    let cpus = cpus.into_iter().map(|cpu| usize::try_from(cpu).map_err(|_| out_of_range(cpu)));
    CpuSet::new(cpus.collect::<coop_core::Result<Vec<_>>>()?)
}
