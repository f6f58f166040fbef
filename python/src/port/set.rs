//! `libcoop.PortSet`, made of `libcoop.Port`s.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use coop_core::{
    Error,
    event_loop::Handle,
    port::{self, Mode, PortSetOptions},
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString, PyTuple, PyType},
};

use super::{
    handler::{self, StartError},
    native::{self, Natives, message},
};
use crate::{
    address,
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::EventLoop,
    exit, wait,
};

/// Named UDP sockets, each with a handler of its own.
///
/// `mode` is a libcoop.Mode: SINGLE serves all of them on `loop`, which it needs; THREAD (default) gives each a thread for its handler
/// and one that only receives. `buffer_bytes` is what each port holds at the most of what came, and of what is to be sent; what
/// comes above is dropped and counted. Raises ValueError and TypeError for what is wrong with the ports, Exists for a name used
/// twice.
///
/// As a context manager it starts, and at the end stops. Letting go of it stops it too.
#[pyclass(frozen, weakref, subclass, module = "libcoop")]
pub(crate) struct PortSet {
    set: Detached<port::PortSet>,
    started: StartError,
    names: Vec<String>,
    natives: Natives,
}

fn not_yet(error: &Error) -> bool {
    matches!(error, Error::Timeout(_))
}

#[pymethods]
impl PortSet {
    #[new]
    #[pyo3(
        signature = (ports, *, mode = 1, r#loop = None, buffer_bytes = 64 << 20),
        text_signature = "(ports, *, mode=..., loop=None, buffer_bytes=67108864)"
    )]
    fn new(
        py: Python<'_>,
        ports: &Bound<'_, PyAny>,
        mode: i32,
        r#loop: Option<&Bound<'_, EventLoop>>,
        buffer_bytes: i64,
    ) -> PyResult<Self> {
        // What is below 0 is refused as too small.
        let buffer_bytes = usize::try_from(buffer_bytes).unwrap_or(0);
        let mode = match mode {
            0 => Mode::Single,
            1 => Mode::Thread,
            other => {
                let text = format!("mode {other} is not there: Mode.SINGLE is 0, Mode.THREAD is 1");
                return Err(to_py(py, &Error::Invalid(text)));
            }
        };
        let started = StartError::default();
        let ports: Vec<_> = ports.try_iter()?.collect::<PyResult<_>>()?;
        let natives: Natives = Arc::new(ports.iter().filter_map(native_name).collect());
        let made = ports.iter().map(|port| make_port(port, &started, &natives));
        let ports: Vec<_> = made.collect::<PyResult<_>>()?;
        let names = ports.iter().map(|port| port.name.clone()).collect();
        let event_loop = r#loop.map(|event_loop| Handle::clone(&event_loop.get().handle));
        let options = PortSetOptions { mode, event_loop, buffer_bytes, ..PortSetOptions::threads() };
        Ok(Self { set: Detached::new(port::PortSet::new(options, ports).or_raise(py)?), started, names, natives })
    }

    /// Binds every socket, has each handler built and started inside its worker, and waits for that.
    ///
    /// Raises what a handler raised in its making or its `on_start`, or Os naming the port and the address; then nothing is left
    /// bound or running. Raises Exists if it was started before, Forked; KeyboardInterrupt in the main thread.
    fn start(this: &Bound<'_, Self>) -> PyResult<()> {
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

    /// The bound address of each port. Raises ValueError before the start, Closed if that failed, Forked.
    #[getter]
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let addresses = PyDict::new(py);
        for (name, bound) in self.set.addresses().or_raise(py)? {
            addresses.set_item(name, address::to_py(py, bound)?)?;
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
        self.set.send(port, message(&self.natives, port, obj)?).or_raise(obj.py())
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
        py.detach(|| self.set.check_outside().and_then(|()| self.set.request_stop())).or_raise(py)?;
        wait::wait(py, timeout, |slice| self.set.join(Some(slice)), not_yet)?.or_raise(py)
    }

    /// Waits until the set has ended, by `stop` or because a handler asked for it. As `stop` otherwise.
    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = wait::timeout(timeout)?;
        wait::wait(py, timeout, |slice| self.set.join(Some(slice)), not_yet)?.or_raise(py)
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

/// The name of a port with a native handler.
fn native_name(port: &Bound<'_, PyAny>) -> Option<String> {
    let handler = port.getattr("handler").ok()?.extract::<String>().ok()?;
    native::is_native(&handler).then(|| port.getattr("name").ok()?.extract().ok()).flatten()
}

/// A `libcoop.Port` as the core wants it.
fn make_port(port: &Bound<'_, PyAny>, started: &StartError, natives: &Natives) -> PyResult<port::Port> {
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
    let build = if natives.contains(&name) {
        native::build(&name, &class.extract::<String>()?, &args)?
    } else {
        handler::build(class.unbind(), args.unbind(), Arc::clone(started), Arc::clone(natives))
    };
    Ok(port::Port { name, bind: address::resolve(&get("bind")?)?.into(), connect, making: build.into() })
}

/// What a port has counted since its start.
///
/// `received` datagrams and their `received_bytes` were taken from the socket and kept; `dropped` ones were not, because the buffer
/// was full, and `kernel_dropped` ones before that, by the system; `truncated` ones were longer than the library reads. `sent` and `sent_bytes` were taken by the system, `send_dropped`
/// were not, or were still queued at the end. `peer_errors` is what the system told of earlier datagrams (a peer that is gone),
/// `messages` those delivered, `errors` the exceptions of the handler.
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
    errors
);
