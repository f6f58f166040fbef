//! Messages between ports, and from outside, in each mode; and past workers that are killed, or stand still.

use std::time::{Duration, Instant};

use coop_core::{
    Error,
    port::{Bytes, Encoded, Message, Mode, PortSetOptions},
};
use rustix::process::Signal;

use super::{
    Case,
    world::{Client, LONG, children_of, eventually, options, ports, signal, started, stop},
};

pub(crate) const CASES: &[Case] = &[
    ("messages_arrive_with_their_sender_in_each_mode", arrive),
    ("messages_go_on_past_workers_that_are_killed", past_kills),
    ("a_receiver_that_stands_still_blocks_no_sender", full),
    ("messages_that_come_before_the_stop_are_heard", before_the_stop),
];

fn text(text: &str) -> Message {
    Box::new(Bytes(text.as_bytes().to_vec()))
}

fn arrive() {
    for mode in [Mode::Thread, Mode::Process] {
        let set = started(PortSetOptions { mode, ..options() }, ports("talks", &["A", "B", "C"]));
        let [a, b, c] = ["A", "B", "C"].map(|name| Client::new(&set, name));
        for order in ["send B 0 one", "lend B 7 two", "lend A 0 self", "lend C 0 ping"] {
            assert_eq!(a.ask(order.as_bytes()), "sent");
        }
        set.send("B", text("outside")).unwrap();
        set.send("B", Box::new(Encoded { tag: u32::MAX, bytes: b"object".to_vec() })).unwrap();
        b.ask_until(b"heard", |heard| heard.matches(':').count() == 8);
        let heard = b.ask(b"heard");
        let from = |sender: &str| heard.split(',').filter(|one| one.starts_with(sender)).collect::<Vec<_>>();
        assert_eq!(from("A:"), ["A:0:one", "A:7:two"], "{heard}");
        assert_eq!(from(":"), [":0:outside", ":4294967295:object"], "{heard}");
        a.ask_until(b"heard", |heard| heard.contains("A:0:self") && heard.contains("C:0:pong"));
        assert_eq!(c.ask(b"heard"), "A:0:ping");
        for order in ["send D 0 x", "lend D 0 x"] {
            let refused = a.ask(order.as_bytes());
            assert!(refused.contains("\"D\"") && refused.contains("A, B, C"), "{refused}");
        }
        let refused = set.send("D", text("x")).unwrap_err().error.to_string();
        assert!(refused.contains("\"D\"") && refused.contains("A, B, C"), "{refused}");
        eventually("they are counted", || set.stats().unwrap()[1].1.messages == 4);
        if mode == Mode::Process {
            let refused = set.send("A", Box::new(5u32)).unwrap_err();
            assert!(matches!(refused.error, Error::Invalid(_)) && refused.value.is::<u32>());
            let refused = set.send("A", Box::new(Bytes(vec![0; 2 << 20]))).unwrap_err();
            assert!(matches!(refused.error, Error::Invalid(_)), "{}", refused.error);
            let most = Box::new(Bytes(vec![b'x'; 500_000]));
            set.send("C", most).unwrap();
            c.ask_until(b"heard", |heard| heard.contains(":0:500000"));
        }
        set.stop(Some(LONG)).unwrap();
        assert!(matches!(set.send("A", text("late")).unwrap_err().error, Error::Closed(_)));
    }
}

