//! The verbs of OTP, and what they refuse.

use super::*;

#[test]
fn child_adm() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    assert!(host.start_child(puppet.service("early")).is_err(), "not before the start");
    host.start().unwrap();
    assert_eq!(host.which_children().unwrap(), []);
    assert_eq!(host.count_children().unwrap(), ChildCounts::default());
    let id = host.start_child(puppet.service("a")).unwrap();
    assert_eq!(host.find("a").unwrap(), Some(id));
    assert!(matches!(host.start_child(puppet.service("a")), Err(Error::Exists(text)) if text.contains("\"a\"")));
    assert!(host.restart_child("a").is_err(), "it runs");
    assert!(host.delete_child("a").is_err(), "it runs");
    assert_eq!(host.terminate_child("a").unwrap(), id);
    assert_eq!(host.terminate_child(id).unwrap(), id, "again is fine");
    assert_eq!(state_of(&host, "a"), Some(ChildState::Terminated));
    assert!(matches!(host.start_child(puppet.service("a")), Err(Error::Exists(_))), "its specification is there");
    assert_eq!(host.restart_child(id).unwrap(), id);
    assert_eq!((puppet.runs(), puppet.alive()), (2, 1));
    host.terminate_child("a").unwrap();
    host.delete_child("a").unwrap();
    for gone in [Child::from("a"), Child::from(id), Child::from(ServiceId(77)), Child::from("never")] {
        assert_eq!(host.terminate_child(gone.clone()), Err(Error::Stale("service")));
        assert_eq!(host.restart_child(gone.clone()), Err(Error::Stale("service")));
        assert_eq!(host.delete_child(gone.clone()), Err(Error::Stale("service")));
        assert_eq!(host.get_childspec(gone.clone()).unwrap_err(), Error::Stale("service"));
    }
    // A start that fails keeps no specification.
    puppet.fails.store(1, Ordering::SeqCst);
    assert!(matches!(host.start_child(puppet.service("a")), Err(Error::Failed(_))));
    assert_eq!(host.which_children().unwrap(), []);
    assert_ne!(host.start_child(puppet.service("a")).unwrap(), id);
}

#[test]
fn count_children() {
    let (host, puppets) = three(strategy(Strategy::OneForOne));
    host.supervisor("d", SupervisorOptions::default()).unwrap();
    host.terminate_child("b").unwrap();
    let counts = ChildCounts { specs: 4, active: 3, supervisors: 1, workers: 3 };
    assert_eq!(host.count_children().unwrap(), counts);
    let told: Vec<_> = host.which_children().unwrap().into_iter().map(|child| (child.name, child.executor)).collect();
    let expected = [("a", "thread"), ("b", "thread"), ("c", "thread"), ("d", "supervisor")];
    assert_eq!(told, expected.map(|(name, executor)| (name.to_owned(), executor)));
    assert_eq!(runs(&puppets), [1, 1, 1]);
}

#[test]
fn sup_start_map() {
    let host = host(SupervisorOptions::default());
    host.add(Service::new("a", Thread::new(|_| Ok::<_, String>(())))).unwrap();
    host.supervisor("b", SupervisorOptions::default()).unwrap();
    let spec = host.get_childspec("a").unwrap();
    assert_eq!((spec.restart, spec.shutdown), (Restart::Permanent, Shutdown::After(Duration::from_secs(5))));
    assert_eq!((spec.ready, spec.significant, spec.supervisor), (Ready::AtOnce, false, None));
    let spec = host.get_childspec("b").unwrap();
    assert_eq!((spec.executor, spec.shutdown), ("supervisor", Shutdown::Infinity));
    let flags = Flags {
        strategy: Strategy::OneForOne,
        intensity: Some(1),
        period: Duration::from_secs(5),
        auto_shutdown: AutoShutdown::Never,
    };
    assert_eq!(spec.supervisor, Some(flags));
}

