//! Real processes: shells, and this very program run again.

mod spawning;

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{child::Child, plan::*, *};
use crate::{
    EventLoop, EventLoopOptions,
    error::{Error, Result},
    event_loop::{ExitStatus, RunMode},
};

/// Far beyond what anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn new_loop() -> EventLoop {
    EventLoop::new(EventLoopOptions::default()).unwrap()
}

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

/// Runs it to its end: what it wrote, and how it ended.
fn run(command: &Command) -> Result<(String, Result<ExitStatus>)> {
    let event_loop = new_loop();
    let (mut output, writer) = pipe();
    let (sender, told) = mpsc::channel();
    let extras = Extras { stdout: Some(writer.as_fd()), ..Extras::default() };
    let mut plan = Plan::new(command, &extras)?;
    let _child = Child::start(&mut plan, &event_loop, Box::new(move |status| sender.send(status).unwrap()))?;
    drop(writer);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let status = until(&event_loop, || told.try_recv().ok());
    Ok((text, status))
}

fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (reader.into(), writer)
}

/// Runs the loop until there is an answer.
fn until<T>(event_loop: &EventLoop, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(begin.elapsed() < LONG, "it has not happened within {LONG:?}");
        event_loop.call_later(Duration::from_millis(5), || {}).unwrap();
        event_loop.run(RunMode::Once).unwrap();
    }
}

/// What a command writes that ends well.
fn output(command: &Command) -> String {
    let (text, status) = run(command).unwrap();
    assert!(status.as_ref().is_ok_and(ExitStatus::success), "{command:?}: {status:?}");
    text
}

/// Why a command cannot be run.
fn refused(command: &Command) -> String {
    run(command).expect_err("refused").to_string()
}
