//! Pools that hold so many tasks, and batches.

use super::*;

fn bounded(workers: usize, capacity: usize) -> Pool {
    Pool::new(PoolOptions { workers: Some(workers), capacity: Some(capacity), ..PoolOptions::default() }).unwrap()
}

fn waiting(timeout: Option<Duration>) -> SubmitOptions {
    SubmitOptions { timeout, ..SubmitOptions::default() }
}

fn full(tasks: &str) -> Error {
    Error::QueueFull { what: "pool", capacity: tasks.to_owned() }
}

#[test]
fn a_capacity_of_none_at_all_is_refused() {
    let error = Pool::new(PoolOptions { capacity: Some(0), ..PoolOptions::default() }).unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("capacity 0")), "{error}");
}

#[test]
fn a_full_pool_refuses_and_names_its_capacity() {
    let pool = bounded(1, 2);
    let hold = Hold::all(&pool);
    let (tally, refused) = (Tally::default(), Tally::default());
    pool.submit_with(&waiting(Some(Duration::ZERO)), tally.job()).unwrap();
    pool.submit_to(&pool.target(&SubmitOptions::default()).unwrap(), tally.job()).unwrap();
    let answer = pool.submit_with(&SubmitOptions::default(), refused.job()).unwrap_err();
    assert_eq!(answer.error, full("2 tasks"));
    assert_eq!(answer.error.to_string(), "the pool is full (2 tasks)");
    assert_eq!(refused.ran_and_dropped(), (0, 0), "the caller still owns it");
    assert_eq!(pool.submit(|| ()).unwrap_err().error, full("2 tasks"));
    assert_eq!(pool.submit_task(&SubmitOptions::default(), || ()).unwrap_err().error, full("2 tasks"));
    let late = pool.submit_with(&waiting(Some(Duration::from_millis(1))), refused.job()).unwrap_err();
    assert_eq!(late.error, Error::Timeout("the pool is full (2 tasks), and no room came in time".to_owned()));
    pool.resume_on(&pool.target(&SubmitOptions::default()).unwrap(), tally.job()).unwrap();
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (3, 3), "what goes on is exempt");
}

#[test]
fn a_task_that_begins_makes_room_and_who_waits_gets_it() {
    let pool = bounded(1, 1);
    let hold = Hold::all(&pool);
    let tally = Tally::default();
    pool.submit_with(&SubmitOptions::default(), tally.job()).unwrap();
    std::thread::scope(|scope| {
        let submitters: Vec<_> =
            (0..4).map(|_| scope.spawn(|| pool.submit_with(&waiting(None), tally.job()).is_ok())).collect();
        drop(hold);
        submitters.into_iter().for_each(|submitter| assert!(submitter.join().unwrap()));
    });
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (5, 5));
}

#[test]
fn shutdown_sends_away_who_waits_for_room() {
    let pool = bounded(1, 1);
    let hold = Hold::all(&pool);
    let (queued, tally) = (Tally::default(), Tally::default());
    pool.submit_with(&SubmitOptions::default(), queued.job()).unwrap();
    std::thread::scope(|scope| {
        let wait = || pool.submit_with(&waiting(None), tally.job()).unwrap_err();
        let submitters: Vec<_> = (0..3).map(|_| scope.spawn(wait)).collect();
        pool.close().unwrap();
        for submitter in submitters {
            assert_eq!(submitter.join().unwrap().error, Error::Closed("pool"));
        }
    });
    assert_eq!(pool.submit(|| ()).unwrap_err().error, Error::Closed("pool"), "closed, not full");
    drop(hold);
    pool.join(None).unwrap();
    assert_eq!((queued.ran_and_dropped(), tally.ran_and_dropped()), ((1, 1), (0, 3)));
}

#[test]
fn a_task_of_a_full_pool_does_not_wait_for_itself() {
    let pool = Arc::new(bounded(1, 1));
    let inner = pool.clone();
    let task = pool.submit_task(&SubmitOptions::default(), move || {
        inner.submit_with(&waiting(None), Job::new(|| ())).unwrap();
        let at_once = inner.submit(|| ()).unwrap_err().error;
        (at_once, inner.submit_with(&waiting(None), Job::new(|| ())).unwrap_err().error)
    });
    let refused = Error::WouldDeadlock("a task of a full pool cannot wait for room in it");
    assert_eq!(task.unwrap().join(None), Ok((full("1 task"), refused)));
}

