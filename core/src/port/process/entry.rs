//! A program that was entered again to serve a port.

#![forbid(unsafe_code)]

use super::{
    super::{Fault, Handlers},
    duty::Duty,
};
use crate::supervisor::{Context, Workers};

/// What a worker of a port is asked to run: an entry of the library's own, which no program's [`Workers`] need to list.
pub const ENTRY: &str = "coop.port";

impl Handlers {
    /// Serves the port that this process was started for, and answers the status that the process is to exit with; `None` at once if it
    /// was started for none. To be called on the main thread, before the program has threads of its own.
    pub fn run(&self) -> Option<i32> {
        let handlers = self.clone();
        Workers::new().service(ENTRY, move |context| serve(context, handlers.clone())).run()
    }

    /// [`Handlers::run`], and exits: returns only in a process that is no worker of a port.
    pub fn run_if_asked(&self) {
        if let Some(status) = self.run() {
            std::process::exit(status);
        }
    }
}

async fn serve(context: Context, handlers: Handlers) -> Result<(), String> {
    let text = |error: crate::Error| error.to_string();
    // Taken first: what comes from here on is told to the entry, and does not cancel it.
    let stopping = context.stopping();
    let duty = Duty::from_environment()
        .map_err(text)?
        .ok_or("this process was started to serve a port, and was told of none")?;
    let event_loop = context.event_loop().map_err(text)?;
    let build = handlers.build(duty.handler(), duty.args().to_vec()).unwrap_or_else(|error| {
        // As a handler that cannot start: whose port, and why.
        Box::new(move |_| Err(Fault::new(error.to_string())))
    });
    let serving = duty.begin(&event_loop, context.run(), build).map_err(text)?;
    context.ready();
    stopping.await;
    serving.stop();
    Ok(())
}
