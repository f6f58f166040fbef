//! What Python holds of a timer, a watch or a signal's watcher: its loop, weakly, and its id.

use coop_core::{
    Error, Result,
    event_loop::{Handle, WeakHandle},
};
use pyo3::prelude::*;

use crate::errors::OrRaise;

/// Asks the loop; when it is gone, so is what was in it. Detached: what the call drops may wait for other threads.
pub(crate) fn ask(
    py: Python<'_>,
    event_loop: &WeakHandle,
    what: &'static str,
    call: impl FnOnce(Handle) -> Result<()> + Send,
) -> PyResult<()> {
    py.detach(|| event_loop.upgrade().map_or(Err(Error::Stale(what)), call)).or_raise(py)
}

/// The methods of what has an `id` and a `handle`, its loop's; with `ref` and `unref` where the loop has a call for them.
macro_rules! source_methods {
    ($class:ident) => {
        #[pymethods]
        impl $class {
            /// Slot and generation; never 0.
            #[getter]
            fn id(&self) -> u64 {
                self.id.0
            }
        }
    };
    ($class:ident, $what:literal, $set_ref:ident) => {
        $crate::source::source_methods!($class);

        #[pymethods]
        impl $class {
            /// A loop that runs until it is idle waits for it, as at first. Raises Stale, Forked.
            fn r#ref(&self, py: Python<'_>) -> PyResult<()> {
                $crate::source::ask(py, &self.handle, $what, |event_loop| event_loop.$set_ref(self.id, true))
            }

            /// A loop that runs until it is idle does not wait for it. Raises Stale, Forked.
            fn unref(&self, py: Python<'_>) -> PyResult<()> {
                $crate::source::ask(py, &self.handle, $what, |event_loop| event_loop.$set_ref(self.id, false))
            }
        }
    };
}
pub(crate) use source_methods;
