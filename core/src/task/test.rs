//! Coroutines on real pools and loops. Whatever is waited for is an event: a join, a latch, a channel.

mod ends;
mod handle;
mod place;
mod wait;
mod wakers;

use std::{
    future::{Future, poll_fn},
    marker::PhantomPinned,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use super::*;
use crate::{
    CpuSet, Error, EventLoop, EventLoopOptions, Pool, PoolOptions, Priority, ShutdownMode, SubmitOptions, job::Job,
};

const LONG: Duration = Duration::from_secs(300);

fn pool(workers: usize) -> Pool {
    Pool::new(PoolOptions { workers: Some(workers), ..PoolOptions::default() }).unwrap()
}

fn started_loop() -> EventLoop {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    event_loop
}

/// Something to wait for that a test opens by hand.
#[derive(Clone, Default)]
struct Latch(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Latch {
    fn open(&self) {
        let wakers = {
            let mut latch = self.0.lock().unwrap();
            latch.0 = true;
            std::mem::take(&mut latch.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until so many wait for it.
    fn wait_for_waiters(&self, count: usize) {
        while self.0.lock().unwrap().1.len() < count {
            std::thread::yield_now();
        }
    }

    fn opened(&self) -> impl Future<Output = ()> + Send + 'static {
        let latch = self.clone();
        poll_fn(move |cx| {
            let mut latch = latch.0.lock().unwrap();
            if latch.0 {
                return Poll::Ready(());
            }
            latch.1.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// Returns when a task is running that holds a worker until what this gives is dropped.
fn hold_a_worker(pool: &Pool) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    pool.submit(move || {
        running.send(()).unwrap();
        let _ = released.recv();
    })
    .unwrap();
    runs.recv().unwrap();
    release
}

/// Counts its drops.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn wait_for_one(&self) {
        while self.count() == 0 {
            std::thread::yield_now();
        }
    }

    fn guard(&self) -> DropGuard {
        DropGuard(self.0.clone())
    }

    /// The future, whose drop is counted.
    fn count_of<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let guard = self.guard();
        async move {
            let _guard = guard;
            future.await
        }
    }
}

struct DropGuard(Arc<AtomicUsize>);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A small executor that is not the library's.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

#[test]
fn a_value_comes_back_to_a_thread_and_to_another_executor() {
    let pool = pool(2);
    assert_eq!(pool.spawn(async { 7 }).unwrap().join(Some(LONG)), Ok(7));
    assert_eq!(block_on(pool.spawn(async { "seven" }).unwrap()), Ok("seven"));
    let event_loop = started_loop();
    let handle = event_loop.handle();
    let on_loop = event_loop.spawn(async move { handle.is_loop_thread() }).unwrap();
    assert_eq!(block_on(on_loop), Ok(true));
}

#[test]
fn a_spawn_that_is_refused_gives_the_future_back_unrun() {
    let drops = Drops::default();
    let future = |drops: &Drops| {
        let guard = drops.guard();
        async move {
            drop(guard);
        }
    };
    let (pool, event_loop) = (pool(1), started_loop());
    let nowhere = SubmitOptions { cpus: Some(CpuSet::new([1000]).unwrap()), ..SubmitOptions::default() };
    let refused = pool.spawn_with(&nowhere, future(&drops)).map(drop).unwrap_err();
    assert!(matches!(refused.error, Error::Affinity(_)), "{refused}");
    assert_eq!(drops.count(), 0);
    let future = refused.value;
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    event_loop.stop().unwrap();
    let refused = pool.spawn(future).map(drop).unwrap_err();
    assert_eq!(refused.error, Error::Closed("pool"));
    let refused = event_loop.spawn(refused.value).map(drop).unwrap_err();
    assert_eq!(refused.error, Error::Closed("event loop"));
    assert_eq!(drops.count(), 0);
    // It is whole: it runs elsewhere.
    block_on(refused.value);
    assert_eq!(drops.count(), 1);
}

#[test]
fn futures_that_must_not_move_that_are_large_and_that_are_nothing() {
    struct Nothing;
    impl Future for Nothing {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let pool = pool(2);
    let pinned = async {
        let (here, _pinned) = ([1_u8; 30_000], PhantomPinned);
        let before = here.as_ptr().addr();
        for _ in 0..100 {
            yield_now().await;
        }
        (here.as_ptr().addr() == before, here.iter().map(|byte| usize::from(*byte)).sum::<usize>())
    };
    assert!(size_of_val(&pinned) > 30_000);
    assert_eq!(pool.spawn(pinned).unwrap().join(Some(LONG)), Ok((true, 30_000)));
    assert_eq!(pool.spawn(Nothing).unwrap().join(Some(LONG)), Ok(()));
    let big = pool.spawn(async { [7_u8; 10_000] }).unwrap().join(Some(LONG)).unwrap();
    assert!(big.iter().all(|byte| *byte == 7));
}

#[test]
fn a_hundred_thousand_in_flight() {
    const COUNT: usize = 100_000;
    let (pool, latch, drops) = (pool(2), Latch::default(), Drops::default());
    let spawn = |number| {
        let (opened, guard) = (latch.opened(), drops.guard());
        let coroutine = async move {
            let _guard = guard;
            opened.await;
            number
        };
        pool.spawn(coroutine).unwrap()
    };
    let handles: Vec<_> = (0..COUNT).map(spawn).collect();
    latch.wait_for_waiters(COUNT);
    assert_eq!(drops.count(), 0);
    latch.open();
    let sum: usize = handles.into_iter().map(|mut handle| handle.join(Some(LONG)).unwrap()).sum();
    assert_eq!((sum, drops.count()), (COUNT * (COUNT - 1) / 2, COUNT));
}

/// A coroutine that spawns the next one and awaits it, and so on; the last one waits for the latch.
fn chain(
    pool: pool::Handle,
    depth: usize,
    latch: Latch,
    guard: Option<Drops>,
) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        let _guard = guard.as_ref().map(Drops::guard);
        if depth == 0 {
            latch.opened().await;
            return 0;
        }
        let next = chain(pool.clone(), depth - 1, latch, guard);
        pool.spawn(next).unwrap().await.unwrap() + 1
    })
}

#[test]
fn a_deep_chain_of_awaits_needs_no_stack() {
    const DEPTH: usize = 100_000;
    let (pool, latch) = (pool(2), Latch::default());
    let mut root = pool.spawn(chain(pool.handle(), DEPTH, latch.clone(), None)).unwrap();
    latch.wait_for_waiters(1);
    latch.open();
    assert_eq!(root.join(Some(LONG)), Ok(DEPTH));
}

#[test]
fn a_deep_chain_of_awaits_that_is_dropped_needs_no_stack() {
    const DEPTH: usize = 100_000;
    let (pool, latch, drops) = (pool(2), Latch::default(), Drops::default());
    let mut root = pool.spawn(chain(pool.handle(), DEPTH, latch.clone(), Some(drops.clone()))).unwrap();
    latch.wait_for_waiters(1);
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
    // The innermost is refused, which wakes the one above it, which is refused ...
    latch.open();
    assert_eq!(root.join(Some(LONG)), Err(Error::Closed("pool")));
    assert_eq!(drops.count(), DEPTH + 1);
}

#[test]
fn a_deep_chain_whose_root_is_cancelled_goes_on() {
    const DEPTH: usize = 10_000;
    let (pool, latch, drops) = (pool(2), Latch::default(), Drops::default());
    let mut root = pool.spawn(chain(pool.handle(), DEPTH, latch.clone(), Some(drops.clone()))).unwrap();
    latch.wait_for_waiters(1);
    assert!(root.cancel());
    assert_eq!(root.join(Some(LONG)), Err(Error::Cancelled("coroutine")));
    assert_eq!(drops.count(), 1);
    latch.open();
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(drops.count(), DEPTH + 1);
}

#[test]
fn a_dropped_handle_detaches() {
    let (pool, latch) = (pool(1), Latch::default());
    let (say, said) = mpsc::channel();
    let opened = latch.opened();
    let coroutine = async move {
        opened.await;
        say.send(5).unwrap();
    };
    drop(pool.spawn(coroutine).unwrap());
    latch.wait_for_waiters(1);
    latch.open();
    assert_eq!(said.recv_timeout(LONG), Ok(5));
}

#[test]
fn children_of_children_add_up() {
    fn fib(pool: pool::Handle, n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            if n < 2 {
                return n;
            }
            let left = pool.spawn(fib(pool.clone(), n - 1)).unwrap();
            let right = pool.spawn(fib(pool.clone(), n - 2)).unwrap();
            left.await.unwrap() + right.await.unwrap()
        })
    }
    let pool = pool(2);
    assert_eq!(pool.spawn(fib(pool.handle(), 18)).unwrap().join(Some(LONG)), Ok(2584));
}
