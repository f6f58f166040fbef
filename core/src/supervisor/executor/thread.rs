//! Services on threads of their own.
//!
//! # What holds
//!
//! * The thread has the program's signals blocked, and no pinning.
//! * An entry that panics ends its run, not the process.
//! * It is asked to stop by its [`Context`], and nothing can end it: one that ignores its deadline goes on until it returns.

#![forbid(unsafe_code)]

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{Executor, Running, Start, Stopped};
use crate::{
    error::{Error, Result},
    job::panic_text,
    supervisor::{
        context::Context,
        event::{Because, Ended},
        service::Service,
    },
    thread,
};

type Entry = dyn Fn(Context) -> Result<(), String> + Send + Sync;

/// Runs a function on a thread of its own, each run on a new one.
#[derive(Clone)]
pub struct Thread {
    name: Option<String>,
    entry: Arc<Entry>,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Thread {
    /// Of this function; an error that it answers is an end that is not normal. The thread is called as the service is.
    pub fn new<E: fmt::Display>(entry: impl Fn(Context) -> Result<(), E> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { name: None, entry: Arc::new(move |context| entry(context).map_err(|error| error.to_string())) })
    }

    /// The same, its threads called so (the system shows the first 15 bytes).
    pub fn named(&self, name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: Some(name.into()), entry: self.entry.clone() })
    }
}

impl Executor for Thread {
    fn name(&self) -> &'static str {
        "thread"
    }

    fn check(&self, service: &Service) -> Result<()> {
        match &self.name {
            Some(name) if name.contains('\0') => {
                Err(Error::Invalid(format!("service {:?}: thread name {name:?} contains a NUL byte", service.id)))
            }
            _ => Ok(()),
        }
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let context = Context::new(&start);
        let (entry, inside) = (self.entry.clone(), context.clone());
        thread::spawn(self.name.as_deref().unwrap_or(&start.service.id), move || {
            let told = inside.clone();
            let ended = inside.clone().enter(|| catch_unwind(AssertUnwindSafe(|| entry(inside))));
            let how = outcome(ended);
            // What the entry holds goes before its end is told.
            drop(entry);
            told.ended(how);
        })?;
        Ok(Box::new(OnThread(context)))
    }
}

/// What came of a function that was called.
pub(super) fn outcome(ended: std::thread::Result<Result<(), String>>) -> Ended {
    match ended {
        Ok(Ok(())) => Ended::Returned,
        Ok(Err(error)) => Ended::Failed(error),
        Err(payload) => {
            let text = panic_text(&*payload).to_owned();
            // The payload's own drop may panic too: it is user code.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            Ended::Panicked(text)
        }
    }
}

#[derive(Debug)]
struct OnThread(Context);

impl Running for OnThread {
    fn ask(&mut self) {
        self.0.ask();
    }

    fn kill(&mut self, _: Because) -> Stopped {
        self.0.ask();
        Stopped::GoesOn
    }
}
