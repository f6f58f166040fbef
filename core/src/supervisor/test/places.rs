//! Services on loops, and what a host costs the process.

use std::fs;

use super::*;
use crate::{EventLoop, EventLoopOptions, event_loop::sleep, fork::run_in_child};

fn with_loop() -> (EventLoop, Host) {
    let main_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    main_loop.start().unwrap();
    let root = strategy(Strategy::OneForOne);
    let event_loop = Some(main_loop.handle());
    let host = Host::new(HostOptions { root, event_loop, ..HostOptions::default() }).unwrap();
    (main_loop, host)
}

/// Tells on which thread it was dropped.
struct Tells(mpsc::Sender<(&'static str, u64)>, &'static str);
impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send((self.1, crate::thread::number()));
    }
}

#[test]
fn coroutines_are_told_or_cancelled() {
    let (main_loop, host) = with_loop();
    let loops = main_loop.post_and_wait(Some(LONG), crate::thread::number).unwrap();
    let (tell, told) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let (told_to, begins) = (tell.clone(), begin.clone());
    let polite = Async::new(move |context: Context| {
        let (tell, begins) = (told_to.clone(), begins.clone());
        async move {
            let stopping = context.stopping();
            begins.send(()).unwrap();
            stopping.await;
            let _ends = Tells(tell, "polite");
            Ok::<_, String>(())
        }
    });
    let rude = Async::new(move |_: Context| {
        let ends = Tells(tell.clone(), "rude");
        begin.send(()).unwrap();
        async move {
            std::future::pending::<()>().await;
            drop(ends);
            Ok::<_, String>(())
        }
    });
    host.add(Service::new("rude", rude)).unwrap();
    host.add(Service::new("polite", polite)).unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    // One that has not begun when it is asked never does.
    for _ in 0..2 {
        begun.recv_timeout(LONG).unwrap();
    }
    host.shutdown(Some(LONG)).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), ("polite", loops));
    assert_eq!(told.recv_timeout(LONG).unwrap(), ("rude", loops));
    let ends = events_until(&observer, |event| event.path == "root");
    let how: Vec<_> = ends
        .iter()
        .map(|event| match &event.what {
            What::Ended { how, normal, .. } => (event.path.as_str(), how.clone(), *normal),
            _ => unreachable!(),
        })
        .collect();
    let expected = [("root/polite", Ended::Returned), ("root/rude", Ended::Shutdown), ("root", Ended::Shutdown)];
    assert_eq!(how, expected.map(|(path, how)| (path, how, true)));
}

#[test]
fn coroutines_that_fail_panic_or_ignore_their_deadline() {
    let (main_loop, host) = with_loop();
    let handle = main_loop.handle();
    let behave = move |context: Context| {
        let inside = handle.clone();
        async move {
            match context.run() {
                1 => Err("first".to_owned()),
                2 => panic!("second"),
                3 => {
                    sleep(&inside, Duration::from_millis(1)).await.unwrap();
                    Err("third".to_owned())
                }
                _ => {
                    // Looks out, and then does not care.
                    let stopping = context.stopping();
                    context.status("looks out");
                    stopping.await;
                    std::future::pending().await
                }
            }
        }
    };
    let service =
        Service { shutdown: Some(Shutdown::After(Duration::from_millis(5))), ..Service::new("a", Async::new(behave)) };
    host.add(service).unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    let ends = events_until(&observer, |event| event.run == 3);
    let how: Vec<_> = ends
        .iter()
        .map(|event| match &event.what {
            What::Ended { how, .. } => how.clone(),
            _ => unreachable!(),
        })
        .collect();
    let expected = [Ended::Failed("first".into()), Ended::Panicked("second".into()), Ended::Failed("third".into())];
    assert_eq!(how, expected);
    let looks_out = host.observe(Filter::kinds([Kind::Status]), &ObserverOptions { queue: 9, replay: 9 }).unwrap();
    events_until(&looks_out, |event| event.run == 4);
    host.terminate_child("a").unwrap();
    let last = events_until(&observer, |event| event.run == 4);
    assert!(matches!(
        &last[0].what,
        What::Ended { how: Ended::Shutdown, normal: true, because: Some(Because::ShutdownDeadline), .. }
    ));
}

#[test]
fn a_loop_that_ends_takes_its_services_along() {
    let (main_loop, host) = with_loop();
    let forever = |_: Context| std::future::pending::<Result<(), String>>();
    host.add(Service { restart: Restart::Temporary, ..Service::new("a", Async::new(forever)) }).unwrap();
    let observer = host.observe(Filter::path("root/a"), &ObserverOptions::default()).unwrap();
    host.start().unwrap();
    drop(main_loop);
    host.terminate_child("a").unwrap_or(ServiceId(0));
    events_until(&observer, |event| event.what.kind() == Kind::Ended);
    let error = host.start_child(Service::new("b", Async::new(forever))).unwrap_err();
    assert!(error.to_string().contains("closed") || error.to_string().contains("no event loop"), "{error}");
}

