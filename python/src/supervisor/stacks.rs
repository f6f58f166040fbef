//! Where a service stands that has missed its watchdog in this process: nothing can end it, but where it hangs can be told.

use coop_core::{
    event_loop::Handle,
    supervisor::{Because, Context},
};
use pyo3::prelude::*;

use crate::{report, thread_state};

/// Has the stacks of all threads logged at once, and told with the run's end. Not by this thread, the host's: the attendant waits for the
/// interpreter, which the service may be holding.
pub(super) fn explain(attendant: &Handle, because: Because, context: &Context) {
    if !matches!(because, Because::Watchdog) {
        return;
    }
    let context = context.clone();
    // Refused in a forked child only.
    let _ = attendant.post(move || {
        let text = thread_state::attach(|py| {
            let text = py.import("libcoop._stacks").and_then(|module| module.call_method1("of_all", (context.name(),)));
            match text.and_then(|text| text.extract::<String>()) {
                Ok(text) => Some(text),
                Err(error) => {
                    report::callback_raised(py, error, "the stacks of a service that has missed its watchdog");
                    None
                }
            }
        });
        if let Some(Some(text)) = text {
            // Kept before it is logged: whoever hears of it there may let the run end.
            context.explain(text.clone());
            tracing::warn!(target: "coop", "{} missed its watchdog's time:\n{}", context.path(), text.trim_end());
        }
    });
}
