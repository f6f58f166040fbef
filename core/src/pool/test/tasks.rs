//! Tasks with a handle.

use super::*;

fn options() -> SubmitOptions {
    SubmitOptions::default()
}

/// A task that begins and stays until it is told to go on.
fn held(pool: &Pool) -> (Task<&'static str>, Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    let task = pool.submit_task(&options(), move || {
        running.send(()).unwrap();
        let _ = released.recv();
        "went on"
    });
    runs.recv().unwrap();
    (task.unwrap(), release)
}

#[test]
fn a_task_answers_what_its_closure_returned() {
    let pool = pool(2);
    let tasks: Vec<Task<usize>> =
        (0..1000).map(|number| pool.submit_task(&options(), move || 2 * number).unwrap()).collect();
    for (number, task) in tasks.iter().enumerate() {
        assert_eq!(task.join(None), Ok(2 * number));
        assert!(task.is_done());
        assert_eq!(task.join(None), Err(Error::Stale("task")), "the result was taken");
    }
}

#[test]
fn a_task_answers_its_panic_and_the_worker_goes_on() {
    let pool = pool(1);
    let task: Task<()> = pool.submit_task(&options(), || panic!("on purpose, {}", 7)).unwrap();
    assert_eq!(task.join(None), Err(Error::Panic("on purpose, 7".to_owned())));
    assert_eq!(pool.submit_task(&options(), || 8).unwrap().join(None), Ok(8));
}

#[test]
fn a_join_that_timed_out_may_be_made_again() {
    let pool = pool(1);
    let (task, release) = held(&pool);
    let text = "the task has not ended: it is still running".to_owned();
    assert_eq!(task.join(Some(Duration::ZERO)), Err(Error::Timeout(text.clone())));
    assert_eq!(task.join(Some(Duration::from_millis(1))), Err(Error::Timeout(text)));
    let queued = pool.submit_task(&options(), || 1).unwrap();
    let text = "the task has not ended: it is still queued".to_owned();
    assert_eq!(queued.join(Some(Duration::ZERO)), Err(Error::Timeout(text)));
    assert!(!task.is_done());
    release.send(()).unwrap();
    assert_eq!(task.join(None), Ok("went on"));
    assert_eq!(queued.join(None), Ok(1));
}

#[test]
fn several_threads_may_join_and_one_has_the_result() {
    let pool = pool(1);
    let (task, release) = held(&pool);
    std::thread::scope(|scope| {
        let joins: Vec<_> = (0..4).map(|_| scope.spawn(|| task.join(None))).collect();
        release.send(()).unwrap();
        let answers: Vec<_> = joins.into_iter().map(|join| join.join().unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Ok("went on")).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Error::Stale("task"))).count(), 3);
    });
}

#[test]
fn cancel_drops_what_has_not_begun_and_says_who_won() {
    let pool = pool(1);
    let (running, release) = held(&pool);
    let tally = Tally::default();
    let job = tally.job();
    let queued = pool.submit_task(&options(), move || job.run()).unwrap();
    assert_eq!(queued.cancel(), Ok(Cancel::Cancelled));
    assert_eq!(tally.ran_and_dropped(), (0, 1), "by the canceller, before cancel returns");
    assert!(queued.is_done());
    assert_eq!(queued.cancel(), Ok(Cancel::Ended));
    assert_eq!(queued.join(None), Err(Error::Cancelled("task")));
    assert_eq!(running.cancel(), Ok(Cancel::Running));
    release.send(()).unwrap();
    assert_eq!(running.join(None), Ok("went on"));
    assert_eq!(running.cancel(), Ok(Cancel::Ended));
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (0, 1), "what is left in the queue does nothing");
}

#[test]
fn cancel_wakes_who_waits() {
    let pool = pool(1);
    let (_running, release) = held(&pool);
    let queued = pool.submit_task(&options(), || 1).unwrap();
    std::thread::scope(|scope| {
        let join = scope.spawn(|| queued.join(None));
        assert_eq!(queued.cancel(), Ok(Cancel::Cancelled));
        assert_eq!(join.join().unwrap(), Err(Error::Cancelled("task")));
    });
    drop(release);
}

#[test]
fn whoever_cancels_drops_with_no_lock_held() {
    let pool = pool(1);
    let (_running, release) = held(&pool);
    let place: Arc<Mutex<Option<Arc<Task<()>>>>> = Arc::default();
    struct Asks(Arc<Mutex<Option<Arc<Task<()>>>>>, Sender<Result<()>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            // The task itself, while it is being dropped: a lock held would be one too many.
            let place = self.0.lock().unwrap();
            let task = place.as_ref().unwrap();
            assert_eq!(task.cancel(), Ok(Cancel::Ended));
            self.1.send(task.join(Some(Duration::ZERO))).unwrap();
        }
    }
    let (say, said) = mpsc::channel();
    let asks = Asks(place.clone(), say);
    let task = Arc::new(pool.submit_task(&options(), move || drop(asks)).unwrap());
    *place.lock().unwrap() = Some(task.clone());
    assert_eq!(task.cancel(), Ok(Cancel::Cancelled));
    assert!(matches!(said.recv().unwrap(), Err(Error::Timeout(_))));
    assert_eq!(task.join(None), Err(Error::Cancelled("task")));
    place.lock().unwrap().take();
    drop(release);
}

