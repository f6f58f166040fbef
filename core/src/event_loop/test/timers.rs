//! Local timers, references, and the clock.

use std::sync::atomic::AtomicBool;

use super::*;

fn local(handle: &Handle, after: Duration, f: impl FnMut(u64) + Send + 'static) -> TimerId {
    handle.timer_local(&TimerOptions { after, ..Default::default() }, f).map_err(|refused| refused.error).unwrap()
}

#[test]
fn local_timers_fire_in_order_once_each_and_drop_their_callbacks() {
    let event_loop = new_loop();
    let (handle, (tell, told), dropped) = (event_loop.handle(), mpsc::channel(), counter());
    let owned = dropped.clone();
    event_loop
        .post(move || {
            for after in [20u32, 5, 0, 10, 1] {
                let (tell, owned) = (tell.clone(), Counted(owned.clone()));
                local(&handle, after * MS, move |times| {
                    let _owned = &owned;
                    tell.send((after, times)).unwrap();
                });
            }
        })
        .unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(0, 1), (1, 1), (5, 1), (10, 1), (20, 1)]);
    assert_eq!(dropped.load(Ordering::SeqCst), 5);
}

#[test]
fn local_timers_are_for_the_loops_own_callbacks() {
    let event_loop = new_loop();
    let (dropped, options) = (counter(), TimerOptions::default());
    let owned = Counted(dropped.clone());
    let refused = event_loop.timer_local(&options, move |_| {
        let _owned = &owned;
    });
    assert!(matches!(refused.as_ref().unwrap_err().error, Error::Invalid(_)));
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "still the caller's");
    drop(refused);
    let far = event_loop.call_later(Duration::from_secs(60), || panic!("fired")).unwrap();
    assert!(matches!(event_loop.cancel_timer_local(far), Err(Error::Invalid(_))));

    let (tell, told) = mpsc::channel();
    let handle = event_loop.handle();
    event_loop
        .post(move || {
            let zero = TimerOptions { every: Some(Duration::ZERO), ..Default::default() };
            assert!(matches!(handle.timer_local(&zero, |_| {}).unwrap_err().error, Error::Invalid(_)));
            let pool = TimerOptions { on: On::pool(Priority::High), ..Default::default() };
            assert!(matches!(handle.timer_local(&pool, |_| {}).unwrap_err().error, Error::Invalid(_)));
            // One of any thread's is cancelled by the local call too.
            handle.cancel_timer_local(far).unwrap();
            assert_eq!(handle.cancel_timer_local(far), Err(Error::Stale("timer")));
            let id = local(&handle, Duration::from_secs(60), |_| panic!("fired"));
            let other = handle.clone();
            let elsewhere = std::thread::spawn(move || other.cancel_timer(id)).join().unwrap();
            assert!(matches!(elsewhere, Err(Error::Invalid(_))), "{elsewhere:?}");
            handle.cancel_timer_local(id).unwrap();
            assert_eq!(handle.cancel_timer_local(id), Err(Error::Stale("timer")));
            assert_eq!(handle.cancel_timer(id), Err(Error::Stale("timer")));
            tell.send(local(&handle, Duration::from_secs(60), |_| panic!("fired"))).unwrap();
        })
        .unwrap();
    event_loop.run(RunMode::NoWait).unwrap();
    // Nobody runs the loop: any thread may.
    let left = told.recv().unwrap();
    event_loop.set_timer_ref(left, false).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    event_loop.cancel_timer(left).unwrap();
    assert_eq!(event_loop.cancel_timer(left), Err(Error::Stale("timer")));
}

#[test]
fn a_repeating_local_timer_counts_what_it_missed_and_cancels_itself() {
    let event_loop = new_loop();
    let (handle, (tell, told)) = (event_loop.handle(), mpsc::channel());
    event_loop
        .post(move || {
            let id = Arc::new(Mutex::new(None));
            let (own, inside, start) = (id.clone(), handle.clone(), Instant::now());
            let mut sum = 0;
            let options = TimerOptions { after: 2 * MS, every: Some(2 * MS), ..Default::default() };
            let timer = handle
                .timer_local(&options, move |times| {
                    sum += times;
                    std::thread::sleep(5 * MS);
                    if sum >= 20 {
                        inside.cancel_timer_local(own.lock().unwrap().unwrap()).unwrap();
                        tell.send((sum, start.elapsed())).unwrap();
                    }
                })
                .unwrap();
            *id.lock().unwrap() = Some(timer);
        })
        .unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    let (sum, took) = told.recv().unwrap();
    assert!(u128::from(sum) * 2 <= took.as_millis(), "{sum} times of 2 ms in {took:?}: it drifted");
}

