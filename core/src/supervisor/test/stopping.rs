//! How services and hosts stop, in time and not.

use super::*;

#[test]
fn sup_stop_infinity() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(Service { shutdown: Some(Shutdown::Infinity), ..puppet.service("a") }).unwrap();
    host.start().unwrap();
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(puppet.alive(), 0);
}

#[test]
fn sup_stop_timeout() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let (service, let_go) = stubborn("a", Shutdown::After(Duration::from_millis(20)));
    host.add(service).unwrap();
    host.add(puppet.service("b")).unwrap();
    let observer = host.observe(Filter::path("root/a"), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    host.shutdown(Some(LONG)).unwrap();
    events_until(&observer, |event| event.what == What::Unresponsive);
    let_go.send(()).unwrap();
    // Told also after the host has ended, since somebody was left.
    let events = events_until(&observer, |event| event.what.kind() == Kind::Ended);
    assert!(matches!(&events.last().unwrap().what, What::Ended { because: Some(Because::ShutdownDeadline), .. }));
    assert_eq!(observer.next(Some(LONG)), Err(Error::Closed("host")));
}

#[test]
fn sup_stop_brutal_kill() {
    let host = host(strategy(Strategy::OneForOne));
    let (service, let_go) = stubborn("a", Shutdown::Kill);
    host.add(service).unwrap();
    host.start().unwrap();
    host.shutdown(Some(LONG)).unwrap();
    drop(let_go);
}

#[test]
fn one_that_is_disowned_is_not_started_before_it_ends() {
    let host = host(strategy(Strategy::OneForOne));
    let (service, let_go) = stubborn("a", Shutdown::After(Duration::from_millis(5)));
    host.add(service).unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    host.terminate_child("a").unwrap();
    assert_eq!(state_of(&host, "a"), Some(ChildState::Unresponsive));
    assert!(host.restart_child("a").is_err());
    let_go.send(()).unwrap();
    events_until(&observer, |event| event.what.kind() == Kind::Ended);
    wait_state(&host, "a", Some(ChildState::Terminated));
    host.restart_child("a").unwrap();
    assert_eq!(host.which_children().unwrap()[0].run, 2);
    drop(let_go);
}

