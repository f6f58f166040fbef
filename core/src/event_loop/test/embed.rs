//! A loop inside a foreign one.

use mio::{Events, Poll, Token, unix::SourceFd};

use super::*;

/// Far beyond what anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Whether the descriptor becomes readable in time: what a foreign loop sleeps with.
fn readable(event_loop: &Handle, timeout: Duration) -> bool {
    let fd = event_loop.backend_fd().unwrap();
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(1));
    poll.registry().register(&mut SourceFd(&fd), Token(1), mio::Interest::READABLE).unwrap();
    poll.poll(&mut events, Some(timeout)).unwrap();
    !events.is_empty()
}

fn quiet(event_loop: &Handle) {
    assert!(!readable(event_loop, Duration::ZERO));
    assert_eq!(event_loop.backend_timeout(), Ok(None));
}

/// Sleeps as a foreign loop does, then runs what there is.
fn drive(event_loop: &Handle) {
    match event_loop.backend_timeout().unwrap() {
        None => assert!(readable(event_loop, LONG), "nobody woke the foreign loop"),
        Some(timeout) => {
            readable(event_loop, timeout);
        }
    }
    event_loop.run(RunMode::NoWait).unwrap();
}

#[test]
fn an_embedded_loop_is_quiet_until_there_is_something() {
    let event_loop = new_loop();
    quiet(&event_loop);
    event_loop.run(RunMode::NoWait).unwrap();
    quiet(&event_loop);
    // The end of a source is nothing to run.
    let (reader, _writer) = UnixStream::pair().unwrap();
    let watch = event_loop.watch(reader.as_raw_fd(), WatchOptions::new(Interest::READ), |_| {}).unwrap();
    event_loop.cancel_watch(watch).unwrap();
    quiet(&event_loop);
}

#[test]
fn what_was_queued_before_it_was_embedded_is_told() {
    let event_loop = new_loop();
    let ran = counter();
    let mine = Counted(ran.clone());
    event_loop.post(move || drop(mine)).unwrap();
    assert!(readable(&event_loop, LONG));
    assert_eq!(event_loop.backend_timeout(), Ok(Some(Duration::ZERO)));
    event_loop.run(RunMode::NoWait).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    quiet(&event_loop);
}

#[test]
fn what_a_run_leaves_behind_is_told() {
    let event_loop = new_loop();
    quiet(&event_loop);
    // A post of a callback comes in the next turn.
    let handle = event_loop.handle();
    event_loop.post(move || handle.post(|| {}).unwrap()).unwrap();
    for _ in 0..2 {
        assert!(readable(&event_loop, LONG));
        assert_eq!(event_loop.backend_timeout(), Ok(Some(Duration::ZERO)));
        event_loop.run(RunMode::NoWait).unwrap();
    }
    quiet(&event_loop);
    // Two timers of one turn, of which the first interrupts it.
    for _ in 0..2 {
        let handle = event_loop.handle();
        event_loop.call_later(Duration::ZERO, move || handle.interrupt().unwrap()).unwrap();
    }
    assert_eq!(event_loop.backend_timeout(), Ok(Some(Duration::ZERO)));
    event_loop.run(RunMode::NoWait).unwrap();
    assert!(readable(&event_loop, LONG));
    assert_eq!(event_loop.backend_timeout(), Ok(Some(Duration::ZERO)));
    event_loop.run(RunMode::NoWait).unwrap();
    // The second interrupt is still in the descriptor.
    event_loop.run(RunMode::NoWait).unwrap();
    quiet(&event_loop);
}

#[test]
fn a_level_triggered_watch_is_told_for_as_long_as_it_is_ready() {
    let event_loop = new_loop();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let told = counter();
    let count = told.clone();
    let options = WatchOptions::new(Interest::READ);
    let counting = move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    };
    event_loop.watch(reader.as_raw_fd(), options, counting).unwrap();
    quiet(&event_loop);
    writer.write_all(b"x").unwrap();
    for times in 1..4 {
        assert!(readable(&event_loop, LONG));
        event_loop.run(RunMode::NoWait).unwrap();
        assert_eq!(told.load(Ordering::SeqCst), times);
    }
    (&reader).read_exact(&mut [0]).unwrap();
    // Told of once more, for it was ready when it was registered again.
    event_loop.run(RunMode::NoWait).unwrap();
    quiet(&event_loop);
}

