//! Starts, answers, stops, and starts that fail.

use std::{net::UdpSocket, time::Duration};

use coop_core::{
    Error,
    port::{Mode, Port, PortSet, PortSetOptions},
    supervisor::{Command, Filter, Item, Kind, ObserverOptions},
};

use super::{
    Case,
    handlers::handlers,
    world::{Client, LONG, NO_DUTY, descriptors, eventually, local, options, ports, started},
};

pub(crate) const CASES: &[Case] = &[
    ("the_mode_is_one_argument", one_argument),
    ("a_stop_runs_on_stop_and_closes_the_sockets", stops),
    ("a_handler_stops_its_whole_set", stop_from_inside),
    ("a_start_that_fails_is_told_in_the_handlers_words", no_start),
    ("a_port_that_cannot_bind_starts_nothing", no_bind),
    ("a_program_without_its_handlers_is_told_so", no_duty),
    ("what_becomes_of_the_processes_is_seen", observed),
    ("a_stop_in_the_middle_of_a_start_leaves_nothing", stop_in_a_start),
    ("a_set_that_is_made_again_and_again_leaves_nothing", again),
];

fn one_argument() {
    for mode in [Mode::Thread, Mode::Process] {
        let set = started(PortSetOptions { mode, ..options() }, ports("echo", &["A", "B"]));
        for name in ["A", "B"] {
            let client = Client::new(&set, name);
            for size in [0, 1, 1401, 65_507] {
                let data = "x".repeat(size);
                assert_eq!(client.ask(data.as_bytes()), data);
            }
            assert_eq!(client.ask(b"run"), format!("1 {mode:?} {name}"));
            let own = client.pid() == i32::try_from(std::process::id()).unwrap();
            assert_eq!(own, mode == Mode::Thread);
            client.send(b"fault");
            client.send(b"panic");
            assert_eq!(client.ask(b"on"), "on");
            assert_eq!(client.ask_until(b"timer", |saved| !saved.is_empty()), "timer");
        }
        assert_eq!(set.stats().unwrap()[1].1.errors, 2);
        set.stop(Some(LONG)).unwrap();
        for (_, stats) in set.stats().unwrap() {
            assert_eq!((stats.errors, stats.restarts, stats.dropped), (2, 0, 0));
            assert_eq!((stats.received, stats.sent_bytes > 66_909), (stats.sent + 2, true));
        }
    }
}

fn stops() {
    let set = started(options(), ports("late", &["LATE"]));
    let address = set.addresses().unwrap()[0].1;
    let client = Client::new(&set, "LATE");
    assert_eq!(client.ask(b"x"), "heard");
    assert!(UdpSocket::bind(address).is_err());
    set.stop(Some(LONG)).unwrap();
    set.stop(Some(LONG)).unwrap();
    set.join(None).unwrap();
    assert_eq!(client.next(LONG).unwrap(), b"goodbye");
    UdpSocket::bind(address).expect("the socket was closed");
    assert_eq!(set.stats().unwrap()[0].1.sent, 2);
    assert!(matches!(set.start(), Err(Error::Exists(_))));
}

fn stop_from_inside() {
    let set = started(options(), ports("echo", &["A", "B", "C"]));
    assert!(matches!(set.join(Some(Duration::from_millis(10))), Err(Error::Timeout(text)) if text.contains('B')));
    let addresses = set.addresses().unwrap();
    Client::new(&set, "B").send(b"stop");
    // Its sockets are closed when the last worker has ended, whether somebody waits for that or not.
    eventually("its addresses are free", || addresses.iter().all(|(_, address)| UdpSocket::bind(address).is_ok()));
    set.join(Some(LONG)).unwrap();
    assert_eq!(set.stats().unwrap().iter().map(|(_, stats)| stats.restarts).sum::<u64>(), 0);
}

fn no_start() {
    let refused = |port: Port| {
        let set = PortSet::new(options(), vec![Port::named("GOOD", local(), "echo"), port]).unwrap();
        let error = set.start().unwrap_err();
        assert!(matches!(set.addresses(), Ok(all) if UdpSocket::bind(all[0].1).is_ok()), "closed again");
        error.to_string()
    };
    let told = refused(Port::named("BAD", local(), "no_start").args("no configuration: ä\nsecond line"));
    assert_eq!(told, "port BAD: the start failed: no configuration: ä\nsecond line");
    let told = refused(Port::named("BAD", local(), "dies"));
    assert!(told.contains("BAD") && told.contains('7') && told.contains("the end of it"), "{told}");
    let mut other = options();
    other.process.command = Some(Command::new("/nowhere/at/all"));
    let told = PortSet::new(other, ports("echo", &["A"])).unwrap().start().unwrap_err().to_string();
    assert!(told.contains("/nowhere/at/all"), "{told}");
    // A program that has no such handler.
    let mut other = options();
    other.process.command = Some(coop_core::supervisor::AsyncProcess::this_program());
    let told = PortSet::new(other, ports("unheard of", &["A"])).unwrap().start().unwrap_err().to_string();
    assert!(told.contains("port A") && told.contains("\"unheard of\"") && told.contains("\"echo\""), "{told}");
}

