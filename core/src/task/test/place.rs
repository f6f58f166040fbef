//! Where coroutines run, and how they move.

use super::*;

/// Whether the caller is a worker of this pool, and whether it is on this loop.
fn here(pool: &pool::Handle, event_loop: &event_loop::Handle) -> (bool, bool) {
    (pool.is_worker_thread(), event_loop.is_loop_thread())
}

const IN_POOL: (bool, bool) = (true, false);
const ON_LOOP: (bool, bool) = (false, true);

#[test]
fn to_the_loop_and_back_and_between_pools() {
    let (pool, other, event_loop) = (pool(2), pool(1), started_loop());
    let (p, o, l) = (pool.handle(), other.handle(), event_loop.handle());
    let coroutine = async move {
        let mut seen = vec![here(&p, &l)];
        for _ in 0..100 {
            on_loop(&l).await.unwrap();
            seen.push(here(&p, &l));
            suspend_on(&p, &SubmitOptions::default()).await.unwrap();
            seen.push(here(&p, &l));
        }
        suspend_on(&o, &SubmitOptions::default()).await.unwrap();
        (seen, o.is_worker_thread() && !p.is_worker_thread())
    };
    let (seen, in_other) = pool.spawn(coroutine).unwrap().join(Some(LONG)).unwrap();
    assert!(seen.iter().enumerate().all(|(hop, place)| *place == if hop % 2 == 0 { IN_POOL } else { ON_LOOP }));
    assert!(in_other);
}

#[test]
fn one_that_starts_on_the_loop_may_go_to_a_pool() {
    let (pool, event_loop) = (pool(1), started_loop());
    let (p, l) = (pool.handle(), event_loop.handle());
    let coroutine = async move {
        let first = here(&p, &l);
        // It is there already.
        on_loop(&l).await.unwrap();
        suspend_on(&p, &SubmitOptions::default()).await.unwrap();
        (first, here(&p, &l))
    };
    assert_eq!(event_loop.spawn(coroutine).unwrap().join(Some(LONG)), Ok((ON_LOOP, IN_POOL)));
}

#[test]
fn a_wake_up_from_anywhere_takes_it_home() {
    let (pool, event_loop, latch) = (pool(1), started_loop(), Latch::default());
    let (p, l, opened) = (pool.handle(), event_loop.handle(), latch.opened());
    let mut in_pool = pool.spawn(async move { (opened.await, here(&p, &l)).1 }).unwrap();
    let (p, l, opened) = (pool.handle(), event_loop.handle(), latch.opened());
    let mut on_loop = event_loop.spawn(async move { (opened.await, here(&p, &l)).1 }).unwrap();
    latch.wait_for_waiters(2);
    latch.open();
    assert_eq!((in_pool.join(Some(LONG)), on_loop.join(Some(LONG))), (Ok(IN_POOL), Ok(ON_LOOP)));
}

#[test]
fn a_loop_bound_awaiter_goes_back_to_the_loop() {
    let (pool, event_loop) = (pool(2), started_loop());
    let (p, l) = (pool.handle(), event_loop.handle());
    let awaiter = async move {
        let mut seen = Vec::new();
        for _ in 0..100 {
            let (inner, there) = (p.clone(), l.clone());
            let child = p.spawn(async move { here(&inner, &there) }).unwrap();
            seen.push((child.await.unwrap(), here(&p, &l)));
        }
        seen
    };
    let seen = event_loop.spawn(awaiter).unwrap().join(Some(LONG)).unwrap();
    assert!(seen.iter().all(|places| *places == (IN_POOL, ON_LOOP)));
}

