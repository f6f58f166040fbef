//! Sleeping, and waiting for file descriptors.

use std::{
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    time::Instant,
};

use super::*;
use crate::event_loop::{Interest, RunMode};

#[test]
fn sleepers_sleep_at_the_same_time_and_not_too_short() {
    let (pool, event_loop) = (pool(1), started_loop());
    let sleeper = || {
        let event_loop = event_loop.handle();
        async move {
            let start = Instant::now();
            sleep(&event_loop, Duration::from_millis(20)).await.unwrap();
            (start.elapsed() >= Duration::from_millis(20), event_loop.is_loop_thread())
        }
    };
    let in_pool: Vec<_> = (0..100).map(|_| pool.spawn(sleeper()).unwrap()).collect();
    let on_loop: Vec<_> = (0..100).map(|_| event_loop.spawn(sleeper()).unwrap()).collect();
    assert!(in_pool.into_iter().all(|mut one| one.join(Some(LONG)) == Ok((true, false))));
    assert!(on_loop.into_iter().all(|mut one| one.join(Some(LONG)) == Ok((true, true))));
    // An executor of somebody else's does as well.
    assert_eq!(block_on(sleep(&event_loop, Duration::from_millis(1))), Ok(()));
}

#[test]
fn a_sleep_that_is_given_up_leaves_no_timer() {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let mut given_up = Box::pin(sleep(&event_loop, Duration::from_secs(3600)));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(given_up);
    // It would wait for the timer.
    event_loop.run(RunMode::UntilIdle).unwrap();
}

#[test]
fn a_loop_that_is_stopped_or_gone_wakes_its_sleepers() {
    for free in [false, true] {
        let (pool, event_loop) = (pool(1), started_loop());
        let (handle, (say, said)) = (event_loop.handle(), mpsc::channel());
        let coroutine = async move {
            let mut sleep = Box::pin(sleep(&handle, Duration::from_secs(3600)));
            poll_fn(|cx| {
                let polled = sleep.as_mut().poll(cx);
                let _ = say.send(());
                polled
            })
            .await
        };
        let mut sleeper = pool.spawn(coroutine).unwrap();
        said.recv_timeout(LONG).unwrap();
        let handle = event_loop.handle();
        handle.stop().unwrap();
        let _kept = (!free).then_some(event_loop);
        assert_eq!(sleeper.join(Some(LONG)), Ok(Err(Error::Closed("event loop"))));
        assert_eq!(block_on(sleep(&handle, Duration::ZERO)), Err(Error::Closed("event loop")));
    }
}

#[test]
fn two_coroutines_talk_over_a_socket() {
    const ROUNDS: u8 = 100;
    let (pool, event_loop) = (pool(2), started_loop());
    let (left, right) = UnixStream::pair().unwrap();
    let talk = |mut socket: UnixStream, speaks_first: bool| {
        socket.set_nonblocking(true).unwrap();
        let event_loop = event_loop.handle();
        async move {
            let mut heard = Vec::new();
            let mut turn = speaks_first;
            while heard.len() < usize::from(ROUNDS) {
                if turn {
                    assert!(writable(&event_loop, socket.as_raw_fd()).await.unwrap().writable);
                    socket.write_all(&[heard.len() as u8]).unwrap();
                } else {
                    assert!(readable(&event_loop, socket.as_raw_fd()).await.unwrap().readable);
                    let mut byte = [0];
                    socket.read_exact(&mut byte).unwrap();
                    heard.push(byte[0]);
                }
                turn = !turn;
            }
            // The last word, for the one that still waits for it.
            if !speaks_first {
                socket.write_all(&[heard.len() as u8]).unwrap();
            }
            heard
        }
    };
    let mut first = pool.spawn(talk(left, true)).unwrap();
    let mut second = event_loop.spawn(talk(right, false)).unwrap();
    assert_eq!(second.join(Some(LONG)).unwrap(), (0..ROUNDS).collect::<Vec<_>>());
    assert_eq!(first.join(Some(LONG)).unwrap(), (1..=ROUNDS).collect::<Vec<_>>());
}

#[test]
fn a_wait_for_an_fd_ends_its_watch() {
    let event_loop = started_loop();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let fd = reader.as_raw_fd();
    let mut given_up = Box::pin(readable(&event_loop, fd));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(matches!(block_on(readable(&event_loop, fd)), Err(Error::Exists(_))), "one at a time");
    drop(given_up);
    writer.write_all(b"x").unwrap();
    // What is ready already is told again and again.
    for _ in 0..3 {
        assert!(block_on(readable(&event_loop, fd)).unwrap().readable);
    }
    assert!(matches!(block_on(readable(&event_loop, -1)), Err(Error::Invalid(_))));
}

#[test]
fn both_directions_of_a_socket_at_once() {
    let (pool, event_loop) = (pool(2), started_loop());
    let (mut left, mut right) = UnixStream::pair().unwrap();
    left.set_nonblocking(true).unwrap();
    let fd = left.as_raw_fd();
    let both = || ready(&event_loop, fd, Interest::BOTH);
    let now = block_on(both()).unwrap();
    assert!(now.writable && !now.readable, "{now:?}");
    while left.write(&[0; 4096]).is_ok() {}
    // One coroutine, whichever comes first.
    let waits = both();
    let mut waits = pool.spawn(waits).unwrap();
    assert!(matches!(waits.join(Some(Duration::from_millis(5))), Err(Error::Timeout(_))), "neither is ready");
    right.write_all(b"x").unwrap();
    let told = waits.join(Some(LONG)).unwrap().unwrap();
    assert!(told.readable && !told.writable, "{told:?}");
    left.read_exact(&mut [0]).unwrap();
    // Two coroutines, with an fd each.
    let duplicate = left.try_clone().unwrap();
    let mut reads = pool.spawn(readable(&event_loop, fd)).unwrap();
    let mut writes = pool.spawn(writable(&event_loop, duplicate.as_raw_fd())).unwrap();
    for waits in [&mut reads, &mut writes] {
        assert!(matches!(waits.join(Some(Duration::from_millis(5))), Err(Error::Timeout(_))));
    }
    right.set_nonblocking(true).unwrap();
    while right.read(&mut [0; 4096]).is_ok() {}
    assert!(writes.join(Some(LONG)).unwrap().unwrap().writable);
    right.write_all(b"y").unwrap();
    assert!(reads.join(Some(LONG)).unwrap().unwrap().readable);
}