#[test]
fn callbacks_say_themselves_when_they_have_ended() {
    let (_main_loop, host) = with_loop();
    let held: Arc<Mutex<Vec<executor::callbacks::End>>> = Arc::default();
    let (begun, stopped) = (held.clone(), held.clone());
    let table = Callbacks::new(
        move |context, end| {
            if context.run() == 1 {
                return Err("not yet".into());
            }
            // Before it says so: whoever waits for that takes it.
            begun.lock().unwrap().push(end);
            context.ready();
            Ok(())
        },
        move |_| {
            let end = stopped.lock().unwrap().pop().unwrap();
            std::thread::spawn(move || end.tell(Ended::Returned));
        },
    );
    host.add(Service { ready: Ready::Notify(LONG), ..Service::new("a", table) }).unwrap();
    assert!(host.start().unwrap_err().to_string().contains("not yet"));
    host.start().unwrap();
    drop(held.lock().unwrap().pop());
    wait_until("it is back", || held.lock().unwrap().len() == 1);
    wait_state(&host, "a", Some(ChildState::Running));
    assert_eq!(host.which_children().unwrap()[0].run, 3);
    host.shutdown(Some(LONG)).unwrap();
}

#[test]
fn wait_runs_the_main_loop_that_nobody_runs() {
    let main_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let root = strategy(Strategy::OneForOne);
    let options = HostOptions { root, event_loop: Some(main_loop.handle()), ..HostOptions::default() };
    let host = Host::new(options).unwrap();
    let entry = |context: Context| async move {
        context.supervisor().unwrap().stop_host().unwrap();
        context.stopping().await;
        Ok::<_, String>(())
    };
    host.add(Service::new("a", Async::new(entry))).unwrap();
    host.start().unwrap();
    assert_eq!(host.wait().unwrap(), Finish::Stopped);
    assert!(!main_loop.is_stopped() && !main_loop.is_running());
}

#[test]
fn a_forked_child_is_refused_and_may_make_its_own() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    let root = host.root().clone();
    assert!(run_in_child(move || {
        let forked = Err(Error::Forked("host"));
        let told = [
            host.start() == forked,
            host.stop() == forked,
            host.join(None) == Err(Error::Forked("host")),
            root.terminate_child("a") == Err(Error::Forked("host")),
            root.which_children() == Err(Error::Forked("host")),
            observer.try_next() == Err(Error::Forked("observer")),
        ];
        drop((host, observer));
        told.into_iter().all(|each| each)
    }));
}

#[test]
fn a_host_leaves_no_descriptor_and_no_thread() {
    assert!(run_in_child(|| {
        // Two rounds: what is made once for the whole process is there after the first one.
        let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
        let mut after = Vec::new();
        for _ in 0..2 {
            let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
            let root = host.root().clone();
            host.add(puppet.service("a")).unwrap();
            host.start().unwrap();
            puppet.tell(Do::Call(|context| assert!(context.stop_fd().is_ok())));
            puppet.tell(Do::Fail);
            puppet.wait_runs(2);
            drop(host);
            assert!(root.which_children().is_err());
            wait_until("its threads have ended", || count("task") == 1);
            after.push(count("fd"));
        }
        after[0] == after[1]
    }));
}

/// How often each thread of this name was switched to or from.
fn switches(name: &str) -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        if fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim_end() == name {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            sum += lines.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum::<u64>();
        }
    }
    sum
}

#[test]
fn a_host_with_nothing_to_do_does_nothing() {
    assert!(run_in_child(|| {
        let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
        host.add(puppet.service("a")).unwrap();
        host.start().unwrap();
        wait_until("it is idle for two seconds", || {
            let before = switches("coop-host");
            std::thread::sleep(Duration::from_secs(2));
            before > 0 && switches("coop-host") == before
        });
        true
    }));
}

#[test]
fn a_main_thread_that_waits_takes_the_signals_and_gives_them_back() {
    use nix::sys::signal::Signal;
    // A forked child's only thread is its main thread.
    assert!(run_in_child(|| {
        let kill = |which: Signal| nix::sys::signal::kill(nix::unistd::getpid(), which).unwrap();
        for (which, twice) in [(Signal::SIGTERM, false), (Signal::SIGINT, false), (Signal::SIGTERM, true)] {
            let host = host(strategy(Strategy::OneForOne));
            let (service, let_go) = stubborn("a", Shutdown::Infinity);
            host.add(service).unwrap();
            host.start().unwrap();
            let observer = host.observe(Filter::kinds([Kind::Stopping]), &ObserverOptions::default()).unwrap();
            let sends = std::thread::spawn(move || {
                // Until they are taken the signals would end the process.
                wait_until("the signals are taken", || taken(which));
                kill(which);
                events_until(&observer, |event| event.path == "root/a");
                if twice {
                    kill(Signal::SIGINT);
                } else {
                    let_go.send(()).unwrap();
                }
                let_go
            });
            assert_eq!(host.wait().unwrap(), Finish::Signal(which as i32));
            assert!(!taken(which), "given back");
            drop(sends.join().unwrap());
        }
        true
    }));
}

/// Whether the process has a handler of this signal, by what the system says.
fn taken(signal: nix::sys::signal::Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(caught, 16).unwrap() & (1 << (signal as i32 - 1)) != 0
}