/// One floods the other with numbers, and both are killed meanwhile: no number comes twice, or after a larger one.
fn past_kills() {
    let set = started(options(), ports("talks", &["A", "B"]));
    let [a, b] = ["A", "B"].map(|name| Client::new(&set, name));
    let pids = || {
        let observer = set
            .observe(Default::default(), &coop_core::supervisor::ObserverOptions { replay: 256, ..Default::default() });
        let mut pids = [0; 2];
        while let Ok(Some(coop_core::supervisor::Item::Event(event))) = observer.as_ref().unwrap().try_next() {
            if let coop_core::supervisor::What::Spawned { pid } = event.what {
                pids[usize::from(event.path.ends_with('B'))] = pid;
            }
        }
        pids
    };
    let (begun, mut next, mut kills) = (Instant::now(), 1u64, 0);
    let mut killed = Instant::now();
    // How many are heard depends on who has the CPUs: a ring that is full refuses.
    let heard = || set.stats().unwrap()[1].1.messages;
    while begun.elapsed() < Duration::from_secs(2) || (heard() < 100 && begun.elapsed() < LONG) {
        a.send(format!("flood B {next} 100").as_bytes());
        next += 100;
        if let Some(answer) = a.next(Duration::from_millis(200)) {
            assert!(String::from_utf8(answer).unwrap().parse::<u64>().unwrap() <= 100);
        }
        if killed.elapsed() > Duration::from_millis(100) {
            signal(pids()[kills % 2], Signal::KILL);
            (killed, kills) = (Instant::now(), kills + 1);
        }
    }
    // Whatever was lost: those that are sent from now on arrive.
    let last = next + 1000;
    let mut numbers = String::new();
    for number in last..last + 600 {
        a.send(format!("flood B {number} 1").as_bytes());
        numbers = b.ask_until(b"numbers", |numbers| numbers.split(' ').count() == 3);
        if numbers.split(' ').nth(1).is_some_and(|heard| heard.parse::<u64>().is_ok_and(|heard| heard >= last)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let counts: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
    let stats = set.stats().unwrap();
    assert!(stats[1].1.messages >= 100, "{numbers}, {} of {next}", stats[1].1.messages);
    assert!(counts[1] >= last && counts[2] == 0, "{numbers}");
    assert!(stats[0].1.restarts + stats[1].1.restarts > 1, "{kills}");
}

fn full() {
    let mut options = options();
    options.message_bytes = 4096;
    let set = started(options, ports("talks", &["A", "B", "C"]));
    let [a, b, c] = ["A", "B", "C"].map(|name| Client::new(&set, name));
    let observer = set
        .observe(Default::default(), &coop_core::supervisor::ObserverOptions { replay: 256, ..Default::default() })
        .unwrap();
    let mut pid = 0;
    while let Ok(Some(coop_core::supervisor::Item::Event(event))) = observer.try_next() {
        if let (coop_core::supervisor::What::Spawned { pid: its }, "ports/B") = (&event.what, event.path.as_str()) {
            pid = *its;
        }
    }
    stop(pid);
    let sent: u64 = a.ask(b"flood B 1 1000000").parse().unwrap();
    assert!(sent > 100 && sent < 1000, "16 bytes each in 4096: {sent}");
    let refused = a.ask(b"send B 0 more");
    assert!(refused.contains("full"), "{refused}");
    assert!(matches!(
        set.send("B", Box::new(Bytes(vec![0; 4000]))).map_err(|refused| refused.error),
        Ok(()) | Err(Error::Invalid(_))
    ));
    // Others have rings of their own.
    assert_eq!(c.ask(b"send B 0 other"), "sent");
    assert_eq!(a.ask(b"send C 0 goes-on"), "sent");
    signal(pid, Signal::CONT);
    b.ask_until(b"numbers", |numbers| numbers == format!("{sent} {sent} 0"));
    assert_eq!(a.ask(b"send B 0 room"), "sent");
    b.ask_until(b"heard", |heard| heard.contains("A:0:room") && heard.contains("C:0:other"));
}

fn before_the_stop() {
    let set = started(options(), ports("talks", &["A"]));
    for _ in 0..100 {
        set.send("A", text("x")).unwrap();
    }
    set.stop(Some(LONG)).unwrap();
    assert_eq!(set.stats().unwrap()[0].1.messages, 100);
    // As many as fit, while it stands still.
    let set = started(options(), ports("talks", &["A"]));
    let pid = children_of(std::process::id())[0];
    stop(pid);
    let sent = std::iter::repeat_with(|| set.send("A", text("x"))).take_while(Result::is_ok).count();
    assert!(sent > 50_000, "{sent}");
    set.request_stop_within(Some(LONG)).unwrap();
    signal(pid, Signal::CONT);
    set.join(Some(LONG)).unwrap();
    assert_eq!(set.stats().unwrap()[0].1.messages, sent as u64);
}
