//! What must not go wrong in a loop: posts by the million while it is stopped, a panic in a callback of each kind, signals that
//! interrupt each of its system calls.

#![allow(clippy::zombie_processes, reason = "the loop reaps them")]

use std::{
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream, unix::thread::JoinHandleExt},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use coop_core::{
    Error, EventLoop, EventLoopOptions, Refused,
    event_loop::{Event, Interest, On, RunMode, TimerOptions, WatchOptions},
};

/// Far beyond what anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);
const POSTERS: usize = 8;
/// As many as there are, all in all; a build with assertions takes ten times as long for each.
const POSTS: usize = if cfg!(debug_assertions) { 200_000 } else { 10_000_000 };

fn new_loop() -> EventLoop {
    EventLoop::new(EventLoopOptions::default()).unwrap()
}

#[derive(Default)]
struct Counts {
    /// How many of each poster's have run: their numbers come in order.
    ran: [AtomicUsize; POSTERS],
    dropped: AtomicUsize,
}

impl Counts {
    fn sum(&self) -> usize {
        self.ran.iter().map(|ran| ran.load(Ordering::Relaxed)).sum()
    }
}

struct Post {
    counts: Arc<Counts>,
    poster: u32,
    number: u32,
}

impl Post {
    fn run(&self) {
        let before = self.counts.ran[self.poster as usize].fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, self.number as usize, "a post was lost, or came out of its order");
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stopped again and again while eight threads post as fast as they can: what is accepted runs, in each poster's order, and
/// is dropped once; what is refused was not touched.
#[test]
fn millions_of_posts_from_eight_threads_during_stop() {
    let mut posted = 0;
    for round in 1.. {
        let (event_loop, counts) = (new_loop(), Arc::new(Counts::default()));
        event_loop.start().unwrap();
        let accepted = thread::scope(|scope| {
            let posters = [0_u32, 1, 2, 3, 4, 5, 6, 7].map(|poster| {
                let (event_loop, counts) = (&event_loop, &counts);
                scope.spawn(move || {
                    for number in 0.. {
                        let post = Post { counts: counts.clone(), poster, number };
                        if let Err(Refused { error, value }) = event_loop.post(move || post.run()) {
                            assert_eq!(error, Error::Closed("event loop"));
                            drop(value);
                            return number as usize;
                        }
                    }
                    unreachable!("refused at last")
                })
            });
            // Not always at the same place.
            while counts.sum() < POSTS / 100 + round * 7919 % (POSTS / 100) {
                thread::yield_now();
            }
            event_loop.stop().unwrap();
            posters.map(|poster| poster.join().unwrap())
        });
        event_loop.join(Some(LONG)).unwrap();
        let ran = counts.ran.each_ref().map(|ran| ran.load(Ordering::SeqCst));
        assert_eq!(ran, accepted);
        let made = accepted.iter().sum::<usize>() + POSTERS;
        assert_eq!(counts.dropped.load(Ordering::SeqCst), made, "those that ran, and one refused of each poster");
        posted += made;
        if posted >= POSTS {
            break;
        }
    }
}

/// Panics the first time, and tells of the second.
fn panics_once<A>(tell: &mpsc::Sender<&'static str>, kind: &'static str) -> impl FnMut(A) + Send + 'static {
    let (tell, mut first) = (tell.clone(), true);
    move |_| {
        if std::mem::take(&mut first) {
            panic!("on purpose, in a callback of kind {kind}");
        }
        let _ = tell.send(kind);
    }
}

