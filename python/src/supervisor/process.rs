//! Services that are processes: what one is made of, as Python gives it.

use std::{ffi::OsString, os::fd::RawFd, sync::Arc, time::SystemTime};

use coop_core::{
    Error,
    supervisor::{
        Command, Forked, Process, Zygote,
        executor::process::{
            Resource,
            output::{Format, Line, Output, Sink},
        },
    },
};
use pyo3::{prelude::*, types::PyDict};

use super::{attendant::Attended, options::NativeExecutor};
use crate::{
    callback::{self, report},
    descriptors::duplicate,
    errors::{OrRaise, to_py},
    pool::cpu_set,
    thread_state,
};

/// What a process is made of, and what is done with what it writes.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NativeCommand {
    pub(crate) command: Command,
    pub(crate) output: Output,
}

/// A resource's name, its soft and its hard limit; none is unlimited.
type NamedLimit = (String, Option<u64>, Option<u64>);

/// An option, if it was given.
fn option<'py, T: FromPyObjectOwned<'py>>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>> {
    match options.get_item(name)? {
        Some(value) => value.extract::<T>().map(Some).map_err(Into::into),
        None => Ok(None),
    }
}

#[pymethods]
impl NativeCommand {
    /// Of these words, and of what `options` has; descriptors are duplicated. Raises Invalid, Os.
    #[new]
    fn new(argv: Vec<OsString>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = options.py();
        let mut command = Command::from_argv(argv);
        for (name, value) in option::<Vec<(OsString, Option<OsString>)>>(options, "env")?.unwrap_or_default() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = option::<OsString>(options, "cwd")? {
            command = command.directory(directory);
        }
        if let Some(umask) = option(options, "umask")? {
            command = command.umask(umask);
        }
        if let Some(uid) = option(options, "uid")? {
            command = command.uid(uid);
        }
        if let Some(gid) = option(options, "gid")? {
            command = command.gid(gid);
        }
        if let Some(groups) = option::<Vec<u32>>(options, "groups")? {
            command = command.groups(groups);
        }
        for (name, soft, hard) in option::<Vec<NamedLimit>>(options, "limits")?.unwrap_or_default() {
            command = command.limit(resource(py, &name)?, soft, hard);
        }
        if let Some(nice) = option(options, "nice")? {
            command = command.nice(nice);
        }
        if let Some(cpus) = option::<Vec<i64>>(options, "cpus")? {
            command = command.cpus(cpu_set(cpus).or_raise(py)?);
        }
        for (number, fd) in option::<Vec<(RawFd, RawFd)>>(options, "fds")?.unwrap_or_default() {
            command = command.descriptor(number, duplicate(py, fd)?);
        }
        for (name, fd) in option::<Vec<(String, RawFd)>>(options, "listen")?.unwrap_or_default() {
            command = command.listen(name, duplicate(py, fd)?);
        }
        if option(options, "new_session")?.unwrap_or(false) {
            command = command.new_session();
        }
        if let Some(signal) = option(options, "stop_signal")? {
            command = command.stop_signal(signal);
        }
        let mut output = Output::default();
        if let Some(given) = options.get_item("output")? {
            (output.stdout, output.stderr) = (sink(&given)?, sink(&given)?);
        }
        if let Some(tail) = option(options, "tail")? {
            output.tail = tail;
        }
        command.validate().and_then(|()| output.validate()).or_raise(py)?;
        Ok(Self { command, output })
    }

    /// What `payload` says is run, in a worker of a zygote; `is_async` is one that beats for its liveness.
    fn forked(&self, zygote: &NativeZygote, payload: Vec<u8>, is_async: bool) -> NativeExecutor {
        let forked = Forked::new(&zygote.0, payload).command(self.command.clone()).output(self.output.clone());
        NativeExecutor::new(Arc::new(if is_async { forked.async_process() } else { forked }))
    }

    /// Its own words are run.
    fn process(&self) -> NativeExecutor {
        let mut process = Process::new(self.command.clone());
        process.output = self.output.clone();
        NativeExecutor::new(Arc::new(process))
    }
}

/// A program that makes workers by forking itself; it ends with the last service that names it.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct NativeZygote(pub(crate) Arc<Zygote>);

#[pymethods]
impl NativeZygote {
    /// Of these words. Nothing is run yet.
    #[new]
    fn new(argv: Vec<OsString>) -> Self {
        Self(Zygote::new(Command::from_argv(argv)))
    }

    /// Its process, if there is one.
    #[getter]
    fn pid(&self) -> Option<i32> {
        self.0.pid()
    }
}

fn resource(py: Python<'_>, name: &str) -> PyResult<Resource> {
    let found = Resource::ALL.iter().find(|resource| resource.name() == name);
    let names = || Resource::ALL.iter().map(|resource| resource.name()).collect::<Vec<_>>().join(", ");
    found.copied().ok_or_else(|| to_py(py, &Error::Invalid(format!("limit of {name:?}: allowed are {}", names()))))
}

/// One of four words, or what is called with each line.
fn sink(given: &Bound<'_, PyAny>) -> PyResult<Sink> {
    let format = |format| Sink::Write { to: None, format };
    if let Ok(word) = given.extract::<String>() {
        return match word.as_str() {
            "prefix" => Ok(format(Format::Prefixed)),
            "json" => Ok(format(Format::Json)),
            "inherit" => Ok(Sink::Inherit),
            "null" => Ok(Sink::Null),
            _ => {
                let text =
                    format!("output {word:?}: allowed are \"prefix\", \"json\", \"inherit\", \"null\" and a function");
                Err(to_py(given.py(), &Error::Invalid(text)))
            }
        };
    }
    callback::check_callable("output", given)?;
    let callback = Attended::new(given.py(), given.clone().unbind()).or_raise(given.py())?;
    Ok(Sink::Lines(Arc::new(move |line| tell(&callback, line))))
}

fn tell(callback: &Attended<Py<PyAny>>, line: &Line) {
    let since = line.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    thread_state::attach(|py| {
        let callback = callback.get().bind(py);
        let (service, stream) = (&*line.service, line.stream.name());
        let args = (since, service, line.pid, stream, line.text.as_str(), line.goes_on, line.dropped);
        report(callback, "a process's output", callback.call1(args));
    });
}
