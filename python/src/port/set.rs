//! `libcoop.PortSet`, made of `libcoop.Port`s.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coop_core::{
    Error,
    event_loop::Handle,
    port::{self, Making, Mode, PortSetOptions},
    supervisor::Zygote,
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyFloat, PyString, PyTuple, PyType},
};

use super::{
    handler::{self, StartError},
    native::{self, Natives, message},
    process,
};
use crate::{
    address,
    descriptors::duplicate,
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::EventLoop,
    exit,
    supervisor::{Observer, Wanted},
    wait,
};

/// Named sockets, of datagrams or of connections, each with a handler of its own.
///
/// `mode` is a libcoop.Mode: SINGLE serves all of them on `loop`, which it needs; THREAD (default) gives each a thread for its handler
/// and one that only receives; PROCESS gives each a process with an interpreter of its own and the same two threads, which is started
/// again when it ends. `buffer_bytes` is what each port holds at the most of what came, and of what is to be sent; what
/// comes above is dropped and counted. `saved_bytes` is the most that a handler may `save`. `message_bytes`
/// (a power of two) is how much may wait of what one port sends to another, and of what comes from outside: QueueFull is raised for more. A message takes 8 bytes
/// and its own; outside of PROCESS mode an object counts as a reference.
///
/// In PROCESS mode classes and arguments are pickled, and a handler of the main script has that run again in its process. `preload`
/// names modules to import beforehand, once for all workers; `worker_init` a function ("module:name") that is called first in each. A worker must have started within `ready_within` seconds, and is
/// replaced when it did not run for `liveness` seconds. What workers write goes to `output`, as a service's. The set is called `name` in
/// events; it has a host of its own, or is a temporary child of `supervisor`. Of more than `connections` connections to a port the others
/// wait until one has gone.
///
/// Raises ValueError and TypeError for what is wrong with the ports, Exists for a name used twice.
///
/// As a context manager it starts, and at the end stops. Letting go of it stops it too.
#[pyclass(frozen, weakref, subclass, module = "libcoop")]
pub(crate) struct PortSet {
    set: Detached<port::PortSet>,
    started: StartError,
    names: Vec<String>,
    natives: Natives,
    is_far: bool,
    /// What the paths of events begin with.
    root: String,
    /// Where records of workers come from; after the set.
    logs: Option<Py<PyAny>>,
    /// What has imported modules for the workers beforehand.
    preloading: Option<Arc<Zygote>>,
}

/// How long handlers have for the last records of workers that have ended.
const LOGS_PATIENCE: f64 = 5.0;

fn not_yet(error: &Error) -> bool {
    matches!(error, Error::Timeout(_))
}

