//! Observers that are slow, late and gone.

use super::*;

#[test]
fn a_slow_one_loses_the_oldest_and_is_told_how_many() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let slow = host.observe(Filter::default(), &ObserverOptions { queue: 4, replay: 0 }).unwrap();
    let all = host.observe(Filter::default(), &ObserverOptions::default()).unwrap();
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    host.shutdown(Some(LONG)).unwrap();
    let all: Vec<_> = all.iter().collect();
    let slow: Vec<_> = slow.iter().collect();
    assert_eq!(slow[0], Item::Lost(all.len() as u64 - 4));
    assert_eq!(slow[1..], all[all.len() - 4..]);
}

#[test]
fn a_late_one_gets_what_was_kept_without_gap_or_doubling() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    let ends = Arc::new(AtomicU64::new(0));
    let observing: Vec<_> = (0..4)
        .map(|_| {
            let (root, ends) = (host.root().clone(), ends.clone());
            std::thread::spawn(move || {
                while ends.load(Ordering::SeqCst) == 0 {
                    let options = ObserverOptions { queue: 100_000, replay: usize::MAX };
                    let observer = root.observe(Filter::default(), &options).unwrap();
                    let mut last = 0;
                    for _ in 0..5 {
                        match observer.next(Some(LONG)) {
                            Ok(Item::Event(event)) => {
                                assert!(last == 0 || event.number == last + 1, "{last} before {}", event.number);
                                last = event.number;
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                }
            })
        })
        .collect();
    for run in 2..100 {
        puppet.tell(Do::Fail);
        puppet.wait_runs(run);
    }
    ends.store(1, Ordering::SeqCst);
    observing.into_iter().for_each(|thread| thread.join().unwrap());
    // As many as asked for, and no more than were kept.
    let options = ObserverOptions { queue: 1000, replay: 3 };
    let starts = host.observe(Filter::kinds([Kind::Starting]), &options).unwrap();
    let replayed: Vec<_> = std::iter::from_fn(|| starts.try_next().unwrap()).collect();
    let runs: Vec<_> = replayed
        .iter()
        .map(|item| match item {
            Item::Event(event) => event.run,
            Item::Lost(_) => panic!("{replayed:?}"),
        })
        .collect();
    assert_eq!(runs, [97, 98, 99]);
    let none = host.observe(Filter::path("elsewhere"), &ObserverOptions { replay: 9, queue: 1 }).unwrap();
    assert_eq!(none.try_next(), Ok(None));
    assert!(matches!(none.next(Some(Duration::ZERO)), Err(Error::Timeout(_))));
}

#[test]
fn callbacks_run_where_they_are_wanted_and_may_panic() {
    let (event_loop, pool) = (
        crate::EventLoop::new(crate::EventLoopOptions::default()).unwrap(),
        crate::Pool::new(crate::PoolOptions { workers: Some(2), ..Default::default() }).unwrap(),
    );
    event_loop.start().unwrap();
    let on_loop = event_loop.handle();
    for place in [Place::Thread, Place::Loop(event_loop.handle()), Place::Pool(pool.handle())] {
        let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
        let (tell, told) = mpsc::channel();
        let (place_is_loop, handle) = (matches!(place, Place::Loop(_)), on_loop.clone());
        let observer = host
            .observe_with(Filter::kinds([Kind::Starting]), &ObserverOptions::default(), place, move |item| {
                assert_eq!(handle.is_loop_thread(), place_is_loop);
                tell.send(item).unwrap();
                panic!("on purpose");
            })
            .unwrap();
        host.add(puppet.service("a")).unwrap();
        host.start().unwrap();
        for _ in 0..2 {
            told.recv_timeout(LONG).unwrap();
        }
        drop(observer);
        // Its callback goes with it.
        assert!(matches!(told.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected)));
    }
}

#[test]
fn one_that_stands_still_holds_up_nobody() {
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    let (let_go, wait) = mpsc::channel::<()>();
    let options = ObserverOptions { queue: 2, replay: 0 };
    let observer = host
        .observe_with(Filter::default(), &options, Place::Thread, move |_| {
            let _ = wait.recv();
        })
        .unwrap();
    host.add(puppet.service("a")).unwrap();
    host.start().unwrap();
    host.shutdown(Some(LONG)).unwrap();
    drop((let_go, observer));
}

#[test]
fn a_coroutine_awaits_events_and_verbs() {
    let event_loop = crate::EventLoop::new(crate::EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.start().unwrap();
    let observer = host.observe(Filter::kinds([Kind::Ready]), &ObserverOptions::default()).unwrap();
    let (root, service) = (host.root().clone(), puppet.service("a"));
    let mut awaits = event_loop
        .spawn(async move {
            let id = root.ask(Verb::StartChild(service)).unwrap().await.unwrap();
            match observer.next_async().await.unwrap() {
                Item::Event(event) => (event.id, id.0),
                Item::Lost(_) => (0, 1),
            }
        })
        .unwrap();
    let (seen, started) = awaits.join(Some(LONG)).unwrap();
    assert_eq!(seen, started);
}

#[test]
fn of_several_that_wait_each_is_woken_and_one_that_leaves_takes_nothing() {
    let event_loop = crate::EventLoop::new(crate::EventLoopOptions::default()).unwrap();
    event_loop.start().unwrap();
    let (host, puppet) = (host(strategy(Strategy::OneForOne)), Puppet::default());
    host.start().unwrap();
    let observer = Arc::new(host.observe(Filter::kinds([Kind::Ready]), &ObserverOptions::default()).unwrap());
    let mut waiting: Vec<_> = (0..3)
        .map(|_| {
            let observer = observer.clone();
            event_loop.spawn(async move { observer.ready().unwrap().await }).unwrap()
        })
        .collect();
    // This one has been woken when it goes, or not.
    let mut leaves = {
        let observer = observer.clone();
        event_loop.spawn(async move { observer.next_async().await.map(drop) }).unwrap()
    };
    leaves.cancel();
    let _ = leaves.join(Some(LONG));
    let id = host.start_child(puppet.service("a")).unwrap();
    for mut each in waiting.drain(..) {
        each.join(Some(LONG)).unwrap();
    }
    assert!(matches!(observer.try_next(), Ok(Some(Item::Event(event))) if event.id == id.0));
    assert_eq!(observer.try_next(), Ok(None));
}
