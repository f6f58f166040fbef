//! Services that are workers of a zygote: this program's own.

use std::{
    collections::BTreeMap,
    io::Read,
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use coop_core::supervisor::{
    Args, Because, Command, Ended, Event, Executor, Forked, Kind, Ready, Restart, Service, Shutdown, Strategy,
    SupervisorOptions, Verb, What, Zygote,
    executor::process::output::{Output, Sink},
};
use rustix::process::Signal;

use super::{
    Case,
    world::{LONG, Scratch, World, children_of, descriptors, eventually, is_gone, kill, signal, world},
};

pub(crate) const CASES: &[Case] = &[
    ("forked_workers_are_the_hosts_children_and_end_with_it", workers),
    ("forked_worker_that_is_killed_is_made_again_by_the_same_zygote", a_killed_worker),
    ("forked_workers_outlive_their_zygote_which_is_replaced", a_killed_zygote),
    ("forked_what_is_asked_for_reaches_the_worker", what_is_asked_for),
    ("forked_descriptors_and_sockets_reach_the_worker", what_is_handed_over),
    ("forked_report_and_error_are_told_with_the_end", reports),
    ("forked_zygote_that_refuses_is_a_failed_start", refusals),
    ("forked_request_that_comes_to_nothing_is_sent_again_and_fails", nothing_comes),
    ("forked_request_that_somebody_else_holds_is_sent_again", held_elsewhere),
    ("forked_worker_that_never_says_hello_is_ended", never_ready),
    ("forked_zygote_that_is_stopped_ends_with_the_run_that_is_killed", a_stopped_zygote),
    ("forked_host_that_stops_takes_requests_back", stopped_on_the_way),
    ("forked_start_without_a_descriptor_left_fails_or_does_not", no_descriptor),
    ("forked_zygote_ends_with_its_last_owner", the_last_owner),
    ("forked_zygote_that_cannot_be_run_is_a_failed_start", no_zygote),
    ("forked_start_costs", a_start_costs),
];

/// A zygote that does this wrong.
pub(crate) fn zygote(fault: &str) -> Arc<Zygote> {
    Zygote::new(Command::new("/proc/self/exe").arg(fault))
}

pub(crate) fn forked(zygote: &Arc<Zygote>, payload: &str) -> Forked {
    let output = Output { stdout: Sink::Null, stderr: Sink::Null, ..Output::default() };
    Forked::new(zygote, payload.as_bytes().to_vec()).output(output)
}

pub(crate) fn service(name: &str, executor: Forked) -> Service {
    let mut service = Service::new(name, Arc::new(executor));
    service.ready = Ready::Notify(LONG);
    service
}

/// Runs the entry of the same name.
fn entry(zygote: &Arc<Zygote>, name: &str) -> Service {
    service(name, forked(zygote, "entry"))
}

fn once(service: Service) -> Service {
    Service { restart: Restart::Temporary, ..service }
}

/// Nobody is left who was not there before, and no descriptor.
fn leaves_nothing(f: impl Fn()) {
    f();
    let before = descriptors();
    f();
    eventually("no child is left", || children_of(std::process::id()).is_empty());
    eventually("no descriptor is left", || descriptors() <= before);
}

fn workers() {
    leaves_nothing(|| {
        let zygote = zygote("");
        let one = Service { id: "one".into(), ..entry(&zygote, "steady") };
        // `COOP_SERVICE` names the entry here: the service's name.
        let world = world([one, entry(&zygote, "steady"), entry(&zygote, "thread")]);
        assert_eq!(zygote.pid(), None, "made when it is needed");
        assert!(world.host.start().is_err(), "there is no entry \"one\"");
        assert!(zygote.pid().is_some());
        drop(world);
        let world = self::world([entry(&zygote, "steady"), entry(&zygote, "thread")]).started();
        let (pid, other) = (world.pid("steady"), world.pid("thread"));
        // The zygote is the third; that of the host before may not be reaped yet.
        eventually("they are this process's children", || {
            let children = children_of(std::process::id());
            children.contains(&pid) && children.contains(&other) && children.len() == 3
        });
        let told = world.until_kind("root/thread", Kind::Spawned);
        assert!(matches!(told.what, What::Spawned { pid } if pid == other), "{told}");
        world.until_kind("root/thread", Kind::Ready);
        let events = world.stop();
        let ends: Vec<_> = events.iter().filter(|event| event.what.kind() == Kind::Ended).collect();
        assert_eq!(ends.len(), 3, "{ends:?}");
        for end in ends {
            let fine = matches!(&end.what, What::Ended { how: Ended::Exited(0) | Ended::Shutdown, normal: true, .. });
            assert!(fine, "{end}");
        }
        assert!(is_gone(pid) && is_gone(other));
        eventually("the zygote ends with its host", || zygote.pid().is_none());
    });
}

fn a_killed_worker() {
    let zygote = zygote("");
    let world = world([entry(&zygote, "steady")]).started();
    let made_by = zygote.pid();
    for _ in 0..20 {
        kill(world.pid("steady"));
        let (how, _) = world.until_ended("root/steady");
        assert_eq!(how, Ended::Signaled { signal: 9, core_dumped: false });
        world.until_kind("root/steady", Kind::Ready);
    }
    assert_eq!(zygote.pid(), made_by);
    world.stop();
}

fn a_killed_zygote() {
    let zygote = zygote("");
    let world = world([entry(&zygote, "steady"), entry(&zygote, "thread")]).started();
    let (pid, first) = (world.pid("steady"), zygote.pid().unwrap());
    kill(first);
    eventually("its end is seen", || zygote.pid().is_none());
    kill(world.pid("thread"));
    world.until_ended("root/thread");
    world.until_kind("root/thread", Kind::Ready);
    assert_ne!(zygote.pid().unwrap(), first);
    assert_eq!(world.pid("steady"), pid, "nothing has happened to it");
    zygote.stop();
    eventually("it was stopped", || zygote.pid().is_none());
    assert!(!is_gone(pid));
    for event in world.stop() {
        let by_us = matches!(event.what, What::Ended { because: Some(Because::Asked), .. });
        assert!(by_us || event.what.kind() != Kind::Ended, "{event}");
    }
}

/// What each of so many services says, by its path; they may say it in any order.
fn said(world: &World, count: usize) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    world.until("what all say", |event| {
        if let What::Status(text) = &event.what {
            all.insert(event.path.clone(), text.clone());
        }
        all.len() == count
    });
    all
}

