//! What is given up halfway leaves no descriptor and no thread behind. A process of its own, as they are counted.
#![cfg(target_os = "linux")]

use std::{
    future::{Future, poll_fn},
    net::TcpListener,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use coop_core::{
    Error, EventLoop, EventLoopOptions,
    event_loop::{Handle, sleep, stream::ConnectOptions},
};

const LONG: Duration = Duration::from_secs(60);

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resolvers() -> usize {
    let names = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        // One that has ended since has no name.
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    });
    names.filter(|name| name.trim() == "coop-resolve").count()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn started() -> EventLoop {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop
}

/// Polls the future so often, and drops it. What it answered, if it has.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), times);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[test]
fn what_is_given_up_leaves_no_descriptor_and_no_thread() {
    let event_loop = started();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    // What the system's resolver opens once and keeps.
    let handle = event_loop.handle();
    event_loop
        .spawn(async move { handle.resolve("localhost", 1).await.map(drop) })
        .unwrap()
        .join(Some(LONG))
        .unwrap()
        .unwrap();
    let before = descriptors();

    // Dropped after each number of steps, by name and by address, with a limit of time and without.
    let handle = event_loop.handle();
    let ended = event_loop.spawn(async move {
        let mut ended = 0;
        for times in 0..12 {
            for timeout in [None, Some(LONG), Some(Duration::MAX), Some(Duration::ZERO)] {
                let options = ConnectOptions { timeout, ..ConnectOptions::default() };
                ended += usize::from(polled(times, handle.connect("localhost", port, &options)).await.is_some());
                let address = ([127, 0, 0, 1], port).into();
                ended += usize::from(polled(times, handle.connect_addr(address, &options)).await.is_some());
            }
        }
        ended
    });
    assert!(ended.unwrap().join(Some(LONG)).unwrap() > 0, "some had steps enough");
    until("the descriptors' end", || descriptors() <= before);

    // A thousand names, most of them given up.
    let handle = event_loop.handle();
    let look_up =
        move |handle: Handle, n: u16| async move { handle.resolve("localhost", n).await.map(|all| all[0].port()) };
    let waits: Vec<_> = (0..1000).map(|n| event_loop.spawn(look_up(handle.clone(), n)).unwrap()).collect();
    for (n, mut wait) in waits.into_iter().enumerate() {
        if n % 100 == 99 {
            assert_eq!(wait.join(Some(LONG)).unwrap(), Ok(u16::try_from(n).unwrap()));
        } else {
            wait.cancel();
        }
    }
    let threads = resolvers();
    assert!(threads <= 4, "{threads}");

    // The loop goes with look-ups under way and waiting.
    let waits: Vec<_> = (0..50).map(|n| event_loop.spawn(look_up(handle.clone(), n)).unwrap()).collect();
    drop(event_loop);
    for mut wait in waits {
        let answer = wait.join(Some(LONG));
        assert!(!matches!(answer, Err(Error::Timeout(_))), "{answer:?}");
    }
    until("the threads' end", || resolvers() == 0);

    // Afterwards too an answer comes, from a thread that goes after it.
    let other = started();
    let after = handle;
    let mut late = other.spawn(async move { after.resolve("localhost", 5).await.map(|all| all[0].port()) }).unwrap();
    assert_eq!(late.join(Some(LONG)).unwrap(), Ok(5));
    until("the last thread's end", || resolvers() == 0);
    let waiting = other.handle();
    other.spawn(async move { sleep(&waiting, Duration::ZERO).await }).unwrap().join(Some(LONG)).unwrap().unwrap();
}
