//! Cases of OTP's suite about significant children, flags and specifications, by their names, in a host.

use super::*;

fn any(kind: Strategy) -> SupervisorOptions {
    SupervisorOptions { auto_shutdown: AutoShutdown::AnySignificant, ..strategy(kind) }
}

fn significant(puppet: &Puppet, id: &str, restart: Restart) -> Service {
    Service { significant: true, restart, ..puppet.service(id) }
}

fn nonsignificant(restart: Restart) {
    let (host, puppets) = (host(any(Strategy::OneForOne)), <[Puppet; 2]>::default());
    host.add(Service { restart, ..puppets[0].service("a") }).unwrap();
    host.add(significant(&puppets[1], "b", Restart::Transient)).unwrap();
    host.start().unwrap();
    let after = (restart == Restart::Transient).then_some(ChildState::Terminated);
    puppets[0].tell(Do::Return);
    wait_state(&host, "a", after);
    assert_eq!((host.finished().unwrap(), puppets[1].alive()), (None, 1));
}

#[test]
fn nonsignificant_temporary() {
    nonsignificant(Restart::Temporary);
}

#[test]
fn nonsignificant_transient() {
    nonsignificant(Restart::Transient);
}

#[test]
fn significant_temporary() {
    for end in [Do::Return, Do::Fail, Do::Panic] {
        let (host, puppets) = (host(any(Strategy::OneForOne)), <[Puppet; 2]>::default());
        host.add(significant(&puppets[0], "a", Restart::Temporary)).unwrap();
        host.add(puppets[1].service("b")).unwrap();
        host.start().unwrap();
        puppets[0].tell(end);
        assert_eq!(host.join(Some(LONG)).unwrap(), Finish::AutoShutdown);
        assert_eq!((puppets[0].runs(), puppets[1].alive()), (1, 0));
    }
}

/// A pool that shuts itself down has ended normally.
#[test]
fn significant_simple() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let options = SupervisorOptions { restart: Restart::Transient, ..any(Strategy::SimpleOneForOne) };
    let pool = host.supervisor("pool", options).unwrap();
    pool.template(significant(&puppet, "worker", Restart::Transient)).unwrap();
    host.start().unwrap();
    for _ in 0..3 {
        pool.start_child_with(Args::None).unwrap();
    }
    puppet.tell_run(1, Do::Fail);
    wait_until("a fault is restarted", || puppet.runs() == 4 && puppet.alive() == 3);
    puppet.tell_run(0, Do::Return);
    wait_state(&host, "pool", Some(ChildState::Terminated));
    assert_eq!((puppet.alive(), host.finished().unwrap()), (0, None));
}

/// Stopped by a restart of its siblings it has not ended by itself.
#[test]
fn significant_bystander() {
    for kind in [Strategy::OneForAll, Strategy::RestForOne] {
        let (host, puppets) = (host(any(kind)), <[Puppet; 3]>::default());
        host.add(puppets[0].service("a")).unwrap();
        host.add(significant(&puppets[1], "b", Restart::Temporary)).unwrap();
        host.add(significant(&puppets[2], "c", Restart::Transient)).unwrap();
        host.start().unwrap();
        puppets[0].tell(Do::Fail);
        puppets[0].wait_runs(2);
        puppets[2].wait_runs(2);
        wait_all_run(&host);
        assert_eq!((state_of(&host, "b"), host.finished().unwrap()), (None, None));
    }
}

/// A permanent supervisor comes back after it has shut itself down.
#[test]
fn significant_escalation() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let inner = host.supervisor("inner", any(Strategy::OneForOne)).unwrap();
    inner.add(significant(&puppet, "a", Restart::Temporary)).unwrap();
    host.start().unwrap();
    puppet.tell(Do::Return);
    puppet.wait_runs(2);
    wait_state(&host, "inner", Some(ChildState::Running));
    assert_eq!(host.which_children().unwrap()[0].run, 2);
}

/// They stop together: here each waits until all were asked.
#[test]
fn simple_one_for_one_shutdown() {
    const CHILDREN: usize = 8;
    let host = host(strategy(Strategy::SimpleOneForOne));
    let all_asked = Arc::new(std::sync::Barrier::new(CHILDREN));
    let entry = move |context: Context| {
        context.ready();
        context.wait_stopping(None);
        all_asked.wait();
        Ok::<_, String>(())
    };
    let template = Service::new("worker", Thread::new(entry));
    let (ready, shutdown) = (Ready::Notify(LONG), Some(Shutdown::Infinity));
    host.template(Service { ready, shutdown, ..template }).unwrap();
    host.start().unwrap();
    for _ in 0..CHILDREN {
        host.start_child_with(Args::None).unwrap();
    }
    host.shutdown(Some(LONG)).unwrap();
}

#[test]
fn sup_flags() {
    let host = host(SupervisorOptions::default());
    let options = SupervisorOptions {
        strategy: Strategy::RestForOne,
        intensity: None,
        period: Duration::from_secs(7),
        auto_shutdown: AutoShutdown::AllSignificant,
        ..SupervisorOptions::default()
    };
    host.supervisor("a", options.clone()).unwrap();
    let SupervisorOptions { strategy, intensity, period, auto_shutdown, .. } = options;
    let flags = Flags { strategy, intensity, period, auto_shutdown };
    assert_eq!(host.get_childspec("a").unwrap().supervisor, Some(flags));
    for (name, said) in [("one_for_two", "one_for_two"), ("", "one_for_all")] {
        let error = name.parse::<Strategy>().unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("rest_for_one"), "{error}");
    }
}

#[test]
fn child_specs() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    let taken = host.add(puppet.service("a")).unwrap_err();
    assert!(matches!(&taken, Error::Exists(text) if text.contains("service \"a\"")), "{taken}");
    // Before the start there is nothing to be done with a child but to take it away again.
    assert_eq!(host.restart_child("a").unwrap_err(), Error::Closed("supervisor"));
    host.add(puppet.service("b")).unwrap();
    host.delete_child("b").unwrap();
    invalid(host.add(significant(&puppet, "c", Restart::Permanent)), "permanent");
    invalid(host.add(significant(&puppet, "c", Restart::Transient)), "auto_shutdown");
    host.start().unwrap();
    assert_eq!(host.which_children().unwrap().len(), 1);
    assert_eq!(host.get_childspec("b").unwrap_err(), Error::Stale("service"));
}