#[test]
fn a_bounded_pool_drains_what_its_tasks_submit() {
    let pool = Arc::new(bounded(2, 2));
    let tally = Tally::default();
    let (inner, counted) = (pool.clone(), tally.clone());
    let hold = Hold::all(&pool);
    pool.submit(move || inner.submit_with(&SubmitOptions::default(), counted.job()).unwrap()).unwrap();
    pool.close().unwrap();
    drop(hold);
    pool.join(None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (1, 1));
}

#[test]
fn many_submitters_that_wait_lose_nothing() {
    let pool = bounded(2, 3);
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| pool.submit_with(&waiting(None), tally.job()).unwrap()));
        }
        scope.spawn(|| pool.submit_batch(&waiting(None), (0..500).map(|_| tally.job()).collect()).unwrap());
    });
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (2500, 2500));
}

#[test]
fn a_batch_runs_in_order() {
    let pool = pool(1);
    let hold = Hold::all(&pool);
    let log = Log::default();
    pool.submit_batch(&SubmitOptions::default(), (0..1000).map(|n| log.job(Priority::Normal, n)).collect()).unwrap();
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(log.of(Priority::Normal), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_full_pool_takes_the_first_tasks_of_a_batch() {
    let pool = bounded(1, 100);
    let hold = Hold::all(&pool);
    let tally = Tally::default();
    let jobs = |count: usize| (0..count).map(|_| tally.job()).collect();
    let refused = pool.submit_batch(&SubmitOptions::default(), jobs(130)).unwrap_err();
    assert_eq!((refused.accepted, refused.rest.len()), (100, 30));
    assert_eq!(refused.error, full("100 tasks"));
    assert_eq!(tally.ran_and_dropped(), (0, 0), "nothing is lost and nothing has run");
    let timed = pool.submit_batch(&waiting(Some(Duration::from_millis(1))), refused.rest).unwrap_err();
    assert!(matches!(timed.error, Error::Timeout(_)), "{timed}");
    drop(hold);
    pool.submit_batch(&waiting(None), timed.rest).unwrap();
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (130, 130));
    let closed = pool.submit_batch(&SubmitOptions::default(), jobs(3)).unwrap_err();
    assert_eq!((closed.error, closed.accepted, closed.rest.len()), (Error::Closed("pool"), 0, 3));
}

#[test]
fn parts_of_tasks_take_no_room_and_give_none() {
    fn sum(from: usize, to: usize) -> usize {
        if to - from <= 2 {
            return (from..to).sum();
        }
        let middle = from.midpoint(to);
        let (low, high) = fork(|| sum(from, middle), || sum(middle, to));
        low + high
    }
    let pool = bounded(2, 3);
    let narrow = SubmitOptions { timeout: None, ..on([pool.worker_cpus()[0].unwrap()]) };
    for number in 0..200 {
        let options = if number % 2 == 0 { narrow.clone() } else { waiting(None) };
        let task = pool.submit_task(&options, || sum(0, 200)).unwrap();
        assert_eq!(task.join(None), Ok(19_900));
        let numbers = AtomicUsize::new(0);
        let count = |piece: std::ops::Range<usize>| {
            numbers.fetch_add(piece.len(), Ordering::Relaxed);
        };
        pool.parallel_for(&options, 0..100, 10, count).unwrap();
        assert_eq!(numbers.into_inner(), 100);
    }
    // Tickets that came too late may still be queued.
    let room = pool.shared.room.as_ref().unwrap();
    let all_free = || {
        let taken = room.take(3);
        room.give(if taken < 3 { taken } else { 0 });
        taken == 3
    };
    while !all_free() {
        std::thread::yield_now();
    }
    assert_eq!(room.take(1), 0);
}

#[test]
fn a_full_pool_takes_a_fork_and_a_scope_from_outside() {
    let pool = Pool::new(PoolOptions { workers: Some(1), capacity: Some(1), ..PoolOptions::default() }).unwrap();
    let hold = Hold::all(&pool);
    pool.submit(|| ()).unwrap();
    std::thread::scope(|threads| {
        let fork = threads.spawn(|| pool.fork(|| 1, || 2));
        let scope = threads.spawn(|| pool.scope(|_| 3));
        let refused = || fork.is_finished() || scope.is_finished();
        while pool.stats().unwrap().depth != [0, 3, 0] && !refused() {
            std::thread::yield_now();
        }
        drop(hold);
        assert_eq!((fork.join().unwrap(), scope.join().unwrap()), (Ok((1, 2)), Ok(3)));
    });
    let _hold = Hold::all(&pool);
    pool.submit(|| ()).unwrap();
    assert!(matches!(pool.submit(|| ()).unwrap_err().error, Error::QueueFull { .. }), "each place was given back once");
}