#[test]
fn what_is_local_ends_with_the_loop() {
    for free in [false, true] {
        let event_loop = new_loop();
        let (handle, dropped) = (event_loop.handle(), counter());
        let owned = Counted(dropped.clone());
        event_loop
            .post(move || {
                local(&handle, Duration::from_secs(60), move |_| {
                    let _owned = &owned;
                });
                assert!(!free || !handle.is_stopped());
            })
            .unwrap();
        event_loop.run(RunMode::NoWait).unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        if free {
            drop(event_loop);
        } else {
            event_loop.stop().unwrap();
            event_loop.run(RunMode::Default).unwrap();
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "free: {free}");
    }
}

#[test]
fn a_loop_inside_a_callback_has_local_timers_of_its_own() {
    let outer = new_loop();
    let (handle, (tell, told)) = (outer.handle(), mpsc::channel());
    outer
        .post(move || {
            let inner = new_loop();
            let (inside, outer, said) = (inner.handle(), handle.clone(), tell.clone());
            inner
                .post(move || {
                    let (first, second) = (said.clone(), said);
                    local(&inside, MS, move |_| first.send("inner").unwrap());
                    local(&outer, Duration::ZERO, move |_| second.send("outer").unwrap());
                })
                .unwrap();
            inner.run(RunMode::UntilIdle).unwrap();
        })
        .unwrap();
    outer.run(RunMode::UntilIdle).unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["inner", "outer"]);
}

#[test]
fn a_run_until_idle_does_not_wait_for_what_is_unref() {
    let event_loop = new_loop();
    let far = TimerOptions { after: Duration::from_secs(60), unref: true, ..Default::default() };
    let timer = event_loop.timer(far, |_| panic!("fired")).unwrap();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let options = WatchOptions { unref: true, ..WatchOptions::new(Interest::READ) };
    let watch = event_loop.watch(reader.as_raw_fd(), options, |_| panic!("told")).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();

    for source in ["timer", "watch"] {
        let set_ref = |referenced| match source {
            "timer" => event_loop.set_timer_ref(timer, referenced).unwrap(),
            _ => event_loop.set_watch_ref(watch, referenced).unwrap(),
        };
        set_ref(true);
        set_ref(true);
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                event_loop.run(RunMode::UntilIdle).unwrap();
                assert!(ended.load(Ordering::SeqCst), "it did not wait for the {source}");
            });
            while !event_loop.is_running() && !run.is_finished() {
                std::thread::yield_now();
            }
            ended.store(true, Ordering::SeqCst);
            // From another thread, while it sleeps: the run ends.
            set_ref(false);
            set_ref(false);
        });
    }
    event_loop.cancel_timer(timer).unwrap();
    event_loop.cancel_watch(watch).unwrap();
    assert_eq!(event_loop.set_timer_ref(timer, true), Err(Error::Stale("timer")));
    assert_eq!(event_loop.set_watch_ref(watch, true), Err(Error::Stale("io_watch")));
    event_loop.run(RunMode::UntilIdle).unwrap();
}

/// The time of day is another clock: `now` and the timers go by CLOCK_MONOTONIC, which no setting of it moves.
#[test]
#[cfg(target_os = "linux")]
fn the_clock_is_the_systems_monotonic_one() {
    use nix::time::{ClockId, clock_gettime};
    let monotonic = || Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap());
    let before = monotonic();
    let event_loop = new_loop();
    let made = monotonic();
    let (handle, (tell, told)) = (event_loop.handle(), mpsc::channel());
    let after = 20 * MS;
    let asked = monotonic();
    event_loop.call_later(after, move || tell.send((monotonic(), handle.now())).unwrap()).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    let ((fired, now), ended) = (told.recv().unwrap(), monotonic());
    assert!(fired >= asked + after, "by this clock it fired {:?} early", asked + after - fired);
    assert!(now + before <= ended && now + made >= fired, "the loop's clock is not this one");
}
