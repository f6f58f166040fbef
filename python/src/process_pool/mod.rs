//! The processes under `libcoop.ProcessPool`, which `libcoop/_process_pool.py` makes an executor of.
//!
//! * `submit` pickles a call, and the core copies it to where a worker finds it: all of that in the thread that submits.
//! * What comes back is unpickled by the thread that hears of it, which ends the future: see `completions.rs`.
//! * A future asks the core whether its call runs, and may be taken back: see [`Far`].
//!
//! `pickling.rs` and `unpickling.rs` objects as parts of bytes, `names.rs` functions as names, `worker.rs` the worker's side.

mod completions;
mod names;
mod pickling;
mod unpickling;
mod worker;

use std::{
    io::Write,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use coop_core::{
    Error, Priority,
    process_pool::{CallId, CallOptions, Equipment, Options, ProcessPool, Shutdown, Stats},
    supervisor::{
        Executor, Forked,
        executor::process::{Descriptor, output::Sink},
    },
};
use pyo3::{
    exceptions::{PyException, PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{PyDict, PyTuple},
};

pub(crate) use self::worker::CallServer;
use self::{
    completions::Waiting,
    names::name_of,
    pickling::{Pickled, pickled},
};
use crate::{
    descriptors::duplicate,
    detached::Detached,
    errors::{OrRaise, to_py},
    native_future::{self, Future},
    pool::{self, cpu_set},
    supervisor::{NativeCommand, NativeZygote, Observer, Wanted},
    wait,
};

/// What a worker says of what it answers: the result, an exception, or text that says why there is neither.
const RETURNED: u32 = 0;
const RAISED: u32 = 1;
const FAILED: u32 = 2;

/// Names, for a worker, the descriptor that its log records go to.
const LOG: &str = "COOP_LOG";

/// Longer calls are copied without the interpreter.
const LONG: usize = 256 << 10;

/// Objects of up to so many bytes come and go with calls: 16 MiB, and what is around them.
const COMES_AND_GOES: usize = (16 << 20) + (64 << 10);

/// Has malloc keep what such objects leave, one of these or many that are smaller, for the next ones: else the system would take it back each time that the
/// results of a moment are let go of, and give it page by page, cleared, to the next ones. It is what malloc does by itself once it
/// has given back one that large (see `M_MMAP_THRESHOLD`), so this is that one; what it keeps is twice as much at most, for each of its arenas.
fn expect_large_objects() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(COMES_AND_GOES)));
}

/// Dropped detached: threads that it may wait for wait to attach.
type Core = Detached<ProcessPool<Waiting>>;

/// A future's call.
pub(crate) struct Far {
    core: Weak<Core>,
    id: CallId,
}

impl Clone for Far {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), id: self.id }
    }
}

impl Far {
    /// Takes it out of the queue: false if it runs, or is over.
    pub(crate) fn take_back(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(core) = self.core.upgrade() else { return Ok(false) };
        let taken = core.cancel(self.id).or_raise(py)?;
        Ok(taken.is_some())
    }

    /// Whether a worker has begun it, and it is not over.
    pub(crate) fn is_running(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.is_running(self.id).unwrap_or(false))
    }
}

/// The processes under `libcoop.ProcessPool`, which is what to use: an executor made of them.
#[pyclass(frozen, subclass, weakref, module = "libcoop._libcoop", name = "ProcessPool")]
pub(crate) struct NativeProcessPool {
    /// Unset until `_open`.
    core: OnceLock<Arc<Core>>,
    workers: OnceLock<usize>,
    /// `submit` asks `_refusal` before it goes on.
    refuses: AtomicBool,
    /// Workers can run the main script.
    has_main: AtomicBool,
    /// What runs is ended with the pool.
    kills: AtomicBool,
}

type Numbers = (usize, Vec<i32>, u64, u64, usize, usize, u64);

impl NativeProcessPool {
    fn core(&self, py: Python<'_>) -> PyResult<&Arc<Core>> {
        self.core.get().ok_or(Error::Closed("process pool")).or_raise(py)
    }

    /// Whether what runs is ended with the pool, as its user has asked.
    fn kills(&self) -> bool {
        self.kills.load(Ordering::Acquire)
    }