#[pymethods]
impl PortSet {
    #[new]
    #[pyo3(
        signature = (ports, *, mode = 1, r#loop = None, buffer_bytes = 64 << 20, saved_bytes = 1 << 20, name = "ports", supervisor = None,
            preload = None, worker_init = None, output = None, ready_within = None, liveness = Some(2.0), message_bytes = 1 << 20, connections = 10_000),
        text_signature = "(ports, *, mode=..., loop=None, buffer_bytes=67108864, saved_bytes=1048576, name=\"ports\", supervisor=None, preload=(), worker_init=None, output=\"prefix\", ready_within=60.0, liveness=2.0, message_bytes=1048576, connections=10000)"
    )]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new(
        py: Python<'_>,
        ports: &Bound<'_, PyAny>,
        mode: i32,
        r#loop: Option<&Bound<'_, EventLoop>>,
        buffer_bytes: i64,
        saved_bytes: i64,
        name: &str,
        supervisor: Option<Bound<'_, PyAny>>,
        preload: Option<Bound<'_, PyAny>>,
        worker_init: Option<Bound<'_, PyAny>>,
        output: Option<Bound<'_, PyAny>>,
        ready_within: Option<Bound<'_, PyAny>>,
        liveness: Option<f64>,
        message_bytes: i64,
        connections: i64,
    ) -> PyResult<Self> {
        // What is below 0 is refused as too small, or as too much.
        let buffer_bytes = usize::try_from(buffer_bytes).unwrap_or(0);
        let saved_bytes = usize::try_from(saved_bytes).unwrap_or(usize::MAX);
        let message_bytes = usize::try_from(message_bytes).unwrap_or(0);
        let connections = usize::try_from(connections).unwrap_or(0);
        let mode = match mode {
            0 => Mode::Single,
            1 => Mode::Thread,
            2 => Mode::Process,
            other => {
                let text = format!("mode {other} is not there: Mode.SINGLE is 0, Mode.THREAD is 1, Mode.PROCESS is 2");
                return Err(to_py(py, &Error::Invalid(text)));
            }
        };
        let mode = if mode == Mode::Process && is_debugged() { Mode::Thread } else { mode };
        let started = StartError::default();
        let ports: Vec<_> = ports.try_iter()?.collect::<PyResult<_>>()?;
        let natives: Natives = Arc::new(ports.iter().filter_map(native_name).collect());
        let is_far = mode == Mode::Process;
        let made = ports.iter().map(|port| make_port(port, is_far, &started, &natives));
        let given = ports.clone();
        let ports: Vec<_> = made.collect::<PyResult<_>>()?;
        let names: Vec<String> = ports.iter().map(|port| port.name.clone()).collect();
        let event_loop = r#loop.map(|event_loop| Handle::clone(&event_loop.get().handle));
        let mut options = PortSetOptions {
            mode,
            event_loop,
            buffer_bytes,
            saved_bytes,
            connections,
            message_bytes,
            ..PortSetOptions::threads()
        };
        options.check(names.iter().map(String::as_str)).or_raise(py)?;
        let (mut logs, mut preloading, mut root) = (None, None, name.to_owned());
        if is_far {
            let process = PyDict::new(py);
            process.set_item("name", name)?;
            process.set_item("supervisor", supervisor)?;
            process.set_item("preload", preload.unwrap_or_else(|| PyTuple::empty(py).into_any()))?;
            process.set_item("worker_init", worker_init)?;
            process.set_item("output", output.unwrap_or_else(|| PyString::new(py, "prefix").into_any()))?;
            process.set_item("ready_within", ready_within.unwrap_or_else(|| PyFloat::new(py, 60.0).into_any()))?;
            process.set_item("liveness", liveness)?;
            let made = process::prepare(&given, &natives, &process)?;
            if let Some(supervisor) = &made.options.supervisor {
                supervisor.host_name().clone_into(&mut root);
            }
            (options.process, logs, preloading) = (made.options, Some(made.logs), made.preloading);
        }
        let set = py.detach(|| port::PortSet::new(options, ports).map(Detached::new)).or_raise(py)?;
        Ok(Self { set, started, names, natives, is_far, root, logs, preloading })
    }

    /// Binds every socket, has each handler built and started inside its worker, and waits for that.
    ///
    /// Raises what a handler raised in its making or its `on_start` (Failed with that, of a handler in a process of its own), or Os naming the
    /// port and the address; then nothing is left bound or running. Raises Exists if it was started before, Forked; KeyboardInterrupt in the main thread.
    fn start(this: &Bound<'_, Self>) -> PyResult<()> {
        if this.get().is_far {
            this.py().import("libcoop._main")?.call_method1("refuse_unguarded", ("PortSet.start()",))?;
        }
        exit::register(this.as_any(), exit::Order::PortSet)?;
        let (py, this) = (this.py(), this.get());
        let ready = match py.detach(|| this.set.launch()) {
            Ok(()) => wait::wait(py, None, |slice| this.set.wait_ready(Some(slice)), not_yet),
            refused => Ok(refused),
        };
        match ready {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let raised = this.started.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(raised.unwrap_or_else(|| to_py(py, &error)))
            }
            // Ctrl-C: nothing stays half started.
            Err(interrupt) => {
                let _ = py.detach(|| this.set.stop(Some(Duration::from_secs(1))));
                Err(interrupt)
            }
        }
    }

    /// The bound address of each port: `(host, port)`, or a Unix socket's path. Raises ValueError before the start, Closed if that failed, Forked.
    #[getter]
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let addresses = PyDict::new(py);
        for (name, bound) in self.set.bound().or_raise(py)? {
            addresses.set_item(name, address::of_stream(py, &bound)?)?;
        }
        Ok(addresses)
    }

    /// Sends an object to a port from outside the set: `on_message` there with an empty sender. A native handler is given a copy of a
    /// bytes-like object. Any thread.
    ///
    /// Raises ValueError for an unknown name or before the start, TypeError for what a native handler does not understand, Closed,
    /// Forked.
    #[pyo3(signature = (port, obj, /))]
    fn send(&self, port: &str, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set.send(port, message(&self.natives, self.is_far, port, obj)?).or_raise(obj.py())
    }

    /// What becomes of the processes of a set in PROCESS mode: an Observer of each start, end (with its traceback) and restart, of all
    /// ports or of those at `paths` (the set's name, "/", the port's), and of up to `replay` of those before. Any thread.
    ///
    /// Raises Unsupported in other modes, ValueError before the start, Closed, Forked.
    #[pyo3(signature = (*paths, kinds = None, queue = None, replay = None), text_signature = "($self, *paths, kinds=(), queue=1024, replay=0)")]
    fn events<'py>(
        &self,
        py: Python<'py>,
        paths: &Bound<'py, PyTuple>,
        kinds: Option<Bound<'py, PyAny>>,
        queue: Option<Bound<'py, PyAny>>,
        replay: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Py<Observer>> {
        let kinds = kinds.unwrap_or_else(|| PyTuple::empty(py).into_any());
        let number = |given: Option<Bound<'py, PyAny>>, or: usize| {
            given.map_or_else(|| or.into_pyobject(py).map(Bound::into_any).map_err(PyErr::from), Ok)
        };
        let Wanted { filter, options } =
            Wanted::new(&self.root, paths, &kinds, &number(queue, 1024)?, &number(replay, 0)?)?;
        let observer = py.detach(|| self.set.observe(filter.clone(), &options)).or_raise(py)?;
        Observer::new(py, observer, filter)
    }

    /// Has a new worker take over the port `name` of a set in PROCESS mode, or each port, without a moment in which nobody serves, and returns when it does.
    ///
    /// The new one is started beside the old one, with all modules imported anew. The old one is told by `on_hand_over`; it accepts nothing from then
    /// on, has `deadline` seconds for the connections that are open (None for ever), and then ends as at a stop. If the new one does not start, the old one
    /// goes on as before. Any thread; reloads of one port come one after the other.
    ///
    /// Raises Failed in the words of the handler that cannot start, Unsupported in other modes, ValueError for an unknown name, before the start and while the
    /// worker is being restarted; Closed, Forked; KeyboardInterrupt in the main thread, and then it goes on.
    #[pyo3(signature = (name = None, *, deadline = Some(60.0)), text_signature = "($self, name=None, *, deadline=60.0)")]
    fn reload(&self, py: Python<'_>, name: Option<&str>, deadline: Option<f64>) -> PyResult<()> {
        let deadline = deadline.map(|seconds| wait::delay("deadline", seconds)).transpose()?;
        let begin = || {
            if let Some(zygote) = &self.preloading {
                // Those may have changed.
                zygote.stop();
            }
            self.set.begin_reload(name, deadline).map(Mutex::new)
        };
        let reload = py.detach(begin).or_raise(py)?;
        let join = |slice| reload.lock().unwrap_or_else(PoisonError::into_inner).join(Some(slice));
        wait::wait(py, None, join, not_yet)?.or_raise(py)
    }

    /// What each port has counted since its start; also after the end. Any thread. Raises as `addresses`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, stats) in self.set.stats().or_raise(py)? {
            all.set_item(name, PortStats(stats))?;
        }
        Ok(all)
    }

    /// Ends every port (`on_stop`, then its socket closes) and waits for them; any number of times, from any thread.
    ///
    /// `timeout` is in seconds, None for ever. Raises Timeout naming the ports whose handlers ignore it: they end when their callback
    /// returns. Raises WouldDeadlock from inside a handler, where `ctx.stop()` is meant; Forked; KeyboardInterrupt in the main thread.
    #[pyo3(signature = (timeout = Some(1.0)), text_signature = "($self, timeout=1.0)")]
    fn stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = wait::timeout(timeout)?;
        if self.is_far {
            // At the deadline they are ended, which takes a moment: nobody has to be waited for.
            py.detach(|| self.set.check_outside().and_then(|()| self.set.request_stop_within(timeout))).or_raise(py)?;
            return self.join(py, None);
        }
        py.detach(|| self.set.check_outside().and_then(|()| self.set.request_stop())).or_raise(py)?;
        self.join(py, timeout.map(|timeout| timeout.as_secs_f64()))
    }

    /// Waits until the set has ended, by `stop` or because a handler asked for it. As `stop` otherwise.
    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = wait::timeout(timeout)?;
        wait::wait(py, timeout, |slice| self.set.join(Some(slice)), not_yet)?.or_raise(py)?;
        if let Some(logs) = &self.logs {
            logs.call_method1(py, "close", (LOGS_PATIENCE,))?;
        }
        Ok(())
    }

    fn _stop_at_exit(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        self.stop(py, Some(patience))
    }

    fn __enter__<'py>(this: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::start(&this)?;
        Ok(this)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.stop(py, Some(1.0))
    }

    fn __repr__(&self) -> String {
        format!("<libcoop.PortSet of {}>", self.names.join(", "))
    }
}

