//! Services that are killed again and again, under each strategy.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use coop_core::supervisor::{
    Command, Event, Filter, Host, HostOptions, Item, ObserverOptions, Process, Service, Shutdown, Strategy,
    SupervisorOptions, What,
};

use super::{
    Case,
    world::{LONG, children_of, descriptors, eventually, groups_alive, kill, service},
};

pub(crate) const CASES: &[Case] = &[("random_kills_under_three_strategies", storm)];

/// How many services there are.
const SERVICES: usize = 20;

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap_or(0)
}

/// How long: a third of COOP_STORM_SECONDS for each strategy, or a moment.
fn lasts() -> Duration {
    let seconds = std::env::var("COOP_STORM_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Duration::from_secs(1), |seconds: u64| Duration::from_secs(seconds.div_ceil(3)))
}

fn storm() {
    let mut seed = std::process::id() as u64 | 1 << 40;
    let _ = writeln!(io::stdout(), "  seed {seed}");
    // What is made once, and kept.
    round(Strategy::OneForOne, Duration::ZERO, &mut seed);
    let before = descriptors();
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let kills = round(strategy, lasts(), &mut seed);
        let _ = writeln!(io::stdout(), "  {strategy:?}: {kills} kills in {:?}", lasts());
        eventually("no descriptor is left", || descriptors() <= before);
    }
}

/// Plain programs, workers, and programs with a child of their own.
fn one(number: usize) -> Service {
    let name = format!("service-{number}");
    let mut service = match number % 3 {
        0 => Service::new(name, Arc::new(Process::new(Command::from_argv(["sleep", "600"])))),
        1 => Service::new(name, Arc::new(Process::new(Command::from_argv(["sh", "-c", "sleep 600 & wait"])))),
        _ => Service { id: name, ..service("steady") },
    };
    service.shutdown = Some(Shutdown::After(LONG));
    service
}

fn round(strategy: Strategy, lasts: Duration, seed: &mut u64) -> usize {
    let root = SupervisorOptions { strategy, intensity: None, ..SupervisorOptions::default() };
    let host = Host::new(HostOptions { root, ..HostOptions::default() }).unwrap();
    let options = ObserverOptions { queue: 10_000_000, ..ObserverOptions::default() };
    let observer = host.observe(Filter::default(), &options).unwrap();
    for number in 0..SERVICES {
        host.add(one(number)).unwrap();
    }
    host.start().unwrap();
    let (until, mut kills) = (Instant::now() + lasts, 0);
    while Instant::now() < until {
        let children = host.which_children().unwrap();
        if let Some(pid) = children[random(seed) % children.len()].pid {
            kill(pid);
            kills += 1;
        }
        std::thread::sleep(Duration::from_micros((random(seed) % 5000) as u64));
    }
    eventually("every service is back", || host.count_children().unwrap().active == SERVICES);
    let groups: Vec<i32> = host.which_children().unwrap().iter().filter_map(|child| child.pid).collect();
    assert_eq!(groups.len(), SERVICES);
    host.shutdown(Some(LONG)).unwrap();
    drop(host);
    let left = children_of(std::process::id());
    assert!(left.is_empty(), "zombies, or children that go on: {left:?}");
    check(&observer.iter().collect::<Vec<_>>());
    kills
}

/// The numbers have no gap, each process's group is gone, and each run begins and ends once.
fn check(items: &[Item]) {
    let mut runs: BTreeMap<(u64, u64), i32> = BTreeMap::new();
    let mut groups = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let Item::Event(event) = item else { panic!("{item:?}") };
        assert_eq!(event.number, at as u64 + 1);
        let Event { id, run, what, .. } = &**event;
        match what {
            What::Starting => assert!(runs.insert((*id, *run), 1).is_none(), "begun twice: {event}"),
            What::Ended { .. } | What::StartFailed { .. } => {
                assert_eq!(runs.insert((*id, *run), 0), Some(1), "an end without a beginning, or twice: {event}");
            }
            What::Spawned { pid } => {
                groups.insert(*pid);
            }
            _ => {}
        }
    }
    assert!(runs.values().all(|left| *left == 0), "runs without an end");
    eventually("every group is gone", || groups_alive().is_disjoint(&groups));
}