    fn submit_call<'py>(
        slf: &Bound<'py, Self>,
        way: &CallOptions,
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
        if this.refuses.load(Ordering::Acquire) || pool::is_exiting() {
            slf.call_method0(intern!(py, "_refuse"))?;
        }
        let core = this.core(py)?;
        let future = native_future::make(py)?;
        let has_main = this.has_main.load(Ordering::Relaxed);
        let call = match call_of(args, kwargs, has_main) {
            Ok(call) => call,
            Err(error) if error.is_instance_of::<PyException>(py) => {
                Future::settle(&future, Err(error.into_value(py).into_any()))?;
                return Ok(future);
            }
            Err(error) => return Err(error),
        };
        let context = Waiting {
            future: future.clone().unbind(),
            owner: slf.clone().unbind(),
            deadline: way.deadline.map(|deadline| deadline.as_secs_f64()),
        };
        let is_long = call.len(py) > LONG;
        let submitted = call.with_parts(py, |parts| {
            if is_long {
                py.detach(|| core.submit_in_pieces(context, parts, way))
            } else {
                core.submit_in_pieces(context, parts, way)
            }
        });
        match submitted {
            Ok(id) => {
                future.get().set_far(Far { core: Arc::downgrade(core), id });
                Ok(future)
            }
            Err(refused) => {
                drop(refused.value);
                if let Error::Failed(why) = &refused.error {
                    slf.call_method1("_break", (why,))?;
                }
                slf.call_method0(intern!(py, "_refuse"))?;
                Err(to_py(py, &refused.error))
            }
        }
    }
}

#[pymethods]
impl NativeProcessPool {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            core: OnceLock::new(),
            workers: OnceLock::new(),
            refuses: AtomicBool::new(false),
            has_main: AtomicBool::new(true),
            kills: AtomicBool::new(false),
        }
    }

    /// Makes it, once; no process runs yet. `inherit`: what workers write goes where this process writes.
    #[pyo3(signature = (*, workers, tasks, pin, capacity, name, zygote, command, inherit, payload, log, has_main))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn _open(
        &self,
        py: Python<'_>,
        workers: Option<usize>,
        tasks: Option<u64>,
        pin: bool,
        capacity: Option<usize>,
        name: String,
        zygote: &NativeZygote,
        command: &NativeCommand,
        inherit: bool,
        payload: Vec<u8>,
        log: i32,
        has_main: bool,
    ) -> PyResult<()> {
        expect_large_objects();
        let (zygote, mut output) = (zygote.0.clone(), command.output.clone());
        let command = command.command.clone();
        let log: Descriptor = duplicate(py, log)?.into();
        if inherit {
            (output.stdout, output.stderr) = (Sink::Inherit, Sink::Lines(Arc::new(|line| write_on(&line.text))));
        }
        let executor = move |equipment: &Equipment| {
            let number = equipment.next_descriptor();
            let command = equipment.equip(command.clone()).descriptor(number, log.clone()).env(LOG, number.to_string());
            let forked = Forked::new(&zygote, payload.clone()).command(command).output(output.clone());
            Ok(Arc::new(forked) as Arc<dyn Executor>)
        };
        let default = Options::default();
        let options = Options {
            name,
            workers: workers.unwrap_or(default.workers),
            calls_per_worker: tasks,
            pin,
            max_queued: capacity,
            executor: Some(Arc::new(executor)),
            ..default
        };
        let workers = options.workers;
        let core = py.detach(|| ProcessPool::new(options, completions::end)).or_raise(py)?;
        self.has_main.store(has_main, Ordering::Relaxed);
        self.workers.get_or_init(|| workers);
        let mut core = Some(Arc::new(Detached::new(core)));
        self.core.get_or_init(|| core.take().expect("just made"));
        match core {
            None => Ok(()),
            Some(_) => Err(to_py(py, &Error::Invalid("a process pool is made once".to_owned()))),
        }
    }

    /// Has `submit` ask `_refuse` first from now on.
    fn _refuse_calls(&self) {
        self.refuses.store(true, Ordering::Release);
    }

    /// Has a worker call `fn(*args, **kwargs)`, which are pickled now; the future has its outcome.
    ///
    /// What cannot be pickled is the future's exception. Raises TypeError for what cannot be called, Closed (a RuntimeError) after
    /// `shutdown` or when the interpreter exits, QueueFull in a full pool, BrokenProcessPool once no worker can begin, Forked in a child
    /// of the process that made the pool. From any thread; it does not wait.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, fn, /, *args, **kwargs)")]
    fn submit<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        Self::submit_call(slf, &CallOptions::default(), args, kwargs)
    }

    /// Ends a call of this pool: one that waits is cancelled, one that runs is ended with its worker, which is replaced. False if it is over,
    /// or about to be.
    ///
    /// The future of a call that was ended is cancelled, once its worker is gone. Raises ValueError for a future of something else.
    #[pyo3(signature = (future, /))]
    fn kill(&self, future: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = future.py();
        let core = self.core(py)?;
        let Ok(future) = future.cast::<Future>() else {
            return Err(PyTypeError::new_err(format!("kill() takes what submit has returned, not {}", future.repr()?)));
        };
        let Some(far) = future.get().far().filter(|far| std::ptr::eq(far.core.as_ptr(), Arc::as_ptr(core))) else {
            let text = format!("{} is not a call of this pool", future.repr()?);
            return Err(PyValueError::new_err(text));
        };
        if future.get().is_done() {
            return Ok(false);
        }
        if future.call_method0(intern!(py, "cancel"))?.is_truthy()? {
            return Ok(true);
        }
        py.detach(|| core.kill(far.id)).or_raise(py)
    }

    /// Workers at most, the processes there are, calls accepted, over, queued, running; processes that died.
    fn _stats(&self, py: Python<'_>) -> PyResult<Numbers> {
        let core = self.core(py)?;
        let (stats, pids) = py.detach(|| (core.stats(), core.pids()));
        let Stats { submitted, done, failed, queued, running, died, .. } = stats.or_raise(py)?;
        let most = self.workers.get().copied().unwrap_or_default();
        let pids = pids.or_raise(py)?.into_iter().map(|(_, pid)| pid).collect();
        Ok((most, pids, submitted, done + failed, queued, running, died))
    }

    /// What becomes of the processes of the pool, which is called `name`: an Observer. Raises Invalid, TypeError, Closed, Forked, Os.
    fn _events(
        &self,
        py: Python<'_>,
        name: &str,
        paths: &Bound<'_, PyTuple>,
        kinds: &Bound<'_, PyAny>,
        queue: &Bound<'_, PyAny>,
        replay: &Bound<'_, PyAny>,
    ) -> PyResult<Py<Observer>> {
        let core = self.core(py)?;
        let Wanted { filter, options } = Wanted::new(name, paths, kinds, queue, replay)?;
        let observer = py.detach(|| core.observe(filter.clone(), &options)).or_raise(py)?;
        Observer::new(py, observer, filter)
    }

    /// Closes it: "drain" runs what is queued, "cancel" does not, "terminate" asks the workers to end, "kill" ends them. Does not wait.
    #[pyo3(signature = (how, /))]
    fn _close(&self, py: Python<'_>, how: &str) -> PyResult<()> {
        let Some(core) = self.core.get() else { return Ok(()) };
        let how = match how {
            "drain" => Shutdown::Drain,
            "cancel" => Shutdown::Cancel,
            "terminate" => Shutdown::Terminate,
            _ => {
                self.kills.store(true, Ordering::Release);
                Shutdown::Kill
            }
        };
        py.detach(|| core.shutdown(how)).or_raise(py)
    }

    /// Waits until a closed pool has ended; false at the timeout, and at once to who ends its futures.
    #[pyo3(signature = (timeout = None, /))]
    fn _join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let Some(core) = self.core.get() else { return Ok(true) };
        let not_yet = |error: &Error| matches!(error, Error::Timeout(_));
        match wait::wait(py, wait::timeout(timeout)?, |slice| core.join(Some(slice)), not_yet)? {
            Ok(()) => Ok(true),
            Err(Error::Timeout(_) | Error::WouldDeadlock(_)) => Ok(false),
            Err(error) => Err(to_py(py, &error)),
        }
    }
}

