//! What is done when a child ends, by its restart type.

use super::*;

const TYPES: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];

/// What became of a child of this type that ended so: it runs again, rests, or is forgotten.
fn after(restart: Restart, how: Do) -> Option<ChildState> {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(Service { restart, ..puppet.service("a") }).unwrap();
    let bystander = Puppet::default();
    host.add(bystander.service("b")).unwrap();
    host.start().unwrap();
    puppet.tell(how);
    wait_until("it has ended", || {
        let state = state_of(&host, "a");
        puppet.runs() == 2 && puppet.alive() == 1 || matches!(state, None | Some(ChildState::Terminated))
    });
    if puppet.runs() == 2 {
        wait_state(&host, "a", Some(ChildState::Running));
    }
    assert_eq!(bystander.runs(), 1);
    state_of(&host, "a")
}

#[test]
fn permanent_normal() {
    assert_eq!(after(TYPES[0], Do::Return), Some(ChildState::Running));
}

#[test]
fn transient_normal() {
    assert_eq!(after(TYPES[1], Do::Return), Some(ChildState::Terminated));
}

#[test]
fn temporary_normal() {
    assert_eq!(after(TYPES[2], Do::Return), None);
}

#[test]
fn permanent_abnormal() {
    assert_eq!(after(TYPES[0], Do::Fail), Some(ChildState::Running));
    assert_eq!(after(TYPES[0], Do::Panic), Some(ChildState::Running));
}

#[test]
fn transient_abnormal() {
    assert_eq!(after(TYPES[1], Do::Fail), Some(ChildState::Running));
    assert_eq!(after(TYPES[1], Do::Panic), Some(ChildState::Running));
}

#[test]
fn temporary_abnormal() {
    assert_eq!(after(TYPES[2], Do::Panic), None);
}

/// A supervisor that gives up ends with reason `shutdown`, which is normal.
fn after_shutdown(restart: Restart) -> (usize, Option<ChildState>) {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let options = SupervisorOptions { restart, intensity: Some(0), ..SupervisorOptions::default() };
    let inner = host.supervisor("inner", options).unwrap();
    inner.add(puppet.service("a")).unwrap();
    let observer = host.observe(Filter::path("root/inner"), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    puppet.tell(Do::Fail);
    let events = events_until(&observer, |event| event.path == "root/inner" && event.what.kind() == Kind::Ended);
    assert!(events.iter().any(|event| event.what == What::GaveUp));
    assert!(matches!(&events.last().unwrap().what, What::Ended { how: Ended::Shutdown, normal: true, .. }));
    if restart == Restart::Permanent {
        puppet.wait_runs(2);
        wait_state(&host, "inner", Some(ChildState::Running));
    }
    (puppet.runs(), state_of(&host, "inner"))
}

#[test]
fn permanent_shutdown() {
    assert_eq!(after_shutdown(Restart::Permanent), (2, Some(ChildState::Running)));
}

#[test]
fn transient_shutdown() {
    assert_eq!(after_shutdown(Restart::Transient), (1, Some(ChildState::Terminated)));
}

#[test]
fn temporary_shutdown() {
    assert_eq!(after_shutdown(Restart::Temporary), (1, None));
}

#[test]
fn temporary_bystander() {
    for kind in [Strategy::OneForAll, Strategy::RestForOne] {
        let (host, [a, b]) = (host(strategy(kind)), <[Puppet; 2]>::default());
        host.add(a.service("a")).unwrap();
        host.add(Service { restart: Restart::Temporary, ..b.service("b") }).unwrap();
        host.start().unwrap();
        a.tell(Do::Fail);
        a.wait_runs(2);
        wait_state(&host, "a", Some(ChildState::Running));
        assert_eq!((b.runs(), state_of(&host, "b")), (1, None), "it is stopped, and not started again");
    }
}

#[test]
fn multiple_restarts() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    for run in 2..=50 {
        puppet.tell(if run % 2 == 0 { Do::Fail } else { Do::Return });
        puppet.wait_runs(run);
    }
    wait_all_run(&host);
    assert_eq!(host.which_children().unwrap()[0].run, 50);
}

#[test]
fn one_for_one() {
    let (host, puppets) = three(strategy(Strategy::OneForOne));
    puppets[1].tell(Do::Fail);
    puppets[1].wait_runs(2);
    wait_all_run(&host);
    assert_eq!(runs(&puppets), [1, 2, 1]);
}

