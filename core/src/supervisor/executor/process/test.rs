//! Real processes: shells, and this very program run again in a role.

mod ending;
mod hearing;
mod hosted;
#[allow(unsafe_code)]
mod raw;
mod roles;
mod spawning;
mod writing;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use super::{
    notify::{Notice, Notify},
    output::{Format, Line, OnLine, Output, Sink, Stream},
    *,
};
use crate::{
    EventLoop, EventLoopOptions,
    error::{Error, Result},
    event_loop::RunMode,
    supervisor::{
        event::Ended,
        executor::{Report, Reporter},
        service::Ready,
    },
};

/// Far beyond what anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// In the environment of this program when it is run again.
const ROLE: &str = "COOP_TEST_ROLE";
/// What a role has to say is behind this.
const RESULT: &str = "RESULT:";

fn new_loop() -> EventLoop {
    EventLoop::new(EventLoopOptions::default()).unwrap()
}

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

/// Nobody's output in the way of the tests'.
fn silent(command: Command) -> Process {
    Process { output: Output { stdout: Sink::Null, stderr: Sink::Null, tail: 20 }, ..Process::new(command) }
}

/// A run, as a supervisor would have it.
#[derive(Debug)]
struct Run {
    running: Box<dyn Running>,
    reports: mpsc::Receiver<Report>,
    event_loop: EventLoop,
}

/// How a run ended, and the last lines.
type End = (Ended, Vec<String>);

fn begin(process: &Process) -> Result<Run> {
    begin_service(process, |_| {})
}

fn begin_service(process: &Process, with: impl FnOnce(&mut Service)) -> Result<Run> {
    let event_loop = new_loop();
    let (running, reports) = begin_on(&event_loop, process, with)?;
    Ok(Run { running, reports, event_loop })
}

fn begin_on(
    event_loop: &EventLoop,
    process: &Process,
    with: impl FnOnce(&mut Service),
) -> Result<(Box<dyn Running>, mpsc::Receiver<Report>)> {
    let mut service = Service::new("service", Arc::new(process.clone()));
    with(&mut service);
    let (sender, reports) = mpsc::channel();
    let reporter = Reporter::new(move |report| drop(sender.send(report)));
    process.check(&service)?;
    let running = process.start(Start {
        service: &service,
        id: ServiceId(1),
        path: "tree/service",
        run: 1,
        args: &Args::None,
        main_loop: None,
        supervisor: None,
        event_loop,
        reporter,
    })?;
    Ok((running, reports))
}

impl Run {
    fn pid(&self) -> i32 {
        self.running.pid().unwrap()
    }

    /// What it tells before its end, and that.
    fn to_the_end(&self) -> (Vec<Report>, End) {
        let mut before = Vec::new();
        let end = self.until(|| match self.reports.try_recv().ok()? {
            Report::Ended { how, tail, .. } => Some((how, tail)),
            report => {
                before.push(report);
                None
            }
        });
        self.event_loop.run(RunMode::UntilIdle).unwrap();
        assert!(self.reports.try_recv().is_err(), "something was told after the end");
        (before, end)
    }

    fn end(&self) -> End {
        self.to_the_end().1
    }

    fn until<T>(&self, look: impl FnMut() -> Option<T>) -> T {
        until(&self.event_loop, look)
    }
}

/// Runs the loop until there is an answer.
fn until<T>(event_loop: &EventLoop, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(begin.elapsed() < LONG, "it has not happened within {LONG:?}");
        event_loop.call_later(Duration::from_millis(2), || {}).unwrap();
        event_loop.run(RunMode::Once).unwrap();
    }
}

fn ended(process: &Process) -> Result<End> {
    Ok(begin(process)?.end())
}

/// The lines that a command writes, which must end well.
fn lines(command: Command) -> Vec<String> {
    let process = Process { output: Output { tail: 1000, ..silent(command.clone()).output }, ..Process::new(command) };
    let (how, tail) = ended(&process).unwrap();
    assert_eq!(how, Ended::Exited(0), "{tail:?}");
    tail
}

fn line(command: Command) -> String {
    lines(command).join("\n")
}

/// Why a command cannot be run.
fn refused(command: Command) -> Error {
    ended(&silent(command)).expect_err("refused")
}

/// This program again, in a role: what it has to say.
fn play(role: &str) -> String {
    let done = again(role).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    let result = text.split_once(RESULT).and_then(|(_, result)| result.lines().next());
    match (done.status.success(), result) {
        (true, Some(result)) => result.to_owned(),
        _ => panic!("role {role}: {}\n{text}\n{}", done.status, String::from_utf8_lossy(&done.stderr)),
    }
}

fn arguments() -> [&'static str; 3] {
    ["supervisor::executor::process::test::roles::as_a_child", "--exact", "--nocapture"]
}

fn again(role: &str) -> process::Command {
    let mut again = process::Command::new(std::env::current_exe().unwrap());
    again.args(arguments()).env(ROLE, role);
    again
}

/// The same, as a service.
fn role(role: &str) -> Command {
    Command::new(std::env::current_exe().unwrap()).args(arguments()).env(ROLE, role)
}

/// Whether the process is there, and not only waits to be reaped.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn wait_until(mut look: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !look() {
        assert!(begin.elapsed() < LONG, "it has not happened within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A directory that is gone with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coop-{name}-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (reader.into(), writer)
}

/// A sink that keeps what it is told.
fn keeping() -> (Sink, Arc<Mutex<Vec<Line>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = kept.clone();
    let keep: OnLine = Arc::new(move |line: &Line| keeps.lock().unwrap().push(line.clone()));
    (Sink::Lines(keep), kept)
}
