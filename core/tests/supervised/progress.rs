//! Liveness and progress: what does not run, and what runs without getting anywhere.

use std::time::Duration;

use coop_core::supervisor::{
    AsyncProcess, Because, Command, Ended, Kind, Process, Restart, Service, Shutdown, Thread, What,
};
use rustix::process::Signal;

use super::{
    Case,
    world::{World, service, signal, temporary, world},
};

pub(crate) const CASES: &[Case] = &[
    ("a_loop_that_is_blocked_is_not_a_dead_process", blocked),
    ("a_process_that_is_stopped_misses_its_liveness", stopped),
    ("a_service_that_beats_goes_on", beats),
    ("a_service_that_does_not_beat_is_ended_with_a_dump", silent),
    ("what_ignores_the_dump_is_killed", ignores_the_dump),
    ("liveness_is_refused_where_nobody_beats", refused),
];

/// Long enough for a beat of a process on a machine that is busy with other things.
const LIVENESS: Duration = Duration::from_secs(4);

fn because(world: &World, path: &str) -> (Ended, Option<Because>) {
    let (how, event) = world.until_ended(path);
    let What::Ended { because, normal, .. } = &event.what else { unreachable!() };
    assert!(!normal);
    (how, *because)
}

fn blocked() {
    let world = world([Service { liveness: Some(LIVENESS), ..temporary("blocked") }]).started();
    world.until_status("root/blocked", "goes on");
    let rest = world.stop();
    assert!(!rest.iter().any(|event| matches!(event.what, What::Ended { because: Some(Because::Liveness), .. })));
}

fn stopped() {
    let world = world([Service { liveness: Some(LIVENESS), ..service("steady") }]).started();
    world.until_kind("root/steady", Kind::Ready);
    signal(world.pid("steady"), Signal::STOP);
    let (how, because) = because(&world, "root/steady");
    assert!(matches!(how, Ended::Signaled { signal: 6, .. }), "{how}");
    assert_eq!(because, Some(Because::Liveness));
    world.until_kind("root/steady", Kind::Ready);
    world.stop();
}

fn beats() {
    let world = world([Service { watchdog: Some(Duration::from_secs(20)), ..temporary("beats") }]).started();
    world.until_status("root/beats", "has beaten for long");
    world.stop();
}

fn silent() {
    // Both are asked for: the process runs, the service gets nowhere.
    let watchdog = Some(Duration::from_millis(300));
    let liveness = Some(Duration::from_secs(60));
    let world = world([Service { watchdog, liveness, ..service("silent") }]).started();
    let (how, because) = because(&world, "root/silent");
    assert!(matches!(how, Ended::Signaled { signal: 6, .. }), "{how}");
    assert_eq!(because, Some(Because::Watchdog));
    world.until_kind("root/silent", Kind::Ready);
    world.stop();
}

fn ignores_the_dump() {
    let process = Process::new(Command::from_argv(["sh", "-c", "trap '' ABRT TERM; while :; do sleep 1; done"]));
    let mut service = Service::new("deaf", std::sync::Arc::new(process));
    service.restart = Restart::Temporary;
    // Long enough for the shell to come to its `trap`.
    service.watchdog = Some(LIVENESS);
    service.shutdown = Some(Shutdown::After(Duration::from_millis(300)));
    let world = world([service]).started();
    let (how, because) = because(&world, "root/deaf");
    assert_eq!(how, Ended::Signaled { signal: 9, core_dumped: false });
    assert_eq!(because, Some(Because::Watchdog));
    world.stop();
}

fn refused() {
    let world = world([]);
    let mut thread = Service::new("web", Thread::new(|_| Ok::<(), String>(())));
    thread.liveness = Some(LIVENESS);
    let error = world.host.add(thread).unwrap_err().to_string();
    assert!(error.contains("liveness with the thread executor; allowed with async process"), "{error}");
    let mut never = Service::new("web", AsyncProcess::new("steady"));
    never.liveness = Some(Duration::ZERO);
    let error = world.host.add(never).unwrap_err().to_string();
    assert!(error.contains("liveness of 0 s"), "{error}");
}
