//! Workers that are killed, stopped, that panic, block and hang.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use coop_core::{
    Error,
    port::{Bytes, PortSet, PortStats},
    supervisor::{Because, Ended, Filter, Item, Kind, ObserverOptions, What},
};
use rustix::process::Signal;

use super::{
    Case,
    world::{Client, LONG, eventually, options, ports, signal, started, stop},
};

pub(crate) const CASES: &[Case] = &[
    ("kill_9_of_each_port_in_turn_under_traffic", killed_in_turn),
    ("a_port_that_is_stopped_is_replaced_and_the_others_go_on", stopped),
    ("what_comes_while_a_worker_is_restarted_waits", queue_is_kept),
    ("a_panic_on_each_1000th_skips_that_one", panics),
    ("a_handler_that_blocks_loses_nothing", blocks),
    ("a_stop_ends_a_handler_that_ignores_its_deadline", ignores),
    ("restarts_in_a_row_are_delayed", crashes),
    ("a_worker_that_writes_over_the_shared_memory_stops_only_messages", garbage),
];

fn stats(set: &PortSet, name: &str) -> PortStats {
    set.stats().unwrap().into_iter().find(|(port, _)| port == name).unwrap().1
}

/// How long a storm lasts.
fn lasts() -> Duration {
    let seconds = std::env::var("COOP_STORM_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// What one client saw: datagrams sent and answered, and the longest time that it waited for an answer.
#[derive(Debug, Clone, Copy)]
struct Seen {
    sent: u64,
    answered: u64,
    longest: Duration,
}

/// Asks, and asks again if there is no answer, until the time is over.
fn talk(client: &Client, until: Instant) -> Seen {
    let mut seen = Seen { sent: 0, answered: 0, longest: Duration::ZERO };
    let mut last = Instant::now();
    while Instant::now() < until {
        client.send(b"traffic");
        seen.sent += 1;
        while client.next(Duration::from_millis(20)).is_some() {
            seen.answered += 1;
            seen.longest = seen.longest.max(last.elapsed());
            last = Instant::now();
            if Instant::now() >= until {
                break;
            }
            client.send(b"traffic");
            seen.sent += 1;
        }
    }
    // What is still on its way is answered before this, by the last worker.
    let until = Instant::now() + LONG;
    while Instant::now() < until {
        client.send(b"the last");
        while let Some(answer) = client.next(Duration::from_secs(1)) {
            if answer == b"the last" {
                return seen;
            }
            seen.answered += 1;
        }
    }
    panic!("nobody answers");
}

fn killed_in_turn() {
    const NAMES: [&str; 3] = ["CONTROL", "UPLOAD", "DOWNLOAD"];
    let set = started(options(), ports("echo", &NAMES));
    let clients = NAMES.map(|name| Client::new(&set, name));
    let askers = NAMES.map(|name| Client::new(&set, name));
    let until = Instant::now() + lasts();
    let mut kills = 0;
    let seen = std::thread::scope(|scope| {
        let talks = clients.each_ref().map(|client| scope.spawn(move || talk(client, until)));
        while Instant::now() < until {
            signal(askers[kills % 3].pid_in_the_end(), Signal::KILL);
            kills += 1;
            std::thread::sleep(Duration::from_millis(200));
        }
        talks.map(|talk| talk.join().unwrap())
    });
    // Each is back.
    for asker in &askers {
        asker.pid_in_the_end();
    }
    let restarts: u64 = NAMES.iter().map(|name| stats(&set, name).restarts).sum();
    assert_eq!(restarts, kills as u64, "a worker that answers has been counted");
    set.stop(Some(LONG)).unwrap();
    for (name, seen) in NAMES.iter().zip(seen) {
        let stats = stats(&set, name);
        let _ = writeln!(io::stdout(), "  {name}: {seen:?}, {} restarts", stats.restarts);
        assert!(seen.answered > 0 && stats.received >= seen.answered, "{seen:?} {stats:?}");
        // A worker that is killed takes what it had in hand along; all else was answered. Each client has one or two on the way.
        let lost = seen.sent - seen.answered;
        assert!(lost <= 64 * (stats.restarts + 1), "{seen:?} {stats:?}");
        assert_eq!((stats.dropped, stats.errors), (0, 0));
    }
}

fn stopped() {
    let mut options = options();
    options.process.liveness = Some(Duration::from_secs(2));
    let set = started(options, ports("echo", &["A", "B"]));
    let observer = set.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    let (a, b) = (Client::new(&set, "A"), Client::new(&set, "B"));
    let (stopped, other) = (a.pid(), b.pid());
    stop(stopped);
    a.send(b"waits");
    assert_eq!(b.ask(b"goes on"), "goes on");
    assert_eq!(a.next(LONG).unwrap(), b"waits", "its successor has it");
    assert_ne!(a.pid(), stopped);
    assert_eq!(b.pid(), other);
    match observer.next(Some(LONG)).unwrap() {
        Item::Event(event) => {
            assert_eq!(event.path, "ports/A");
            assert!(matches!(event.what, What::Ended { because: Some(Because::Liveness), .. }), "{event}");
        }
        other => panic!("{other:?}"),
    }
}

fn queue_is_kept() {
    let set = started(options(), ports("echo", &["A"]));
    let client = Client::new(&set, "A");
    let pid = client.pid();
    // It takes nothing any more, and then it is gone: all of this lies in the kernel.
    stop(pid);
    for number in 0..100u32 {
        client.send(number.to_string().as_bytes());
    }
    signal(pid, Signal::KILL);
    for number in 0..100u32 {
        assert_eq!(String::from_utf8(client.next(LONG).unwrap()).unwrap(), number.to_string());
    }
    set.stop(Some(LONG)).unwrap();
    assert_eq!((stats(&set, "A").received, stats(&set, "A").restarts), (101, 1));
}

fn panics() {
    let set = started(options(), ports("counts", &["COUNTS"]));
    let client = Client::new(&set, "COUNTS");
    let mut counted = 0;
    for number in 1..=3000u64 {
        client.send(b"x");
        if number % 1000 == 0 {
            continue;
        }
        let answer = client.next(LONG).unwrap();
        counted = u64::from_le_bytes(answer.try_into().unwrap());
        assert_eq!(counted, number);
    }
    eventually("the last one is a fault", || stats(&set, "COUNTS").errors == 3);
    // What was saved survives the process.
    let observer =
        set.observe(Filter::kinds([Kind::Spawned]), &ObserverOptions { replay: 10, ..Default::default() }).unwrap();
    let Item::Event(event) = observer.next(Some(LONG)).unwrap() else { panic!("it was spawned") };
    let What::Spawned { pid } = event.what else { panic!("{event}") };
    signal(pid, Signal::KILL);
    client.send(b"x");
    let answer = client.next(LONG).unwrap();
    assert_eq!((u64::from_le_bytes(answer.try_into().unwrap()), counted), (3001, 2999));
    set.stop(Some(LONG)).unwrap();
    let stats = stats(&set, "COUNTS");
    assert_eq!((stats.received, stats.errors, stats.sent), (3001, 3, 2998));
}

fn blocks() {
    let mut options = options();
    // Busy for longer than that: which is no fault, as its process runs.
    options.process.liveness = Some(Duration::from_secs(5));
    let set = started(options, ports("echo", &["A", "B"]));
    let (a, b) = (Client::new(&set, "A"), Client::new(&set, "B"));
    let before = a.pid();
    a.send(b"block");
    for number in 0..100u32 {
        a.send(number.to_string().as_bytes());
    }
    assert_eq!(b.ask(b"goes on"), "goes on");
    for number in 0..100u32 {
        assert_eq!(String::from_utf8(a.next(LONG).unwrap()).unwrap(), number.to_string());
    }
    assert_eq!((a.pid(), stats(&set, "A").restarts), (before, 0));
}

fn ignores() {
    let set = started(options(), ports("echo", &["A", "HANGS", "C"]));
    let hangs = Client::new(&set, "HANGS");
    hangs.pid();
    hangs.send(b"hang");
    eventually("it hangs", || stats(&set, "HANGS").received == 2);
    let observer = set.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    // Long enough for the others, which end when they are asked.
    set.stop(Some(Duration::from_secs(5))).unwrap();
    let mut ends: Vec<_> = observer
        .iter()
        .filter_map(|item| match item {
            Item::Event(event) => Some((
                event.path.clone(),
                matches!(&event.what, What::Ended { how: Ended::Signaled { signal: 9, .. }, .. }),
            )),
            Item::Lost(_) => None,
        })
        .filter(|(path, _)| path != "ports")
        .collect();
    ends.sort();
    assert_eq!(ends, [("ports/A".into(), false), ("ports/C".into(), false), ("ports/HANGS".into(), true)]);
    // A handler asks for the stop: the set's own time for that holds.
    let mut options = options();
    options.process.shutdown = Duration::from_millis(200);
    let set = started(options, ports("echo", &["A", "HANGS"]));
    let hangs = Client::new(&set, "HANGS");
    hangs.pid();
    hangs.send(b"hang");
    Client::new(&set, "A").send(b"stop");
    set.join(Some(LONG)).unwrap();
    // One that is dropped.
    let set = started(self::options(), ports("echo", &["HANGS"]));
    Client::new(&set, "HANGS").send(b"hang");
    drop(set);
}

fn crashes() {
    let set = started(options(), ports("echo", &["A"]));
    let wanted = Filter { paths: vec!["ports/A".into()], kinds: vec![Kind::Backoff, Kind::Ready] };
    let observer = set.observe(wanted, &ObserverOptions::default()).unwrap();
    let client = Client::new(&set, "A");
    let mut delays = Vec::new();
    // As fast as it comes back; on a busy machine that may be too slow for a delay, and then there must be none.
    for _ in 0..8 {
        client.send(b"exit");
        loop {
            match observer.next(Some(LONG)).unwrap() {
                Item::Event(event) => match event.what {
                    What::Backoff { delay } => delays.push(delay),
                    _ => break,
                },
                Item::Lost(count) => panic!("{count} lost"),
            }
        }
    }
    assert!(delays.len() <= 4, "the first four are restarted at once: {delays:?}");
    let expected = [50, 100, 200, 400].map(Duration::from_millis);
    assert!(delays.is_empty() || delays == expected[..delays.len()] || delays.contains(&expected[0]), "{delays:?}");
    assert_eq!(client.ask_until(b"x", |answer| answer == "x"), "x");
}

fn garbage() {
    let set = started(options(), ports("echo", &["A", "B", "C"]));
    let [a, b, c] = ["A", "B", "C"].map(|name| Client::new(&set, name));
    let other = b.pid();
    let pid = a.pid();
    a.send(b"garbage");
    // All three go on, and so does whoever comes after them.
    assert_eq!(a.ask(b"x"), "x");
    assert_eq!(b.pid(), other);
    for (client, pid) in [(&a, pid), (&b, other)] {
        signal(pid, Signal::KILL);
        client.ask_until(b"pid", |answer| answer.parse::<i32>().is_ok_and(|new| new != pid));
    }
    assert_eq!(c.ask(b"x"), "x");
    // As long as there is room that it knows of, a sender does not look at what the other side says.
    let told =
        (0..=1 << 16).find_map(|_| set.send("A", Box::new(Bytes(b"x".to_vec()))).err()).map(|refused| refused.error);
    assert!(matches!(&told, Some(Error::Failed(text)) if text.contains("ring")), "{told:?}");
    assert_eq!(set.stats().unwrap()[0].1.restarts, 1);
    set.stop(Some(LONG)).unwrap();
}
