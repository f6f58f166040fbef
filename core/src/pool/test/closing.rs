//! Shutdown, drop, and who gets what back.

use super::*;

fn options() -> SubmitOptions {
    SubmitOptions::default()
}

#[test]
fn drain_runs_what_is_queued_and_what_that_submits_and_refuses_others() {
    let pool = Arc::new(pool(2));
    let (tally, outer) = (Tally::default(), Tally::default());
    let (go, going) = mpsc::channel::<()>();
    let (inner, counted) = (pool.clone(), tally.clone());
    let (say, said) = mpsc::channel();
    pool.submit(move || {
        going.recv().unwrap();
        // Each generation submits the next, 100 of them, and some to one worker alone.
        fn generation(pool: &Arc<Pool>, tally: &Tally, left: usize) {
            pool.submit_with(&options(), tally.job()).unwrap();
            if left > 0 {
                let (next, tally) = (pool.clone(), tally.clone());
                let options = if left.is_multiple_of(3) { on(pool.worker_cpus()[0]) } else { options() };
                pool.submit_with(&options, Job::new(move || generation(&next, &tally, left - 1))).unwrap();
            }
        }
        say.send(()).unwrap();
        generation(&inner, &counted, 99);
    })
    .unwrap();
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| pool.shutdown(ShutdownMode::Drain, None));
        while !pool.shared.outer.is_closed() {
            std::thread::yield_now();
        }
        let refused = pool.submit_with(&options(), outer.job()).unwrap_err();
        assert_eq!(refused.error, Error::Closed("pool"));
        assert_eq!(outer.ran_and_dropped(), (0, 0), "the caller still owns it");
        drop(refused);
        go.send(()).unwrap();
        said.recv().unwrap();
        shutdown.join().unwrap().unwrap();
    });
    assert_eq!(tally.ran_and_dropped(), (100, 100));
    assert_eq!(outer.ran_and_dropped(), (0, 1));
}

#[test]
fn discard_drops_what_is_queued_and_waits_for_what_runs() {
    let pool = Arc::new(pool(2));
    let hold = Hold::all(&pool);
    let tally = Tally::default();
    for number in 0..1000 {
        let options = if number % 2 == 0 { options() } else { on(pool.worker_cpus()[1]) };
        pool.submit_with(&options, tally.job()).unwrap();
    }
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| pool.shutdown(ShutdownMode::Discard, None));
        while tally.ran_and_dropped() != (0, 1000) {
            std::thread::yield_now();
        }
        assert!(!shutdown.is_finished(), "two tasks are running");
        drop(hold);
        shutdown.join().unwrap().unwrap();
    });
    assert_eq!(tally.ran_and_dropped(), (0, 1000));
}

#[test]
fn a_discarding_pool_refuses_its_own_tasks_too() {
    let pool = Arc::new(pool(1));
    let (go, going) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let (say, said) = mpsc::channel();
    let inner = pool.clone();
    pool.submit(move || {
        begin.send(()).unwrap();
        going.recv().unwrap();
        say.send(inner.submit(|| ()).unwrap_err().error).unwrap();
    })
    .unwrap();
    begun.recv().unwrap();
    assert!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).is_err());
    go.send(()).unwrap();
    assert_eq!(said.recv().unwrap(), Error::Closed("pool"));
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
}

#[test]
fn a_timeout_names_the_busy_drops_the_queued_and_may_be_followed_by_another_call() {
    let pool = pool(2);
    let hold = Hold::one(&pool, &with(Priority::High));
    let busy = (0..2).find(|worker| pool.shared.sleep.is_running(*worker));
    let tally = Tally::default();
    let rest = Hold::one(&pool, &with(Priority::High));
    (0..100).for_each(|_| pool.submit_with(&options(), tally.job()).unwrap());
    let error = pool.shutdown(ShutdownMode::Drain, Some(Duration::from_millis(5))).unwrap_err();
    let cpus = pool.worker_cpus();
    let names = [0, 1].map(|worker| format!("coop-pool-{worker} (CPU {})", cpus[worker].unwrap())).join(" and ");
    assert_eq!(error, Error::Timeout(format!("{names} are still running a task each")));
    assert_eq!(tally.ran_and_dropped(), (0, 100));
    assert_eq!(pool.submit(|| ()).unwrap_err().error, Error::Closed("pool"));
    assert!(busy.is_some());
    drop(hold);
    drop(rest);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_worker_that_has_just_started_is_not_called_busy() {
    for _ in 0..50 {
        let pool = Pool::new(PoolOptions { workers: Some(16), no_pin: true, ..PoolOptions::default() }).unwrap();
        pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).unwrap();
    }
}

