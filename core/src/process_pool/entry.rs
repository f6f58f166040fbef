//! A program that was entered again to be a worker.

#![forbid(unsafe_code)]

use std::{sync::Arc, thread};

use super::{payload::Payload, worker::Worker};
use crate::supervisor::{Context, Workers};

/// What a worker is asked to run: an entry of the library's own, which no program's [`Workers`] need to list.
pub const ENTRY: &str = "coop.process-pool";

/// Serves the pool that this process was started for with what `make` makes of the worker's arguments: a status and the parts of the result
/// for each call. Answers the status that the process is to exit with; `None` at once if it was started for none. To be called on the main
/// thread, before the program has threads of its own.
///
/// Calls are run on a thread of their own; the main one has the signals that ask the process to stop.
pub fn run<F>(make: impl Fn(&Worker) -> Result<F, String> + Send + Sync + 'static) -> Option<i32>
where
    F: FnMut(&Payload) -> (u32, Vec<Vec<u8>>) + 'static,
{
    let make = Arc::new(make);
    Workers::new().service(ENTRY, move |context| serve(context, make.clone())).run()
}

/// [`run`], and exits: returns only in a process that is no worker of a pool.
pub fn run_if_asked<F>(make: impl Fn(&Worker) -> Result<F, String> + Send + Sync + 'static)
where
    F: FnMut(&Payload) -> (u32, Vec<Vec<u8>>) + 'static,
{
    if let Some(status) = run(make) {
        std::process::exit(status);
    }
}

async fn serve<F>(
    context: Context,
    make: Arc<impl Fn(&Worker) -> Result<F, String> + Send + Sync + 'static>,
) -> Result<(), String>
where
    F: FnMut(&Payload) -> (u32, Vec<Vec<u8>>) + 'static,
{
    let text = |error: crate::Error| error.to_string();
    let stopping = context.stopping();
    let worker = Worker::from_environment()
        .map_err(text)?
        .ok_or("this process was started to work for a process pool, and was told of none")?;
    let stopper = worker.stopper();
    let on_stop = stopper.clone();
    context.on_stop(move || on_stop.stop());
    let ask = context.clone();
    let thread = thread::Builder::new().name("coop-pool-calls".into());
    let calls = thread.spawn(move || {
        let ask = Ask(ask);
        work(worker, &ask.0, &*make)
    });
    let calls = calls.map_err(|error| error.to_string())?;
    stopping.await;
    stopper.stop();
    calls.join().unwrap_or_else(|_| Err("a call panicked".into()))
}

/// Has the main thread go on, also after a panic.
struct Ask(Context);

impl Drop for Ask {
    fn drop(&mut self) {
        self.0.ask();
    }
}

fn work<F>(mut worker: Worker, context: &Context, make: &impl Fn(&Worker) -> Result<F, String>) -> Result<(), String>
where
    F: FnMut(&Payload) -> (u32, Vec<Vec<u8>>),
{
    let text = |error: crate::Error| error.to_string();
    let mut function = make(&worker).inspect_err(|why| worker.fail(why))?;
    context.ready();
    while let Some((ticket, payload)) = worker.take().map_err(text)? {
        let (status, result) = function(&payload);
        drop(payload);
        let parts: Vec<&[u8]> = result.iter().map(Vec::as_slice).collect();
        worker.done(&ticket, status, &parts).map_err(text)?;
    }
    Ok(())
}
