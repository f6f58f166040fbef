//! Too many restarts, nested supervisors, delays and rests.

use super::*;

fn limited(kind: Strategy, intensity: u32) -> SupervisorOptions {
    SupervisorOptions {
        strategy: kind,
        intensity: Some(intensity),
        period: Duration::from_secs(3600),
        ..SupervisorOptions::default()
    }
}

fn escalates(kind: Strategy) {
    let (host, puppets) = three(limited(kind, 2));
    for run in 2..=3 {
        puppets[1].tell(Do::Fail);
        puppets[1].wait_runs(run);
        wait_all_run(&host);
    }
    puppets[1].tell(Do::Fail);
    match host.join(Some(LONG)) {
        Err(Error::Failed(text)) => {
            for part in ["root gave up", "more than 2 restarts", "root/b: failed: told to fail"] {
                assert!(text.contains(part), "{text:?} says nothing of {part:?}");
            }
        }
        other => panic!("{other:?}"),
    }
    assert!(puppets.iter().all(|puppet| puppet.alive() == 0));
    assert!(matches!(host.add(puppets[0].service("d")), Err(Error::Closed(_)) | Ok(_)));
    assert!(matches!(host.start(), Err(Error::Closed(_))));
}

#[test]
fn one_for_one_escalation() {
    escalates(Strategy::OneForOne);
}

#[test]
fn one_for_all_escalation() {
    escalates(Strategy::OneForAll);
}

#[test]
fn rest_for_one_escalation() {
    escalates(Strategy::RestForOne);
}

#[test]
fn tree() {
    let host = host(strategy(Strategy::OneForOne));
    let middle = host.supervisor("middle", limited(Strategy::OneForAll, 1)).unwrap();
    let inner = middle.supervisor("inner", limited(Strategy::OneForOne, 0)).unwrap();
    let [a, b, c]: [Puppet; 3] = Default::default();
    host.add(a.service("a")).unwrap();
    middle.add(b.service("b")).unwrap();
    inner.add(c.service("c")).unwrap();
    host.start().unwrap();
    assert_eq!(inner.which_children().unwrap()[0].path, "root/middle/inner/c");
    let dynamic = inner.start_child(Puppet::default().service("dynamic")).unwrap();
    // The inner one gives up at once, the middle one restarts all of its own, the dynamic child is forgotten.
    c.tell(Do::Fail);
    c.wait_runs(2);
    b.wait_runs(2);
    wait_all_run(&host);
    wait_all_run(&middle);
    wait_all_run(&inner);
    assert_eq!((a.runs(), b.runs(), c.runs()), (1, 2, 2));
    assert_eq!(inner.find("dynamic").unwrap(), None);
    assert_eq!(inner.terminate_child(dynamic), Err(Error::Stale("service")));
    // Once more: now the middle one gives up too, and the root restarts it.
    c.tell(Do::Fail);
    c.wait_runs(3);
    wait_until("the middle one is back", || state_of(&host, "middle") == Some(ChildState::Running));
    wait_all_run(&inner);
    assert_eq!((a.runs(), b.runs(), c.runs()), (1, 3, 3));
    let found = host.find("middle").unwrap().unwrap();
    assert_eq!(host.of(found).unwrap().find("inner").unwrap(), Some(inner.id()));
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!((a.alive(), b.alive(), c.alive()), (0, 0, 0));
}

fn backoff(delay: Duration) -> Option<Backoff> {
    Some(Backoff { delay, growth: Growth::Fixed, cap: delay, jitter: 0.0, calm: LONG, burst: 0 })
}

#[test]
fn a_stop_during_a_backoff_does_not_wait_for_it() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(Service { backoff: backoff(Duration::from_secs(100_000)), ..puppet.service("a") }).unwrap();
    let observer = host.observe(Filter::kinds([Kind::Backoff]), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    puppet.tell(Do::Fail);
    events_until(&observer, |event| event.what == What::Backoff { delay: Duration::from_secs(100_000) });
    assert_eq!(state_of(&host, "a"), Some(ChildState::Restarting));
    assert!(matches!(host.restart_child("a"), Err(Error::Invalid(_) | Error::Exists(_))));
    assert!(matches!(host.delete_child("a"), Err(Error::Invalid(_) | Error::Exists(_))));
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(puppet.runs(), 1);
}

#[test]
fn a_backoff_delays_a_restart() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let delay = Duration::from_millis(50);
    host.add(Service { backoff: backoff(delay), ..puppet.service("a") }).unwrap();
    host.start().unwrap();
    let begun = Instant::now();
    puppet.tell(Do::Fail);
    puppet.wait_runs(2);
    assert!(begun.elapsed() >= delay);
}

#[test]
fn one_that_parks_rests_where_its_supervisor_would_give_up() {
    let (host, puppets) = (host(limited(Strategy::OneForAll, 0)), <[Puppet; 2]>::default());
    let parks = Service { backoff: backoff(Duration::from_millis(1)), park: true, ..puppets[0].service("a") };
    host.add(parks).unwrap();
    host.add(puppets[1].service("b")).unwrap();
    let observer = host.observe(Filter::kinds([Kind::Parked]), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    puppets[0].fails.store(3, Ordering::SeqCst);
    puppets[0].tell(Do::Fail);
    puppets[0].wait_runs(5);
    wait_all_run(&host);
    assert_eq!((puppets[0].runs(), puppets[1].runs()), (5, 1));
    assert!(observer.try_next().unwrap().is_some());
}

#[test]
fn extreme_durations_are_no_fault() {
    let (host, puppet) =
        (host(SupervisorOptions { period: Duration::MAX, ..strategy(Strategy::OneForOne) }), Puppet::default());
    host.add(Service {
        backoff: backoff(Duration::MAX),
        watchdog: Some(Duration::MAX),
        ready: Ready::Notify(Duration::MAX),
        shutdown: Some(Shutdown::After(Duration::MAX)),
        ..puppet.service("a")
    })
    .unwrap();
    host.start().unwrap();
    puppet.tell(Do::Call(|context| context.extend(Duration::MAX)));
    puppet.tell(Do::Fail);
    wait_state(&host, "a", Some(ChildState::Restarting));
    host.shutdown(Some(LONG)).unwrap();
}
