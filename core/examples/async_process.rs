//! Two services in processes of their own, out of one program: one counts, the other sees what happens to it. The counter is killed three
//! times, and comes back.
//!
//!     cargo run --example async_process

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use coop_core::{
    Result,
    supervisor::{
        AsyncProcess, Context, Filter, Host, HostOptions, Item, Kind, ObserverOptions, Place, Ready, Service,
        SupervisorOptions, What, Workers,
    },
    task,
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Beats, so that it is ended if it gets nowhere; and says how far it is.
async fn count(context: Context) -> Result<()> {
    context.ready();
    let (event_loop, mut counted) = (context.event_loop()?, 0_u64);
    while !context.is_stopping() {
        counted += 1;
        context.beat();
        if counted == 10 {
            context.status("has counted to 10");
        }
        task::sleep(&event_loop, Duration::from_millis(1)).await?;
    }
    Ok(())
}

/// Sees its sibling's events, from another process.
async fn watch(context: Context) -> Result<()> {
    let filter = Filter { paths: vec!["root/counter".into()], kinds: vec![Kind::Ended] };
    let observer = context.observe(filter, &ObserverOptions::default())?;
    context.ready();
    let event_loop = context.event_loop()?;
    event_loop.spawn(async move {
        while let Ok(Item::Event(event)) = observer.next_async().await {
            let _ = writeln!(io::stdout(), "seen: {}", event.what);
        }
    })?;
    context.stopping().await;
    Ok(())
}

fn supervise() -> Result<()> {
    let root = SupervisorOptions { intensity: None, ..SupervisorOptions::default() };
    let host = Host::new(HostOptions { root, ..HostOptions::default() })?;
    let events = host.observe(Filter::default(), &ObserverOptions::default())?;
    let _log = host.observe_with(Filter::default(), &ObserverOptions::default(), Place::Thread, |item| {
        if let Item::Event(event) = item {
            let _ = writeln!(io::stdout(), "{event}");
        }
    })?;
    let mut watcher = Service::new("watcher", AsyncProcess::new("watch"));
    watcher.ready = Ready::Notify(LONG);
    host.add(watcher)?;
    let mut counter = Service::new("counter", AsyncProcess::new("count"));
    counter.ready = Ready::Notify(LONG);
    (counter.watchdog, counter.liveness) = (Some(LONG), Some(LONG));
    host.add(counter)?;
    host.start()?;

    for _ in 0..3 {
        let mut pid = None;
        loop {
            match events.next(Some(LONG))? {
                Item::Event(event) => match &event.what {
                    What::Spawned { pid: its } if event.path == "root/counter" => pid = Some(*its),
                    What::Status(_) => break,
                    _ => {}
                },
                Item::Lost(_) => {}
            }
        }
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    // It has come back for the third time.
    while !matches!(events.next(Some(LONG))?, Item::Event(event) if matches!(event.what, What::Status(_))) {}
    host.shutdown(Some(LONG))
}

fn main() -> ExitCode {
    Workers::new().service("count", count).service("watch", watch).run_if_asked();
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
