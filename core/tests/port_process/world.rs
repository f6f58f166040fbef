//! A set under test, and what is seen of it.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use coop_core::{
    port::{Port, PortSet, PortSetOptions},
    supervisor::executor::process::output::{Output, Sink},
};
use rustix::process::Signal;

pub(crate) use super::processes::{LONG, children_of, eventually, is_gone, signal};
use super::{handlers::handlers, memories::memories_of};

/// In what memory of port sets is called.
pub(crate) const MEMORY: &str = "coop-port";
/// Has this program not look whether it is a worker.
pub(crate) const NO_DUTY: &str = "PORT_PROCESS_NO_DUTY";

/// At an address of this process alone: a port that was closed is no other program's when it is looked at, or bound again.
pub(crate) fn local() -> SocketAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    ([127, high, middle, low], 0).into()
}

/// What workers write is of no use here.
pub(crate) fn options() -> PortSetOptions {
    let mut options = PortSetOptions { handlers: handlers(), ..PortSetOptions::processes() };
    // On a busy machine a worker may have no CPU for two seconds; who is about that sets it.
    options.process.liveness = None;
    options.process.output = Some(Output { stdout: Sink::Null, stderr: Sink::Null, ..Output::default() });
    options
}

/// Ports of this handler and these names.
pub(crate) fn ports(handler: &str, names: &[&str]) -> Vec<Port> {
    names.iter().map(|name| Port::named(*name, local(), handler)).collect()
}

pub(crate) fn started(options: PortSetOptions, ports: Vec<Port>) -> PortSet {
    let set = PortSet::new(options, ports).unwrap();
    set.start().unwrap();
    set
}

/// Talks to one port.
pub(crate) struct Client(UdpSocket);

impl Client {
    pub(crate) fn new(set: &PortSet, port: &str) -> Self {
        let addresses = set.addresses().unwrap();
        Self::of(addresses.iter().find(|(name, _)| name == port).unwrap().1)
    }

    fn of(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(local()).unwrap();
        socket.connect(address).unwrap();
        Self(socket)
    }

    pub(crate) fn send(&self, data: &[u8]) {
        self.0.send(data).unwrap();
    }

    /// What comes within this time.
    pub(crate) fn next(&self, within: Duration) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let mut answer = vec![0; 70_000];
        loop {
            match self.0.recv(&mut answer) {
                Ok(length) => return Some(answer[..length].to_vec()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                // A child was stopped or has ended.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Asks once, and waits for the answer.
    pub(crate) fn ask(&self, data: &[u8]) -> String {
        self.send(data);
        String::from_utf8(self.next(LONG).expect("an answer")).unwrap()
    }

    /// Asks until there is a good answer: what a worker that dies had in hand is lost with it. What was asked more than once may be
    /// answered later, which the next question must not take for its answer: this has a socket of its own.
    pub(crate) fn ask_until(&self, data: &[u8], good: impl Fn(&str) -> bool) -> String {
        let own = Self::of(self.0.peer_addr().unwrap());
        let until = Instant::now() + LONG;
        while Instant::now() < until {
            own.send(data);
            if let Some(answer) = own.next(Duration::from_secs(1)) {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                if good(&answer) {
                    return answer;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("no such answer within {LONG:?}");
    }

    /// The worker, which is asked once: none may be killed meanwhile.
    pub(crate) fn pid(&self) -> i32 {
        self.ask(b"pid").parse().unwrap()
    }

    /// The worker, which may come after one that is being killed.
    pub(crate) fn pid_in_the_end(&self) -> i32 {
        self.ask_until(b"pid", |answer| answer.parse::<i32>().is_ok()).parse().unwrap()
    }
}

/// Stops a process, all of its threads: it takes nothing any more when this returns.
pub(crate) fn stop(pid: i32) {
    signal(pid, Signal::STOP);
    eventually("it stands still", || {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
        let mut stats = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        stats.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
    });
}

/// No process and no memory.
pub(crate) fn nothing_is_left() -> bool {
    let (children, memories) = (children_of(std::process::id()), memories_of("self", MEMORY));
    if !children.is_empty() || memories > 0 {
        let _ = writeln!(std::io::stderr(), "left are the processes {children:?} and {memories} memories");
    }
    children.is_empty() && memories == 0
}

pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
