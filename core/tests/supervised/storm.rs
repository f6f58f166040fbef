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

use rustix::process::Signal;

use super::{
    Case,
    forked::{forked, service, zygote},
    world::{self, LONG, children_of, descriptors, eventually, groups_alive, kill, signal},
};

pub(crate) const CASES: &[Case] = &[
    ("random_kills_under_three_strategies", storm),
    ("forked_random_kills_of_workers_and_their_zygote", forked_storm),
];

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
    round(Strategy::OneForOne, one, hit, Duration::ZERO, &mut seed);
    let before = descriptors();
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let kills = round(strategy, one, hit, lasts(), &mut seed);
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
        _ => Service { id: name, ..world::service("steady") },
    };
    service.shutdown = Some(Shutdown::After(LONG));
    service
}

/// Whatever is a child of this process at the moment: a worker at any step of its life, or the zygote, which may be stopped before it is
/// killed.
fn forked_storm() {
    let mut seed = std::process::id() as u64 | 1 << 40;
    let _ = writeln!(io::stdout(), "  seed {seed}");
    let before = descriptors();
    for strategy in [Strategy::OneForOne, Strategy::RestForOne] {
        let zygote = zygote("");
        let one = |number| {
            let mut service = service(&format!("service-{number}"), forked(&zygote, "says X"));
            service.shutdown = Some(Shutdown::After(LONG));
            service
        };
        let hit = |_: &Host, seed: &mut u64| {
            let children = children_of(std::process::id());
            let zygote = zygote.pid().filter(|_| random(seed).is_multiple_of(4));
            let Some(pid) = zygote.or_else(|| children.get(random(seed) % children.len().max(1)).copied()) else {
                return false;
            };
            if random(seed).is_multiple_of(8) {
                signal(pid, Signal::STOP);
                std::thread::sleep(Duration::from_micros((random(seed) % 20_000) as u64));
            }
            kill(pid);
            true
        };
        let kills = round(strategy, one, hit, lasts(), &mut seed);
        let _ = writeln!(io::stdout(), "  {strategy:?}: {kills} kills in {:?}", lasts());
        eventually("no descriptor is left", || descriptors() <= before);
    }
}

/// Kills one of the host's services.
fn hit(host: &Host, seed: &mut u64) -> bool {
    let children = host.which_children().unwrap();
    let pid = children[random(seed) % children.len()].pid;
    pid.into_iter().for_each(kill);
    pid.is_some()
}

/// Answers how many kills there were.
fn round(
    strategy: Strategy,
    one: impl Fn(usize) -> Service,
    hit: impl Fn(&Host, &mut u64) -> bool,
    lasts: Duration,
    seed: &mut u64,
) -> usize {
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
        kills += usize::from(hit(&host, seed));
        std::thread::sleep(Duration::from_micros((random(seed) % 5000) as u64));
    }
    // One that is on its way has no process yet.
    let processes = || host.which_children().unwrap().iter().filter(|child| child.pid.is_some()).count();
    eventually("every service is back", || {
        host.count_children().unwrap().active == SERVICES && processes() == SERVICES
    });
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