#[test]
fn a_timeout_names_eight_of_many_and_counts_the_others() {
    let pool = Pool::new(PoolOptions { workers: Some(10), no_pin: true, ..PoolOptions::default() }).unwrap();
    let hold = Hold::all(&pool);
    let error = pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).unwrap_err();
    let names = (0..8).map(|worker| format!("coop-pool-{worker}")).collect::<Vec<_>>().join(", ");
    assert_eq!(error, Error::Timeout(format!("{names} and 2 more are still running a task each")));
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
}

#[test]
fn a_timeout_names_only_the_worker_that_is_busy() {
    let pool = pool(3);
    let (running, runs) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    pool.submit(move || {
        running.send(std::thread::current().name().map(str::to_owned)).unwrap();
        let _ = released.recv();
    })
    .unwrap();
    let name = runs.recv().unwrap().unwrap();
    let error = pool.shutdown(ShutdownMode::Drain, Some(Duration::from_millis(5))).unwrap_err();
    let worker: usize = name.rsplit('-').next().unwrap().parse().unwrap();
    let cpu = pool.worker_cpus()[worker].unwrap();
    assert_eq!(error, Error::Timeout(format!("{name} (CPU {cpu}) is still running a task")));
    drop(release);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
}

#[test]
fn a_drain_that_is_cut_short_says_so_though_nothing_runs_any_more() {
    struct AtEnd(Sender<()>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local!(static END: std::cell::RefCell<Option<AtEnd>> = const { std::cell::RefCell::new(None) });
    /// Its drop lets the running task go, and waits for the end of its worker.
    struct LetsGo(Option<Sender<()>>, Receiver<()>);
    impl Drop for LetsGo {
        fn drop(&mut self) {
            drop(self.0.take());
            self.1.recv().unwrap();
        }
    }
    for mode in [ShutdownMode::Drain, ShutdownMode::Discard] {
        let (pool, tally) = (pool(1), Tally::default());
        let (release, released) = mpsc::channel::<()>();
        let ((say, said), (running, runs), inner) = (mpsc::channel(), mpsc::channel(), pool.handle());
        pool.submit(move || {
            END.with(|end| *end.borrow_mut() = Some(AtEnd(say)));
            running.send(()).unwrap();
            let _ = released.recv();
            assert_eq!(inner.submit(|| ()).unwrap_err().error, Error::Closed("pool"));
        })
        .unwrap();
        runs.recv().unwrap();
        let lets_go = LetsGo(Some(release), said);
        pool.submit(move || drop(lets_go)).unwrap();
        pool.submit_with(&options(), tally.job()).unwrap();
        let dropped = Error::Timeout("3 tasks had not begun when the time was over".to_owned());
        let expected = if mode == ShutdownMode::Drain { Err(dropped) } else { Ok(()) };
        assert_eq!(pool.shutdown(mode, Some(Duration::ZERO)), expected);
        assert_eq!(tally.ran_and_dropped(), (0, 1));
        pool.shutdown(ShutdownMode::Drain, Some(Duration::ZERO)).unwrap();
    }
}

#[test]
fn a_task_may_shut_its_pool_down() {
    for mode in [ShutdownMode::Drain, ShutdownMode::Discard] {
        let pool = Arc::new(pool(2));
        let tally = Tally::default();
        let (say, said) = mpsc::channel();
        let (inner, counted) = (pool.clone(), tally.clone());
        let hold = Hold::one(&pool, &on(pool.worker_cpus()[0]));
        pool.submit(move || {
            (0..10).for_each(|_| inner.submit_with(&options(), counted.job()).unwrap());
            let done = inner.shutdown(mode, None);
            drop(inner);
            say.send(done).unwrap();
        })
        .unwrap();
        assert_eq!(said.recv().unwrap(), Ok(()));
        assert_eq!(pool.submit(|| ()).unwrap_err().error, Error::Closed("pool"));
        drop(hold);
        pool.shutdown(mode, None).unwrap();
        let ran = if mode == ShutdownMode::Drain { 10 } else { tally.ran_and_dropped().0 };
        assert_eq!(tally.ran_and_dropped(), (ran, 10));
    }
}

#[test]
fn a_drain_from_inside_ends_the_threads_without_another_call() {
    struct AtEnd(Sender<()>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local!(static END: std::cell::RefCell<Option<AtEnd>> = const { std::cell::RefCell::new(None) });
    let pool = Arc::new(pool(1));
    let (say, said) = mpsc::channel();
    let inner = pool.clone();
    pool.submit(move || {
        END.with(|end| *end.borrow_mut() = Some(AtEnd(say)));
        inner.shutdown(ShutdownMode::Drain, None).unwrap();
    })
    .unwrap();
    said.recv().unwrap();
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
}

#[test]
fn many_may_shut_down_at_once() {
    for _ in 0..50 {
        let (pool, tally) = (pool(2), Tally::default());
        (0..100).for_each(|_| pool.submit_with(&options(), tally.job()).unwrap());
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| pool.shutdown(ShutdownMode::Drain, None).unwrap())));
        });
        assert_eq!(tally.ran_and_dropped(), (100, 100));
    }
}