#[test]
fn sup_start_map_faulty_specs() {
    let host = host(SupervisorOptions::default());
    let service = || Puppet::default().service("a");
    invalid(host.add(Service { significant: true, ..service() }), "permanent");
    invalid(host.add(Service { significant: true, restart: Restart::Transient, ..service() }), "never");
    invalid(host.add(Service { id: String::new(), ..service() }), "\"\"");
    invalid(host.add(Service { id: "a/b".into(), ..service() }), "a/b");
    invalid(host.add(Service { watchdog: Some(Duration::ZERO), ..service() }), "watchdog");
    invalid(host.add(Service { ready: Ready::Notify(Duration::ZERO), ..service() }), "ready");
    invalid(
        host.add(Service { executor: Puppet::default().service("x\0").executor, id: "x\0".into(), ..service() }),
        "x",
    );
    invalid(host.supervisor("", SupervisorOptions::default()), "\"\"");
    invalid(
        host.supervisor("b", SupervisorOptions { period: Duration::ZERO, ..SupervisorOptions::default() }),
        "period",
    );
    host.add(service()).unwrap();
    assert!(matches!(host.add(service()), Err(Error::Exists(text)) if text.contains("\"a\"")));
    assert!(matches!(host.supervisor("a", SupervisorOptions::default()), Err(Error::Exists(_))));
    let root = SupervisorOptions { period: Duration::ZERO, ..SupervisorOptions::default() };
    invalid(Host::new(HostOptions { root, ..HostOptions::default() }), "period");
    invalid(host.template(service()), "simple_one_for_one");
    invalid(host.start_child_with(Args::None), "simple_one_for_one");
    invalid(host.observe(Filter::default(), &ObserverOptions { queue: 0, replay: 0 }), "queue");
}

fn simple() -> (Host, Supervisor, Puppet) {
    let host = host(strategy(Strategy::OneForOne));
    let pool = host.supervisor("pool", strategy(Strategy::SimpleOneForOne)).unwrap();
    let puppet = Puppet::default();
    host.start().unwrap();
    invalid(pool.start_child_with(Args::None), "template");
    pool.template(puppet.service("worker")).unwrap();
    (host, pool, puppet)
}

#[test]
fn child_adm_simple() {
    let (host, pool, puppet) = simple();
    invalid(pool.start_child(puppet.service("x")), "start_child_with");
    invalid(pool.add(puppet.service("x")), "simple_one_for_one");
    let first = pool.start_child_with(Args::Strings(vec!["1".into()])).unwrap();
    let second = pool.start_child_with(Args::Value(Arc::new(2u8))).unwrap();
    assert_ne!(first, second);
    let counts = ChildCounts { specs: 1, active: 2, supervisors: 0, workers: 2 };
    assert_eq!(pool.count_children().unwrap(), counts);
    invalid(pool.restart_child(first), "simple_one_for_one");
    invalid(pool.delete_child(first), "simple_one_for_one");
    pool.terminate_child(first).unwrap();
    assert_eq!(pool.terminate_child(first), Err(Error::Stale("service")));
    assert_eq!(pool.which_children().unwrap().len(), 1);
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(puppet.alive(), 0);
}

#[test]
fn simple_one_for_one() {
    let (_host, pool, puppet) = simple();
    for _ in 0..3 {
        pool.start_child_with(Args::None).unwrap();
    }
    puppet.tell_run(1, Do::Fail);
    wait_until("it is back", || puppet.runs() == 4 && puppet.alive() == 3);
    wait_all_run(&pool);
    let runs: Vec<_> = pool.which_children().unwrap().into_iter().map(|child| child.run).collect();
    assert_eq!(runs, [1, 2, 1]);
}

/// A supervisor brings what it is made of. One that gives up goes alone; the others stop in parallel.
#[test]
fn supervisors_below_simple_one_for_one() {
    let (host, pool, puppet) = simple();
    let set = |name: &str| {
        let options =
            SupervisorOptions { intensity: Some(0), restart: Restart::Temporary, ..SupervisorOptions::default() };
        let set = pool.start_supervisor(name, options).unwrap();
        set.start_child(puppet.service("a")).unwrap();
        set.start_child(puppet.service("b")).unwrap();
        set
    };
    let [first, second, third] = ["first", "second", "third"].map(set);
    assert!(matches!(
        pool.start_supervisor("first", SupervisorOptions::default()),
        Err(Error::Exists(text)) if text.contains("first")
    ));
    assert_eq!(first.path().unwrap(), "root/pool/first");
    let counts = ChildCounts { specs: 1, active: 3, supervisors: 3, workers: 0 };
    assert_eq!((pool.count_children().unwrap(), puppet.alive()), (counts, 6));
    puppet.tell_run(0, Do::Fail);
    wait_until("it is gone", || pool.find("first").unwrap().is_none());
    assert_eq!(first.which_children(), Err(Error::Stale("supervisor")));
    pool.terminate_child(second.id()).unwrap();
    assert_eq!((puppet.alive(), third.which_children().unwrap().len()), (2, 2));
    set("first");
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(puppet.alive(), 0);
}