/// What would be processes are threads, for debuggers: as of services.
fn is_debugged() -> bool {
    std::env::var_os("COOP_MODE").is_some_and(|mode| mode == "SINGLE")
}

/// The name of a port with a native handler.
fn native_name(port: &Bound<'_, PyAny>) -> Option<String> {
    let handler = port.getattr("handler").ok()?.extract::<String>().ok()?;
    native::is_native(&handler).then(|| port.getattr("name").ok()?.extract().ok()).flatten()
}

/// A `libcoop.Port` as the core wants it.
fn make_port(port: &Bound<'_, PyAny>, is_far: bool, started: &StartError, natives: &Natives) -> PyResult<port::Port> {
    let wrong = || PyTypeError::new_err(format!("a port set is made of libcoop.Port objects, not {port}"));
    let get = |name: &str| port.getattr(name).map_err(|_| wrong());
    let (name, class, connect) = (get("name")?.extract::<String>()?, get("handler")?, get("connect")?);
    if !class.is_instance_of::<PyType>() && !class.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!(
            "the handler of port {name:?} must be a class, \"module:qualname\" or \"path/lib.so:symbol\", not the instance {class}: each port builds \
             its own inside its worker"
        )));
    }
    let connect = if connect.is_none() { None } else { Some(address::resolve(&connect)?) };
    if connect.is_some_and(|peer| peer.port() == 0) {
        return Err(PyValueError::new_err(format!("port {name:?} cannot connect to port 0")));
    }
    let args = get("args")?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    let args = PyTuple::new(port.py(), args)?;
    let native = natives.contains(&name).then(|| class.extract::<String>()).transpose()?;
    let build = native.as_ref().map(|native| native::build(&name, native, &args)).transpose()?;
    let making = if is_far {
        // Its process is given the handler itself, with its arguments.
        Making::Named { handler: native.unwrap_or_else(|| "python".into()), args: Vec::new() }
    } else {
        let made = || handler::build(class.unbind(), args.unbind(), Arc::clone(started), Arc::clone(natives));
        build.unwrap_or_else(made).into()
    };
    let bind = make_bind(&get("bind")?, &get("listen")?, &get("passed")?)?;
    Ok(port::Port { name, bind, connect, making })
}

