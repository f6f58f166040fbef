//! Services that call their own host.

use super::*;

#[test]
fn a_service_may_stop_its_sibling_and_itself() {
    let (host, puppets) = three(strategy(Strategy::OneForOne));
    puppets[0].tell(Do::Call(|context| {
        let supervisor = context.supervisor().unwrap();
        supervisor.terminate_child("b").unwrap();
        // Waiting for its own end could never end; asking for it can.
        for _ in 0..2 {
            assert!(matches!(supervisor.terminate_child("a"), Err(Error::WouldDeadlock(_))));
            assert!(matches!(supervisor.replace_child(context.id()), Err(Error::WouldDeadlock(_))));
        }
        let id = supervisor.start_child(Puppet::default().service("new")).unwrap();
        assert_eq!(supervisor.find("new").unwrap(), Some(id));
        drop(supervisor.ask(Verb::TerminateChild("a".into())).unwrap());
    }));
    wait_state(&host, "b", Some(ChildState::Terminated));
    wait_state(&host, "a", Some(ChildState::Terminated));
    wait_state(&host, "new", Some(ChildState::Running));
    assert_eq!(puppets[0].runs(), 1);
}

#[test]
fn a_service_may_stop_the_host_and_not_wait_for_it() {
    let (host, puppet) = (Arc::new(host(strategy(Strategy::OneForOne))), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    let (inside, (tell, told)) = (Arc::downgrade(&host), mpsc::channel());
    let tell = Mutex::new(tell);
    let entry = move |context: Context| {
        context.wait_stopping(Some(Duration::ZERO));
        let host = inside.upgrade().unwrap();
        let refused = matches!(host.join(None), Err(Error::WouldDeadlock(_)))
            && matches!(host.shutdown(None), Err(Error::WouldDeadlock(_)))
            && matches!(host.wait(), Err(Error::WouldDeadlock(_)));
        host.stop().unwrap();
        drop(host);
        tell.lock().unwrap().send(refused).unwrap();
        context.wait_stopping(None);
        Ok::<_, String>(())
    };
    host.add(Service::new("b", Thread::new(entry))).unwrap();
    host.start().unwrap();
    assert!(told.recv_timeout(LONG).unwrap());
    assert_eq!(host.join(Some(LONG)).unwrap(), Finish::Stopped);
}

#[test]
fn the_hosts_own_thread_is_refused_what_waits() {
    #[derive(Debug)]
    struct Nosy(Arc<Mutex<Vec<bool>>>);
    impl Executor for Nosy {
        fn name(&self) -> &'static str {
            "nosy"
        }
        fn check(&self, _: &Service) -> Result<()> {
            Ok(())
        }
        fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
            let supervisor = start.supervisor.unwrap();
            let refused = |error| matches!(error, Error::WouldDeadlock(_));
            let mut seen = self.0.lock().unwrap();
            seen.push(supervisor.which_children().is_err_and(refused));
            seen.push(supervisor.terminate_child("a").is_err_and(refused));
            seen.push(supervisor.ask(Verb::TerminateChild("nobody".into())).is_ok());
            drop(seen);
            panic!("an executor's fault is a start failure")
        }
    }
    let (host, seen) = (host(strategy(Strategy::OneForOne)), Arc::new(Mutex::new(Vec::new())));
    host.add(Service::new("a", Arc::new(Nosy(seen.clone())))).unwrap();
    let error = host.start().unwrap_err().to_string();
    assert!(error.contains("an executor's fault"), "{error}");
    assert_eq!(*seen.lock().unwrap(), [true; 3]);
}

#[test]
fn a_service_that_owns_its_host_may_drop_it() {
    let (give, given) = mpsc::channel::<Host>();
    let (tell, told) = mpsc::channel();
    let (given, tell) = (Mutex::new(given), Mutex::new(tell));
    let entry = move |context: Context| {
        drop(given.lock().unwrap().recv().unwrap());
        tell.lock().unwrap().send(()).unwrap();
        context.wait_stopping(None);
        Ok::<_, String>(())
    };
    let host = host(strategy(Strategy::OneForOne));
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    host.add(Service::new("a", Thread::new(entry))).unwrap();
    host.start().unwrap();
    give.send(host).unwrap();
    told.recv_timeout(LONG).unwrap();
    events_until(&observer, |event| event.path == "root" && event.what.kind() == Kind::Ended);
    assert_eq!(observer.next(Some(LONG)), Err(Error::Closed("host")));
}
