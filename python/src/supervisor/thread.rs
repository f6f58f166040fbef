//! Services on threads of the host's process.

use std::sync::Arc;

use coop_core::{
    Result,
    event_loop::Handle,
    supervisor::{Because, Context, Executor, Running, Service, Start, Stopped, Thread},
};
use pyo3::prelude::*;

use super::{
    ServiceContext,
    attendant::{Attended, attendant},
    options::NativeExecutor,
    stacks,
};
use crate::{callback, errors::OrRaise, thread_state};

/// Calls `run(context)` on a thread of its own; a text that it answers is why the run failed.
#[pyfunction]
#[pyo3(name = "_on_thread")]
pub(crate) fn on_thread(run: &Bound<'_, PyAny>) -> PyResult<NativeExecutor> {
    callback::check_callable("run", run)?;
    let py = run.py();
    let run = Arc::new(Attended::new(py, run.clone().unbind()).or_raise(py)?);
    Ok(NativeExecutor::new(Arc::new(OnThread { run, attendant: attendant(py).or_raise(py)? })))
}

struct OnThread {
    run: Arc<Attended<Py<PyAny>>>,
    attendant: Handle,
}

impl std::fmt::Debug for OnThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnThread").finish_non_exhaustive()
    }
}

fn call(run: &Attended<Py<PyAny>>, context: Context) -> Result<(), String> {
    let ran = thread_state::attach(|py| {
        let context = Bound::new(py, ServiceContext::new(context))?;
        run.get().bind(py).call1((context,))?.extract::<Option<String>>()
    });
    match ran {
        Some(Ok(None)) => Ok(()),
        Some(Ok(Some(failed))) => Err(failed),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the interpreter has ended".to_owned()),
    }
}

impl Executor for OnThread {
    fn name(&self) -> &'static str {
        "thread"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        // Made by the thread's own start, which comes before its entry.
        let (run, began) = (self.run.clone(), Arc::new(std::sync::OnceLock::new()));
        let inside = began.clone();
        let thread = Thread::new(move |context: Context| {
            let _ = inside.set(context.clone());
            call(&run, context)
        });
        let life = thread.start(start)?;
        Ok(Box::new(Run { life, began, attendant: self.attendant.clone() }))
    }
}

/// A run, as its supervisor holds it.
#[derive(Debug)]
struct Run {
    life: Box<dyn Running>,
    began: Arc<std::sync::OnceLock<Context>>,
    attendant: Handle,
}

impl Running for Run {
    fn ask(&mut self) {
        self.life.ask();
    }

    fn kill(&mut self, because: Because) -> Stopped {
        if let Some(context) = self.began.get() {
            stacks::explain(&self.attendant, because, context);
        }
        self.life.kill(because)
    }
}