fn no_bind() {
    let taken = UdpSocket::bind(local()).unwrap();
    let bad = Port::named("TAKEN", taken.local_addr().unwrap(), "echo");
    let set = PortSet::new(options(), vec![Port::named("A", local(), "echo"), bad]).unwrap();
    let error = set.start().unwrap_err();
    assert_eq!(error.os_errno(), Some(libc::EADDRINUSE));
    assert!(error.to_string().contains("TAKEN"), "{error}");
    assert!(matches!(set.addresses(), Err(Error::Closed(_))));
}

/// It does not come to its duty, and makes the set once more instead.
fn no_duty() {
    let mut other = options();
    let again = coop_core::supervisor::AsyncProcess::this_program().env(NO_DUTY, "1").env("PORT_PROCESS_ROLE", "again");
    other.process.command = Some(again);
    let told = PortSet::new(other, ports("echo", &["A"])).unwrap().start().unwrap_err().to_string();
    assert!(told.contains("run_if_asked"), "{told}");
}

fn observed() {
    let set = started(options(), ports("echo", &["A", "B"]));
    let options = ObserverOptions { replay: 100, ..ObserverOptions::default() };
    let kinds = [Kind::Spawned, Kind::Ready, Kind::Ended];
    let wanted = Filter { paths: vec!["ports/*".into()], kinds: kinds.into() };
    let observer = set.observe(wanted, &options).unwrap();
    let next = || match observer.next(Some(LONG)).unwrap() {
        Item::Event(event) => (event.path.clone(), event.what.kind(), event.run),
        other => panic!("{other:?}"),
    };
    for path in ["ports/A", "ports/B"] {
        assert_eq!(next(), (path.into(), Kind::Spawned, 1));
        assert_eq!(next(), (path.into(), Kind::Ready, 1));
    }
    Client::new(&set, "B").send(b"exit");
    assert_eq!(next(), ("ports/B".into(), Kind::Ended, 1));
    assert_eq!(next(), ("ports/B".into(), Kind::Spawned, 2));
    assert_eq!(next(), ("ports/B".into(), Kind::Ready, 2));
    assert_eq!(Client::new(&set, "B").ask(b"run"), "2 Process B");
    assert_eq!(set.stats().unwrap()[1].1.restarts, 1, "an end with status 0 is an end too");
    let here = started(PortSetOptions { handlers: handlers(), ..PortSetOptions::threads() }, ports("echo", &["A"]));
    assert!(matches!(here.observe(Filter::default(), &options), Err(Error::Unsupported(_))));
    set.stop(Some(LONG)).unwrap();
    assert!(matches!(set.observe(Filter::default(), &options), Err(Error::Closed(_))));
}

fn again() {
    let round = || {
        let set = started(options(), ports("echo", &["A", "B", "C"]));
        assert_eq!(Client::new(&set, "C").ask(b"x"), "x");
    };
    round();
    let before = descriptors();
    for _ in 0..5 {
        round();
    }
    assert!(descriptors() <= before);
}

fn stop_in_a_start() {
    let address = UdpSocket::bind(local()).unwrap().local_addr().unwrap();
    for after in (0..2000).step_by(20).map(Duration::from_micros) {
        let set = PortSet::new(options(), vec![Port::named("A", address, "echo")]).unwrap();
        let go = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let starts = scope.spawn(|| {
                go.wait();
                set.start()
            });
            go.wait();
            let until = std::time::Instant::now() + after;
            while std::time::Instant::now() < until {
                std::hint::spin_loop();
            }
            set.stop(Some(LONG)).unwrap();
            let started = starts.join().unwrap();
            assert!(matches!(started, Ok(()) | Err(Error::Closed(_))), "{started:?}");
        });
        // One that was stopped before it was started serves.
        set.stop(Some(LONG)).unwrap();
        UdpSocket::bind(address).unwrap_or_else(|error| panic!("stopped after {after:?}: {error}"));
    }
}