#[test]
fn one_for_all() {
    let (host, puppets) = three(strategy(Strategy::OneForAll));
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    puppets[1].tell(Do::Fail);
    let events = events_until(&observer, |event| event.path == "root/c" && event.what == What::Ready);
    let order: Vec<_> = events
        .iter()
        .filter(|event| matches!(event.what.kind(), Kind::Ended | Kind::Ready))
        .map(|event| format!("{} {}", event.path, event.what.kind().name()))
        .collect();
    let expected = ["b ended", "c ended", "a ended", "a ready", "b ready", "c ready"];
    assert_eq!(order, expected.map(|text| format!("root/{text}")));
    assert_eq!(runs(&puppets), [2, 2, 2]);
}

#[test]
fn one_for_all_takes_along_who_was_terminated() {
    let (host, puppets) = three(strategy(Strategy::OneForAll));
    host.terminate_child("c").unwrap();
    puppets[0].tell(Do::Fail);
    puppets[2].wait_runs(2);
    wait_all_run(&host);
    assert_eq!(runs(&puppets), [2, 2, 2]);
}

#[test]
fn rest_for_one() {
    let (host, puppets) = three(strategy(Strategy::RestForOne));
    puppets[1].tell(Do::Panic);
    puppets[2].wait_runs(2);
    wait_all_run(&host);
    assert_eq!(runs(&puppets), [1, 2, 2]);
}

#[test]
fn one_for_all_other_child_fails_restart() {
    for (kind, expected) in [(Strategy::OneForAll, [3, 3, 2]), (Strategy::RestForOne, [2, 3, 2])] {
        let (host, puppets) = three(strategy(kind));
        puppets[1].fails.store(1, Ordering::SeqCst);
        puppets[0].tell(Do::Fail);
        puppets[2].wait_runs(2);
        wait_all_run(&host);
        assert_eq!(runs(&puppets), expected);
    }
}

#[test]
fn rest_for_one_other_child_fails_restart() {
    let (host, puppets) = three(strategy(Strategy::RestForOne));
    puppets[2].fails.store(2, Ordering::SeqCst);
    puppets[1].tell(Do::Fail);
    wait_until("c has been tried again", || puppets[2].runs() == 4);
    wait_all_run(&host);
    assert_eq!(runs(&puppets), [1, 2, 4]);
}

#[test]
fn hanging_restart_loop() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    puppet.fails.store(u64::MAX, Ordering::SeqCst);
    puppet.tell(Do::Fail);
    wait_until("it is tried often", || puppet.runs() > 20);
    host.terminate_child("a").unwrap();
    let runs = puppet.runs();
    assert_eq!(state_of(&host, "a"), Some(ChildState::Terminated));
    puppet.fails.store(0, Ordering::SeqCst);
    host.restart_child("a").unwrap();
    assert_eq!(puppet.runs(), runs + 1);
}

#[test]
fn significant_and_auto_shutdown() {
    for (auto_shutdown, first) in [(AutoShutdown::AnySignificant, true), (AutoShutdown::AllSignificant, false)] {
        let host = host(SupervisorOptions { auto_shutdown, ..strategy(Strategy::OneForOne) });
        let puppets: [Puppet; 3] = Default::default();
        for (name, puppet) in ["a", "b"].into_iter().zip(&puppets) {
            let service = puppet.service(name);
            host.add(Service { significant: true, restart: Restart::Transient, ..service }).unwrap();
        }
        host.add(puppets[2].service("c")).unwrap();
        host.start().unwrap();
        // A fault restarts a transient one, and is no end.
        puppets[0].tell(Do::Fail);
        puppets[0].wait_runs(2);
        wait_all_run(&host);
        puppets[0].tell(Do::Return);
        if !first {
            wait_state(&host, "a", Some(ChildState::Terminated));
            assert_eq!(host.finished().unwrap(), None);
            puppets[1].tell(Do::Return);
        }
        assert_eq!(host.join(Some(LONG)).unwrap(), Finish::AutoShutdown);
        assert_eq!(puppets[2].alive(), 0);
    }
}

#[test]
fn auto_shutdown_is_not_for_who_was_terminated() {
    let host = host(SupervisorOptions { auto_shutdown: AutoShutdown::AnySignificant, ..strategy(Strategy::OneForOne) });
    let puppet = Puppet::default();
    host.add(Service { significant: true, restart: Restart::Transient, ..puppet.service("a") }).unwrap();
    host.start().unwrap();
    host.terminate_child("a").unwrap();
    host.restart_child("a").unwrap();
    assert_eq!((puppet.runs(), host.finished().unwrap()), (2, None));
}
