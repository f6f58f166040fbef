//! The order of a turn, and what the end of a stopped loop leaves.

use super::*;

/// Something to be dropped that tries to go on: what it asks of the loop then, it is refused.
struct GoesOn(Handle, mpsc::Sender<[Error; 3]>);
impl Drop for GoesOn {
    fn drop(&mut self) {
        let post = self.0.post(|| panic!("ran")).unwrap_err().error;
        let timer = self.0.call_later(MS, || panic!("ran")).unwrap_err();
        let fd = std::io::stdin().as_raw_fd();
        let watch = self.0.watch(fd, WatchOptions::new(Interest::READ), |_| panic!("ran")).unwrap_err().error;
        let _ = self.1.send([post, timer, watch]);
    }
}

/// A loop with a timer and a watch, each of which owns one [`GoesOn`].
fn with_sources() -> (EventLoop, mpsc::Receiver<[Error; 3]>, UnixStream, UnixStream) {
    let event_loop = new_loop();
    let (reader, writer) = UnixStream::pair().unwrap();
    let (sender, dropped) = mpsc::channel();
    let owned = [(); 2].map(|()| GoesOn(event_loop.handle(), sender.clone()));
    let [timer, watch] = owned;
    let hour = TimerOptions { after: Duration::from_secs(3600), ..Default::default() };
    let fired = move |_| {
        let _owned = &timer;
    };
    event_loop.timer(hour, fired).map_err(|refused| refused.error).unwrap();
    let told = move |_| {
        let _owned = &watch;
    };
    let read = WatchOptions::new(Interest::READ);
    event_loop.watch(reader.as_raw_fd(), read, told).map_err(|refused| refused.error).unwrap();
    (event_loop, dropped, reader, writer)
}

fn all_refused(dropped: &mpsc::Receiver<[Error; 3]>) {
    let told: Vec<_> = dropped.try_iter().collect();
    let closed = || [(); 3].map(|()| Error::Closed("event loop"));
    assert_eq!(told, [closed(), closed()]);
}

#[test]
fn a_turn_is_watches_then_timers_then_what_they_posted() {
    let event_loop = new_loop();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    let (sender, order) = mpsc::channel();
    let tell = |handle: &Handle, what: &'static str| {
        let (handle, sender) = (handle.clone(), sender.clone());
        move || {
            sender.send(what).unwrap();
            let sender = sender.clone();
            let later = move || sender.send("what that posted").unwrap();
            handle.post(later).unwrap();
        }
    };
    let handle = event_loop.handle();
    handle.post(tell(&handle, "post")).unwrap();
    handle.call_later(Duration::ZERO, tell(&handle, "timer")).unwrap();
    let told = tell(&handle, "watch");
    handle.watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), move |_| told()).unwrap();
    let posted = "what that posted";
    event_loop.run(RunMode::NoWait).unwrap();
    // The post was there first. What it posted itself is not of this turn.
    assert_eq!(order.try_iter().collect::<Vec<_>>(), ["watch", "timer", "post", posted, posted]);
    event_loop.run(RunMode::NoWait).unwrap();
    assert_eq!(order.try_iter().filter(|what| *what == posted).count(), 2, "the first post's and the watch's second");
}

#[test]
fn a_stopped_loop_drops_its_timers_and_watches_when_its_run_ends() {
    for own_thread in [true, false] {
        let (event_loop, dropped, ..) = with_sources();
        if own_thread {
            event_loop.start().unwrap();
            event_loop.stop().unwrap();
            event_loop.join(None).unwrap();
        } else {
            let handle = event_loop.handle();
            event_loop.post(move || handle.stop().unwrap()).unwrap();
            event_loop.run(RunMode::Default).unwrap();
        }
        all_refused(&dropped);
        assert_eq!(event_loop.run(RunMode::Default), Err(Error::Closed("event loop")));
    }
}

#[test]
fn a_loop_that_is_stopped_and_never_run_drops_them_when_it_is_freed() {
    let (event_loop, dropped, ..) = with_sources();
    event_loop.stop().unwrap();
    assert_eq!(dropped.try_iter().count(), 0);
    drop(event_loop);
    all_refused(&dropped);
}

#[test]
fn a_stopped_loop_that_never_ran_finishes_in_its_next_run() {
    for mode in [RunMode::Default, RunMode::Once, RunMode::NoWait, RunMode::UntilIdle] {
        let (event_loop, dropped, ..) = with_sources();
        event_loop.backend_fd().unwrap();
        event_loop.stop().unwrap();
        assert_eq!(event_loop.backend_timeout(), Ok(Some(Duration::ZERO)), "it has something to drop");
        event_loop.run(mode).unwrap();
        all_refused(&dropped);
        assert_eq!(event_loop.backend_timeout(), Err(Error::Closed("event loop")));
        assert_eq!(event_loop.run(mode), Err(Error::Closed("event loop")));
        assert_eq!(event_loop.start(), Err(Error::Closed("event loop")));
    }
}

/// The run of an embedded loop, in which a callback stops it, is its last.
#[test]
fn one_turn_in_which_it_is_stopped_finishes_it() {
    for mode in [RunMode::Once, RunMode::NoWait] {
        let (event_loop, dropped, ..) = with_sources();
        let (handle, ran) = (event_loop.handle(), counter());
        let last = Counted(ran.clone());
        let stop = move || {
            handle.post(move || drop(last)).unwrap();
            handle.stop().unwrap();
        };
        event_loop.post(stop).unwrap();
        event_loop.run(mode).unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 1, "what was accepted before the stop runs");
        all_refused(&dropped);
    }
}

/// A timer's callback that owns the loop: dropped at the loop's end, it frees the loop from inside it.
#[test]
fn what_is_dropped_at_the_end_may_free_the_loop() {
    let (event_loop, dropped, ..) = with_sources();
    let handle = event_loop.handle();
    handle.call_later(Duration::from_secs(3600), move || drop(event_loop)).unwrap();
    handle.stop().unwrap();
    handle.run(RunMode::Default).unwrap();
    all_refused(&dropped);
}
