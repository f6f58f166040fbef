//! What the pool says it did.

use super::*;

#[test]
fn depth_is_what_waits_by_level() {
    let pool = pool(2);
    let hold = Hold::all(&pool);
    for (priority, count) in [(Priority::High, 1), (Priority::Normal, 2), (Priority::Low, 3)] {
        (0..count).for_each(|_| pool.submit_with(&with(priority), Job::new(|| ())).unwrap());
    }
    pool.submit_with(&on([pool.worker_cpus()[0].unwrap()]), Job::new(|| ())).unwrap();
    let stats = pool.stats().unwrap();
    assert_eq!((stats.depth, stats.capacity), ([1, 3, 3], None));
    assert_eq!(stats.workers.iter().map(|worker| worker.cpu).collect::<Vec<_>>(), pool.worker_cpus());
    assert_eq!(stats.workers[1], pool.worker_stats(1).unwrap());
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    let stats = pool.stats().unwrap();
    assert_eq!(stats.depth, [0, 0, 0]);
    assert_eq!(stats.workers.iter().map(|worker| worker.executed).sum::<u64>(), 2 + 7);
}

#[test]
fn a_task_counts_once_where_it_was_run_and_a_cancelled_one_does_not() {
    let pool = pool(1);
    let hold = Hold::all(&pool);
    let task = || pool.submit_task(&SubmitOptions::default(), || ()).unwrap();
    let (joined, cancelled) = ([task(), task()], [task(), task(), task()]);
    let joins = move || joined.iter().for_each(|task| task.join(None).unwrap());
    pool.submit_with(&with(Priority::High), Job::new(joins)).unwrap();
    assert!(cancelled.iter().all(|task| task.cancel() == Ok(Cancel::Cancelled)));
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(pool.worker_stats(0).unwrap().executed, 1 + 1 + 2);
}

#[test]
fn sleeping_workers_are_counted() {
    let pool = pool(3);
    while !pool.shared.sleep.all_asleep() {
        std::thread::yield_now();
    }
    for worker in pool.stats().unwrap().workers {
        assert!(worker.parked >= 1 && worker.executed == 0, "{worker:?}");
    }
}

#[test]
fn what_was_taken_from_another_worker_is_counted() {
    let pool = pool(2);
    drop(taken_over(&pool, 20));
    let stats = pool.stats().unwrap();
    assert_eq!(stats.depth, [0, 0, 0]);
    assert!(stats.workers.iter().any(|worker| worker.stolen > 0), "{stats:?}");
}

#[test]
fn one_in_64_is_timed() {
    let pool = Pool::new(PoolOptions { workers: Some(1), capacity: Some(1000), ..PoolOptions::default() }).unwrap();
    // A thread's first task is the first of its 64.
    std::thread::scope(|scope| {
        scope.spawn(|| (0..129).for_each(|_| pool.submit(|| ()).unwrap()));
    });
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    let stats = pool.stats().unwrap();
    assert_eq!((stats.wait.samples, stats.capacity), (3, Some(1000)));
    let WaitStats { mean, p50, p99, max, .. } = stats.wait;
    assert!(max > Duration::ZERO && mean <= max && p50 <= p99 && p99 <= max, "{stats:?}");
}

#[test]
fn a_worker_past_the_last_has_no_statistics() {
    let error = pool(2).worker_stats(2).unwrap_err();
    assert_eq!(error, Error::Invalid("worker 2 is out of range: this pool has 2, from 0".to_owned()));
}
