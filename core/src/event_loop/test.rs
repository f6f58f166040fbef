use std::{
    io::{Read, Write},
    os::fd::AsRawFd,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

mod calls;
mod children;
mod embed;
mod ends;
mod events;
mod observed;
mod races;
mod records;
mod signals;
mod sources;
mod stop_and_free;
mod strands;
mod timers;
mod watches;

use super::*;
use crate::{CpuSet, Error, Job, Priority, Refused};

const MS: Duration = Duration::from_millis(1);

fn new_loop() -> EventLoop {
    EventLoop::new(EventLoopOptions::default()).unwrap()
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Every place of a loop is this one.
struct Only(Arc<dyn Target>);
impl Dispatcher for Only {
    fn target(&self, _: Priority, _: Option<&CpuSet>) -> Result<Arc<dyn Target>> {
        Ok(self.0.clone())
    }
}

fn loop_of(target: Arc<dyn Target>) -> EventLoop {
    EventLoop::with_dispatcher(EventLoopOptions::default(), Arc::new(Only(target))).unwrap()
}

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

#[test]
fn posts_of_one_thread_keep_their_order_and_all_run() {
    let event_loop = new_loop();
    let seen = Arc::new(Mutex::new(vec![Vec::new(); 4]));
    event_loop.start().unwrap();
    std::thread::scope(|scope| {
        for poster in 0..4 {
            let (event_loop, seen) = (&event_loop, &seen);
            scope.spawn(move || {
                for n in 0..10_000 {
                    let seen = seen.clone();
                    event_loop.post(move || seen.lock().unwrap()[poster].push(n)).unwrap();
                }
            });
        }
    });
    event_loop.stop().unwrap();
    event_loop.join(None).unwrap();
    for posts in &*seen.lock().unwrap() {
        assert!(posts.iter().copied().eq(0..10_000));
    }
}

#[test]
fn stop_runs_what_was_accepted_and_refuses_the_rest() {
    let event_loop = new_loop();
    let (accepted, ran, dropped) = (counter(), counter(), counter());
    event_loop.start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let (ran, owned) = (ran.clone(), Counted(dropped.clone()));
                    let posted = event_loop.post(move || {
                        let _owned = &owned;
                        ran.fetch_add(1, Ordering::SeqCst);
                    });
                    match posted {
                        Ok(()) => accepted.fetch_add(1, Ordering::SeqCst),
                        Err(Refused { error, value }) => {
                            assert_eq!(error, Error::Closed("event loop"));
                            let before = dropped.load(Ordering::SeqCst);
                            drop(value);
                            assert!(dropped.load(Ordering::SeqCst) > before, "a refused job was still the caller's");
                            break;
                        }
                    };
                }
            });
        }
        while ran.load(Ordering::SeqCst) < 10_000 {
            std::thread::yield_now();
        }
        event_loop.stop().unwrap();
        event_loop.stop().unwrap();
    });
    event_loop.join(None).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), accepted.load(Ordering::SeqCst));
    assert_eq!(dropped.load(Ordering::SeqCst), accepted.load(Ordering::SeqCst) + 8);
}

#[test]
fn a_panic_is_caught_and_the_loop_goes_on() {
    let event_loop = new_loop();
    let ran = counter();
    let count = ran.clone();
    event_loop.post(|| panic!("on purpose")).unwrap();
    event_loop.call_later(MS, || panic!("on purpose")).unwrap();
    event_loop
        .call_later(2 * MS, move || {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn free_discards_and_drops_each_callback_once() {
    let dropped = counter();
    let event_loop = new_loop();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let owned: Vec<_> = (0..4).map(|_| Counted(dropped.clone())).collect();
    let [post, timer, watch, handle_holder] = <[Counted; 4]>::try_from(owned).ok().unwrap();
    let handle = event_loop.handle();
    event_loop
        .post(move || {
            drop(post);
            panic!("ran")
        })
        .unwrap();
    event_loop.call_later(MS, move || drop(timer)).unwrap();
    event_loop
        .watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), move |_| {
            let _ = &watch;
        })
        .unwrap();
    // A callback that holds a handle to its own loop keeps nothing alive.
    event_loop
        .timer(TimerOptions { after: MS, every: Some(MS), on: On::Loop, ..TimerOptions::default() }, move |_| {
            let _ = (&handle, &handle_holder);
        })
        .unwrap();
    let outlives = event_loop.handle();
    drop(event_loop);
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
    assert_eq!(outlives.post(|| {}).unwrap_err().error, Error::Closed("event loop"));
    assert!(outlives.call_later(MS, || {}).is_err());
}

#[test]
fn what_can_never_end_is_refused() {
    let event_loop = new_loop();
    let (sender, answers) = mpsc::channel();
    let handle = event_loop.handle();
    event_loop
        .post(move || {
            sender.send(handle.run(RunMode::Default)).unwrap();
            sender.send(handle.join(None)).unwrap();
        })
        .unwrap();
    event_loop.run(RunMode::Once).unwrap();
    assert!(answers.try_iter().all(|answer| matches!(answer, Err(Error::WouldDeadlock(_)))));
}

#[test]
fn it_runs_on_one_thread_at_a_time_and_join_has_a_deadline() {
    let event_loop = new_loop();
    event_loop.start().unwrap();
    assert!(matches!(event_loop.start(), Err(Error::Exists(_))));
    assert!(matches!(event_loop.run(RunMode::Once), Err(Error::Exists(_))));
    assert!(matches!(event_loop.join(Some(MS)), Err(Error::Timeout(_))));
    event_loop.stop().unwrap();
    event_loop.join(None).unwrap();
}

#[test]
fn interrupt_breaks_a_run_and_closes_nothing() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    event_loop.post(move || handle.interrupt().unwrap()).unwrap();
    event_loop.run(RunMode::Default).unwrap();
    let handle = event_loop.handle();
    event_loop.post(move || handle.stop().unwrap()).unwrap();
    event_loop.run(RunMode::Default).unwrap();
}

#[test]
fn an_idle_loop_makes_no_wake_up_in_10_seconds() {
    let event_loop = new_loop();
    event_loop.start().unwrap();
    let (sender, thread) = mpsc::channel();
    event_loop.post(move || sender.send(nix::unistd::gettid()).unwrap()).unwrap();
    let status = format!("/proc/self/task/{}/status", thread.recv().unwrap());
    let switches = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    // Let it go to sleep after the post: asleep at two looks, and not up in between.
    let before = loop {
        let before = switches();
        std::thread::sleep(50 * MS);
        if std::fs::read_to_string(&status).unwrap().contains("State:\tS") && switches() == before {
            break before;
        }
    };
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(switches(), before, "an idle loop woke up");
}
