//! Ports that take connections.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    os::unix::net::UnixStream,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use coop_core::port::{Bind, Port, PortSet, PortStats};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::{
    Case,
    world::{LONG, eventually, local, options, signal, started, stop},
};

pub(crate) const CASES: &[Case] = &[
    ("connections_are_served_by_a_process", serves),
    ("kill_9_with_open_connections_refuses_none", killed),
    ("connections_wait_for_the_successor_of_one_that_stands_still", waits),
    ("a_thousand_connections_at_once", thousand),
    ("unix_sockets_go_with_their_set", unix),
    ("a_socket_that_was_handed_over_is_served", handed_over),
];

const PASSED: &str = "PORT_PROCESS_PASSED";

fn set_at(bind: Bind) -> PortSet {
    started(options(), vec![Port::at("WEB", bind, "stream")])
}

fn tcp() -> (PortSet, SocketAddr) {
    let set = set_at(Bind::Tcp(local()));
    let address = set.addresses().unwrap()[0].1;
    (set, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

fn stats(set: &PortSet) -> PortStats {
    set.stats().unwrap()[0].1
}

fn answer(client: &mut impl Read, length: usize) -> Vec<u8> {
    let mut answer = vec![0; length];
    client.read_exact(&mut answer).unwrap();
    answer
}

fn ask(client: &mut (impl Read + Write), text: &[u8]) -> Vec<u8> {
    client.write_all(text).unwrap();
    answer(client, text.len())
}

fn pid(client: &mut TcpStream) -> i32 {
    client.write_all(b"pid").unwrap();
    let mut text = Vec::new();
    while text.last() != Some(&b'\n') {
        text.extend(answer(client, 1));
    }
    String::from_utf8(text).unwrap().trim().parse().unwrap()
}

fn serves() {
    let (set, address) = tcp();
    let (mut one, mut other) = (connect(address), connect(address));
    assert_ne!(pid(&mut one).unsigned_abs(), std::process::id());
    let big = vec![5; 2 << 20];
    let mut writer = one.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&big).unwrap());
        assert!(answer(&mut one, big.len()) == big);
    });
    other.write_all(b"fault").unwrap();
    assert_eq!(other.read(&mut [0; 9]).unwrap(), 0, "closed");
    assert_eq!(ask(&mut one, b"on"), b"on");
    eventually("what was counted is seen", || {
        let stats = stats(&set);
        (stats.accepted, stats.open, stats.errors) == (2, 1, 1) && stats.sent_bytes > 2 << 20
    });
    one.write_all(b"stop").unwrap();
    set.join(Some(LONG)).unwrap();
    assert_eq!(one.read(&mut [0; 9]).unwrap(), 0, "closed");
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

fn killed() {
    let (set, address) = tcp();
    for round in 1..=5 {
        let mut clients: Vec<_> = (0..10).map(|_| connect(address)).collect();
        for client in &mut clients {
            assert_eq!(ask(client, b"here"), b"here");
        }
        signal(pid(&mut clients[0]), Signal::KILL);
        // None of these is refused: they wait for the successor.
        for _ in 0..20 {
            let until = Instant::now() + LONG;
            loop {
                // One that the worker had accepted before it was killed is closed with it.
                let mut client = connect(address);
                let answered = client.write_all(b"new").and_then(|()| client.read_exact(&mut [0; 3]));
                if answered.is_ok() {
                    break;
                }
                assert!(Instant::now() < until);
            }
        }
        for client in &mut clients {
            match client.read(&mut [0; 9]) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(stats(&set).restarts, round);
    }
    set.stop(Some(LONG)).unwrap();
}

fn waits() {
    let mut options = options();
    options.process.liveness = Some(Duration::from_secs(2));
    let set = started(options, vec![Port::at("WEB", Bind::Tcp(local()), "stream")]);
    let address = set.addresses().unwrap()[0].1;
    let mut first = connect(address);
    let stopped = pid(&mut first);
    stop(stopped);
    let mut waits = connect(address);
    assert_eq!(ask(&mut waits, b"waits"), b"waits", "its successor has it");
    assert_ne!(pid(&mut waits), stopped);
    set.stop(Some(LONG)).unwrap();
}

fn thousand() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < 4096) {
        // Also of the worker.
        let current = Some(limit.maximum.map_or(4096, |most| most.min(4096)));
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    }
    let (set, address) = tcp();
    let mut clients: Vec<_> = (0..1000).map(|_| connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"all").unwrap();
    }
    for client in &mut clients {
        assert_eq!(answer(client, 3), b"all");
    }
    assert_eq!((stats(&set).accepted, stats(&set).open), (1000, 1000));
    drop(clients);
    eventually("all have gone", || stats(&set).open == 0);
    set.stop(Some(LONG)).unwrap();
}

fn unix() {
    let path = std::env::temp_dir().join(format!("coop-port-process-{}", std::process::id()));
    let set = set_at(Bind::Unix(path.clone()));
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(ask(&mut client, b"unix"), b"unix");
    set.stop(Some(LONG)).unwrap();
    assert!(!path.exists());
}

/// Serves a socket that this process was started with, until it is told to stop.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let name = std::env::var(PASSED).ok()?;
    let set = set_at(Bind::Passed(name));
    set.join(Some(LONG)).unwrap();
    Some(ExitCode::SUCCESS)
}

fn handed_over() {
    for name in ["web", "0"] {
        let listener = TcpListener::bind(local()).unwrap();
        let address = listener.local_addr().unwrap();
        // Connected before anybody serves it.
        let mut client = connect(address);
        client.write_all(b"early").unwrap();
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\"";
        let mut server = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web"), (PASSED, name)])
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .unwrap();
        assert_eq!(answer(&mut client, 5), b"early");
        assert_ne!(pid(&mut client).unsigned_abs(), server.id(), "its own worker serves it");
        client.write_all(b"stop").unwrap();
        assert!(server.wait().unwrap().success());
        assert!(TcpStream::connect(address).is_err(), "nobody has it any more");
    }
}