fn what_is_asked_for() {
    let zygote = zygote("");
    let directory = std::fs::canonicalize(std::env::temp_dir()).unwrap();
    let command = Command::new("").env("NAME", "ä b").umask(0o27).nice(5).directory(&directory);
    let mut one = service("one", forked(&zygote, "says NAME").command(command.clone()));
    one.watchdog = Some(LONG * 60);
    let apart = service("apart", forked(&zygote, "says NAME").command(command.new_session()));
    let plain = service("plain", forked(&zygote, "says NAME"));
    let world = world([one, apart, plain]).started();
    let directory = directory.display();
    let (in_it, here) = (format!("umask=27 in={directory} leads=true"), std::env::current_dir().unwrap());
    let said = said(&world, 3);
    assert_eq!(said["root/one"], format!("NAME=ä b watchdog=true nice=5 {in_it}"));
    assert_eq!(said["root/apart"], format!("NAME=ä b watchdog=false nice=5 {in_it}"));
    let text = &said["root/plain"];
    assert!(text.starts_with("NAME= watchdog=false nice="), "{text}");
    assert!(text.ends_with(&format!("in={} leads=true", here.display())), "{text}");
    // A template's children may have payloads of their own.
    let template = service("any", forked(&zygote, "says X"));
    let options = SupervisorOptions { strategy: Strategy::SimpleOneForOne, ..SupervisorOptions::default() };
    let pool = world.host.supervisor("pool", options).unwrap();
    pool.template(template).unwrap();
    pool.start_child_with(Args::Value(Arc::new(b"says COOP_SERVICE".to_vec()))).unwrap();
    let event = world.until("what it says", |event| event.what.kind() == Kind::Status);
    assert!(event.to_string().contains("COOP_SERVICE=any"), "{event}");
    let refused = pool.start_child_with(Args::Value(Arc::new(7))).unwrap_err().to_string();
    assert!(refused.contains("a worker can be given text or a payload"), "{refused}");
    world.stop();
}

fn what_is_handed_over() {
    let zygote = zygote("");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let command = Command::new("").listen("web", std::os::fd::OwnedFd::from(listener));
    let command = command.descriptor(9, std::os::fd::OwnedFd::from(writer));
    let world = world([once(service("web", forked(&zygote, "serves").command(command)))]).started();
    let mut text = [0; 10];
    reader.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"serves web");
    let mut served = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut served).unwrap();
    assert_eq!(served, "served");
    assert_eq!(world.until_ended("root/web").0, Ended::Exited(0));
    world.stop();
}

fn details(event: &Event) -> &str {
    match &event.what {
        What::Ended { details, .. } | What::StartFailed { details, .. } => details.as_deref().unwrap_or_default(),
        _ => "",
    }
}

