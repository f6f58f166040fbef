//! Ctrl-C, and every other signal that Python handles, while the main thread runs a loop.

use std::{
    io::Read,
    os::{fd::AsRawFd, unix::net::UnixStream},
};

use coop_core::{
    Error,
    event_loop::{Handle, Interest, On, WatchId, WatchOptions},
};
use pyo3::prelude::*;

use crate::{
    errors::{OrRaise, to_py},
    report, wait,
};

/// In the main thread: the interpreter's signal handlers wake the loop through a socket, and run then.
pub(crate) struct CtrlC {
    previous: Py<PyAny>,
    watch: WatchId,
    _wakeup: UnixStream,
}

impl CtrlC {
    pub(crate) fn hear(py: Python<'_>, handle: &Handle) -> PyResult<Option<Self>> {
        if !wait::in_main_thread(py)? {
            return Ok(None);
        }
        if handle.is_running() || handle.is_stopped() {
            // Refused by `run` in its own words.
            return Ok(None);
        }
        let pair = || {
            let (heard, wakeup) = UnixStream::pair()?;
            heard.set_nonblocking(true)?;
            wakeup.set_nonblocking(true)?;
            Ok((heard, wakeup))
        };
        let failed = |error| to_py(py, &Error::os("listen for signals", &error));
        let (mut heard, wakeup) = pair().map_err(failed)?;
        let fd = heard.as_raw_fd();
        let options = WatchOptions { on: On::Loop, unref: true, ..WatchOptions::new(Interest::READ) };
        let watch = handle.watch(fd, options, move |_| {
            let mut signals = [0; 64];
            while matches!(heard.read(&mut signals), Ok(count) if count > 0) {}
            Python::try_attach(|py| {
                if let Err(error) = py.check_signals() {
                    let _ = report::leave_run(error);
                }
            });
        });
        let watch = watch.or_raise(py)?;
        let set = py.import("signal")?.call_method1("set_wakeup_fd", (wakeup.as_raw_fd(),));
        match set {
            Ok(previous) => Ok(Some(Self { previous: previous.unbind(), watch, _wakeup: wakeup })),
            // Not the main interpreter: its signals are handled elsewhere.
            Err(_) => {
                handle.cancel_watch(watch).or_raise(py)?;
                Ok(None)
            }
        }
    }

    pub(crate) fn leave(self, py: Python<'_>, handle: &Handle) -> PyResult<()> {
        py.import("signal")?.call_method1("set_wakeup_fd", (self.previous,))?;
        match handle.cancel_watch(self.watch) {
            // The loop was freed meanwhile, and the watch with it.
            Err(event_loop_gone) if !matches!(event_loop_gone, Error::Stale(_)) => Err(to_py(py, &event_loop_gone)),
            _ => Ok(()),
        }
    }
}
