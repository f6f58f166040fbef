//! The life of a host.

use super::*;

#[test]
fn a_host_starts_in_order_restarts_and_stops_last_first() {
    let host = host(strategy(Strategy::OneForOne));
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    let (a, b) = (Puppet::default(), Puppet::default());
    host.add(a.service("a")).unwrap();
    host.add(b.service("b")).unwrap();
    assert_eq!(a.runs(), 0, "only noted");
    host.start().unwrap();
    assert_eq!((a.runs(), b.runs()), (1, 1));
    a.tell(Do::Fail);
    a.wait_runs(2);
    wait_state(&host, "a", Some(ChildState::Running));
    host.stop().unwrap();
    assert_eq!(host.join(Some(LONG)).unwrap(), Finish::Stopped);
    let events: Vec<_> = observer.iter().collect();
    let events: Vec<_> = events
        .into_iter()
        .map(|item| match item {
            Item::Event(event) => event,
            Item::Lost(count) => panic!("{count} lost"),
        })
        .collect();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.number, at as u64 + 1, "numbers without a gap");
    }
    let told: Vec<_> =
        events.iter().map(|event| format!("{} {} {}", event.path, event.run, event.what.kind().name())).collect();
    assert_eq!(
        told,
        [
            "root/a 0 added",
            "root/b 0 added",
            "root 1 starting",
            "root/a 1 starting",
            "root/a 1 ready",
            "root/b 1 starting",
            "root/b 1 ready",
            "root 1 ready",
            "root/a 1 ended",
            "root/a 2 starting",
            "root/a 2 ready",
            "root 1 stopping",
            "root/b 1 stopping",
            "root/b 1 ended",
            "root/a 2 stopping",
            "root/a 2 ended",
            "root 1 ended",
        ]
    );
    assert!(
        matches!(&events[8].what, What::Ended { how: Ended::Failed(text), normal: false, .. } if text == "told to fail")
    );
}

#[test]
fn a_start_that_fails_stops_what_was_started_and_may_be_tried_again() {
    let host = host(strategy(Strategy::OneForOne));
    let (a, b) = (Puppet::default(), Puppet::default());
    b.fails.store(1, Ordering::SeqCst);
    host.add(a.service("a")).unwrap();
    host.add(b.service("b")).unwrap();
    let error = host.start().unwrap_err();
    assert!(error.to_string().contains("told to fail at the start") && error.to_string().contains('b'), "{error}");
    assert_eq!((a.runs(), a.alive.load(Ordering::SeqCst)), (1, 0));
    host.start().unwrap();
    assert_eq!((a.runs(), b.runs()), (2, 2));
    assert!(matches!(host.start(), Err(Error::Exists(_))));
    host.shutdown(Some(LONG)).unwrap();
    assert!(matches!(host.start(), Err(Error::Closed(_))));
}

#[test]
fn a_host_that_is_dropped_stops() {
    let puppet = Puppet::default();
    let host = host(strategy(Strategy::OneForOne));
    let root = host.root().clone();
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    drop(host);
    assert_eq!(puppet.alive.load(Ordering::SeqCst), 0);
    assert_eq!(root.which_children(), Err(Error::Closed("host")));
    assert_eq!(root.terminate_child("a"), Err(Error::Closed("host")));
}
