//! What the workers of this program run.

use std::{fs::OpenOptions, io::Write, thread, time::Duration};

use coop_core::{
    supervisor::{Args, Context, Filter, Item, ObserverOptions, Thread, Workers},
    task,
};

/// Longer than any case takes.
const FOR_EVER: Duration = Duration::from_secs(600);

pub(crate) fn workers() -> Workers {
    Workers::new()
        .service("steady", steady)
        .service("says", says)
        .service("beats", beats)
        .service("blocked", blocked)
        .service("silent", steady)
        .service("no_start", |_| async { Err("no configuration") })
        .service("never_ready", |context: Context| async move {
            context.stopping().await;
            Ok::<(), String>(())
        })
        .service("extends", extends)
        .service("ignored", |context: Context| async move { context.ignore() })
        .service("panics", panics)
        .service("exits_in_stop", exits_in_stop)
        .service("cancelled", cancelled)
        .service("stubborn", stubborn)
        .service("chats", chats)
        .service("observes", observes)
        .service("starts_another", starts_another)
        .service("hosts", super::hosts::nested)
        .executor(
            "thread",
            Thread::new(|context| {
                context.ready();
                context.wait_stopping(None);
                Ok::<(), String>(())
            }),
        )
}

fn args(context: &Context) -> Vec<String> {
    match context.args() {
        Args::Strings(strings) => strings.clone(),
        _ => Vec::new(),
    }
}

async fn steady(context: Context) -> Result<(), String> {
    context.ready();
    context.stopping().await;
    Ok(())
}

/// All that it knows of itself.
async fn says(context: Context) -> Result<(), String> {
    let (id, name, path, run) = (context.id().0, context.name(), context.path(), context.run());
    context.status(format!("id={id} name={name} path={path} run={run} args={:?}", args(&context)));
    steady(context).await
}

async fn beats(context: Context) -> Result<(), String> {
    context.ready();
    let event_loop = context.event_loop().map_err(|error| error.to_string())?;
    for _ in 0..200 {
        context.beat();
        task::sleep(&event_loop, Duration::from_millis(10)).await.map_err(|error| error.to_string())?;
    }
    context.status("has beaten for long");
    loop {
        context.beat();
        if context.is_stopping() {
            return Ok(());
        }
        task::sleep(&event_loop, Duration::from_millis(10)).await.map_err(|error| error.to_string())?;
    }
}

/// Its loop stands still for longer than its liveness is.
async fn blocked(context: Context) -> Result<(), String> {
    context.ready();
    context.status("blocks");
    thread::sleep(Duration::from_secs(6));
    context.status("goes on");
    context.stopping().await;
    Ok(())
}

async fn extends(context: Context) -> Result<(), String> {
    context.extend(FOR_EVER);
    let event_loop = context.event_loop().map_err(|error| error.to_string())?;
    task::sleep(&event_loop, Duration::from_secs(1)).await.map_err(|error| error.to_string())?;
    steady(context).await
}

async fn panics(context: Context) -> Result<(), String> {
    context.ready();
    panic!("on purpose");
}

async fn exits_in_stop(context: Context) -> Result<(), String> {
    context.ready();
    context.stopping().await;
    std::process::exit(3);
}

/// It does not look out for being asked: its future is dropped.
async fn cancelled(context: Context) -> Result<(), String> {
    struct Told(Context);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.status("dropped");
        }
    }
    let _told = Told(context.clone());
    context.ready();
    std::future::pending().await
}

async fn stubborn(context: Context) -> Result<(), String> {
    let _stopping = context.stopping();
    context.ready();
    std::future::pending().await
}

/// So many statuses, then READY.
async fn chats(context: Context) -> Result<(), String> {
    let count: u32 = args(&context).first().and_then(|count| count.parse().ok()).unwrap_or(0);
    for number in 0..count {
        context.status(format!("{number}"));
    }
    steady(context).await
}

/// Writes what it sees to the file that its first argument names; the second one is its queue.
async fn observes(context: Context) -> Result<(), String> {
    let words = args(&context);
    let [path, queue] = words.as_slice() else { return Err("two arguments are needed".into()) };
    let options = ObserverOptions { queue: queue.parse().map_err(|_| "no number")?, replay: 1000 };
    let observer = context.observe(Filter::default(), &options).map_err(|error| error.to_string())?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| error.to_string())?;
    thread::spawn(move || {
        for item in observer.iter() {
            let line = match item {
                Item::Event(event) => format!("{} {} {}\n", event.number, event.path, event.what.kind().name()),
                Item::Lost(count) => format!("lost {count}\n"),
            };
            let _ = file.write_all(line.as_bytes());
        }
    });
    steady(context).await
}

/// A program of its own that is told nothing of this run but where its host is.
async fn starts_another(context: Context) -> Result<(), String> {
    let words = args(&context);
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = std::process::Command::new(program)
        .env("SUPERVISED_ROLE", "grandchild")
        .args(words)
        .spawn()
        .map_err(|error| error.to_string())?;
    context.ready();
    context.stopping().await;
    let _ = child.kill();
    let _ = child.wait();
    Ok(())
}
