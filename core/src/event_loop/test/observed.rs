//! Statistics and hooks.

use super::*;

const SLOW: Duration = Duration::from_millis(20);

#[test]
fn what_a_loop_did_is_counted() {
    let event_loop = new_loop();
    assert_eq!(event_loop.stats().unwrap(), LoopStats::default());
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    let mut read = reader.try_clone().unwrap();
    event_loop
        .watch(reader.as_raw_fd(), WatchOptions { unref: true, ..WatchOptions::new(Interest::READ) }, move |_| {
            let _bytes = read.read(&mut [0; 8]).unwrap();
        })
        .unwrap();
    for _ in 0..3 {
        event_loop.post(|| ()).unwrap();
    }
    let handle = event_loop.handle();
    event_loop
        .call_later(MS, move || {
            std::thread::sleep(SLOW);
            assert!(handle.stats().unwrap().at_hand >= SLOW);
        })
        .unwrap();
    event_loop.call_later(MS, || ()).unwrap();
    let far = event_loop.call_later(Duration::from_secs(60), || panic!("fired")).unwrap();
    event_loop.set_timer_ref(far, false).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    let stats = event_loop.stats().unwrap();
    assert_eq!((stats.posts, stats.events, stats.timers_fired), (3, 1, 2));
    assert_eq!((stats.timers, stats.watches), (1, 1));
    assert!(stats.iterations >= 2);
    assert!(stats.longest_callback >= SLOW, "{stats:?}");
    assert!(stats.longest_lag >= SLOW, "the second timer waited for the first: {stats:?}");
    assert!(stats.lag <= stats.longest_lag);
    assert_eq!(stats.at_hand, Duration::ZERO);
}

#[test]
fn a_callback_that_blocks_a_second_is_reported_once() {
    let event_loop = new_loop();
    let second = Duration::from_secs(1);
    let (tell, told) = mpsc::channel();
    let inside = event_loop.handle();
    event_loop
        .set_slow_hook(second, move |slow| {
            assert!(inside.is_loop_thread());
            inside.post(|| ()).unwrap();
            tell.send(slow).unwrap();
        })
        .unwrap();
    event_loop.post(move || std::thread::sleep(second)).unwrap();
    event_loop.call_later(MS, || ()).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    let slow = told.try_recv().unwrap();
    assert_eq!(slow.what, CallbackKind::Post);
    assert!(slow.took >= second);
    assert!(told.try_recv().is_err(), "once");
}

#[test]
fn hooks_know_the_kind_and_are_replaced_even_by_themselves() {
    let event_loop = new_loop();
    let (dropped, (tell, told)) = (counter(), mpsc::channel());
    let (owned, handle, first) = (Counted(dropped.clone()), event_loop.handle(), tell.clone());
    event_loop
        .set_slow_hook(SLOW, move |slow| {
            first.send((1, slow.what)).unwrap();
            let second = tell.clone();
            handle.set_slow_hook(SLOW, move |slow| second.send((2, slow.what)).unwrap()).unwrap();
            assert_eq!(owned.0.load(Ordering::SeqCst), 0, "it is running");
            panic!("on purpose");
        })
        .unwrap();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    let mut read = reader.try_clone().unwrap();
    event_loop
        .watch(reader.as_raw_fd(), WatchOptions { unref: true, ..WatchOptions::new(Interest::READ) }, move |_| {
            std::thread::sleep(SLOW);
            let _bytes = read.read(&mut [0; 8]).unwrap();
        })
        .unwrap();
    event_loop.run(RunMode::Once).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    event_loop.call_later(MS, || std::thread::sleep(SLOW)).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(1, CallbackKind::Watch), (2, CallbackKind::Timer)]);
    event_loop.set_slow_log(None).unwrap();
    event_loop.post(|| std::thread::sleep(SLOW)).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert!(told.try_recv().is_err(), "no hook any more");
}

#[test]
fn the_lag_hook_is_told_how_long_what_was_ready_waited() {
    // So long that nothing else takes it for a wait.
    const SLOW: Duration = Duration::from_secs(1);
    let event_loop = new_loop();
    let (tell, told) = mpsc::channel();
    event_loop.set_lag_hook(SLOW, move |lag| tell.send(lag).unwrap()).unwrap();
    event_loop.post(|| std::thread::sleep(SLOW)).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert!(told.try_recv().is_err(), "nothing waited behind it");
    event_loop.post(|| std::thread::sleep(SLOW)).unwrap();
    event_loop.post(|| ()).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert!(told.try_recv().unwrap() >= SLOW);
    assert!(told.try_recv().is_err(), "once");
}

#[test]
fn a_hook_is_refused_or_dropped_once() {
    let (event_loop, dropped) = (new_loop(), counter());
    let owned = Counted(dropped.clone());
    let refused = event_loop
        .set_slow_hook(Duration::ZERO, move |_| {
            let _owned = &owned;
        })
        .unwrap_err();
    assert!(matches!(refused.error, Error::Invalid(_)));
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "still the caller's");
    assert!(event_loop.set_lag_log(Some(Duration::ZERO)).is_err());
    event_loop.set_slow_hook(SLOW, refused.value).unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert!(matches!(handle.set_lag_hook(SLOW, |_| ()).unwrap_err().error, Error::Closed(_)));
}

/// A hook may free the loop: the run that it belongs to ends.
#[test]
fn a_hook_may_free_the_loop() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let mut owner = None;
    let (give, given) = mpsc::channel::<EventLoop>();
    event_loop
        .set_slow_hook(SLOW, move |_| {
            owner = owner.take().or_else(|| given.try_recv().ok());
            drop(owner.take());
        })
        .unwrap();
    event_loop.post(|| std::thread::sleep(SLOW)).unwrap();
    give.send(event_loop).unwrap();
    handle.run(RunMode::Default).unwrap();
    assert!(handle.is_stopped());
}
