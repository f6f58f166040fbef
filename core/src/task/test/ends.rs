//! How coroutines end: closed pools and loops, cancels, panics.

use super::*;

/// A coroutine that waits for the latch, and counts the drops of what it holds.
fn waiting(latch: &Latch, drops: &Drops) -> impl Future<Output = i32> + Send + 'static {
    let (opened, guard) = (latch.opened(), drops.guard());
    async move {
        let _guard = guard;
        opened.await;
        3
    }
}

#[test]
fn woken_after_its_pool_was_closed_it_ends_as_closed() {
    for mode in [ShutdownMode::Drain, ShutdownMode::Discard] {
        let (pool, latch, drops) = (pool(2), Latch::default(), Drops::default());
        let mut handle = pool.spawn(waiting(&latch, &drops)).unwrap();
        latch.wait_for_waiters(1);
        pool.shutdown(mode, None).unwrap();
        assert_eq!((drops.count(), handle.is_done()), (0, false));
        latch.open();
        assert_eq!(handle.join(Some(LONG)), Err(Error::Closed("pool")));
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn woken_after_its_loop_was_stopped_it_ends_as_closed() {
    let (event_loop, latch, drops) = (started_loop(), Latch::default(), Drops::default());
    let mut handle = event_loop.spawn(waiting(&latch, &drops)).unwrap();
    latch.wait_for_waiters(1);
    drop(event_loop);
    latch.open();
    assert_eq!(handle.join(Some(LONG)), Err(Error::Closed("event loop")));
    assert_eq!(drops.count(), 1);
}

#[test]
fn queued_in_a_pool_or_loop_that_is_discarded_it_ends_as_closed() {
    let (pool, drops) = (pool(1), Drops::default());
    let release = hold_a_worker(&pool);
    let guard = drops.guard();
    let mut handle = pool.spawn(async move { drop(guard) }).unwrap();
    assert!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).is_err(), "its worker is held");
    assert_eq!(handle.join(Some(LONG)), Err(Error::Closed("pool")));
    drop(release);
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let guard = drops.guard();
    let mut handle = event_loop.spawn(async move { drop(guard) }).unwrap();
    drop(event_loop);
    assert_eq!(handle.join(Some(LONG)), Err(Error::Closed("event loop")));
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_pool_that_drains_runs_what_its_coroutines_spawn_and_wake() {
    let (pool, latch) = (pool(2), Latch::default());
    let (inside, open, opened) = (pool.handle(), latch.clone(), latch.opened());
    let (running, runs) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let first = pool.spawn(opened).unwrap();
    latch.wait_for_waiters(1);
    let coroutine = async move {
        running.send(()).unwrap();
        goes.recv().unwrap();
        // The pool is closed by now.
        let child = inside.spawn(async { 20 }).unwrap();
        open.open();
        first.await.unwrap();
        suspend(Priority::Low, None).await.unwrap();
        child.await.unwrap() + 1
    };
    let mut handle = pool.spawn(coroutine).unwrap();
    runs.recv().unwrap();
    pool.close().unwrap();
    assert!(pool.spawn(async {}).is_err());
    go.send(()).unwrap();
    assert_eq!(handle.join(Some(LONG)), Ok(21));
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
}

#[test]
fn a_panic_is_told_to_the_joiner() {
    let (pool, event_loop) = (pool(1), started_loop());
    let panics = |text: &'static str| async move {
        yield_now().await;
        if !text.is_empty() {
            panic!("{text}");
        }
    };
    assert_eq!(pool.spawn(panics("on purpose")).unwrap().join(Some(LONG)), Err(Error::Panic("on purpose".into())));
    assert_eq!(event_loop.spawn(panics("again")).unwrap().join(Some(LONG)), Err(Error::Panic("again".into())));
    // The worker and the loop go on.
    assert_eq!(pool.spawn(panics("")).unwrap().join(Some(LONG)), Ok(()));
    assert_eq!(event_loop.spawn(panics("")).unwrap().join(Some(LONG)), Ok(()));
}

#[test]
fn a_panic_in_a_drop_is_caught_whoever_drops() {
    struct Bomb(mpsc::Sender<()>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            panic!("dropped, on purpose");
        }
    }
    let (pool, latch) = (pool(1), Latch::default());
    let (say, said) = mpsc::channel();
    let bomb = move || Bomb(say.clone());
    let holding = |bomb: Bomb| {
        let opened = latch.opened();
        async move {
            opened.await;
            drop(bomb);
        }
    };
    // In the future, when it is cancelled.
    let mut handle = pool.spawn(holding(bomb())).unwrap();
    latch.wait_for_waiters(1);
    assert!(handle.cancel());
    assert_eq!(handle.join(Some(LONG)), Err(Error::Cancelled("coroutine")));
    // In the output, which nobody takes.
    let output = bomb();
    drop(pool.spawn(async move { output }).unwrap());
    // In the output, which is there when the handle is dropped.
    let output = bomb();
    let handle = pool.spawn(async move { output }).unwrap();
    while !handle.is_done() {
        std::thread::yield_now();
    }
    drop(handle);
    // In the future, when the pool refuses its next turn.
    let mut handle = pool.spawn(holding(bomb())).unwrap();
    latch.wait_for_waiters(1);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    latch.open();
    assert_eq!(handle.join(Some(LONG)), Err(Error::Closed("pool")));
    drop(bomb);
    assert_eq!(said.iter().count(), 4, "each went off once");
}