#[test]
fn timers_are_told_by_the_timeout_and_an_earlier_one_by_the_descriptor() {
    let event_loop = new_loop();
    quiet(&event_loop);
    let (handle, (sender, fired)) = (event_loop.handle(), mpsc::channel());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let begun = handle.now();
            handle.call_later(5 * MS, move || sender.send(begun).unwrap()).unwrap();
        });
        // The timeout was for ever.
        assert!(readable(&event_loop, LONG), "the foreign loop sleeps over a timer");
    });
    let begun = loop {
        drive(&event_loop);
        if let Ok(begun) = fired.try_recv() {
            break begun;
        }
    };
    assert!(event_loop.now() - begun >= 5 * MS);
    event_loop.run(RunMode::NoWait).unwrap();
    quiet(&event_loop);
    // It may be shorter than the timer needs, but never longer.
    event_loop.call_later(LONG, || {}).unwrap();
    assert!(event_loop.backend_timeout().unwrap().unwrap() <= LONG + MS);
}

#[test]
fn stop_and_interrupt_are_told_and_a_finished_loop_says_so() {
    let event_loop = new_loop();
    quiet(&event_loop);
    event_loop.interrupt().unwrap();
    assert!(readable(&event_loop, LONG));
    event_loop.run(RunMode::NoWait).unwrap();
    quiet(&event_loop);
    let ran = counter();
    let mine = Counted(ran.clone());
    event_loop.post(move || drop(mine)).unwrap();
    event_loop.stop().unwrap();
    assert!(readable(&event_loop, LONG));
    assert_eq!(event_loop.backend_timeout(), Ok(Some(Duration::ZERO)));
    event_loop.run(RunMode::NoWait).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert_eq!(event_loop.backend_timeout(), Err(Error::Closed("event loop")));
    assert_eq!(event_loop.run(RunMode::NoWait), Err(Error::Closed("event loop")));
}

/// Each post is waited for before the next one: one that is slept over is the end of the test.
#[test]
fn no_post_of_another_thread_is_slept_over() {
    const POSTERS: usize = 3;
    const POSTS: usize = 1000;
    let event_loop = new_loop();
    quiet(&event_loop);
    let ran = counter();
    std::thread::scope(|scope| {
        for _ in 0..POSTERS {
            let (handle, ran) = (event_loop.handle(), ran.clone());
            scope.spawn(move || {
                for number in 0..POSTS {
                    let (done, (sender, told)) = (Counted(ran.clone()), mpsc::channel());
                    let tell = move || {
                        drop(done);
                        sender.send(()).unwrap();
                    };
                    match number % 2 {
                        0 => handle.post(tell).unwrap(),
                        _ => handle.call_later(Duration::ZERO, tell).map(|_| ()).unwrap(),
                    }
                    told.recv().unwrap();
                }
            });
        }
        while ran.load(Ordering::SeqCst) < POSTERS * POSTS {
            drive(&event_loop);
        }
    });
}

/// Embedded while it runs on a thread of its own; whoever runs it later leaves it so that the foreign loop hears of posts.
#[test]
fn a_loop_may_be_embedded_while_it_runs() {
    for _ in 0..200 {
        let event_loop = new_loop();
        let handle = event_loop.handle();
        let breaking = event_loop.handle();
        event_loop.post(move || breaking.interrupt().unwrap()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| handle.run(RunMode::Default).unwrap());
            event_loop.backend_fd().unwrap();
        });
        event_loop.run(RunMode::NoWait).unwrap();
        quiet(&event_loop);
        event_loop.post(|| {}).unwrap();
        assert!(readable(&event_loop, LONG));
    }
}
