//! Events: who goes on, and how often.

use std::{
    future::Future,
    os::fd::AsFd,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;

fn poll_now<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// How many of so many waiters go on after as many signals.
fn let_through(manual_reset: bool, waiters: usize, signals: usize) -> usize {
    let event_loop = new_loop();
    let event = Event::new(manual_reset).unwrap();
    let mut waits: Vec<_> = (0..waiters).map(|_| Box::pin(event.wait(&event_loop))).collect();
    assert!(waits.iter_mut().all(|wait| poll_now(wait.as_mut()).is_pending()));
    (0..signals).for_each(|_| event.signal().unwrap());
    for _ in 0..3 {
        event_loop.run(RunMode::NoWait).unwrap();
    }
    waits.iter_mut().map(|wait| usize::from(poll_now(wait.as_mut()) == Poll::Ready(Ok(())))).sum()
}

#[test]
fn one_that_resets_itself_lets_one_through_per_signal_and_a_manual_one_all() {
    for (waiters, signals, through) in [(3, 0, 0), (3, 1, 1), (3, 2, 2), (3, 3, 3), (3, 7, 3), (1, 1, 1), (40, 17, 17)]
    {
        assert_eq!(let_through(false, waiters, signals), through, "{signals} signals for {waiters}");
        assert_eq!(let_through(true, waiters, signals), if signals > 0 { waiters } else { 0 });
    }
}

#[test]
fn signals_that_nobody_takes_do_not_add_up() {
    let event_loop = new_loop();
    let event = Event::new(false).unwrap();
    (0..5).for_each(|_| event.signal().unwrap());
    assert!(event.is_signaled() && event.is_signaled(), "a look takes nothing");
    assert_eq!(poll_now(pin!(event.wait(&event_loop))), Poll::Ready(Ok(())));
    assert!(!event.is_signaled());
    assert_eq!(poll_now(pin!(event.wait(&event_loop))), Poll::Pending);
    event.signal().unwrap();
    event.reset().unwrap();
    assert!(!event.is_signaled());
    // Also what was left by waiters that are gone.
    let mut waits: Vec<_> = (0..4).map(|_| Box::pin(event.wait(&event_loop))).collect();
    assert!(waits.iter_mut().all(|wait| poll_now(wait.as_mut()).is_pending()));
    (0..4).for_each(|_| event.signal().unwrap());
    drop(waits);
    assert_eq!(poll_now(pin!(event.wait(&event_loop))), Poll::Ready(Ok(())), "one is kept");
    assert!(!event.is_signaled(), "and no more than one");
}

#[test]
fn a_waiter_that_is_dropped_takes_no_signal_with_it() {
    let event_loop = new_loop();
    let event = Event::new(false).unwrap();
    {
        let mut wait = Box::pin(event.wait(&event_loop));
        assert!(poll_now(wait.as_mut()).is_pending());
        event.signal().unwrap();
        event_loop.run(RunMode::NoWait).unwrap();
        assert!(!event.is_signaled(), "taken for the waiter");
    }
    assert!(event.is_signaled(), "which went without it");
}

#[test]
fn a_manual_one_stays_until_it_is_reset() {
    let event_loop = new_loop();
    let event = Event::new(true).unwrap();
    event.signal().unwrap();
    for _ in 0..3 {
        assert_eq!(poll_now(pin!(event.wait(&event_loop))), Poll::Ready(Ok(())));
    }
    event.reset().unwrap();
    assert_eq!(poll_now(pin!(event.wait(&event_loop))), Poll::Pending);
}

#[test]
fn a_watch_is_called_once_for_each_signal() {
    for manual_reset in [false, true] {
        let event_loop = new_loop();
        let event = Event::new(manual_reset).unwrap();
        let (called, dropped) = (counter(), counter());
        let (count, owned) = (called.clone(), Counted(dropped.clone()));
        let id = event
            .watch(&event_loop, On::Loop, move || {
                let _owned = &owned;
                count.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        for round in 1..4 {
            event.signal().unwrap();
            for _ in 0..3 {
                event_loop.run(RunMode::NoWait).unwrap();
            }
            assert_eq!((called.load(Ordering::SeqCst), event.is_signaled()), (round, manual_reset));
        }
        // A write by anybody is a signal.
        let one = 1u64.to_ne_bytes();
        rustix::io::write(event.as_fd(), &one).unwrap();
        event_loop.run(RunMode::NoWait).unwrap();
        assert_eq!(called.load(Ordering::SeqCst), 4);
        drop(event);
        event_loop.run(RunMode::NoWait).unwrap();
        event_loop.cancel_watch(id).unwrap();
        assert_eq!((called.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (4, 1));
    }
}

#[test]
fn ten_thousand_signals_between_threads_are_as_many_turns() {
    const TURNS: usize = 10_000;
    let event_loop = new_loop();
    event_loop.start().unwrap();
    let (ping, pong) = (Arc::new(Event::new(false).unwrap()), Arc::new(Event::new(false).unwrap()));
    let player = |mine: &Arc<Event>, theirs: &Arc<Event>| {
        let (handle, mine, theirs) = (event_loop.handle(), mine.clone(), theirs.clone());
        event_loop
            .spawn(async move {
                for _ in 0..TURNS {
                    mine.wait(&handle).await?;
                    theirs.signal()?;
                }
                Ok::<_, Error>(())
            })
            .unwrap()
    };
    let (mut first, mut second) = (player(&ping, &pong), player(&pong, &ping));
    ping.signal().unwrap();
    assert_eq!(first.join(Some(Duration::from_secs(60))).unwrap(), Ok(()));
    assert_eq!(second.join(Some(Duration::from_secs(60))).unwrap(), Ok(()));
    assert!(ping.is_signaled() && !pong.is_signaled());
}

#[test]
fn a_wait_ends_with_its_loop() {
    let event_loop = new_loop();
    let event = Event::new(false).unwrap();
    let mut wait = pin!(event.wait(&event_loop));
    assert!(poll_now(wait.as_mut()).is_pending());
    let handle = event_loop.handle();
    drop(event_loop);
    assert_eq!(poll_now(wait), Poll::Ready(Err(Error::Closed("event loop"))));
    assert_eq!(poll_now(pin!(event.wait(&handle))), Poll::Ready(Err(Error::Closed("event loop"))));
    assert_eq!(event.watch(&handle, On::Loop, || {}).unwrap_err().error, Error::Closed("event loop"));
    event.signal().unwrap();
    assert_eq!(
        poll_now(pin!(event.wait(&handle))),
        Poll::Ready(Ok(())),
        "it is signalled, whatever became of the loop"
    );
}
