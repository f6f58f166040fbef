//! Services as tasks of a loop of asyncio.
//!
//! # What holds
//!
//! * `begin` is called on the attendant's thread, and has the task made on its loop; the host's thread only posts to the attendant.
//! * A run ends when its [`ServiceEnd`] is told, or let go of.
//! * Nothing can end a task that does not let itself be cancelled: the run goes on, disowned, until it ends.

use std::sync::{Arc, Mutex, PoisonError};

use coop_core::{
    Result,
    event_loop::Handle,
    supervisor::{Because, Context, Ended, Executor, Running, Service, Start, Stopped},
};
use pyo3::prelude::*;

use super::{
    ServiceContext,
    attendant::{Attended, attendant},
    options::NativeExecutor,
    stacks,
};
use crate::{
    callback::{self, report},
    detached::Detached,
    errors::OrRaise,
    thread_state,
};

/// What is called when the time of a run is over; none once it has ended.
type Kill = Arc<Mutex<Option<Attended<Py<PyAny>>>>>;

/// Calls `begin(context, end)` for each run.
#[pyfunction]
#[pyo3(name = "_on_asyncio")]
pub(crate) fn on_asyncio(begin: &Bound<'_, PyAny>) -> PyResult<NativeExecutor> {
    let py = begin.py();
    callback::check_callable("begin", begin)?;
    let begin = Arc::new(Attended::new(py, begin.clone().unbind()).or_raise(py)?);
    Ok(NativeExecutor::new(Arc::new(OnAsyncio { begin, attendant: attendant(py).or_raise(py)? })))
}

struct OnAsyncio {
    begin: Arc<Attended<Py<PyAny>>>,
    attendant: Handle,
}

impl std::fmt::Debug for OnAsyncio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnAsyncio").finish_non_exhaustive()
    }
}

impl Executor for OnAsyncio {
    fn name(&self) -> &'static str {
        "async"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let context = Context::new(&start);
        let kill = Kill::default();
        let (begin, inside, killed) = (self.begin.clone(), context.clone(), kill.clone());
        let begun = self.attendant.post(move || {
            let end = ServiceEnd { context: Detached::new(inside.clone()), kill: killed };
            thread_state::attach(|py| {
                let called = Bound::new(py, end).and_then(|end| {
                    let context = Bound::new(py, ServiceContext::new(inside.clone()))?;
                    begin.get().bind(py).call1((context, end))
                });
                if let Err(error) = called {
                    inside.ended(Ended::Failed(error.to_string()));
                }
            });
        });
        begun.map_err(|refused| refused.error)?;
        Ok(Box::new(Task { context, kill, attendant: self.attendant.clone() }))
    }
}

/// How a task tells its end; once it was let go of untold, the run is lost.
#[pyclass(frozen, module = "libcoop._libcoop")]
pub(crate) struct ServiceEnd {
    context: Detached<Context>,
    kill: Kill,
}

impl ServiceEnd {
    fn tell(&self, how: Ended) {
        drop(take(&self.kill));
        self.context.ended(how);
    }
}

fn take(kill: &Kill) -> Option<Attended<Py<PyAny>>> {
    kill.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[pymethods]
impl ServiceEnd {
    /// It has returned.
    fn returned(&self) {
        self.tell(Ended::Returned);
    }

    /// It was cancelled since it was asked to stop.
    fn shutdown(&self) {
        self.tell(Ended::Shutdown);
    }

    /// It has raised.
    fn failed(&self, text: String) {
        self.tell(Ended::Failed(text));
    }

    /// Its loop has ended.
    fn lost(&self, text: String) {
        self.tell(Ended::Lost(text));
    }

    /// Has `callback()` called, on a thread of the library's, if it does not stop in time.
    fn kill_by(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let callback = Attended::new(callback.py(), callback.clone().unbind()).or_raise(callback.py())?;
        *self.kill.lock().unwrap_or_else(PoisonError::into_inner) = Some(callback);
        Ok(())
    }
}

impl Drop for ServiceEnd {
    fn drop(&mut self) {
        // Nothing if it was told.
        self.context.ended(Ended::Lost("it was let go of without a word: its event loop may have ended".into()));
    }
}

/// A run, as its supervisor holds it.
struct Task {
    context: Context,
    kill: Kill,
    attendant: Handle,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

impl Running for Task {
    fn ask(&mut self) {
        self.context.ask();
    }

    fn kill(&mut self, because: Because) -> Stopped {
        stacks::explain(&self.attendant, because, &self.context);
        self.context.ask();
        let kill = self.kill.clone();
        // Refused in a forked child only.
        let _ = self.attendant.post(move || {
            let callback = take(&kill);
            thread_state::attach(|py| {
                if let Some(callback) = &callback {
                    let callback = callback.get().bind(py);
                    report(callback, "a service", callback.call0());
                }
            });
        });
        Stopped::GoesOn
    }
}
