//! Observers in workers, and in what they start.

use std::{io::Write, process::ExitCode, thread};

use coop_core::supervisor::{Args, Filter, Kind, Observer, ObserverOptions, Strategy, SupervisorOptions, What};
use rustix::process::Signal;

use super::{
    Case,
    world::{LONG, Scratch, World, eventually, kill, service, signal, world},
};

pub(crate) const CASES: &[Case] = &[
    ("a_worker_sees_its_siblings_crash_without_a_gap", sees_a_sibling),
    ("a_grandchild_sees_too", grandchild_sees),
    ("a_worker_that_is_stopped_loses_events_and_is_told", slow),
    ("who_has_no_host_is_told_so", no_host),
];

/// Starts this entry with these arguments.
fn start(world: &World, entry: &str, args: &[&str]) -> i32 {
    let options =
        SupervisorOptions { strategy: Strategy::SimpleOneForOne, intensity: None, ..SupervisorOptions::default() };
    let pool = world.host.supervisor(entry, options).unwrap();
    pool.template(service(entry)).unwrap();
    pool.start_child_with(Args::Strings(args.iter().map(|&arg| arg.to_owned()).collect())).unwrap();
    pool.which_children().unwrap().remove(0).pid.unwrap()
}

/// The numbers in a file, where what was lost is counted; panics at a gap. Answers the last one, and how many were lost.
fn numbers(lines: &[String]) -> (u64, u64) {
    let (mut last, mut lost) = (None, 0);
    for line in lines {
        let (first, rest) = line.split_once(' ').unwrap();
        if first == "lost" {
            let count: u64 = rest.parse().unwrap();
            lost += count;
            last = Some(last.unwrap_or(0) + count);
            continue;
        }
        let number: u64 = first.parse().unwrap();
        assert!(last.is_none_or(|last| number == last + 1), "{number} after {last:?}");
        last = Some(number);
    }
    (last.unwrap_or(0), lost)
}

fn crashes(world: &World, file: &Scratch) {
    for _ in 0..5 {
        kill(world.pid("steady"));
        let ended = world.until_kind("root/steady", Kind::Ended).number;
        world.until_kind("root/steady", Kind::Ready);
        eventually("the crash is seen", || {
            file.lines().iter().any(|line| *line == format!("{ended} root/steady ended"))
        });
    }
    let (_, lost) = numbers(&file.lines());
    assert_eq!(lost, 0);
}

fn sees_a_sibling() {
    let file = Scratch::new("sibling");
    let world = world([service("steady")]).started();
    start(&world, "observes", &[file.0.to_str().unwrap(), "1000"]);
    crashes(&world, &file);
    // Asked for, it has what was before too.
    assert!(file.lines()[0].starts_with("1 "), "{:?}", file.lines()[0]);
    world.stop();
}

fn grandchild_sees() {
    let file = Scratch::new("grandchild");
    let world = world([service("steady")]).started();
    start(&world, "starts_another", &[file.0.to_str().unwrap()]);
    eventually("the grandchild observes", || !file.lines().is_empty());
    crashes(&world, &file);
    world.stop();
}

/// A program that is no worker, but lives below a host.
pub(crate) fn grandchild() -> ExitCode {
    let path = std::env::args().nth(1).unwrap();
    let options = ObserverOptions { replay: 1000, ..ObserverOptions::default() };
    let observer = Observer::of_parent(Filter::default(), &options).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    for item in observer.iter() {
        if let coop_core::supervisor::Item::Event(event) = item {
            let _ = writeln!(file, "{} {} {}", event.number, event.path, event.what.kind().name());
        }
    }
    ExitCode::SUCCESS
}

fn slow() {
    let file = Scratch::new("slow");
    let world = world([service("steady")]).started();
    let pid = start(&world, "observes", &[file.0.to_str().unwrap(), "10"]);
    eventually("it observes", || !file.lines().is_empty());
    signal(pid, Signal::STOP);
    start(&world, "chats", &["5000"]);
    // The host is not held up by who does not read.
    let last = world.until("the last word", |event| matches!(&event.what, What::Status(text) if text == "4999")).number;
    signal(pid, Signal::CONT);
    eventually("it is told", || numbers(&file.lines()).0 >= last);
    let (_, lost) = numbers(&file.lines());
    assert!(lost > 0);
    world.stop();
}

fn no_host() {
    // This program itself has none, whoever runs it.
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        let error = Observer::of_parent(Filter::default(), &ObserverOptions::default()).unwrap_err().to_string();
        assert!(error.contains("this process has no host"), "{error}");
    }
    // An observer in the host's own process needs no socket, from any thread.
    let world = world([service("steady")]);
    let observer = world.host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    let waits = thread::spawn(move || observer.next(Some(LONG)).unwrap());
    let world = world.started();
    waits.join().unwrap();
    world.stop();
}
