//! Posts that are waited for, and wake-ups from signal handlers.

use std::{sync::OnceLock, thread};

use super::*;

#[test]
fn what_a_post_answers_is_waited_for() {
    let event_loop = new_loop();
    event_loop.start().unwrap();
    let handle = event_loop.handle();
    assert_eq!(event_loop.post_and_wait(None, move || handle.is_loop_thread()), Ok(true));
    assert_eq!(
        event_loop.post_and_wait(None, || -> u8 { panic!("on purpose") }),
        Err(Error::Panic("on purpose".into()))
    );
    let handle = event_loop.handle();
    let inside = event_loop.post_and_wait(None, move || handle.post_and_wait(None, || ()));
    assert!(matches!(inside, Ok(Err(Error::WouldDeadlock(_)))));
    event_loop.stop().unwrap();
    assert_eq!(event_loop.post_and_wait(None, || ()), Err(Error::Closed("event loop")));
}

#[test]
fn at_the_deadline_what_has_not_begun_comes_back_and_never_runs() {
    let event_loop = new_loop();
    let dropped = counter();
    let owned = Counted(dropped.clone());
    let refused = event_loop.post_and_wait_or_back(Some(MS), move || drop(owned)).unwrap_err();
    assert!(matches!(refused.error, Error::Timeout(_)));
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "still the caller's");
    assert!(refused.value.is_some());
}

#[test]
fn what_has_begun_at_the_deadline_is_waited_for() {
    let event_loop = new_loop();
    event_loop.start().unwrap();
    // On a busy machine it may not begin in time: then with a longer one.
    let answers = (0..12).map(|double| {
        let timeout = 10 * MS * (1 << double);
        event_loop.post_and_wait(Some(timeout), move || {
            // The deadline was set before this began.
            thread::sleep(timeout + MS);
            7
        })
    });
    let begun = answers.into_iter().find(|answer| !matches!(answer, Err(Error::Timeout(_))));
    assert_eq!(begun, Some(Ok(7)));
}

#[test]
fn a_loop_that_is_freed_lets_go_of_those_who_wait() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let waiting =
        thread::spawn(move || handle.post_and_wait_or_back(None, || ()).map_err(|r| (r.error, r.value.is_some())));
    while event_loop.shared.posts.is_empty() {
        thread::yield_now();
    }
    drop(event_loop);
    assert_eq!(waiting.join().unwrap(), Err((Error::Closed("event loop"), true)));
}

static SENT_BY_THE_HANDLER: OnceLock<AsyncSignal> = OnceLock::new();
extern "C" fn handler(_: i32) {
    if let Some(signal) = SENT_BY_THE_HANDLER.get() {
        signal.send();
    }
}

#[test]
#[allow(unsafe_code, reason = "a signal handler is")]
fn a_signal_handler_wakes_the_loop() {
    let event_loop = new_loop();
    let (sender, called) = mpsc::channel();
    let signal = event_loop.async_signal(On::Loop, move || sender.send(()).unwrap()).map_err(|r| r.error).unwrap();
    SENT_BY_THE_HANDLER.set(signal).unwrap();
    let handling = nix::sys::signal::SigHandler::Handler(handler);
    // SAFETY: the handler only sends.
    unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGURG, handling) }.unwrap();
    event_loop.start().unwrap();
    for _ in 0..100 {
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGURG).unwrap();
        called.recv_timeout(Duration::from_secs(60)).expect("a send was lost");
    }
    event_loop.stop().unwrap();
    event_loop.join(None).unwrap();
    // The loop has ended: harmless.
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGURG).unwrap();
}

#[test]
fn sends_coalesce_and_the_callback_may_end_it() {
    let event_loop = new_loop();
    let (calls, own) = (counter(), Arc::new(Mutex::new(None::<AsyncSignal>)));
    let dropped = counter();
    let (count, mine, owned) = (calls.clone(), own.clone(), Counted(dropped.clone()));
    let call = move || {
        let _owned = &owned;
        count.fetch_add(1, Ordering::SeqCst);
        drop(mine.lock().unwrap().take());
    };
    let signal = event_loop.async_signal(On::Loop, call).map_err(|r| r.error).unwrap();
    assert!((0..10).all(|_| signal.send()));
    *own.lock().unwrap() = Some(signal);
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!((calls.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (1, 1));
    event_loop.stop().unwrap();
    assert_eq!(event_loop.async_signal(On::Loop, || ()).unwrap_err().error, Error::Closed("event loop"));
}