#[test]
fn suspend_changes_the_level_and_the_cpu_set() {
    let pool = pool(3);
    let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
    let cpu = cpus[1];
    let members: Vec<usize> = (0..3).filter(|worker| cpus[*worker] == cpu).collect();
    let handle = pool.handle();
    let coroutine = async move {
        let mut workers = Vec::new();
        for priority in [Priority::Low, Priority::High, Priority::Normal] {
            suspend(priority, Some(CpuSet::new([cpu]).unwrap())).await.unwrap();
            workers.push(pool::working_as().unwrap().1);
        }
        suspend(Priority::Normal, None).await.unwrap();
        (workers, handle.is_worker_thread())
    };
    let (workers, is_worker) = pool.spawn(coroutine).unwrap().join(Some(LONG)).unwrap();
    assert!(workers.iter().all(|worker| members.contains(worker)), "{workers:?} not in {members:?}");
    assert!(is_worker);
}

#[test]
fn one_that_suspends_to_low_lets_the_others_go_first() {
    let (pool, latch) = (pool(1), Latch::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let (log, opened) = (order.clone(), latch.opened());
    let inside = pool.handle();
    let coroutine = async move {
        opened.await;
        for number in 0..3 {
            let log = log.clone();
            inside.submit(move || log.lock().unwrap().push(number)).unwrap();
        }
        suspend(Priority::Low, None).await.unwrap();
        log.lock().unwrap().push(9);
    };
    let mut handle = pool.spawn(coroutine).unwrap();
    latch.wait_for_waiters(1);
    latch.open();
    handle.join(Some(LONG)).unwrap();
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 9]);
}

