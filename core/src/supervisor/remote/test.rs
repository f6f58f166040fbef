//! Both ends, on one pair of sockets.

use std::{
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::{observe::begin, *};
use crate::{
    error::Error,
    supervisor::{
        event::{Ended, What},
        journal::Journal,
        observer::Item,
    },
};

/// Far longer than anything takes; only a fault waits for it.
const LONG: Duration = Duration::from_secs(60);

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
}

fn add(journal: &Journal, count: u64) {
    for number in 0..count {
        journal.add(1, "root/web", 1, What::Status(format!("{number}")));
    }
}

fn number(item: Item) -> u64 {
    match item {
        Item::Event(event) => event.number,
        Item::Lost(count) => panic!("{count} lost"),
    }
}

#[test]
fn events_cross_in_order_and_end_with_the_host() {
    let (journal, hub) = (Arc::new(Journal::new(10)), Hub::default());
    add(&journal, 3);
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    hub.serve(&journal, "root/web", r#"{"replay":2}"#, theirs);
    let observer = begin(ours, 10_000).unwrap();
    add(&journal, 1000);
    for expected in 2..=1003 {
        assert_eq!(number(observer.next(Some(LONG)).unwrap()), expected);
    }
    journal.close();
    assert_eq!(observer.next(Some(LONG)), Err(Error::Closed("host")));
    hub.close();
}

#[test]
fn a_filter_is_kept_on_the_other_side() {
    let (journal, hub) = (Arc::new(Journal::new(0)), Hub::default());
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    hub.serve(&journal, "root/web", r#"{"paths":["root/db"],"kinds":["ready"]}"#, theirs);
    let observer = begin(ours, 10).unwrap();
    add(&journal, 3);
    journal.add(2, "root/db", 1, What::Starting);
    journal.add(2, "root/db", 1, What::Ready);
    assert_eq!(number(observer.next(Some(LONG)).unwrap()), 5);
}

#[test]
fn who_does_not_read_loses_the_oldest_and_is_told() {
    let (journal, hub) = (Arc::new(Journal::new(0)), Hub::default());
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    hub.serve(&journal, "root/web", r#"{"queue":7}"#, theirs);
    // Far more than a socket holds; nobody reads meanwhile.
    add(&journal, 20_000);
    let observer = begin(ours, 100_000).unwrap();
    journal.close();
    let (mut last, mut told) = (0, 0);
    loop {
        match observer.next(Some(LONG)) {
            Ok(Item::Event(event)) => {
                assert_eq!(event.number, last + 1, "a gap that was not told");
                last = event.number;
            }
            Ok(Item::Lost(count)) => {
                last += count;
                told += count;
            }
            Err(error) => {
                assert_eq!(error, Error::Closed("host"));
                break;
            }
        }
    }
    assert_eq!(last, 20_000);
    assert!(told > 0, "a socket holds 20 000 events");
}

#[test]
fn a_queue_here_that_is_full_loses_the_oldest_of_all() {
    let (journal, hub) = (Arc::new(Journal::new(0)), Hub::default());
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    hub.serve(&journal, "root/web", "{}", theirs);
    let observer = begin(ours, 2).unwrap();
    add(&journal, 500);
    journal.close();
    // Until all has come, which closes it.
    let until = Instant::now() + LONG;
    while !observer.is_closed() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(observer.next(None), Ok(Item::Lost(498)));
    assert_eq!(number(observer.next(None).unwrap()), 499);
    assert_eq!(number(observer.next(None).unwrap()), 500);
}

#[test]
fn who_leaves_is_forgotten_though_nothing_happens() {
    let (journal, hub) = (Arc::new(Journal::new(0)), Hub::default());
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    hub.serve(&journal, "root/web", "{}", theirs);
    let observer = begin(ours, 2).unwrap();
    assert_eq!(journal.observers(), 1);
    drop(observer);
    let until = Instant::now() + LONG;
    while journal.observers() > 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_cannot_be_observed_is_refused_in_words() {
    let (journal, hub) = (Arc::new(Journal::new(0)), Hub::default());
    for (request, why) in [("{", "EOF"), (r#"{"kinds":["nothing"]}"#, "nothing"), (r#"{"queue":0}"#, "at least 1")] {
        let (ours, theirs) = pair(SocketType::SEQPACKET);
        hub.serve(&journal, "root/web", request, theirs);
        let error = begin(ours, 1).unwrap_err().to_string();
        assert!(error.starts_with("the host refused an observer: ") && error.contains(why), "{error}");
    }
    for kind in [SocketType::STREAM, SocketType::DGRAM] {
        let (ours, theirs) = pair(kind);
        hub.serve(&journal, "root/web", "{}", theirs);
        if kind == SocketType::STREAM {
            let error = begin(ours, 1).unwrap_err().to_string();
            assert!(error.contains("tells no events"), "{error}");
        }
    }
    assert_eq!(journal.observers(), 0);
}

fn ended(tail: Vec<String>, details: Option<String>) -> Event {
    let (how, uptime) = (Ended::Exited(1), Duration::ZERO);
    let what = What::Ended { how, normal: false, because: None, uptime, restarts: 0, tail, details };
    Event { number: 1, time: SystemTime::UNIX_EPOCH, id: 1, path: "root/web".into(), run: 1, what }
}

#[test]
fn an_event_that_is_too_long_keeps_the_end_of_its_tail_and_the_beginning_of_its_details() {
    let tail: Vec<_> = (0..10_000).map(|line| format!("line \u{1} {line}")).collect();
    for character in ["x", "\u{1}", "ä"] {
        let details = format!("first\n{}", character.repeat(60_000));
        let bytes = packet(&ended(tail.clone(), Some(details))).unwrap();
        assert!(bytes.len() <= PACKET);
        let Packet::Event(event) = serde_json::from_slice::<Packet<Event>>(&bytes).unwrap() else { panic!("no event") };
        let What::Ended { tail, details, .. } = event.what else { panic!("another event") };
        assert!(tail.len() > 10 && tail.len() < 10_000, "{}", tail.len());
        assert_eq!(tail.last().unwrap(), "line \u{1} 9999");
        let details = details.unwrap();
        assert!(details.starts_with("first\n") && details.len() > 1000, "{}", details.len());
    }
    let short = ended(vec!["a".into()], None);
    let Packet::Event(event) = serde_json::from_slice::<Packet<Event>>(&packet(&short).unwrap()).unwrap() else {
        panic!("no event")
    };
    assert_eq!(event, short);
}

#[test]
fn what_is_wanted_has_defaults() {
    let wanted: Wanted = serde_json::from_str(r#"{"paths":["root/web"]}"#).unwrap();
    assert_eq!((wanted.queue, wanted.replay), (1024, 0));
    assert_eq!(wanted.filter, Filter::path("root/web"));
    for garbage in ["", "[]", "7", r#"{"paths":7}"#, r#"{"kinds":["nothing"]}"#, r#"{"queue":-1}"#] {
        assert!(serde_json::from_str::<Wanted>(garbage).is_err(), "{garbage}");
    }
}
