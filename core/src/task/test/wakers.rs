//! Wakers: kept, used late, from everywhere.

use super::*;

/// A coroutine that gives its waker away and waits for the latch.
fn gives_waker(latch: &Latch) -> (impl Future<Output = usize> + Send + 'static, mpsc::Receiver<Waker>) {
    let (give, given) = mpsc::channel();
    let mut opened = Box::pin(latch.opened());
    let mut turns = 0;
    let coroutine = poll_fn(move |cx| {
        turns += 1;
        let _ = give.send(cx.waker().clone());
        opened.as_mut().poll(cx).map(|()| turns)
    });
    (coroutine, given)
}

#[test]
fn a_waker_kept_for_ever_keeps_no_future_and_wakes_nothing() {
    let (pool, latch, drops) = (pool(2), Latch::default(), Drops::default());
    let (coroutine, given) = gives_waker(&latch);
    let mut handle = pool.spawn(drops.count_of(coroutine)).unwrap();
    let waker = given.recv_timeout(LONG).unwrap();
    latch.open();
    assert!(handle.join(Some(LONG)).unwrap() >= 1);
    assert_eq!(drops.count(), 1);
    drop(handle);
    // After the end: here, on other threads, on a worker, on a loop's thread; and after the pool's end.
    let event_loop = started_loop();
    waker.wake_by_ref();
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| waker.wake_by_ref()))));
    let (inside, outside) = (waker.clone(), waker.clone());
    pool.submit(move || inside.wake()).unwrap();
    event_loop.post(move || outside.wake()).unwrap();
    drop((pool, event_loop));
    waker.wake_by_ref();
    waker.wake();
    assert_eq!(drops.count(), 1);
}

#[test]
fn many_wake_ups_at_once_are_turns_one_after_another() {
    let (pool, latch) = (pool(2), Latch::default());
    let inside = Arc::new(AtomicUsize::new(0));
    let (coroutine, given) = gives_waker(&latch);
    let mut coroutine = Box::pin(coroutine);
    let overlap = inside.clone();
    let alone = poll_fn(move |cx| {
        assert_eq!(overlap.fetch_add(1, Ordering::SeqCst), 0, "two threads poll it");
        let polled = coroutine.as_mut().poll(cx);
        overlap.fetch_sub(1, Ordering::SeqCst);
        polled
    });
    let mut handle = pool.spawn(alone).unwrap();
    let waker = given.recv_timeout(LONG).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let waker = waker.clone();
            scope.spawn(move || (0..5_000).for_each(|_| waker.wake_by_ref()));
        }
    });
    latch.open();
    assert!(handle.join(Some(LONG)).unwrap() >= 2);
}

#[test]
fn a_thread_that_is_ending_wakes_and_drops() {
    /// Acts when the thread has lost its thread-locals.
    struct AtExit(Option<Waker>);
    impl Drop for AtExit {
        fn drop(&mut self) {
            if let Some(waker) = self.0.take() {
                waker.wake();
            }
        }
    }
    thread_local!(static AT_EXIT: std::cell::RefCell<AtExit> = const { std::cell::RefCell::new(AtExit(None)) });
    for closed in [false, true] {
        let (pool, latch, drops) = (pool(1), Latch::default(), Drops::default());
        let (coroutine, given) = gives_waker(&latch);
        let mut handle = pool.spawn(drops.count_of(coroutine)).unwrap();
        let waker = given.recv_timeout(LONG).unwrap();
        if closed {
            pool.shutdown(ShutdownMode::Drain, None).unwrap();
        } else {
            latch.wait_for_waiters(1);
        }
        std::thread::spawn(move || {
            // Made first, so that it is gone last of the two.
            AT_EXIT.with(|at_exit| at_exit.borrow_mut().0 = Some(waker));
            number_of_a_turn();
        })
        .join()
        .unwrap();
        if closed {
            assert!(matches!(handle.join(Some(LONG)), Err(Error::Closed(_))));
            assert_eq!(drops.count(), 1);
        } else {
            given.recv_timeout(LONG).expect("it was woken");
            latch.open();
            handle.join(Some(LONG)).unwrap();
        }
    }
}

/// Touches what a thread knows about turns.
fn number_of_a_turn() {
    assert_eq!(run::number(), None);
}

#[test]
fn a_coroutine_that_nothing_can_wake_is_dropped_once_detached() {
    let (pool, drops) = (pool(1), Drops::default());
    // Detached while its last turn is going on, and after it.
    for round in 0..200 {
        let guard = drops.guard();
        let (say, said) = mpsc::channel();
        let lost = async move {
            let _guard = guard;
            say.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        let handle = pool.spawn(lost).unwrap();
        said.recv_timeout(LONG).unwrap();
        (0..round).for_each(|_| std::hint::spin_loop());
        drop(handle);
    }
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(drops.count(), 200);
}

#[test]
fn a_foreign_waker_that_panics_spares_the_worker() {
    struct Bad(mpsc::Sender<()>);
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
            panic!("woken, on purpose");
        }
    }
    let (pool, latch) = (pool(1), Latch::default());
    let (say, said) = mpsc::channel();
    let mut handle = pool.spawn(latch.opened()).unwrap();
    let waker = Waker::from(Arc::new(Bad(say)));
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    latch.wait_for_waiters(1);
    latch.open();
    said.recv_timeout(LONG).unwrap();
    assert_eq!(handle.join(Some(LONG)), Ok(()));
    assert_eq!(pool.spawn(async { 1 }).unwrap().join(Some(LONG)), Ok(1));
}

#[test]
fn a_future_is_dropped_with_no_lock_held() {
    /// Calls the library from its drop.
    struct Calls(pool::Handle, event_loop::Handle, Option<JoinHandle<()>>, mpsc::Sender<()>);
    impl Drop for Calls {
        fn drop(&mut self) {
            drop(self.0.spawn(async {}));
            drop(self.1.spawn(async {}));
            let _ = self.2.as_mut().map(JoinHandle::cancel);
            drop(self.2.take());
            self.3.send(()).unwrap();
        }
    }
    let (pool, event_loop, latch) = (pool(2), started_loop(), Latch::default());
    let (say, said) = mpsc::channel();
    let coroutine = || {
        let other = pool.spawn(std::future::pending()).unwrap();
        let (calls, opened) = (Calls(pool.handle(), event_loop.handle(), Some(other), say.clone()), latch.opened());
        async move {
            let _calls = calls;
            opened.await;
        }
    };
    // Dropped by its end, by a cancel, by a loop that is freed, and by a pool that refuses it.
    let mut ended = pool.spawn(async { 0 }).unwrap();
    ended.join(Some(LONG)).unwrap();
    let mut cancelled = pool.spawn(coroutine()).unwrap();
    latch.wait_for_waiters(1);
    cancelled.cancel();
    said.recv_timeout(LONG).unwrap();
    let mut refused = pool.spawn(coroutine()).unwrap();
    let mut freed = event_loop.spawn(coroutine()).unwrap();
    latch.wait_for_waiters(3);
    drop(event_loop);
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
    latch.open();
    assert_eq!(refused.join(Some(LONG)), Err(Error::Closed("pool")));
    assert_eq!(freed.join(Some(LONG)), Err(Error::Closed("event loop")));
    said.recv_timeout(LONG).unwrap();
    said.recv_timeout(LONG).unwrap();
}