/// A call, pickled: by the name of what it calls, if that has one.
fn call_of(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>, has_main: bool) -> PyResult<Pickled> {
    let py = args.py();
    match name_of(&args.get_item(0)?, has_main)? {
        None => pickled((args, kwargs).into_pyobject(py)?.as_any(), has_main),
        Some(name) if args.len() == 1 && kwargs.is_none() => Ok(Pickled::of_name(name)),
        Some(name) => {
            let rest = (args.get_slice(1, args.len()), kwargs).into_pyobject(py)?;
            Ok(pickled(rest.as_any(), has_main)?.with_name(name))
        }
    }
}

/// A line of a worker's error output, as it is.
fn write_on(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // There is nobody to tell that it cannot be written.
    let _ = writeln!(stderr, "{line}");
}

/// The native half of `libcoop.ProcessPoolView`: a pool's workers, with a way to submit of its own.
#[pyclass(frozen, subclass, module = "libcoop._libcoop", name = "ProcessPoolView")]
pub(crate) struct NativeProcessPoolView {
    pool: Py<NativeProcessPool>,
    way: CallOptions,
}

#[pymethods]
impl NativeProcessPoolView {
    #[new]
    #[pyo3(signature = (pool, priority, cpus, deadline, /))]
    fn new(
        py: Python<'_>,
        pool: Py<NativeProcessPool>,
        priority: i32,
        cpus: Option<Vec<i64>>,
        deadline: Option<f64>,
    ) -> PyResult<Self> {
        let way = CallOptions {
            priority: Priority::try_from(priority).or_raise(py)?,
            cpus: cpus.map(cpu_set).transpose().or_raise(py)?,
            deadline: deadline.map(|seconds| wait::delay("deadline", seconds)).transpose()?,
        };
        Ok(Self { pool, way })
    }

    /// As `ProcessPool.submit`, at this view's priority, on its CPUs, and with its deadline.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, fn, /, *args, **kwargs)")]
    fn submit<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Future>> {
        NativeProcessPool::submit_call(self.pool.bind(py), &self.way, args, kwargs)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.pool)
    }
}
