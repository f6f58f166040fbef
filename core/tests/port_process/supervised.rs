//! Sets below a supervisor that was given.

use std::net::UdpSocket;

use coop_core::{
    Error,
    port::{PortSet, PortSetOptions},
    supervisor::{Filter, Host, HostOptions, Item, Kind, ObserverOptions, Strategy, Supervisor, SupervisorOptions},
};
use rustix::process::Signal;

use super::{
    Case,
    world::{Client, LONG, options, ports, signal, started},
};

pub(crate) const CASES: &[Case] = &[
    ("a_set_for_each_client_below_one_supervisor", || for_each_client(Strategy::OneForOne)),
    ("a_set_for_each_client_below_simple_one_for_one", || for_each_client(Strategy::SimpleOneForOne)),
    ("a_host_that_ends_takes_its_sets_along", host_ends),
    ("a_start_that_fails_below_a_supervisor_leaves_nothing_there", no_start),
];

fn below(supervisor: &Supervisor, name: &str) -> PortSetOptions {
    let mut options = options();
    options.process.name = name.into();
    options.process.supervisor = Some(supervisor.clone());
    options
}

fn for_each_client(strategy: Strategy) {
    let host = Host::new(HostOptions::default()).unwrap();
    host.start().unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ended]), &ObserverOptions::default()).unwrap();
    let clients = host.supervisor("clients", SupervisorOptions { strategy, ..SupervisorOptions::default() }).unwrap();
    let sets: Vec<PortSet> = (0..3)
        .map(|number| started(below(&clients, &format!("client-{number}")), ports("echo", &["UP", "DOWN"])))
        .collect();
    assert_eq!(clients.which_children().unwrap().len(), 3);
    let pid = Client::new(&sets[1], "DOWN").pid();
    signal(pid, Signal::KILL);
    assert_ne!(Client::new(&sets[1], "DOWN").pid_in_the_end(), pid);
    assert_eq!(sets[1].stats().unwrap()[1].1.restarts, 1);
    let Item::Event(event) = observer.next(Some(LONG)).unwrap() else { panic!("nothing is lost") };
    assert_eq!(event.path, "root/clients/client-1/DOWN");
    // One that is stopped, one that stops itself, one that is dropped.
    sets[0].stop(Some(LONG)).unwrap();
    UdpSocket::bind(sets[0].addresses().unwrap()[0].1).expect("its sockets are closed");
    assert_eq!(Client::new(&sets[2], "UP").ask(b"goes on"), "goes on");
    Client::new(&sets[1], "UP").send(b"stop");
    sets[1].join(Some(LONG)).unwrap();
    assert_eq!(clients.which_children().unwrap().len(), 1);
    let again = started(below(&clients, "client-0"), ports("echo", &["UP"]));
    assert!(matches!(
        PortSet::new(below(&clients, "client-0"), ports("echo", &["UP"])).unwrap().start(),
        Err(Error::Exists(_))
    ));
    drop((sets, again));
    assert_eq!(clients.which_children().unwrap().len(), 0);
    host.shutdown(Some(LONG)).unwrap();
}

fn host_ends() {
    let host = Host::new(HostOptions::default()).unwrap();
    host.start().unwrap();
    let set = started(below(host.root(), "client"), ports("echo", &["A", "HANGS"]));
    let client = Client::new(&set, "HANGS");
    client.pid();
    client.send(b"hang");
    host.shutdown(Some(LONG)).unwrap();
    set.join(Some(LONG)).unwrap();
    set.stop(Some(LONG)).unwrap();
}

fn no_start() {
    let host = Host::new(HostOptions::default()).unwrap();
    host.start().unwrap();
    let bad = ports("no_start", &["BAD"]).remove(0).args("not today");
    let mut all = ports("echo", &["GOOD"]);
    all.push(bad);
    let set = PortSet::new(below(host.root(), "client"), all).unwrap();
    assert_eq!(set.start().unwrap_err().to_string(), "port BAD: the start failed: not today");
    assert!(host.which_children().unwrap().is_empty());
    host.shutdown(Some(LONG)).unwrap();
}