#[test]
fn submitters_race_with_every_way_to_end() {
    for round in 0..60 {
        let (pool, tally) = (pool(2), Tally::default());
        let accepted = AtomicUsize::new(0);
        let refused = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        match pool.submit_with(&options(), tally.job()) {
                            Ok(()) => accepted.fetch_add(1, Ordering::SeqCst),
                            Err(_) => break refused.fetch_add(1, Ordering::SeqCst),
                        };
                    }
                });
            }
            while accepted.load(Ordering::SeqCst) < 100 {
                std::thread::yield_now();
            }
            let mode = if round % 2 == 0 { ShutdownMode::Drain } else { ShutdownMode::Discard };
            pool.shutdown(mode, None).unwrap();
        });
        let accepted = accepted.into_inner();
        let (ran, dropped) = tally.ran_and_dropped();
        assert_eq!(dropped, accepted + refused.into_inner());
        assert!(if round % 2 == 0 { ran == accepted } else { ran <= accepted });
    }
}

#[test]
fn dropping_discards_and_waits() {
    let (pool, tally) = (pool(2), Tally::default());
    let hold = Hold::all(&pool);
    (0..100).for_each(|_| pool.submit_with(&options(), tally.job()).unwrap());
    let ended = std::thread::spawn(move || drop(pool));
    while tally.ran_and_dropped() != (0, 100) {
        std::thread::yield_now();
    }
    assert!(!ended.is_finished(), "two tasks are running");
    drop(hold);
    ended.join().unwrap();
}

#[test]
fn a_task_may_drop_its_pool() {
    for workers in [1, 3] {
        let (pool, tally) = (pool(workers), Tally::default());
        let shared = Arc::downgrade(&pool.shared);
        let (give, given) = mpsc::channel::<Pool>();
        let (say, said) = mpsc::channel();
        pool.submit(move || {
            let pool = given.recv().unwrap();
            drop(pool);
            say.send(()).unwrap();
        })
        .unwrap();
        if workers == 1 {
            (0..100).for_each(|_| pool.submit_with(&options(), tally.job()).unwrap());
        }
        give.send(pool).unwrap();
        said.recv().unwrap();
        let dropped = tally.ran_and_dropped();
        assert_eq!(dropped, if workers == 1 { (0, 100) } else { (0, 0) });
        // The threads are the last to hold what the pool was made of.
        while shared.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_closed_pool_runs_what_is_queued_and_may_be_joined() {
    let pool = pool(1);
    let hold = Hold::one(&pool, &options());
    let tally = Tally::default();
    (0..100).for_each(|_| pool.submit_with(&options(), tally.job()).unwrap());
    pool.close().unwrap();
    assert_eq!(pool.submit(|| ()).unwrap_err().error, Error::Closed("pool"));
    assert!(matches!(pool.join(Some(Duration::from_millis(1))), Err(Error::Timeout(_))));
    drop(hold);
    pool.join(None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (100, 100));
}