/// Where a `libcoop.Port` is.
fn make_bind(bind: &Bound<'_, PyAny>, listen: &Bound<'_, PyAny>, passed: &Bound<'_, PyAny>) -> PyResult<port::Bind> {
    let py = bind.py();
    match (listen.is_none(), passed.is_none()) {
        (true, true) => Ok(address::resolve(bind)?.into()),
        (true, false) => Ok(port::Bind::Passed(passed.extract()?)),
        (false, false) => Err(PyValueError::new_err("a port has listen or passed, not both")),
        (false, true) if listen.is_instance_of::<PyTuple>() => Ok(port::Bind::Tcp(address::resolve(listen)?)),
        (false, true) => match listen.getattr_opt("fileno")? {
            // A copy: the socket stays the caller's.
            Some(fileno) => Ok(port::Bind::Listening(duplicate(py, fileno.call0()?.extract()?)?)),
            None => listen.extract().map(port::Bind::Unix).map_err(|_| {
                PyTypeError::new_err(format!(
                    "listen must be (host, port), a path, or a socket that listens, not {listen}"
                ))
            }),
        },
    }
}

/// What a port has counted since its start.
///
/// `received` datagrams and their `received_bytes` were taken from the socket and kept; `dropped` ones were not, because the buffer
/// was full, and `kernel_dropped` ones before that, by the system; `truncated` ones were longer than the library reads. `sent` and `sent_bytes` were taken by the system, `send_dropped`
/// were not, or were still queued at the end. `peer_errors` is what the system told of earlier datagrams (a peer that is gone),
/// `messages` those delivered, `errors` the exceptions of the handler, `restarts` how often its process was started again. Of connections,
/// `accepted` is how many have come, `open` how many are there now (of a port that was reloaded: at its newest worker), and `refused` how many were closed at once because `on_connect` raised;
/// `received_bytes` and `sent_bytes` are theirs then.
#[pyclass(frozen, module = "libcoop")]
pub(crate) struct PortStats(port::PortStats);

macro_rules! counts {
    ($($name:ident),*) => {
        #[pymethods]
        impl PortStats {
            $(#[getter] fn $name(&self) -> u64 { self.0.$name })*

            fn __repr__(&self) -> String {
                let counts = [$(format!("{}={}", stringify!($name), self.0.$name)),*];
                format!("PortStats({})", counts.join(", "))
            }
        }
    };
}

counts!(
    received,
    received_bytes,
    dropped,
    kernel_dropped,
    truncated,
    sent,
    sent_bytes,
    send_dropped,
    peer_errors,
    messages,
    errors,
    accepted,
    open,
    refused,
    restarts
);
