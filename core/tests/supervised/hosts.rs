//! Hosts that are killed, and hosts in workers.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use coop_core::supervisor::{
    Command, Context, Ended, Host, HostOptions, Kind, Process, Ready, Service, SupervisorOptions, What,
};
use rustix::process::Signal;

use super::{
    Case,
    cases::in_role,
    observers,
    world::{eventually, is_gone, kill, service, signal, temporary, world},
};

pub(crate) const CASES: &[Case] = &[
    ("the_workers_of_a_host_that_is_killed_go_with_it", host_killed),
    ("a_host_in_a_worker_is_a_service_of_the_outer_one", host_in_a_worker),
    ("a_child_that_closes_everything_is_supervised_all_the_same", closes_everything),
];

/// What this program is if it is neither a worker nor the tests.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    match std::env::var("SUPERVISED_ROLE").ok()?.as_str() {
        "host" => Some(host()),
        "grandchild" => Some(observers::grandchild()),
        _ => None,
    }
}

fn sleeper() -> Service {
    Service::new("sleeper", Arc::new(Process::new(Command::from_argv(["sleep", "600"]))))
}

/// Three workers and a plain child, whose ids are written down.
fn host() -> ExitCode {
    let host = Host::new(HostOptions::default()).unwrap();
    for name in ["first", "second", "third"] {
        host.add(Service { id: name.into(), ..service("steady") }).unwrap();
    }
    host.add(sleeper()).unwrap();
    host.start().unwrap();
    let pids: Vec<_> =
        host.which_children().unwrap().iter().filter_map(|child| child.pid).map(|pid| pid.to_string()).collect();
    let _ = writeln!(io::stdout(), "{}", pids.join(" "));
    let _ = host.join(None);
    ExitCode::SUCCESS
}

fn host_killed() {
    let mut host = in_role("SUPERVISED_ROLE", "host");
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<i32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 4, "{line}");
    let began = Instant::now();
    kill(i32::try_from(host.id()).unwrap());
    assert_eq!(host.wait().unwrap().signal(), Some(9));
    eventually("they go too", || pids.iter().all(|pid| is_gone(*pid)));
    let _ = writeln!(io::stdout(), "  gone {:.1?} after their host", began.elapsed());
}

/// An entry that is a host itself.
pub(crate) async fn nested(context: Context) -> Result<(), String> {
    let root = SupervisorOptions { intensity: None, ..SupervisorOptions::default() };
    let host = Host::new(HostOptions { name: "inner".into(), root, ..HostOptions::default() }).unwrap();
    // What the outer host tells its worker is not told to the inner one's.
    let says =
        r#"test -z "$WATCHDOG_USEC$COOP_SERVICE$COOP_SERVICE_RUN" && printf %s "$NOTIFY_SOCKET" && exec sleep 600"#;
    let outer = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let lines = seen.clone();
    let mut process = Process::new(Command::from_argv(["sh", "-c", &format!("{says}; echo")]));
    process.output.stdout = coop_core::supervisor::executor::process::output::Sink::Lines(Arc::new(move |line| {
        lines.lock().unwrap().push_str(&line.text);
    }));
    host.add(Service::new("plain", Arc::new(process))).map_err(|error| error.to_string())?;
    host.add(Service { ready: Ready::AtOnce, ..service("steady") }).map_err(|error| error.to_string())?;
    host.start().map_err(|error| error.to_string())?;
    context.ready();
    let pids: Vec<_> =
        host.which_children().unwrap().iter().filter_map(|child| child.pid).map(|pid| pid.to_string()).collect();
    if seen.lock().unwrap().contains(&outer) {
        return Err("the inner service was given the outer socket".into());
    }
    context.status(format!("inner {}", pids.join(" ")));
    context.stopping().await;
    let stopped = host.shutdown(Some(Duration::from_secs(60)));
    context.status("inner has stopped");
    stopped.map_err(|error| error.to_string())
}

fn host_in_a_worker() {
    let world = world([service("hosts")]).started();
    let said = world.until_status("root/hosts", "inner ");
    let What::Status(text) = &said.what else { unreachable!() };
    let pids: Vec<i32> = text.split(' ').skip(1).map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    // Killed, it takes its own with it, and comes back.
    kill(world.pid("hosts"));
    eventually("the inner ones go too", || pids.iter().all(|pid| is_gone(*pid)));
    world.until_kind("root/hosts", Kind::Ready);
    world.until_status("root/hosts", "inner ");
    let rest = world.stop();
    assert!(rest.iter().any(|event| matches!(&event.what, What::Status(text) if text == "inner has stopped")));
}

fn closes_everything() {
    let script = "for fd in 0 1 2; do eval \"exec $fd>&-\"; done; unset NOTIFY_SOCKET; exec sleep 600";
    let process = Process::new(Command::from_argv(["sh", "-c", script]));
    let mut plain = Service::new("plain", Arc::new(process));
    plain.restart = coop_core::supervisor::Restart::Permanent;
    let world = world([plain, temporary("steady")]).started();
    world.until_kind("root/plain", Kind::Ready);
    // The pipes are at their end: what watches them must not spin.
    std::thread::sleep(Duration::from_millis(200));
    let before = cpu_time();
    std::thread::sleep(Duration::from_millis(500));
    let spent = cpu_time() - before;
    assert!(spent < Duration::from_millis(250), "{spent:?} of CPU in 0.5 s, of a host that has nothing to do");
    signal(world.pid("plain"), Signal::KILL);
    let (how, _) = world.until_ended("root/plain");
    assert_eq!(how, Ended::Signaled { signal: 9, core_dumped: false });
    world.until_kind("root/plain", Kind::Ready);
    let rest = world.stop();
    let ended = rest.iter().find(|event| event.path == "root/plain" && event.what.kind() == Kind::Ended).unwrap();
    assert!(matches!(ended.what, What::Ended { how: Ended::Signaled { signal: 15, .. }, normal: true, .. }));
}

/// Of this process, its threads and nobody else.
fn cpu_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap().into()
}