#[test]
fn a_watchdog_that_is_missed_ends_the_run() {
    let host = host(strategy(Strategy::OneForOne));
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let entry = move |context: Context| {
        tell.lock().unwrap().send(context.run()).unwrap();
        // Beats for a while, then only looks out for its end.
        for _ in 0..20 {
            context.beat();
            if context.wait_stopping(Some(Duration::from_millis(5))) {
                break;
            }
        }
        context.wait_stopping(None);
        Ok::<_, String>(())
    };
    let service = Service { watchdog: Some(Duration::from_millis(200)), ..Service::new("a", Thread::new(entry)) };
    host.add(service).unwrap();
    let observer = host.observe(Filter::path("root/a"), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    let events = events_until(&observer, |event| event.what.kind() == Kind::Ended);
    assert!(matches!(
        &events.last().unwrap().what,
        What::Ended { because: Some(Because::Watchdog), normal: false, uptime, .. } if *uptime >= Duration::from_millis(200)
    ));
    assert_eq!((told.recv_timeout(LONG).unwrap(), told.recv_timeout(LONG).unwrap()), (1, 2));
}

#[test]
fn one_that_is_not_ready_in_time_has_failed_to_start() {
    let host = host(strategy(Strategy::OneForOne));
    let entry = |context: Context| {
        context.wait_stopping(None);
        Ok::<_, String>(())
    };
    let service = Service { ready: Ready::Notify(Duration::from_millis(10)), ..Service::new("a", Thread::new(entry)) };
    host.add(service).unwrap();
    let error = host.start().unwrap_err().to_string();
    assert!(error.contains("not ready in time"), "{error}");
    // One that cannot be ended does not hold up the start for ever.
    let (let_go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let entry = move |_: Context| {
        let _ = wait.lock().unwrap().recv();
        Ok::<_, String>(())
    };
    let service = Service {
        ready: Ready::Notify(Duration::from_millis(10)),
        shutdown: Some(Shutdown::Kill),
        ..Service::new("b", Thread::new(entry))
    };
    let other = super::host(strategy(Strategy::OneForOne));
    other.start().unwrap();
    assert!(other.start_child(service).is_err());
    drop(let_go);
}

#[test]
fn more_time_may_be_asked_for() {
    let host = host(strategy(Strategy::OneForOne));
    let entry = |context: Context| {
        context.extend(LONG);
        std::thread::sleep(Duration::from_millis(100));
        context.ready();
        context.wait_stopping(None);
        context.extend(LONG);
        std::thread::sleep(Duration::from_millis(100));
        Ok::<_, String>(())
    };
    // Long enough for the asking, too short for the rest, unless more is given.
    let service = Service {
        ready: Ready::Notify(Duration::from_secs(20)),
        shutdown: Some(Shutdown::After(Duration::from_secs(20))),
        ..Service::new("a", Thread::new(entry))
    };
    host.add(service).unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    host.shutdown(Some(LONG)).unwrap();
    let events = events_until(&observer, |event| event.path == "root/a");
    assert!(matches!(&events[0].what, What::Ended { because: Some(Because::Asked), .. }));
}

#[test]
fn kill_ends_everything_at_once() {
    let host = host(strategy(Strategy::OneForOne));
    let inner = host.supervisor("inner", strategy(Strategy::OneForAll)).unwrap();
    let held: Vec<_> = (0..5)
        .map(|at| {
            let (service, let_go) = stubborn(&format!("s{at}"), Shutdown::Infinity);
            if at % 2 == 0 { host.add(service) } else { inner.add(service) }.unwrap();
            let_go
        })
        .collect();
    host.start().unwrap();
    host.stop().unwrap();
    assert!(matches!(host.join(Some(Duration::from_millis(10))), Err(Error::Timeout(_))));
    host.kill().unwrap();
    assert_eq!(host.join(Some(LONG)).unwrap(), Finish::Stopped);
    drop(held);
}

#[test]
fn stop_before_the_start_and_twice() {
    let host = host(strategy(Strategy::OneForOne));
    invalid(host.join(Some(LONG)), "started");
    invalid(host.wait(), "started");
    host.stop().unwrap();
    host.stop().unwrap();
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(host.start(), Err(Error::Closed("host")));
    assert_eq!(host.wait().unwrap(), Finish::Stopped);
}

#[test]
fn a_host_may_be_dropped_at_any_moment() {
    for round in 0..30 {
        let host = host(strategy(Strategy::OneForAll));
        let puppets: [Puppet; 3] = Default::default();
        for (name, puppet) in ["a", "b", "c"].into_iter().zip(&puppets) {
            host.add(puppet.service(name)).unwrap();
        }
        let root = host.root().clone();
        let extra = Puppet::default();
        let asked: Vec<_> = match round % 3 {
            0 => Vec::new(),
            1 => {
                host.start().unwrap();
                puppets[1].tell(Do::Fail);
                (0..3).map(|at| root.ask(Verb::StartChild(extra.service(&format!("d{at}")))).unwrap()).collect()
            }
            _ => {
                host.start().unwrap();
                (0..3).map(|_| root.ask(Verb::ReplaceChild("b".into())).unwrap()).collect()
            }
        };
        drop(host);
        for asked in asked {
            let _ = asked.join(Some(LONG));
        }
        assert!(puppets.iter().chain([&extra]).all(|puppet| puppet.alive() == 0));
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        if let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            return answer;
        }
        std::thread::park();
    }
}

#[test]
fn the_start_and_the_end_of_a_host_are_futures() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    assert!(!host.is_started().unwrap());
    let (first, second) = (host.ended(), host.ended());
    block_on(host.ask_start().unwrap()).unwrap();
    assert!(host.is_started().unwrap());
    let waits = std::thread::spawn(move || block_on(first));
    drop(second);
    host.stop().unwrap();
    assert_eq!(waits.join().unwrap(), Ok(Finish::Stopped));
    assert_eq!(block_on(host.ended()), Ok(Finish::Stopped));
    assert_eq!(puppet.alive(), 0);
}

#[test]
fn a_host_that_never_started_ends_too() {
    let host = host(strategy(Strategy::OneForOne));
    let ended = host.ended();
    drop(host);
    assert_eq!(block_on(ended), Ok(Finish::Stopped));
}