fn reports() {
    let zygote = zygote("");
    let world = world([]).started();
    world.host.start_child(once(service("fails", forked(&zygote, "reports 5")))).unwrap();
    let (how, event) = world.until_ended("root/fails");
    assert_eq!(how, Ended::Failed("ValueError: 7".into()));
    assert_eq!(details(&event), "Traceback:\n  somewhere\nxxxxx");
    assert!(!event.to_string().contains('\n'));
    world.host.start_child(once(service("much", forked(&zygote, "reports 1000000")))).unwrap();
    let (_, event) = world.until_ended("root/much");
    assert_eq!(details(&event).len(), 64 * 1024);
    world.host.start_child(once(service("aborts", forked(&zygote, "aborts")))).unwrap_err();
    let event = world.until_kind("root/aborts", Kind::StartFailed);
    assert_eq!(details(&event), "the stacks of all threads");
    assert!(event.to_string().contains("ended by SIGABRT"), "{event}");
    // One that says nothing has none.
    world.host.start_child(once(entry(&zygote, "steady"))).unwrap();
    kill(world.pid("steady"));
    assert_eq!(details(&world.until_ended("root/steady").1), "");
    world.stop();
}

/// Why the start of a service of such a zygote fails, and the event of that.
fn refused(fault: &str, with: impl Fn(&mut Service)) -> (String, Arc<Event>) {
    let zygote = zygote(fault);
    let mut service = once(entry(&zygote, "steady"));
    with(&mut service);
    let world = world([]).started();
    let error = world.host.start_child(service).unwrap_err().to_string();
    let event = world.until_kind("root/steady", Kind::StartFailed);
    world.stop();
    (error, event)
}

fn refusals() {
    leaves_nothing(|| {
        let (error, event) = refused("refuses", |_| {});
        assert!(error.contains("preload 'x': not there before it was ready"), "{error}");
        assert_eq!(details(&event), "line 1\nline 2");
        let (error, _) = refused("workers refuse", |_| {});
        assert!(error.contains("run it as user 7: not permitted"), "{error}");
        let (error, _) = refused("lies", |_| {});
        assert!(error.contains("it is the zygote's own process that says that it is the worker"), "{error}");
        let (error, _) = refused("says nonsense", |_| {});
        assert!(error.contains("the zygote's answer is \"good day\""), "{error}");
        let (error, _) = refused("is a parent", |_| {});
        assert!(error.contains("not a child of this process"), "{error}");
        // It is there, but not for long.
        let (error, _) = refused("workers die later", |_| {});
        assert!(error.contains("ended by SIGKILL before it was ready"), "{error}");
    });
}

fn nothing_comes() {
    leaves_nothing(|| {
        let (error, _) = refused("exits", |_| {});
        let wanted = "its zygote has made no process of it, 4 times: the last zygote exited with 7";
        assert!(error.contains(wanted), "{error}");
        let (error, _) = refused("aborts", |_| {});
        assert!(error.contains("4 times: the last zygote ended by SIGABRT"), "{error}");
        let (error, _) = refused("forgets", |_| {});
        assert!(error.contains("4 times: its zygote goes on"), "{error}");
        let (error, _) = refused("workers die", |_| {});
        assert!(error.contains("4 times: its zygote goes on"), "{error}");
    });
}

/// No end of the stream says that the zygote has gone.
fn held_elsewhere() {
    let scratch = Scratch::new("held");
    let zygote = Zygote::new(Command::new("/proc/self/exe").arg("leaks").arg(&scratch.0));
    let world = world([entry(&zygote, "steady")]).started();
    assert!(world.pid("steady") > 0);
    world.stop();
}

fn never_ready() {
    leaves_nothing(|| {
        for fault in ["workers hang", "hangs"] {
            let (error, _) = refused(fault, |service| {
                service.ready = Ready::Notify(Duration::from_millis(100));
                service.shutdown = Some(Shutdown::After(Duration::from_millis(100)));
            });
            assert!(error.contains("before it was ready, since it was not ready in time"), "{error}");
        }
    });
}