#[test]
fn the_drop_of_an_output_may_wait_for_what_it_wakes() {
    struct Output(Latch, Option<JoinHandle<()>>, mpsc::Sender<Result<()>>);
    impl Drop for Output {
        fn drop(&mut self) {
            self.0.open();
            let mut woken = self.1.take().unwrap();
            self.2.send(woken.join(Some(LONG))).unwrap();
        }
    }
    for is_cancelled in [false, true] {
        let (pool, latch) = (pool(2), Latch::default());
        let woken = pool.spawn(latch.opened()).unwrap();
        latch.wait_for_waiters(1);
        let (say, said) = mpsc::channel();
        let (running, runs) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let output = Output(latch, Some(woken), say);
        let coroutine = async move {
            running.send(()).unwrap();
            goes.recv().unwrap();
            output
        };
        let mut handle = pool.spawn(coroutine).unwrap();
        runs.recv().unwrap();
        // Nobody takes the output.
        if is_cancelled {
            assert!(handle.cancel());
        } else {
            drop(handle);
        }
        go.send(()).unwrap();
        assert_eq!(said.recv().unwrap(), Ok(()));
    }
}

#[test]
fn a_cancel_drops_the_future_where_it_belongs() {
    struct Where(pool::Handle, mpsc::Sender<bool>);
    impl Drop for Where {
        fn drop(&mut self) {
            self.1.send(self.0.is_worker_thread()).unwrap();
        }
    }
    let (pool, latch) = (pool(1), Latch::default());
    let (say, said) = mpsc::channel();
    let (held, opened) = (Where(pool.handle(), say), latch.opened());
    let coroutine = async move {
        let _held = held;
        opened.await;
    };
    let mut handle = pool.spawn(coroutine).unwrap();
    latch.wait_for_waiters(1);
    assert!(handle.cancel());
    assert!(!handle.cancel(), "its outcome is certain");
    assert!(handle.is_done());
    assert_eq!(block_on(&mut handle), Err(Error::Cancelled("coroutine")));
    assert_eq!(said.try_recv(), Ok(true), "the future is gone before the outcome is told");
    assert_eq!(block_on(&mut handle), Err(Error::Stale("coroutine")));
}

#[test]
fn a_cancel_that_comes_too_late_loses_nothing() {
    let pool = pool(1);
    let mut handle = pool.spawn(async { String::from("done") }).unwrap();
    while !handle.is_done() {
        std::thread::yield_now();
    }
    assert!(!handle.cancel());
    assert_eq!(handle.join(Some(LONG)).as_deref(), Ok("done"));
    assert!(!handle.cancel());
    assert_eq!(handle.join(Some(LONG)), Err(Error::Stale("coroutine")));
}

#[test]
fn a_cancel_of_one_that_runs_wins_over_its_value() {
    let (pool, drops) = (pool(1), Drops::default());
    let (running, runs) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let guard = drops.guard();
    let coroutine = async move {
        running.send(()).unwrap();
        goes.recv().unwrap();
        guard
    };
    let mut handle = pool.spawn(coroutine).unwrap();
    runs.recv().unwrap();
    assert!(handle.cancel());
    assert_eq!(handle.join(Some(Duration::ZERO)).map(drop).unwrap_err().name(), "Timeout");
    go.send(()).unwrap();
    assert!(matches!(handle.join(Some(LONG)), Err(Error::Cancelled(_))));
    drops.wait_for_one();
    assert_eq!(drops.count(), 1);
}

#[test]
fn cancel_and_end_race_and_one_of_them_wins() {
    let pool = pool(2);
    let (mut won, mut lost) = (0, 0);
    for round in 0..20_000 {
        let drops = Drops::default();
        let guard = drops.guard();
        let mut handle = pool
            .spawn(async move {
                for _ in 0..round % 3 {
                    yield_now().await;
                }
                guard
            })
            .unwrap();
        (0..round % 100).for_each(|_| std::hint::spin_loop());
        let cancelled = handle.cancel();
        match handle.join(Some(LONG)) {
            Ok(value) => {
                assert!(!cancelled);
                assert_eq!(drops.count(), 0);
                drop(value);
                lost += 1;
            }
            Err(error) => {
                assert_eq!(error, Error::Cancelled("coroutine"));
                assert!(cancelled);
                won += 1;
                // The value of a turn that was going on is dropped by its worker, perhaps a moment later.
                drops.wait_for_one();
            }
        }
        assert_eq!(drops.count(), 1);
    }
    assert_eq!(won + lost, 20_000);
}

