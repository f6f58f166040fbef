//! The thread on which hosts call Python code that has no thread of its own; one for each process, made when it is first needed.
//!
//! It is idle but for such calls, and is never joined: at exit it finds the door to the interpreter shut, as every library thread does.

use std::sync::{Mutex, PoisonError};

use coop_core::{EventLoop, EventLoopOptions, Result, event_loop::Handle, fork::ForkGuard};
use pyo3::prelude::*;

use crate::thread_state;

/// The loop that runs on it, and the process that it is in. Locked by attached threads only, for a moment: so no other thread is
/// inside when an attached one forks.
static ATTENDANT: Mutex<Option<(ForkGuard, EventLoop)>> = Mutex::new(None);

/// This process's attendant.
pub(crate) fn attendant(_py: Python<'_>) -> Result<Handle> {
    let mut attendant = ATTENDANT.lock().unwrap_or_else(PoisonError::into_inner);
    if attendant.as_ref().is_some_and(|(fork, _)| fork.is_forked()) {
        // The parent's, whose thread is not here.
        std::mem::forget(attendant.take());
    }
    if let Some((_, event_loop)) = &*attendant {
        return Ok(event_loop.handle());
    }
    let event_loop = EventLoop::new(EventLoopOptions { name: "coop-python".into() })?;
    event_loop.start()?;
    let handle = event_loop.handle();
    *attendant = Some((ForkGuard::new("host"), event_loop));
    Ok(handle)
}

/// Python objects that a host holds: let go of on the attendant's thread, wherever this is dropped.
pub(crate) struct Attended<T: Send + 'static> {
    objects: Option<T>,
    attendant: Handle,
}

impl<T: Send + 'static> Attended<T> {
    pub(crate) fn new(py: Python<'_>, objects: T) -> Result<Self> {
        Ok(Self { objects: Some(objects), attendant: attendant(py)? })
    }

    pub(crate) fn get(&self) -> &T {
        self.objects.as_ref().expect("there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Attended<T> {
    fn drop(&mut self) {
        let Some(objects) = self.objects.take() else { return };
        if let Err(refused) = self.attendant.post(move || _ = thread_state::attach(|_| drop(objects))) {
            // In a forked child: they are whoever's the interpreter says.
            std::mem::forget(refused);
        }
    }
}
