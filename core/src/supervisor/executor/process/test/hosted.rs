//! Processes as services of a host.

use super::*;
use crate::supervisor::{
    Because, Filter, Host, HostOptions, Item, Observer, ObserverOptions, Restart, SupervisorOptions, event::What,
};

fn host(intensity: Option<u32>) -> (Host, Observer) {
    let root = SupervisorOptions { intensity, ..SupervisorOptions::default() };
    let host = Host::new(HostOptions { root, ..HostOptions::default() }).unwrap();
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    (host, observer)
}

/// The next event that is wanted.
fn next<T>(observer: &Observer, want: impl Fn(&What) -> Option<T>) -> T {
    loop {
        let Item::Event(event) = observer.next(Some(LONG)).unwrap() else { panic!("none is lost") };
        if let Some(wanted) = want(&event.what) {
            return wanted;
        }
    }
}

fn spawned(what: &What) -> Option<i32> {
    match what {
        What::Spawned { pid } => Some(*pid),
        _ => None,
    }
}

#[test]
fn a_crash_is_told_with_its_last_lines_and_the_service_is_back() {
    let (host, observer) = host(Some(1));
    host.add(Service::new("web", Arc::new(silent(shell("echo last words; exit 3"))))).unwrap();
    host.start().unwrap();
    for _ in 0..2 {
        let (how, tail) = next(&observer, |what| match what {
            What::Ended { how, tail, .. } => Some((how.clone(), tail.clone())),
            _ => None,
        });
        assert_eq!((how, tail), (Ended::Exited(3), vec!["last words".into()]));
    }
    next(&observer, |what| matches!(what, What::GaveUp).then_some(()));
    let gave_up = host.join(Some(LONG)).unwrap_err().to_string();
    assert!(gave_up.contains("root/web: exited with 3"), "{gave_up}");
}

#[test]
fn a_killed_process_is_replaced_and_all_end_with_the_host() {
    let (host, observer) = host(None);
    host.add(Service::new("web", Arc::new(silent(shell("sleep 1000 & wait"))))).unwrap();
    host.start().unwrap();
    let mut pid = next(&observer, spawned);
    for _ in 0..20 {
        let number = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
        let successor = next(&observer, spawned);
        assert_ne!(successor, pid);
        pid = successor;
    }
    host.stop().unwrap();
    host.join(Some(LONG)).unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "reaped");
}

#[test]
fn a_process_that_says_when_it_is_ready_is_waited_for() {
    let (host, observer) = host(Some(0));
    let mut service = Service::new("web", Arc::new(silent(role("is-ready-and-waits"))));
    service.ready = Ready::Notify(LONG);
    host.add(service).unwrap();
    host.start().unwrap();
    let pid = next(&observer, spawned);
    next(&observer, |what| matches!(what, What::Ready).then_some(()));
    assert!(is_alive(pid));
    drop(host);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "reaped");
}

#[test]
fn a_program_that_is_not_there_is_a_start_that_failed() {
    let (host, _observer) = host(Some(0));
    host.add(Service::new("web", Arc::new(silent(Command::new("/no/such/program"))))).unwrap();
    let error = host.start().unwrap_err().to_string();
    assert!(error.contains("exec /no/such/program: No such file or directory"), "{error}");
}

fn ended_because(what: &What) -> Option<(Ended, Option<Because>)> {
    match what {
        What::Ended { how, because, .. } => Some((how.clone(), *because)),
        _ => None,
    }
}

/// What systemd's protocol says of watchdogs: a service may give itself up, and say how often it will beat.
#[test]
fn a_service_may_trigger_its_watchdog_or_change_it() {
    for words in ["WATCHDOG=trigger", "WATCHDOG_USEC=200000"] {
        let (host, observer) = host(None);
        host.start().unwrap();
        // The first one would be waited for long.
        let process = Process { notify: true, ..silent(role("says-of-its-watchdog").env("WORDS", words)) };
        let mut service = Service::new("web", Arc::new(process));
        (service.ready, service.watchdog, service.restart) = (Ready::Notify(LONG), Some(LONG * 60), Restart::Temporary);
        host.start_child(service).unwrap();
        let (how, because) = next(&observer, ended_because);
        // With a dump, as any that has missed it.
        assert!(matches!(how, Ended::Signaled { signal: libc::SIGABRT, .. }), "{words}: {how:?}");
        assert_eq!(because, Some(Because::Watchdog), "{words}");
        host.shutdown(Some(LONG)).unwrap();
    }
}
