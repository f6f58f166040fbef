//! Stop and free of a loop, from wherever a program may do it: what was accepted runs or is dropped, each once, and all else is
//! refused. (What the end finds to drop: ends.rs. What two threads can do to each other: races.rs. In a forked child:
//! core/tests/fork.rs. While millions of posts come: core/tests/event_loop_faults.rs.)

use std::thread;

use super::*;
use crate::{Pool, PoolOptions, SubmitOptions};

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Free,
}
const BOTH: [End; 2] = [End::Stop, End::Free];

/// A loop with a timer and a watch, which own one [`Counted`] each, and do not come.
#[derive(Clone)]
struct Ending {
    how: End,
    owner: Arc<Mutex<Option<EventLoop>>>,
    handle: Handle,
    dropped: Arc<AtomicUsize>,
    _quiet: Arc<(UnixStream, UnixStream)>,
}

impl Ending {
    fn new(how: End) -> Self {
        Self::of(new_loop(), how)
    }

    fn of(event_loop: EventLoop, how: End) -> Self {
        let (dropped, handle) = (counter(), event_loop.handle());
        let (reader, writer) = UnixStream::pair().unwrap();
        let owned = Counted(dropped.clone());
        handle.call_later(Duration::from_secs(3600), move || drop(owned)).unwrap();
        let owned = Counted(dropped.clone());
        let told = move |_| {
            let _owned = &owned;
        };
        handle.watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), told).unwrap();
        let owner = Arc::new(Mutex::new(Some(event_loop)));
        Self { how, owner, handle, dropped, _quiet: Arc::new((reader, writer)) }
    }

    /// A callback that counts its runs and its drop.
    fn post(&self) -> (impl FnOnce() + Send + 'static, Arc<AtomicUsize>) {
        let (ran, owned) = (counter(), Counted(self.dropped.clone()));
        let count = ran.clone();
        let post = move || {
            let _owned = owned;
            count.fetch_add(1, Ordering::SeqCst);
        };
        (post, ran)
    }

    fn refused(&self) {
        let closed = Error::Closed("event loop");
        let dropped = counter();
        let owned = [(); 3].map(|()| Counted(dropped.clone()));
        let [post, timer, watch] = owned;
        let post = self.handle.post(move || drop(post)).unwrap_err();
        let hour = TimerOptions { after: Duration::from_secs(3600), ..Default::default() };
        let fired = move |_| {
            let _owned = &timer;
        };
        let timer = self.handle.timer(hour, fired).unwrap_err();
        let told = move |_| {
            let _owned = &watch;
        };
        let watch = self.handle.watch(0, WatchOptions::new(Interest::READ), told).unwrap_err();
        assert_eq!([&post.error, &timer.error, &watch.error], [&closed; 3]);
        assert_eq!(dropped.load(Ordering::SeqCst), 0, "what is refused is still the caller's");
        drop((post, timer, watch));
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
        if !self.handle.is_loop_thread() {
            assert_eq!(self.handle.post_and_wait(None, || ()), Err(closed));
        }
    }

    /// Twice: a free of what was freed is a stop of it.
    fn end(&self) {
        for _ in 0..2 {
            match self.how {
                End::Stop => self.handle.stop().unwrap(),
                End::Free => {
                    let owner = self.owner.lock().unwrap().take();
                    drop(owner);
                    self.handle.stop().unwrap();
                }
            }
            assert!(self.handle.is_stopped());
        }
        self.refused();
    }

    /// Once the end was asked for: waits for it. `others`: what was accepted beside the timer and the watch.
    fn finish(&self, others: usize) {
        self.handle.join(Some(LONG)).unwrap();
        assert_eq!(self.dropped.load(Ordering::SeqCst), 2 + others, "{:?}", self.how);
        assert_eq!(self.handle.run(RunMode::Default), Err(Error::Closed("event loop")));
        assert_eq!(self.handle.start(), Err(Error::Closed("event loop")));
        self.refused();
        let owner = self.owner.lock().unwrap().take();
        drop(owner);
        assert_eq!(self.dropped.load(Ordering::SeqCst), 2 + others);
    }
}

#[test]
fn from_any_thread_and_twice() {
    for how in BOTH {
        let ending = Ending::new(how);
        ending.handle.start().unwrap();
        let (post, ran) = ending.post();
        ending.handle.post_and_wait(None, post).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| ending.end());
            }
        });
        ending.finish(1);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn before_the_start() {
    for how in BOTH {
        let ending = Ending::new(how);
        let (post, ran) = ending.post();
        ending.handle.post(post).unwrap();
        ending.end();
        if how == End::Stop {
            assert_eq!(ran.load(Ordering::SeqCst), 0, "a stop runs nothing itself");
            ending.handle.start().unwrap();
        }
        ending.finish(1);
        assert_eq!(ran.load(Ordering::SeqCst), usize::from(how == End::Stop));
    }
}

#[test]
fn during_the_start() {
    for how in BOTH {
        for _ in 0..300 {
            let ending = Ending::new(how);
            let (post, ran) = ending.post();
            ending.handle.post(post).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| ending.end());
                match ending.handle.start() {
                    Ok(()) => {}
                    // Whoever frees it has it, or is done with it.
                    Err(Error::Exists(_) | Error::Closed("event loop")) if how == End::Free => {}
                    Err(error) => panic!("{how:?}: {error}"),
                }
            });
            ending.finish(1);
            let ran = ran.load(Ordering::SeqCst);
            assert!(ran == 1 || (ran, how) == (0, End::Free));
        }
    }
}