fn a_stopped_zygote() {
    leaves_nothing(|| {
        let zygote = zygote("");
        let world = world([entry(&zygote, "steady")]).started();
        let (pid, first) = (world.pid("steady"), zygote.pid().unwrap());
        signal(first, Signal::STOP);
        let mut late = once(entry(&zygote, "thread"));
        (late.ready, late.shutdown) = (Ready::Notify(Duration::from_millis(100)), Some(Shutdown::Kill));
        let error = world.host.start_child(late).unwrap_err().to_string();
        assert!(error.contains("shut down before it was ready, since it was not ready in time"), "{error}");
        world.host.start_child(once(entry(&zygote, "thread"))).unwrap();
        assert_ne!(zygote.pid().unwrap(), first);
        assert_eq!(world.pid("steady"), pid);
        eventually("the stopped one is gone", || is_gone(first));
        // Stopped, killed, and the others get theirs from the next one.
        let second = zygote.pid().unwrap();
        signal(second, Signal::STOP);
        for _ in 0..3 {
            kill(world.pid("steady"));
            kill(second);
            world.until_ended("root/steady");
            world.until_kind("root/steady", Kind::Ready);
        }
        // Nobody ends it: no start waits until its time is over.
        let third = zygote.pid().unwrap();
        signal(third, Signal::STOP);
        kill(world.pid("steady"));
        world.until_ended("root/steady");
        world.until_kind("root/steady", Kind::Ready);
        assert_ne!(zygote.pid().unwrap(), third);
        eventually("the stopped one is gone", || is_gone(third));
        for event in world.stop() {
            assert_ne!(event.what.kind(), Kind::StartFailed, "{event}");
        }
    });
}

fn stopped_on_the_way() {
    leaves_nothing(|| {
        let zygote = zygote("hangs");
        let services = (0..20).map(|number| {
            let mut service = service(&format!("service-{number}"), forked(&zygote, "entry"));
            service.shutdown = Some(Shutdown::After(Duration::from_millis(10)));
            service
        });
        let world = world([]).started();
        // More than are on their way at once.
        let starts = services.map(|service| {
            let alone = world.host.supervisor(service.id.clone(), SupervisorOptions::default()).unwrap();
            alone.ask(Verb::StartChild(service)).unwrap()
        });
        let starts: Vec<_> = starts.collect();
        world.host.shutdown(Some(LONG)).unwrap();
        for start in starts {
            assert!(start.join(Some(LONG)).is_err());
        }
        drop(world);
        drop(zygote);
    });
}

/// At whatever step of a start.
fn no_descriptor() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    leaves_nothing(|| {
        let zygote = zygote("");
        let world = world([entry(&zygote, "steady")]).started();
        let (mut fine, before) = (0, getrlimit(Resource::Nofile));
        for room in 0..24 {
            let limit = Rlimit { current: Some(descriptors() as u64 - 1 + room), ..before };
            setrlimit(Resource::Nofile, limit).unwrap();
            let started = world.host.start_child(once(service(&format!("service-{room}"), forked(&zygote, "says X"))));
            setrlimit(Resource::Nofile, before).unwrap();
            match started {
                Ok(_) => fine += 1,
                Err(error) => assert!(error.to_string().contains("os error 24"), "{error}"),
            }
        }
        assert!((1..24).contains(&fine), "{fine}");
        assert!(world.pid("steady") > 0);
        world.stop();
    });
}

fn the_last_owner() {
    leaves_nothing(|| {
        let zygote = zygote("");
        let world = world([]).started();
        world.host.start_child(once(entry(&zygote, "steady"))).unwrap();
        let (pid, made_by) = (world.pid("steady"), zygote.pid().unwrap());
        drop(zygote);
        assert!(!is_gone(made_by), "the service names it");
        world.host.terminate_child("steady").unwrap();
        eventually("nobody names it any more", || is_gone(made_by) && is_gone(pid));
        world.stop();
    });
}

fn no_zygote() {
    let zygote = Zygote::new(Command::new("/no/such/program"));
    let world = world([entry(&zygote, "steady")]);
    let error = world.host.start().unwrap_err().to_string();
    assert!(error.contains("exec /no/such/program: No such file or directory"), "{error}");
    drop(world);
    let taken = Command::new("x").descriptor(3, Arc::new(std::fs::File::open("/dev/null").unwrap().into()));
    let zygote = Zygote::new(taken);
    let error = Executor::check(&forked(&zygote, ""), &entry(&zygote, "steady")).unwrap_err().to_string();
    assert!(error.contains("two descriptors for number 3"), "{error}");
}

/// From the request to the end, with a zygote that does next to nothing: printed, not asserted.
fn a_start_costs() {
    use std::io::Write;
    const TIMES: u32 = 200;
    let zygote = zygote("");
    let world = world([]).started();
    let started = |name: String| {
        let begin = Instant::now();
        world.host.start_child(once(service(&name, forked(&zygote, "says X")))).unwrap();
        begin.elapsed()
    };
    started("first".into());
    let mut all: Vec<Duration> = (0..TIMES).map(|number| started(format!("service-{number}"))).collect();
    all.sort_unstable();
    let _ = writeln!(std::io::stdout(), "  start to READY: median {:.0?}, p99 {:.0?}", all[100], all[198]);
    world.stop();
}