#[test]
fn a_shutdown_that_drops_a_task_tells_who_waits() {
    let pool = pool(1);
    let (running, release) = held(&pool);
    let tally = Tally::default();
    let job = tally.job();
    let queued = pool.submit_task(&options(), move || job.run()).unwrap();
    std::thread::scope(|scope| {
        let join = scope.spawn(|| queued.join(None));
        assert!(matches!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)), Err(Error::Timeout(_))));
        assert_eq!(join.join().unwrap(), Err(Error::Closed("pool")));
    });
    assert_eq!(tally.ran_and_dropped(), (0, 1));
    release.send(()).unwrap();
    assert_eq!(running.join(None), Ok("went on"));
    drop(pool);
    assert_eq!(queued.cancel(), Ok(Cancel::Ended), "also when the pool is gone");
}

#[test]
fn a_dropped_handle_lets_the_task_run_and_drops_its_result() {
    let pool = pool(1);
    let tally = Tally::default();
    let job = tally.job();
    let (say, said) = mpsc::channel();
    let task = pool.submit_task(&options(), move || {
        say.send(()).unwrap();
        job
    });
    drop(task.unwrap());
    said.recv().unwrap();
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (0, 1));
}

#[test]
fn a_worker_runs_the_queued_task_that_it_joins() {
    let pool = Arc::new(pool(1));
    let inner = pool.clone();
    let outer = pool.submit_task(&options(), move || {
        let me = std::thread::current().id();
        let task = inner.submit_task(&with(Priority::Low), move || std::thread::current().id() == me).unwrap();
        assert!(matches!(task.join(Some(Duration::ZERO)), Err(Error::Timeout(_))), "a look runs nothing");
        // There is no other worker: waiting would be for ever.
        task.join(None)
    });
    assert_eq!(outer.unwrap().join(None), Ok(Ok(true)));
}

#[test]
fn a_worker_waits_for_a_task_that_it_may_not_run() {
    let pool = Arc::new(pool(2));
    let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
    if cpus[0] == cpus[1] {
        return;
    }
    let (inner, elsewhere) = (pool.clone(), on([cpus[1]]));
    let outer = pool.submit_task(&on([cpus[0]]), move || {
        let me = std::thread::current().id();
        inner.submit_task(&elsewhere, move || std::thread::current().id() == me).unwrap().join(None)
    });
    assert_eq!(outer.unwrap().join(None), Ok(Ok(false)));
}

#[test]
fn a_task_that_a_join_runs_keeps_its_parts_in_its_own_set() {
    let pool = Arc::new(pool(2));
    let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
    if cpus[0] == cpus[1] {
        return;
    }
    let inner = pool.clone();
    let outer = pool.submit_task(&options(), move || {
        let here = sets::own_cpus();
        let task = inner.submit_task(&on(here.clone()), move || {
            let elsewhere = AtomicUsize::new(0);
            scope(|scope| {
                for _ in 0..200 {
                    scope.spawn(|| {
                        if sets::own_cpus() != here {
                            elsewhere.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            elsewhere.into_inner()
        });
        task.unwrap().join(None)
    });
    assert_eq!(outer.unwrap().join(None), Ok(Ok(0)));
}

#[test]
fn a_task_that_joins_itself_or_one_below_it_on_the_stack_is_refused() {
    let pool = Arc::new(pool(1));
    let (give, given) = mpsc::channel::<Arc<Task<Result<()>>>>();
    let inner = pool.clone();
    let task = pool.submit_task(&options(), move || {
        let me = given.recv().unwrap();
        let refused = Error::WouldDeadlock("a task cannot wait for its own end");
        assert_eq!(me.join(None), Err(refused.clone()), "itself");
        let below = me.clone();
        let above = inner.submit_task(&options(), move || below.join(None).map(|_| ())).unwrap();
        assert_eq!(above.join(None), Ok(Err(refused)), "the one that waits for it");
        Ok(())
    });
    let task = Arc::new(task.unwrap());
    give.send(task.clone()).unwrap();
    assert_eq!(task.join(None), Ok(Ok(())));
}

#[test]
fn run_cancel_and_join_at_the_same_time_end_each_task_once() {
    let pool = pool(2);
    let tally = Tally::default();
    for _ in 0..2000 {
        let job = tally.job();
        let task = pool.submit_task(&options(), move || job.run()).unwrap();
        let (cancelled, joined) = std::thread::scope(|scope| {
            let cancel = scope.spawn(|| task.cancel().unwrap());
            let joined = task.join(None);
            (cancel.join().unwrap(), joined)
        });
        match cancelled {
            Cancel::Cancelled => assert_eq!(joined, Err(Error::Cancelled("task"))),
            Cancel::Running | Cancel::Ended => assert_eq!(joined, Ok(())),
        }
    }
    assert_eq!(tally.ran_and_dropped().1, 2000);
}