/// In the caller's run and on the loop's own thread.
#[test]
fn from_a_callback_of_each_kind() {
    for how in BOTH {
        for own_thread in [false, true] {
            for from in ["post", "timer", "repeating timer", "watch", "edge", "async", "event"] {
                let ending = Ending::new(how);
                let inside = ending.clone();
                let (own, alive) = (Counted(ending.dropped.clone()), ending.dropped.clone());
                let callback = move || {
                    let _own = &own;
                    assert!(inside.handle.is_loop_thread());
                    inside.end();
                    assert!(matches!(inside.handle.join(None), Err(Error::WouldDeadlock(_))));
                    assert!(matches!(inside.handle.run(RunMode::NoWait), Err(Error::WouldDeadlock(_))));
                    assert_eq!(alive.load(Ordering::SeqCst), 0, "nothing is dropped while it runs");
                };
                let handle = &ending.handle;
                let (reader, mut writer) = UnixStream::pair().unwrap();
                writer.write_all(b"x").unwrap();
                let (mut wake, event) = (None, Event::new(false).unwrap());
                let every = (from == "repeating timer").then_some(MS);
                match from {
                    "post" => handle.post(callback).unwrap(),
                    "timer" | "repeating timer" => {
                        let options = TimerOptions { every, ..Default::default() };
                        handle.timer(options, move |_| callback()).unwrap();
                    }
                    "watch" | "edge" => {
                        let options = WatchOptions { edge: from == "edge", ..WatchOptions::new(Interest::READ) };
                        handle.watch(reader.as_raw_fd(), options, move |_| callback()).unwrap();
                    }
                    "async" => {
                        wake = Some(handle.async_signal(On::Loop, callback).unwrap());
                        assert!(wake.as_ref().is_some_and(AsyncSignal::send));
                    }
                    _ => {
                        event.watch(handle, On::Loop, callback).unwrap();
                        event.signal().unwrap();
                    }
                }
                if own_thread {
                    handle.start().unwrap();
                } else {
                    handle.run(RunMode::Default).unwrap();
                }
                // On the loop's own thread it may not have come yet.
                while !handle.is_stopped() {
                    thread::yield_now();
                }
                ending.finish(1);
                assert!(wake.is_none_or(|wake| wake.send()), "after the end: harmless");
            }
        }
    }
}

#[test]
fn from_the_pool() {
    let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() }).unwrap();
    for how in BOTH {
        let ending = Ending::new(how);
        ending.handle.start().unwrap();
        let (post, ran) = ending.post();
        ending.handle.post_and_wait(None, post).unwrap();
        let inside = ending.clone();
        pool.submit_task(&SubmitOptions::default(), move || inside.end()).unwrap().join(Some(LONG)).unwrap();
        ending.finish(1);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }
}

/// Each job on a thread of its own: a pool that never has a worker too few.
struct Threads;
impl Target for Threads {
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
        thread::spawn(move || job.run());
        Ok(())
    }
}

#[test]
fn from_a_sources_callback_in_the_pool() {
    for how in BOTH {
        for from in ["timer", "watch"] {
            let ending = Ending::of(loop_of(Arc::new(Threads)), how);
            let (reader, mut writer) = UnixStream::pair().unwrap();
            writer.write_all(b"x").unwrap();
            let inside = ending.clone();
            let own = Counted(ending.dropped.clone());
            let callback = move || {
                let _own = &own;
                inside.end();
            };
            let on = On::Pool { priority: Priority::Normal, cpus: None };
            if from == "timer" {
                let options = TimerOptions { on, ..Default::default() };
                ending.handle.timer(options, move |_| callback()).unwrap();
            } else {
                let options = WatchOptions { on, ..WatchOptions::new(Interest::READ) };
                ending.handle.watch(reader.as_raw_fd(), options, move |_| callback()).unwrap();
            }
            ending.handle.start().unwrap();
            // It is dropped when it has returned, which the loop does not wait for.
            while ending.dropped.load(Ordering::SeqCst) < 3 {
                thread::yield_now();
            }
            ending.finish(1);
        }
    }
}

#[test]
fn from_a_posted_callback_that_posts_again() {
    for how in BOTH {
        let ending = Ending::new(how);
        let (before, ran) = ending.post();
        let inside = ending.clone();
        let callback = move || {
            inside.handle.post(before).unwrap();
            inside.end();
        };
        ending.handle.post(callback).unwrap();
        ending.handle.run(RunMode::Default).unwrap();
        ending.finish(1);
        assert_eq!(ran.load(Ordering::SeqCst), usize::from(how == End::Stop), "accepted before the end");
    }
}

#[test]
fn from_a_chain_of_posts_that_never_ends_by_itself() {
    fn again(handle: &Handle, ran: Arc<AtomicUsize>) {
        if ran.fetch_add(1, Ordering::SeqCst) == 99 {
            handle.stop().unwrap();
        }
        let (next, ran) = (handle.clone(), ran);
        if let Err(refused) = handle.post(move || again(&next, ran)) {
            assert_eq!(refused.error, Error::Closed("event loop"));
        }
    }
    let event_loop = new_loop();
    let ran = counter();
    again(&event_loop.handle(), ran.clone());
    event_loop.run(RunMode::Default).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}
