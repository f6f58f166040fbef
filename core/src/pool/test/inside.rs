//! What tasks submit themselves.

use super::*;

/// A task that submits its like again, until `left` is 0.
fn chain(pool: Handle, left: Arc<AtomicUsize>) {
    if left.fetch_sub(1, Ordering::SeqCst) > 1 {
        let next = pool.clone();
        // Refused when the test discards the pool.
        drop(pool.submit(move || chain(next, left)));
    }
}

#[test]
fn one_worker_keeps_the_order_of_what_a_task_submits() {
    for priority in [Priority::High, Priority::Normal, Priority::Low] {
        let (pool, log) = (pool(1), Log::default());
        let (inner, inner_log) = ((*pool).clone(), log.clone());
        // More than stay near the worker.
        let submit = move || {
            (0..2000).for_each(|n| inner.submit_with(&with(priority), inner_log.job(priority, n)).unwrap());
        };
        pool.submit(submit).unwrap();
        pool.shutdown(ShutdownMode::Drain, None).unwrap();
        assert_eq!(log.of(priority), (0..2000).collect::<Vec<_>>());
    }
}

#[test]
fn one_worker_keeps_the_order_of_tasks_and_batches_that_a_task_submits() {
    for priority in [Priority::High, Priority::Normal, Priority::Low] {
        let (pool, log) = (pool(1), Log::default());
        let (inner, inner_log) = ((*pool).clone(), log.clone());
        let submit = move || {
            for first in (0..2000).step_by(100) {
                (first..first + 30)
                    .for_each(|n| inner.submit_with(&with(priority), inner_log.job(priority, n)).unwrap());
                let batch = (first + 30..first + 100).map(|n| inner_log.job(priority, n)).collect();
                inner.submit_batch(&with(priority), batch).unwrap();
            }
        };
        pool.submit(submit).unwrap();
        pool.shutdown(ShutdownMode::Drain, None).unwrap();
        assert_eq!(log.of(priority), (0..2000).collect::<Vec<_>>());
    }
}

#[test]
fn a_stopped_pool_takes_nothing_of_a_batch_from_its_own_task() {
    let (pool, tally) =
        (Pool::new(PoolOptions { workers: Some(1), capacity: Some(9), ..PoolOptions::default() }), Tally::default());
    let pool = Arc::new(pool.unwrap());
    let (inner, counted) = (pool.clone(), tally.clone());
    let (say, said) = mpsc::channel();
    pool.submit(move || {
        inner.shutdown(ShutdownMode::Discard, None).unwrap();
        let refused = inner.submit_batch(&with(Priority::Low), (0..5).map(|_| counted.job()).collect()).unwrap_err();
        drop(inner);
        say.send((refused.error, refused.accepted, refused.rest.len())).unwrap();
    })
    .unwrap();
    assert_eq!(said.recv().unwrap(), (Error::Closed("pool"), 0, 5));
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (0, 5));
}

#[test]
fn a_high_task_from_inside_overtakes() {
    let (pool, log) = (pool(1), Log::default());
    let (inner, inner_log) = ((*pool).clone(), log.clone());
    let submit = move || {
        for (number, priority) in [Priority::Low, Priority::Normal, Priority::High].into_iter().enumerate() {
            inner.submit_with(&with(priority), inner_log.job(priority, number)).unwrap();
        }
    };
    pool.submit(submit).unwrap();
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(log.priorities(), [Priority::High, Priority::Normal, Priority::Low]);
}

#[test]
fn an_endless_chain_does_not_starve_outsiders() {
    let pool = pool(1);
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (inner, counted) = ((*pool).clone(), left.clone());
    pool.submit(move || chain(inner, counted)).unwrap();
    for number in 0..100 {
        let (say, said) = mpsc::channel();
        pool.submit(move || say.send(number).unwrap()).unwrap();
        assert_eq!(said.recv(), Ok(number));
    }
    left.store(1, Ordering::SeqCst);
}

#[test]
fn outsiders_do_not_starve_a_chain() {
    let pool = pool(1);
    let hold = Hold::all(&pool);
    let log = Log::default();
    // The first of many submits one more: it does not wait for all of them.
    let (inner, inner_log) = ((*pool).clone(), log.clone());
    pool.submit(move || inner.submit_with(&with(Priority::Normal), inner_log.job(Priority::High, 0)).unwrap()).unwrap();
    (0..1000).for_each(|n| pool.submit_with(&with(Priority::Normal), log.job(Priority::Normal, n)).unwrap());
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    let place = log.priorities().iter().position(|label| *label == Priority::High).unwrap();
    assert!(place <= 2 * 32, "{place} went before it");
    assert_eq!(log.of(Priority::Normal), (0..1000).collect::<Vec<_>>());
}

#[test]
fn what_is_stuck_behind_a_task_that_waits_for_it_is_taken_over() {
    // Both workers have work without end, and one of them is in a task that waits for what it submitted.
    let pool = pool(2);
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    for _ in 0..4 {
        let (inner, left) = ((*pool).clone(), left.clone());
        pool.submit(move || chain(inner, left)).unwrap();
    }
    for _ in 0..20 {
        let (inner, (done, is_done)) = ((*pool).clone(), mpsc::channel());
        let waits = move || {
            let (say, said) = mpsc::channel();
            inner.submit(move || say.send(()).unwrap()).unwrap();
            said.recv().unwrap();
            done.send(()).unwrap();
        };
        pool.submit(waits).unwrap();
        is_done.recv().unwrap();
    }
    left.store(1, Ordering::SeqCst);
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
}

