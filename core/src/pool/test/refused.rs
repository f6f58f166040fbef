//! What is wrong is answered at once and in words, by each of the calls that take tasks.

use super::*;

/// What each call that takes tasks answers.
fn answers(pool: &Pool, options: &SubmitOptions) -> Vec<Error> {
    vec![
        pool.submit_with(options, Job::new(|| ())).unwrap_err().error,
        pool.submit_task(options, || ()).unwrap_err().error,
        pool.submit_batch(options, vec![Job::new(|| ())]).unwrap_err().error,
    ]
}

#[test]
fn a_set_with_no_worker_names_both_sets() {
    let pool = pool(2);
    let absent = (0..CpuSet::MAX).find(|cpu| !pool.worker_cpus().contains(&Some(*cpu))).unwrap();
    let workers = CpuSet::new(pool.worker_cpus().into_iter().flatten()).unwrap();
    for error in answers(&pool, &on([absent])) {
        let text = format!("cpu set {{{absent}}} names no worker; workers are on {workers}");
        assert_eq!(error, Error::Affinity(text));
    }
    assert!(!pool.target(&on([absent])).is_ok_and(|target| pool.may_run_here(&target)));
}

#[test]
fn a_cpu_outside_the_mask_has_no_worker() {
    // The last CPU of all is not one of this machine's, or not this process's, or at least not one of one worker.
    let pool = pool(1);
    let last = CpuSet::MAX - 1;
    assert_ne!(pool.worker_cpus()[0], Some(last));
    answers(&pool, &on([last])).into_iter().for_each(|error| assert!(matches!(error, Error::Affinity(_)), "{error}"));
    let error = CpuSet::new([CpuSet::MAX]).unwrap_err();
    assert_eq!(error, Error::Invalid("CPU 1024 is out of range: CPUs are 0 to 1023".to_owned()));
}

#[test]
fn a_closed_pool_takes_no_task() {
    let pool = pool(1);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(answers(&pool, &SubmitOptions::default()), vec![Error::Closed("pool"); 3]);
}

#[test]
fn a_refused_closure_comes_back_unrun() {
    let pool = pool(1);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    let refused = pool.submit_task(&SubmitOptions::default(), || 7).unwrap_err();
    assert_eq!((refused.value)(), 7);
}

#[test]
fn priority_7_is_none() {
    let error = Priority::try_from(7).unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains('7')), "{error}");
}

#[test]
fn a_batch_of_0_is_invalid() {
    let refused = pool(1).submit_batch(&SubmitOptions::default(), Vec::new()).unwrap_err();
    assert_eq!(refused.error, Error::Invalid("a batch of 0 tasks: give at least 1".to_owned()));
}

#[test]
fn ten_thousand_workers_are_too_many() {
    let error = Pool::new(PoolOptions { workers: Some(10_000), ..PoolOptions::default() }).unwrap_err();
    assert_eq!(error, Error::Invalid("10000 workers: allowed are 1..=1024".to_owned()));
}

#[test]
fn an_ageing_of_0_would_turn_the_levels_round() {
    let error = Pool::new(PoolOptions { ageing: Some(0), ..PoolOptions::default() }).unwrap_err();
    let text = "ageing 0: a task waits for at least 1 above it, or, without ageing, for all";
    assert_eq!(error, Error::Invalid(text.to_owned()));
}
