//! From the call to a child that has its program: the process executor beside a bare `posix_spawn`, in turns. Both return when the
//! child has called `execve`. Then the same with a parent of 500 MB.
//!
//!     cargo run --release -p coop-bench --bin spawn [CHILDREN]

use std::{
    error::Error,
    ptr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use coop_core::{
    EventLoop, EventLoopOptions,
    event_loop::RunMode,
    supervisor::{
        Args, Executor, Process, Reporter, Service, ServiceId, Start,
        executor::{
            Report,
            process::{
                Command,
                output::{Output, Sink},
            },
        },
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let children: usize = std::env::args().nth(1).map_or(Ok(300), |count| count.parse())?;
    compare("small parent", children)?;
    let large = vec![1_u8; 500 << 20];
    compare("parent of 500 MB", children)?;
    drop(large);
    Ok(())
}

fn compare(name: &str, children: usize) -> Result<(), Box<dyn Error>> {
    let (mut ours, mut captured, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..children {
        ours.push(executor(Sink::Inherit)?);
        captured.push(executor(Sink::Null)?);
        theirs.push(posix_spawn()?);
    }
    let [ours, captured, theirs] = [ours, captured, theirs].map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    });
    let show = |(half, most): (Duration, Duration)| format!("p50 {:>6.0?} p99 {:>6.0?}", half, most);
    println(&format!(
        "{name:18} executor {} | with output captured {} | posix_spawn {}",
        show(ours),
        show(captured),
        show(theirs)
    ));
    Ok(())
}

fn executor(sink: Sink) -> Result<Duration, Box<dyn Error>> {
    let event_loop = EventLoop::new(EventLoopOptions::default())?;
    let mut process = Process::new(Command::new("/bin/true"));
    process.output = Output { stdout: sink.clone(), stderr: sink, tail: 20 };
    let service = Service::new("true", Arc::new(process.clone()));
    let (sender, ended) = mpsc::channel();
    let reporter = Reporter::new(move |report| {
        if matches!(report, Report::Ended { .. }) {
            let _ = sender.send(());
        }
    });
    let begin = Instant::now();
    let running = process.start(Start {
        service: &service,
        id: ServiceId(1),
        path: "true",
        run: 1,
        args: &Args::None,
        event_loop: &event_loop,
        main_loop: None,
        supervisor: None,
        reporter,
    })?;
    let took = begin.elapsed();
    while ended.try_recv().is_err() {
        event_loop.run(RunMode::Once)?;
    }
    drop(running);
    Ok(took)
}

fn posix_spawn() -> Result<Duration, Box<dyn Error>> {
    let (mut pid, mut status) = (0, 0);
    let argv = [c"/bin/true".as_ptr().cast_mut(), ptr::null_mut()];
    let begin = Instant::now();
    // SAFETY: strings and arrays end with NUL and NULL, and are there for the time of the call; no attributes are given.
    let errno = unsafe {
        libc::posix_spawn(&raw mut pid, argv[0], ptr::null(), ptr::null(), argv.as_ptr(), [ptr::null_mut()].as_ptr())
    };
    let took = begin.elapsed();
    if errno != 0 {
        return Err(std::io::Error::from_raw_os_error(errno).into());
    }
    // SAFETY: a place for the status of the child made above.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    Ok(took)
}

#[allow(clippy::print_stdout, reason = "what it is for")]
fn println(line: &str) {
    println!("{line}");
}