#[test]
fn simple_one_for_one_escalation() {
    let host = host(strategy(Strategy::OneForOne));
    let options = SupervisorOptions { intensity: Some(0), ..strategy(Strategy::SimpleOneForOne) };
    let pool = host.supervisor("pool", options).unwrap();
    let puppet = Puppet::default();
    host.start().unwrap();
    pool.template(puppet.service("worker")).unwrap();
    pool.start_child_with(Args::None).unwrap();
    pool.start_child_with(Args::None).unwrap();
    puppet.tell(Do::Fail);
    wait_until("it starts empty again", || puppet.alive() == 0 && pool.which_children().unwrap().is_empty());
    wait_state(&host, "pool", Some(ChildState::Running));
    pool.start_child_with(Args::None).unwrap();
}

#[test]
fn arguments_reach_the_child() {
    let host = host(strategy(Strategy::SimpleOneForOne));
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let entry = move |context: Context| {
        let text = match context.args() {
            Args::Strings(strings) => strings.join(" "),
            Args::Value(value) => value.downcast_ref::<u8>().unwrap().to_string(),
            Args::None => "none".into(),
        };
        tell.lock().unwrap().send((text, context.name().to_owned(), context.path().to_owned())).unwrap();
        context.wait_stopping(None);
        Ok::<_, String>(())
    };
    host.template(Service::new("worker", Thread::new(entry))).unwrap();
    host.start().unwrap();
    for (args, expected) in
        [(Args::None, "none"), (Args::Strings(vec!["a".into(), "b".into()]), "a b"), (Args::Value(Arc::new(7u8)), "7")]
    {
        let id = host.start_child_with(args).unwrap();
        let (text, name, path) = told.recv_timeout(LONG).unwrap();
        assert_eq!((text.as_str(), name.as_str()), (expected, "worker"));
        let info = host.which_children().unwrap().into_iter().find(|child| child.id == id).unwrap();
        assert_eq!(info.path, path);
    }
}

#[test]
fn a_thousand_dynamic_children() {
    let (host, pool, puppet) = simple();
    let asked: Vec<_> = (0..1000).map(|_| pool.ask(Verb::StartChildWith(Args::None)).unwrap()).collect();
    for asked in &asked {
        asked.join(Some(LONG)).unwrap();
    }
    assert_eq!((puppet.alive(), pool.count_children().unwrap().active), (1000, 1000));
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(puppet.alive(), 0);
}

#[test]
fn a_hand_over_starts_the_new_one_before_it_stops_the_old_one() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let id = host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::path("root/a"), &ObserverOptions::default()).unwrap();
    assert_eq!(host.replace_child("a").unwrap(), id);
    assert_eq!((puppet.runs(), puppet.alive()), (2, 1));
    let events = events_until(&observer, |event| event.what.kind() == Kind::Ended);
    let told: Vec<_> = events.iter().map(|event| (event.run, event.what.kind())).collect();
    assert_eq!(told, [(2, Kind::Starting), (2, Kind::Ready), (1, Kind::Stopping), (1, Kind::Ended)]);
    assert!(matches!(&events[3].what, What::Ended { because: Some(Because::HandOver), normal: true, .. }));
    // One that fails leaves the old one.
    puppet.fails.store(1, Ordering::SeqCst);
    assert!(matches!(host.replace_child("a"), Err(Error::Failed(_))));
    assert_eq!((puppet.runs(), puppet.alive()), (3, 1));
    wait_state(&host, "a", Some(ChildState::Running));
    host.supervisor("s", SupervisorOptions::default()).unwrap();
    invalid(host.replace_child("s"), "supervisor");
    host.terminate_child("a").unwrap();
    assert!(host.replace_child("a").is_err());
}

#[test]
fn sup_start_ignore_child() {
    let (host, after) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let ignoring = |id: &str, restart| {
        let entry = |context: Context| context.ignore();
        Service { ready: Ready::Notify(LONG), restart, ..Service::new(id, Thread::new(entry)) }
    };
    host.add(ignoring("permanent", Restart::Permanent)).unwrap();
    host.add(ignoring("temporary", Restart::Temporary)).unwrap();
    host.add(after.service("after")).unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ignored]), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    assert_eq!(state_of(&host, "permanent"), Some(ChildState::Terminated));
    assert_eq!(state_of(&host, "temporary"), None);
    assert_eq!(after.runs(), 1);
    events_until(&observer, |event| event.path == "root/temporary");
    host.start_child(ignoring("dynamic", Restart::Transient)).unwrap();
    assert_eq!(state_of(&host, "dynamic"), Some(ChildState::Terminated));
}