#[test]
fn a_cancelled_awaiter_leaves_its_child_alone() {
    let (pool, latch, drops) = (pool(2), Latch::default(), Drops::default());
    let (inside, child) = (pool.handle(), waiting(&latch, &drops));
    let (say, said) = mpsc::channel();
    let child = async move {
        let value = child.await;
        say.send(value).unwrap();
    };
    let mut awaiter = pool.spawn(async move { inside.spawn(child).unwrap().await }).unwrap();
    latch.wait_for_waiters(1);
    assert!(awaiter.cancel());
    assert!(matches!(awaiter.join(Some(LONG)), Err(Error::Cancelled(_))));
    latch.open();
    assert_eq!(said.recv_timeout(LONG), Ok(3));
}

#[test]
fn waits_that_could_never_end_are_refused() {
    let (pool, event_loop, latch) = (pool(1), started_loop(), Latch::default());
    let refused = |name: &'static str| assert_eq!(name, "WouldDeadlock");
    // Of itself: by join, and by await.
    for awaits in [false, true] {
        let (give, given) = mpsc::channel::<JoinHandle<()>>();
        let (say, said) = mpsc::channel();
        let coroutine = async move {
            let mut own = given.recv().unwrap();
            let answer = if awaits { (&mut own).await } else { own.join(None) };
            say.send(answer.unwrap_err().name()).unwrap();
        };
        give.send(pool.spawn(coroutine).unwrap()).unwrap();
        refused(said.recv_timeout(LONG).unwrap());
    }
    // Of another one, from the only worker that may run it, and from the loop's thread.
    let opened = latch.opened();
    let mut other = pool.spawn(opened).unwrap();
    let (say, said) = mpsc::channel();
    let tell = say.clone();
    pool.submit(move || tell.send((other.join(None).unwrap_err().name(), other)).unwrap()).unwrap();
    let (name, mut in_pool) = said.recv_timeout(LONG).unwrap();
    refused(name);
    let mut other = event_loop.spawn(latch.opened()).unwrap();
    event_loop.post(move || say.send((other.join(None).unwrap_err().name(), other)).unwrap()).unwrap();
    let (name, mut on_loop) = said.recv_timeout(LONG).unwrap();
    refused(name);
    // From elsewhere both can be waited for.
    latch.open();
    assert_eq!((in_pool.join(Some(LONG)), on_loop.join(Some(LONG))), (Ok(()), Ok(())));
}

#[test]
fn a_join_that_is_late_changes_nothing() {
    let (pool, latch, drops) = (pool(1), Latch::default(), Drops::default());
    let mut handle = pool.spawn(waiting(&latch, &drops)).unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        assert!(matches!(handle.join(Some(timeout)), Err(Error::Timeout(_))));
    }
    latch.wait_for_waiters(1);
    latch.open();
    assert_eq!(handle.join(None), Ok(3));
}

#[test]
fn a_panic_is_reported_only_if_nobody_asks_for_it() {
    /// Keeps the messages of the thread that it is set for.
    #[derive(Clone, Default)]
    struct Messages(Arc<Mutex<Vec<String>>>);
    impl tracing::field::Visit for Messages {
        fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
    impl tracing::Subscriber for Messages {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == "coop"
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let (pool, messages) = (pool(1), Messages::default());
    let ended = |text: &'static str| {
        let handle = pool.spawn(async move { panic!("{text}") }).unwrap();
        while !handle.is_done() {
            std::thread::yield_now();
        }
        handle
    };
    let (mut joined, dropped) = (ended("joined"), ended("dropped"));
    tracing::subscriber::with_default(messages.clone(), || {
        let told: Result<()> = joined.join(Some(LONG));
        assert_eq!(told, Err(Error::Panic("joined".into())));
        drop((joined, dropped));
    });
    assert_eq!(*messages.0.lock().unwrap(), ["a coroutine that nobody joined panicked: dropped"]);
}

#[test]
fn a_full_pool_refuses_a_spawn_and_takes_what_goes_on() {
    let pool = PoolOptions { workers: Some(1), capacity: Some(1), ..PoolOptions::default() };
    let (pool, latch, drops) = (Pool::new(pool).unwrap(), Latch::default(), Drops::default());
    let mut goes_on = pool.spawn(waiting(&latch, &drops)).unwrap();
    latch.wait_for_waiters(1);
    let release = hold_a_worker(&pool);
    let mut fills = pool.spawn(async { 1 }).unwrap();
    let refused = pool.spawn(waiting(&latch, &drops)).map(drop).unwrap_err();
    assert_eq!((refused.error.name(), drops.count()), ("QueueFull", 0));
    drop(refused.value);
    latch.open();
    drop(release);
    assert_eq!((goes_on.join(Some(LONG)), fills.join(Some(LONG))), (Ok(3), Ok(1)));
    let mut waits = pool.spawn_with(&SubmitOptions { timeout: None, ..SubmitOptions::default() }, async { 2 }).unwrap();
    assert_eq!(waits.join(Some(LONG)), Ok(2));
}