/// The loop goes on, and so do the sources that call again.
#[test]
fn a_panic_in_a_callback_of_each_kind() {
    let (tell, told) = mpsc::channel();
    // Others that call again may tell of it until they are cancelled.
    let next = |kind| while told.recv_timeout(LONG).expect(kind) != kind {};
    let event_loop = new_loop();
    event_loop.start().unwrap();

    event_loop.post(|| panic!("on purpose, in a post")).unwrap();
    let answer = event_loop.post_and_wait(None, || -> () { panic!("on purpose, and waited for") });
    assert_eq!(answer, Err(Error::Panic("on purpose, and waited for".into())));

    let every = TimerOptions { after: MS, every: Some(MS), ..TimerOptions::default() };
    let timer = event_loop.timer(every.clone(), panics_once(&tell, "timer")).map_err(|r| r.error).unwrap();
    next("timer");
    event_loop.cancel_timer(timer).unwrap();

    let (handle, callback) = (event_loop.handle(), panics_once(&tell, "local timer"));
    let add = move || handle.timer_local(&every, callback).map_err(|refused| refused.error).unwrap();
    let timer = event_loop.post_and_wait(None, add).unwrap();
    next("local timer");
    let handle = event_loop.handle();
    event_loop.post_and_wait(None, move || handle.cancel_timer_local(timer)).unwrap().unwrap();

    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    let options = WatchOptions::new(Interest::READ);
    let watch =
        event_loop.watch(reader.as_raw_fd(), options, panics_once(&tell, "watch")).map_err(|r| r.error).unwrap();
    next("watch");
    event_loop.cancel_watch(watch).unwrap();

    let mut callback = panics_once(&tell, "signal");
    let signal = event_loop.signal(libc::SIGUSR1, On::Loop, move |_, _| callback(())).map_err(|r| r.error).unwrap();
    let kill = format!("while kill -USR1 {}; do sleep 0.01; done", std::process::id());
    let mut sending = Command::new("/bin/sh").args(["-c", &kill]).spawn().unwrap();
    next("signal");
    sending.kill().unwrap();
    sending.wait().unwrap();
    // One that is pending still comes to the handler, and not to the default that would end the process.
    let _ = signal;

    let mut callback = panics_once(&tell, "async");
    let wake = event_loop.async_signal(On::Loop, move || callback(())).map_err(|r| r.error).unwrap();
    let event = Event::new(false).unwrap();
    let mut callback = panics_once(&tell, "event");
    event.watch(&event_loop.handle(), On::Loop, move || callback(())).map_err(|r| r.error).unwrap();
    while told.try_recv().ok() != Some("async") {
        assert!(wake.send());
        thread::sleep(MS);
    }
    wake.close();
    while told.try_recv().ok() != Some("event") {
        event.signal().unwrap();
        thread::sleep(MS);
    }

    let child = Command::new("/bin/sh").args(["-c", "exit 3"]).spawn().unwrap();
    let ended = tell.clone();
    let pid = i32::try_from(child.id()).unwrap();
    let callback = move |_| {
        ended.send("child").unwrap();
        panic!("on purpose, in a callback of kind child");
    };
    event_loop.child(pid, On::Loop, callback).map_err(|r| r.error).unwrap();
    next("child");

    assert_eq!(event_loop.post_and_wait(None, || 7), Ok(7), "the loop goes on");
    event_loop.stop().unwrap();
    event_loop.join(Some(LONG)).unwrap();
}

static INTERRUPTIONS: AtomicUsize = AtomicUsize::new(0);
extern "C" fn interrupts(_: i32) {
    INTERRUPTIONS.fetch_add(1, Ordering::Relaxed);
}

/// The thread that runs the loop gets signals all the time, whose handler has no SA_RESTART: what the system interrupts is done
/// again, nothing is lost and nothing fails.
#[test]
fn a_storm_of_signals_that_interrupt_its_system_calls() {
    const ROUNDS: usize = 200;
    // SAFETY: all zero is a sigaction without flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = interrupts as *const () as usize;
    // SAFETY: the handler counts, nothing else.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()) }, 0);
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let running = thread::spawn(move || handle.run(RunMode::Default));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (thread, over) = (running.as_pthread_t(), &over);
        let storm = scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: a thread that is joined after this one.
                assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
                thread::yield_now();
            }
        });
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let (tell, told) = mpsc::channel();
        let (telling, mut peer) = (tell.clone(), writer.try_clone().unwrap());
        // Sends back what it is sent.
        let echo = move |_| {
            let mut byte = [0];
            while peer.read(&mut byte).is_ok_and(|n| n == 1) {
                peer.write_all(&byte).unwrap();
            }
            telling.send("watch").unwrap();
        };
        event_loop.watch(writer.as_raw_fd(), WatchOptions::new(Interest::READ), echo).map_err(|r| r.error).unwrap();
        let telling = tell.clone();
        let wake =
            event_loop.async_signal(On::Loop, move || telling.send("async").unwrap()).map_err(|r| r.error).unwrap();
        for round in 0..ROUNDS {
            let byte = [u8::try_from(round % 251).unwrap()];
            reader.write_all(&byte).unwrap();
            let mut back = [0];
            reader.read_exact(&mut back).unwrap();
            assert_eq!(back, byte);
            assert_eq!(told.recv_timeout(LONG), Ok("watch"));
            let telling = tell.clone();
            event_loop.call_later(MS, move || telling.send("timer").unwrap()).unwrap();
            assert_eq!(told.recv_timeout(LONG), Ok("timer"));
            assert!(wake.send());
            assert_eq!(told.recv_timeout(LONG), Ok("async"));
            assert_eq!(event_loop.post_and_wait(Some(LONG), move || round), Ok(round));
        }
        // What interrupts nothing says nothing.
        let seen = INTERRUPTIONS.load(Ordering::Relaxed);
        while INTERRUPTIONS.load(Ordering::Relaxed) < seen + 1000 {
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
        storm.join().unwrap();
    });
    event_loop.stop().unwrap();
    assert_eq!(running.join().unwrap(), Ok(()), "an interrupted system call is no failure");
}
