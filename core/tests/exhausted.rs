//! A process without descriptors left: its listeners wait for them, without turning in circles, and go on. A process of its own, as the
//! limit is one for all of it; so is the sink of what it reports.

use std::{
    net::TcpStream,
    os::fd::AsRawFd,
    sync::{Arc, Mutex},
    time::Duration,
};

use coop_core::{
    Error, EventLoop, EventLoopOptions,
    event_loop::{sleep, stream::ListenOptions},
    log::{self, Level},
};

const CONNECTIONS: usize = 40;
const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn limit_descriptors_to(count: usize) {
    let limit = libc::rlimit { rlim_cur: count as libc::rlim_t, rlim_max: 4096 };
    // SAFETY: `limit` is a valid limit, and the call only reads it.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_listener_without_descriptors_says_so_once_pauses_and_goes_on() {
    let messages: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = messages.clone();
    log::set_sink(Some((Level::WARN, Arc::new(move |_, text: &str| seen.lock().unwrap().push(text.to_owned())))))
        .unwrap();
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let listener = event_loop.listen("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let address = listener.local_addr().as_ip().unwrap();
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let highest = clients.iter().map(AsRawFd::as_raw_fd).max().unwrap();
    limit_descriptors_to(usize::try_from(highest).unwrap() + 1 + CONNECTIONS / 2);

    let (held, handle) = (Arc::new(Mutex::new(Vec::new())), event_loop.handle());
    let accepted = held.clone();
    let mut accepting = event_loop
        .spawn(async move {
            let mut count = 0;
            while count < CONNECTIONS {
                let stream = listener.accept().await?;
                accepted.lock().unwrap().push(stream);
                count += 1;
            }
            Ok::<_, Error>(listener)
        })
        .unwrap();
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + LONG.unwrap();
        while !is_so() {
            assert!(std::time::Instant::now() < end, "{what} did not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until("the report", &|| !messages.lock().unwrap().is_empty());
    assert!(held.lock().unwrap().len() < CONNECTIONS);
    // Ten pauses are some dozens of turns; a busy loop would be hundreds of thousands.
    let before = event_loop.stats().unwrap().iterations;
    let mut moment = event_loop.spawn(async move { sleep(&handle, Duration::from_secs(1)).await }).unwrap();
    moment.join(LONG).unwrap().unwrap();
    let turns = event_loop.stats().unwrap().iterations - before;
    assert!(turns < 200, "{turns} turns in a second of waiting for descriptors");

    held.lock().unwrap().clear();
    let listener = accepting.join(LONG).unwrap().unwrap();
    let messages = messages.lock().unwrap().clone();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains(&format!("accept on {}", listener.local_addr())), "{messages:?}");
    assert!(messages[0].contains("Too many open files"), "{messages:?}");

    // Those who do not wait are told the error, and that an attempt is worth while after the pause.
    held.lock().unwrap().clear();
    let _more = TcpStream::connect(address).unwrap();
    limit_descriptors_to(1);
    for _ in 0..100 {
        assert_eq!(listener.try_accept().unwrap_err().os_errno(), Some(libc::EMFILE));
    }
    let timers = event_loop.stats().unwrap().timers;
    assert!(timers <= 1 && listener.is_paused(), "{timers} timers for one pause");
    limit_descriptors_to(4096);
    let mut again = event_loop.spawn(async move { listener.accept().await.map(|_| listener) }).unwrap();
    let listener = again.join(LONG).unwrap().unwrap();

    // The pause is over also when those who waited have gone.
    limit_descriptors_to(1);
    assert_eq!(listener.try_accept().unwrap_err().os_errno(), Some(libc::EMFILE));
    limit_descriptors_to(4096);
    assert_eq!(listener.try_accept().unwrap_err(), Error::WouldBlock("listener"));
    assert!(!listener.is_paused());
}
