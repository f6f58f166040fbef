//! Connections that the system does not let a loop watch. A process of its own: the system's call is this test's, as are the sink of what is reported
//! and the number of descriptors.

#![cfg(target_os = "linux")]

use std::{
    ffi::c_int,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use coop_core::{
    Error, EventLoop, EventLoopOptions,
    log::{self, Level},
    port::{Bind, ConnectionId, Context, Fault, Handler, Handlers, Mode, Outcome, Port, PortSet, PortSetOptions},
};

const LONG: Duration = Duration::from_secs(60);

/// What the system answers when something new is to be watched; 0: it watches it.
static ANSWER: AtomicI32 = AtomicI32::new(0);

/// In the place of the C library's: what the loops of this process call.
// SAFETY: the signature is the C library's, and so is what it does, or it does nothing and says so.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut libc::epoll_event) -> c_int {
    let answer = ANSWER.load(Ordering::SeqCst);
    if operation == libc::EPOLL_CTL_ADD && answer != 0 {
        // SAFETY: it asks for nothing.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: this thread's own.
        unsafe { *errno = answer };
        return -1;
    }
    // SAFETY: what the caller has said.
    let done = unsafe { libc::syscall(libc::SYS_epoll_ctl, epoll, operation, fd, event) };
    c_int::try_from(done).unwrap_or(-1)
}

struct Echo;

impl Handler for Echo {
    fn on_data(&mut self, ctx: &Context, connection: ConnectionId, bytes: &[u8]) -> Outcome {
        ctx.write(connection, bytes).map_err(|error: Error| Fault::new(error.to_string()))
    }
}

/// A set, the loop that it is perhaps on, and what was reported meanwhile.
struct Served {
    set: PortSet,
    _loop: EventLoop,
    told: Arc<Mutex<Vec<String>>>,
}

impl Served {
    fn new(mode: Mode) -> Self {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let tell = told.clone();
        let sink = move |_, text: &str| tell.lock().unwrap().push(text.to_owned());
        log::set_sink(Some((Level::WARN, Arc::new(sink)))).unwrap();
        let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
        event_loop.start().unwrap();
        let options = match mode {
            Mode::Single => PortSetOptions::single(event_loop.handle()),
            _ => PortSetOptions::threads(),
        };
        let options = PortSetOptions { handlers: Handlers::new().handler("echo", |_, _| Ok(Echo)), ..options };
        let port = Port::at("ECHO", Bind::Tcp("127.0.0.1:0".parse().unwrap()), "echo");
        let set = PortSet::new(options, vec![port]).unwrap();
        set.start().unwrap();
        Self { set, _loop: event_loop, told }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.set.addresses().unwrap()[0].1).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    fn until_told(&self, what: &str) {
        let end = Instant::now() + LONG;
        while !self.told.lock().unwrap().iter().any(|text| text.contains(what)) {
            assert!(Instant::now() < end, "{what:?} was not told, but {:?}", self.told.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn answered(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text);
}

#[test]
fn connections_that_cannot_be_watched_wait_or_are_closed_and_others_are_served_after_them() {
    for mode in [Mode::Single, Mode::Thread] {
        // As long as there is no place for it, it waits.
        for (errno, text) in [(libc::ENOSPC, "No space left"), (libc::ENOMEM, "Cannot allocate memory")] {
            let served = Served::new(mode);
            let mut before = served.client();
            answered(&mut before, b"before");
            ANSWER.store(errno, Ordering::SeqCst);
            let mut clients: Vec<_> = (0..3).map(|_| served.client()).collect();
            served.until_told(text);
            answered(&mut before, b"meanwhile");
            // More than one pause.
            thread::sleep(Duration::from_millis(300));
            ANSWER.store(0, Ordering::SeqCst);
            for client in &mut clients {
                answered(client, b"waited");
            }
            answered(&mut served.client(), b"after");
            let told = served.told.lock().unwrap().clone();
            assert_eq!(told.len(), 1, "it is said once: {told:?}");
            assert!(told[0].contains("trying again"), "{told:?}");
            let stats = served.set.stats().unwrap()[0].1;
            assert_eq!((stats.accepted, stats.errors), (5, 0));
        }
        // One that the system will not watch is closed.
        let served = Served::new(mode);
        ANSWER.store(libc::EPERM, Ordering::SeqCst);
        let mut refused = served.client();
        served.until_told("was not accepted");
        assert!(!matches!(refused.read(&mut [0]), Ok(1..)));
        ANSWER.store(0, Ordering::SeqCst);
        answered(&mut served.client(), b"after");
        let stats = served.set.stats().unwrap()[0].1;
        assert_eq!((stats.accepted, stats.errors), (1, 1));
    }
}
