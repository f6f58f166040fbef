//! Ports in processes: what makes the workers of a set, and the port that a worker serves.

use std::sync::{Arc, PoisonError};

use coop_core::{
    Error,
    event_loop::Handle,
    port::process::{Duty, Equipment, ProcessOptions, Serving},
    supervisor::{Executor, Forked, Zygote, executor::process::Descriptor},
};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::{
    handler::{self, StartError},
    native::{self, Natives},
};
use crate::{
    descriptors::duplicate,
    detached::Detached,
    errors::{OrRaise, to_py},
    event_loop::EventLoop,
    supervisor::{NativeCommand, NativeSupervisor, NativeZygote},
    wait,
};

/// Names, for a worker, the descriptor that its log records go to.
const LOG: &str = "COOP_LOG";

/// What the processes of a set need of Python, and keeps what their records come by.
pub(super) struct Made {
    pub(super) options: ProcessOptions,
    pub(super) logs: Py<PyAny>,
    /// What has imported modules for the workers beforehand.
    pub(super) preloading: Option<Arc<Zygote>>,
}

/// By `libcoop._port_process.prepare`, which checks all of it.
pub(super) fn prepare(ports: &[Bound<'_, PyAny>], natives: &Natives, given: &Bound<'_, PyDict>) -> PyResult<Made> {
    let py = given.py();
    let names: Vec<&String> = natives.iter().collect();
    let made = py.import("libcoop._port_process")?.call_method1("prepare", (ports.to_vec(), names, given))?;
    let zygote = made.getattr("zygote")?.cast::<NativeZygote>()?.get().0.clone();
    let payloads: Vec<Vec<u8>> = made.getattr("payloads")?.extract()?;
    let (command, output) = {
        let command = made.getattr("command")?;
        let command = command.cast::<NativeCommand>()?.get();
        (command.command.clone(), command.output.clone())
    };
    let logs = made.getattr("logs")?;
    let log: Descriptor = duplicate(py, logs.call_method0("fileno")?.extract()?)?.into();
    let supervisor = match made.getattr("supervisor")? {
        none if none.is_none() => None,
        given => Some(given.cast::<NativeSupervisor>()?.get().supervisor.clone()),
    };
    let preloading = made.getattr("preloads")?.extract::<bool>()?.then(|| zygote.clone());
    let executor = move |equipment: &Equipment| {
        let number = equipment.next_descriptor();
        let command = equipment.equip(command.clone()).descriptor(number, log.clone()).env(LOG, number.to_string());
        let forked = Forked::new(&zygote, payloads[equipment.index].clone()).command(command).output(output.clone());
        Ok(Arc::new(forked.async_process()) as Arc<dyn Executor>)
    };
    let options = ProcessOptions {
        name: made.getattr("name")?.extract()?,
        executor: Some(Arc::new(executor)),
        supervisor,
        ready: wait::delay("ready_within", made.getattr("ready")?.extract()?)?,
        liveness: made
            .getattr("liveness")?
            .extract::<Option<f64>>()?
            .map(|seconds| wait::delay("liveness", seconds))
            .transpose()?,
        ..ProcessOptions::new()
    };
    Ok(Made { options, logs: logs.unbind(), preloading })
}

/// A port that this process serves.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct ServedPort(Detached<Serving>);

#[pymethods]
impl ServedPort {
    /// Ends the port, on the loop's thread. Any number of times.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    /// Waits until it has ended. Raises Timeout after so many seconds.
    fn join(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let timeout = wait::timeout(Some(timeout))?;
        wait::wait(py, timeout, |slice| self.0.join(Some(slice)), |error| matches!(error, Error::Timeout(_)))?
            .or_raise(py)
    }
}

/// Takes the port that this process was started for, builds its handler and starts it, all on this thread: `event_loop` is run by it later. `run` is
/// which worker of the port this is. Raises what the handler raises, which the set is told; Invalid if it was started for none.
#[pyfunction]
#[pyo3(name = "_begin_port")]
pub(crate) fn begin_port(
    event_loop: &Bound<'_, EventLoop>,
    handler: Bound<'_, PyAny>,
    args: Bound<'_, PyTuple>,
    natives: Vec<String>,
    run: u64,
) -> PyResult<ServedPort> {
    let py = event_loop.py();
    let none = || Error::Invalid("this process was started to serve a port, and was told of none".into());
    let duty = py.detach(Duty::from_environment).and_then(|duty| duty.ok_or_else(none)).or_raise(py)?;
    let natives: Natives = Arc::new(natives.into_iter().collect());
    let started = StartError::default();
    let build = if natives.contains(duty.port()) {
        let name: String = handler.cast::<PyString>()?.extract()?;
        native::build(duty.port(), &name, &args).inspect_err(|error| duty.fail(&error.to_string()))?
    } else {
        handler::build(handler.unbind(), args.unbind(), started.clone(), natives)
    };
    let handle = Handle::clone(&event_loop.get().handle);
    match py.detach(|| duty.begin(&handle, run, build)) {
        Ok(serving) => Ok(ServedPort(Detached::new(serving))),
        Err(error) => {
            let raised = started.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(raised.unwrap_or_else(|| to_py(py, &error)))
        }
    }
}