#[test]
fn a_suspend_that_changes_nothing_goes_behind_what_waits() {
    let (pool, latch) = (pool(1), Latch::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let spawn = |number: usize| {
        let (log, opened) = (order.clone(), latch.opened());
        let coroutine = async move {
            opened.await;
            for turn in 0..3 {
                log.lock().unwrap().push((turn, number));
                suspend(Priority::Normal, None).await.unwrap();
            }
        };
        pool.spawn(coroutine).unwrap()
    };
    let mut handles: Vec<_> = (0..3).map(spawn).collect();
    latch.wait_for_waiters(3);
    // The worker is held until all three are queued.
    let (release, released) = mpsc::channel::<()>();
    pool.submit(move || released.recv().unwrap()).unwrap();
    latch.open();
    release.send(()).unwrap();
    handles.iter_mut().for_each(|handle| handle.join(Some(LONG)).unwrap());
    let expected: Vec<_> = (0..3).flat_map(|turn| (0..3).map(move |number| (turn, number))).collect();
    assert_eq!(*order.lock().unwrap(), expected);
}

#[test]
fn a_move_that_is_refused_leaves_it_where_it_is() {
    let (pool, closed, event_loop) = (pool(1), pool(1), started_loop());
    closed.shutdown(ShutdownMode::Drain, None).unwrap();
    event_loop.stop().unwrap();
    let (p, c, l) = (pool.handle(), closed.handle(), event_loop.handle());
    let coroutine = async move {
        let nowhere = SubmitOptions { cpus: Some(CpuSet::new([1000]).unwrap()), ..SubmitOptions::default() };
        let errors = [
            suspend(Priority::Normal, nowhere.cpus).await.unwrap_err(),
            suspend_on(&p, &nowhere).await.unwrap_err(),
            suspend(Priority::Normal, Some(CpuSet::new([]).unwrap())).await.unwrap_err(),
            suspend_on(&c, &SubmitOptions::default()).await.unwrap_err(),
            on_loop(&l).await.unwrap_err(),
        ];
        (errors, p.is_worker_thread(), yield_now().await, p.is_worker_thread())
    };
    let (errors, before, (), after) = pool.spawn(coroutine).unwrap().join(Some(LONG)).unwrap();
    let names = errors.each_ref().map(Error::name);
    assert_eq!(names, ["Affinity", "Affinity", "Invalid", "Closed", "Closed"]);
    assert_eq!((&errors[3], &errors[4]), (&Error::Closed("pool"), &Error::Closed("event loop")));
    assert!(before && after);
}

#[test]
fn levels_and_cpu_sets_are_a_pools() {
    let event_loop = started_loop();
    let suspended = event_loop.spawn(async { suspend(Priority::Low, None).await }).unwrap().join(Some(LONG)).unwrap();
    assert!(matches!(suspended, Err(Error::Invalid(_))), "{suspended:?}");
}

#[test]
fn what_is_no_coroutine_of_the_library_does_not_move() {
    let (pool, event_loop) = (pool(2), started_loop());
    let invalid = |moved: Result<()>| assert!(matches!(moved, Err(Error::Invalid(_))), "{moved:?}");
    invalid(block_on(suspend(Priority::Low, None)));
    invalid(block_on(suspend_on(&pool, &SubmitOptions::default())));
    invalid(block_on(on_loop(&event_loop)));
    // Inside a coroutine, but awaited by somebody else who blocks there.
    let (p, l) = (pool.handle(), event_loop.handle());
    let coroutine = async move {
        let moved = [
            block_on(suspend(Priority::Low, None)),
            block_on(on_loop(&l)),
            block_on(suspend_on(&p, &SubmitOptions::default())),
        ];
        (moved, p.is_worker_thread())
    };
    let (moved, stayed) = pool.spawn(coroutine).unwrap().join(Some(LONG)).unwrap();
    moved.into_iter().for_each(invalid);
    assert!(stayed);
}

/// Polls both in each turn.
async fn both<A: Future, B: Future>(a: A, b: B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_done, mut b_done) = (false, false);
    poll_fn(|cx| {
        a_done = a_done || a.as_mut().poll(cx).is_ready();
        b_done = b_done || b.as_mut().poll(cx).is_ready();
        if a_done && b_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn two_moves_at_once_are_both_made() {
    let (pool, event_loop) = (pool(1), started_loop());
    let (p, l) = (pool.handle(), event_loop.handle());
    let coroutine = async move {
        let (to_loop, to_pool) = (on_loop(&l), suspend_on(&p, &SubmitOptions::default()));
        let seen = Mutex::new(Vec::new());
        let arrive = async |hop: Hop| {
            hop.await.unwrap();
            seen.lock().unwrap().push(here(&p, &l));
        };
        both(arrive(to_loop), arrive(to_pool)).await;
        seen.into_inner().unwrap()
    };
    let mut seen = pool.spawn(coroutine).unwrap().join(Some(LONG)).unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [ON_LOOP, IN_POOL]);
}

#[test]
fn a_move_that_is_given_up_is_not_made() {
    let (pool, event_loop) = (pool(1), started_loop());
    let (p, l) = (pool.handle(), event_loop.handle());
    let coroutine = async move {
        let mut hop = Some(Box::pin(on_loop(&l)));
        poll_fn(|cx| match hop.take() {
            Some(mut hop) => {
                assert!(hop.as_mut().poll(cx).is_pending());
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
        here(&p, &l)
    };
    assert_eq!(pool.spawn(coroutine).unwrap().join(Some(LONG)), Ok(IN_POOL));
}

/// Runs an awaiter and its child, and answers whether a task that was queued before the child ended ran before the awaiter
/// went on. `at` is the level of the awaiter, `other` that of the task.
fn task_came_first(pool: &Pool, at: Priority, other: Priority) -> bool {
    let (latch, came) = (Latch::default(), Arc::new(AtomicUsize::new(0)));
    let (inside, opened, count) = (pool.handle(), latch.opened(), came.clone());
    let options = SubmitOptions { priority: at, ..SubmitOptions::default() };
    let child_options = options.clone();
    let awaiter = async move {
        let (queue, task_count) = (inside.clone(), count.clone());
        let child = async move {
            opened.await;
            let job = Job::new(move || {
                task_count.fetch_add(1, Ordering::SeqCst);
            });
            queue.submit_with(&SubmitOptions { priority: other, ..SubmitOptions::default() }, job).unwrap();
        };
        inside.spawn_with(&child_options, child).unwrap().await.unwrap();
        count.load(Ordering::SeqCst) == 1
    };
    let mut handle = pool.spawn_with(&options, awaiter).unwrap();
    latch.wait_for_waiters(1);
    // The child waits, so the only worker has left the awaiter before it: both wait now.
    latch.open();
    handle.join(Some(LONG)).unwrap()
}

#[test]
fn an_awaiter_goes_on_in_place_unless_a_higher_level_waits() {
    let pool = pool(1);
    for (at, other, expected) in [
        (Priority::Normal, Priority::Normal, false),
        (Priority::Normal, Priority::Low, false),
        (Priority::High, Priority::High, false),
        (Priority::Low, Priority::Low, false),
        (Priority::Normal, Priority::High, true),
        (Priority::Low, Priority::Normal, true),
    ] {
        assert_eq!(task_came_first(&pool, at, other), expected, "{at:?} with a task at {other:?}");
    }
}

#[test]
fn an_awaiter_goes_on_in_place_only_on_a_worker_of_its_set() {
    let pool = pool(2);
    let cpus = pool.worker_cpus();
    let (one, two) = (cpus[0].unwrap(), cpus[1].unwrap());
    if one == two {
        // One CPU: both workers are in every set.
        return;
    }
    let only = |cpu| SubmitOptions { cpus: Some(CpuSet::new([cpu]).unwrap()), ..SubmitOptions::default() };
    let inside = pool.handle();
    let awaiter = async move {
        let mut seen = Vec::new();
        for _ in 0..200 {
            let child = inside.spawn_with(&only(two), async { pool::working_as().unwrap().1 }).unwrap();
            seen.push((child.await.unwrap(), pool::working_as().unwrap().1));
        }
        seen
    };
    let seen = pool.spawn_with(&only(one), awaiter).unwrap().join(Some(LONG)).unwrap();
    assert!(seen.iter().all(|workers| *workers == (1, 0)), "{seen:?}");
}

#[test]
fn in_place_is_bounded_so_that_equals_get_their_turn() {
    const DEPTH: usize = 1000;
    let (pool, latch) = (pool(1), Latch::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    fn link(
        pool: pool::Handle,
        depth: usize,
        latch: Latch,
        log: Arc<Mutex<Vec<usize>>>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if depth == DEPTH {
                latch.opened().await;
                let equal = log.clone();
                pool.submit(move || equal.lock().unwrap().push(usize::MAX)).unwrap();
                return;
            }
            pool.spawn(link(pool.clone(), depth + 1, latch, log.clone())).unwrap().await.unwrap();
            log.lock().unwrap().push(depth);
        })
    }
    let mut root = pool.spawn(link(pool.handle(), 0, latch.clone(), order.clone())).unwrap();
    latch.wait_for_waiters(1);
    latch.open();
    root.join(Some(LONG)).unwrap();
    let order = order.lock().unwrap();
    assert_eq!(order.len(), DEPTH + 1);
    let equal = order.iter().position(|entry| *entry == usize::MAX).unwrap();
    assert_eq!(equal, IN_PLACE as usize, "it ran after so many went on in place");
}

#[test]
fn what_one_forks_that_went_on_in_place_stays_in_its_own_set() {
    let pool = pool(2);
    let cpus = pool.worker_cpus();
    let (one, two) = (cpus[0].unwrap(), cpus[1].unwrap());
    let options = SubmitOptions { cpus: Some(CpuSet::new([one]).unwrap()), ..SubmitOptions::default() };
    let inside = pool.handle();
    let awaiter = async move {
        let workers = Mutex::new(Vec::new());
        for _ in 0..200 {
            // The child may run anywhere, and so may what it forks.
            inside.spawn(async {}).unwrap().await.unwrap();
            pool::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        (0..100).for_each(|_| std::hint::spin_loop());
                        workers.lock().unwrap().push(pool::working_as().unwrap().1);
                    });
                }
            });
        }
        workers.into_inner().unwrap()
    };
    let workers = pool.spawn_with(&options, awaiter).unwrap().join(Some(LONG)).unwrap();
    assert_eq!(workers.len(), 1600);
    assert!(workers.iter().all(|worker| *worker == 0 || one == two));
}
