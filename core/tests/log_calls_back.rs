//! The program's log is its own code: it may call the loop that a message comes from, and take locks of its own. A process of its own, as
//! the sink and the limit of descriptors are for all of it.

use std::{
    net::UdpSocket,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use coop_core::{
    EventLoop, EventLoopOptions,
    event_loop::{Handle, Interest, Io, WatchOptions, stream::ListenOptions},
    log::{self, Level},
};

const LONG: Duration = Duration::from_secs(60);

fn limit_descriptors_to(count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: 4096 };
    // SAFETY: `limit` is a valid limit, and the call only reads it.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
}

fn socket() -> OwnedFd {
    UdpSocket::bind("127.0.0.1:0").unwrap().into()
}

/// Makes the number of this one that of another file, which the loop knows nothing of.
fn close_under(fd: &mut OwnedFd) {
    duplicate_onto(&socket(), fd);
}

fn duplicate_onto(from: &OwnedFd, to: &mut OwnedFd) {
    // SAFETY: both are open, and `to` stays the owner of its number.
    let failed = unsafe { libc::dup2(from.as_raw_fd(), to.as_raw_fd()) };
    assert!(failed >= 0, "{}", std::io::Error::last_os_error());
}

/// Every way in which a descriptor is found closed under its watch, then a listener without descriptors.
fn provoke(log_lock: &Mutex<()>) -> usize {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    *CALLED.lock().unwrap() = Some(event_loop.handle());
    let watch = |fd: &OwnedFd| event_loop.watch(fd.as_raw_fd(), WatchOptions::new(Interest::READ), |_| ()).unwrap();
    let mut told = 0;

    let mut fd = socket();
    watch(&fd);
    close_under(&mut fd);
    watch(&fd);
    told += 1;

    let mut fd = socket();
    let id = watch(&fd);
    close_under(&mut fd);
    event_loop.set_watch_interest(id, Interest::BOTH).unwrap_err();
    told += 1;

    let mut fd = socket();
    watch(&fd);
    close_under(&mut fd);
    let io = Io::new(&event_loop, fd).unwrap();
    told += 1;

    event_loop.start().unwrap();
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    limit_descriptors_to(1);
    {
        let _locked = log_lock.lock().unwrap();
        assert_eq!(listener.try_accept().unwrap_err().os_errno(), Some(libc::EMFILE));
    }
    limit_descriptors_to(4096);
    told += 1;
    let (ran, has_run) = mpsc::channel();
    event_loop.post(move || ran.send(()).unwrap()).unwrap();
    has_run.recv_timeout(LONG).unwrap();
    drop((io, listener));

    // The last one ends the loop from inside.
    let mut fd = socket();
    watch(&fd);
    close_under(&mut fd);
    STOPS.store(1, Ordering::SeqCst);
    watch(&fd);
    told += 1;
    assert!(event_loop.is_stopped());
    told
}

static CALLED: Mutex<Option<Handle>> = Mutex::new(None);
static STOPS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_log_may_call_the_loop_that_writes_to_it() {
    let (messages, log_lock) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(())));
    let (count, lock) = (messages.clone(), log_lock.clone());
    let sink = move |_, text: &str| {
        assert!(text.contains("closed under its watch") || text.contains("Too many open files"), "{text}");
        let handle = CALLED.lock().unwrap().clone().unwrap();
        handle.stats().unwrap();
        drop(lock.lock().unwrap());
        if STOPS.load(Ordering::SeqCst) == 1 {
            handle.stop().unwrap();
        }
        count.fetch_add(1, Ordering::SeqCst);
    };
    log::set_sink(Some((Level::WARN, Arc::new(sink)))).unwrap();
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || done.send(provoke(&log_lock)));
    let told = is_done.recv_timeout(LONG).expect("the log's call does not return");
    assert_eq!(messages.load(Ordering::SeqCst), told);
}