#[test]
fn a_tree_of_tasks_runs_every_one_once() {
    fn grow(pool: Handle, tally: Tally, depth: usize) {
        for _ in 0..if depth == 0 { 0 } else { 3 } {
            let (next, counted) = (pool.clone(), tally.clone());
            let options = with([Priority::Low, Priority::Normal, Priority::High][depth % 3]);
            pool.submit_with(&options, Job::new(move || grow(next, counted, depth - 1))).unwrap();
            pool.submit_with(&options, tally.job()).unwrap();
        }
    }
    for workers in [1, 2, 5] {
        let (pool, tally) = (pool(workers), Tally::default());
        let (inner, counted) = ((*pool).clone(), tally.clone());
        pool.submit(move || grow(inner, counted, 8)).unwrap();
        pool.shutdown(ShutdownMode::Drain, None).unwrap();
        let nodes = (1..=8).map(|depth| 3_usize.pow(depth)).sum();
        assert_eq!(tally.ran_and_dropped(), (nodes, nodes));
    }
}

#[test]
fn discard_drops_what_tasks_submitted_and_refuses_more() {
    for workers in [1, 2] {
        let (pool, tally) = (pool(workers), Tally::default());
        let hold = (workers > 1).then(|| Hold::one(&pool, &with(Priority::High)));
        let (inner, counted) = ((*pool).clone(), tally.clone());
        let (queued, is_queued) = mpsc::channel();
        let (go, going) = mpsc::channel::<()>();
        let (say, said) = mpsc::channel();
        pool.submit(move || {
            (0..1000).for_each(|_| inner.submit_with(&SubmitOptions::default(), counted.job()).unwrap());
            queued.send(()).unwrap();
            going.recv().unwrap();
            let refused = inner.submit_with(&SubmitOptions::default(), counted.job()).unwrap_err();
            say.send(refused.error.clone()).unwrap();
        })
        .unwrap();
        is_queued.recv().unwrap();
        assert!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).is_err());
        assert_eq!(tally.ran_and_dropped(), (0, 1000), "dropped while the task still runs");
        go.send(()).unwrap();
        assert_eq!(said.recv().unwrap(), Error::Closed("pool"));
        drop(hold);
        pool.shutdown(ShutdownMode::Discard, None).unwrap();
        assert_eq!(tally.ran_and_dropped(), (0, 1001));
    }
}

#[test]
fn a_batch_wakes_and_runs_all() {
    let (pool, tally) = (pool(3), Tally::default());
    for size in [0, 1, 2, 3, 1000] {
        let before = tally.ran_and_dropped().0;
        let target = pool.target(&SubmitOptions::default()).unwrap();
        pool.push_all(&target, &mut (0..size).map(|_| tally.job())).unwrap();
        while tally.ran_and_dropped().0 < before + size {
            std::thread::yield_now();
        }
    }
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    let target = pool.target(&SubmitOptions::default()).unwrap();
    let mut jobs = (0..3).map(|_| tally.job());
    assert_eq!(pool.push_all(&target, &mut jobs), Err(Error::Closed("pool")));
    assert_eq!(jobs.len(), 3, "none was taken");
}

#[test]
fn a_task_may_go_on_where_nothing_more_urgent_waits() {
    let pool = pool(1);
    let target = |priority| pool.target(&with(priority)).unwrap();
    let (low, normal, high) = (target(Priority::Low), target(Priority::Normal), target(Priority::High));
    assert!(!pool.may_run_here(&high), "no worker");
    let inner = (*pool).clone();
    let (say, said) = mpsc::channel();
    pool.submit(move || {
        let all = || [&low, &normal, &high].map(|target| inner.may_run_here(target));
        let mut answers = vec![all()];
        inner.submit_with(&with(Priority::Normal), Job::new(|| ())).unwrap();
        answers.push(all());
        inner.submit_with(&with(Priority::High), Job::new(|| ())).unwrap();
        answers.push(all());
        say.send(answers).unwrap();
    })
    .unwrap();
    assert_eq!(said.recv().unwrap(), [[true, true, true], [false, true, true], [false, false, true]]);
}

#[test]
fn what_lingers_ends_before_a_task_of_another_kind_and_before_idling() {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    fn kind(left: Arc<Mutex<Vec<usize>>>, again: bool) -> Job {
        // Made in one place: of one kind.
        let own = Arc::new(AtomicUsize::new(0));
        let told = own.clone();
        let job = Job::new(move || {
            left.lock().unwrap().push(LEFT.load(Ordering::SeqCst));
            let leave = || {
                LEFT.fetch_add(1, Ordering::SeqCst);
            };
            assert!(again || linger(own.load(Ordering::SeqCst), leave));
        });
        told.store(job.kind(), Ordering::SeqCst);
        job
    }
    assert!(!linger(0, || panic!("on a thread that is no worker")));
    let (pool, seen) = (pool(1), Arc::new(Mutex::new(Vec::new())));
    let hold = Hold::all(&pool);
    for again in [false, true, true] {
        pool.submit_with(&with(Priority::Normal), kind(seen.clone(), again)).unwrap();
    }
    let other = seen.clone();
    pool.submit(move || other.lock().unwrap().push(100 + LEFT.load(Ordering::SeqCst))).unwrap();
    pool.submit_with(&with(Priority::Normal), kind(seen.clone(), false)).unwrap();
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 0, 0, 101, 1]);
    assert_eq!(LEFT.load(Ordering::SeqCst), 2);
}
