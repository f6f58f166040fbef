//! CPU sets.

use super::*;

/// Two workers on two CPUs, or `None` where there is only one CPU: then there are no two sets.
fn pair() -> Option<(Pool, usize, usize)> {
    let pool = pool(2);
    let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
    (cpus[0] != cpus[1]).then_some((pool, cpus[0], cpus[1]))
}

pub(super) fn own_cpus() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect()
}

#[test]
fn a_task_runs_only_inside_its_set() {
    let pool = pool(4);
    let outside = Arc::new(AtomicUsize::new(0));
    for cpu in pool.worker_cpus().into_iter().flatten().cycle().take(2000) {
        let outside = outside.clone();
        let job = Job::new(move || {
            if own_cpus() != [cpu] {
                outside.fetch_add(1, Ordering::Relaxed);
            }
        });
        pool.submit_with(&on([cpu]), job).unwrap();
    }
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(outside.load(Ordering::Relaxed), 0);
}

#[test]
fn a_busy_set_waits_while_others_idle() {
    let Some((pool, first, second)) = pair() else { return };
    let hold = Hold::one(&pool, &on([first]));
    let (say, said) = mpsc::channel();
    let other = say.clone();
    pool.submit_with(&on([first]), Job::new(move || say.send("held").unwrap())).unwrap();
    pool.submit_with(&on([second]), Job::new(move || other.send("free").unwrap())).unwrap();
    assert_eq!(said.recv().unwrap(), "free");
    drop(hold);
    assert_eq!(said.recv().unwrap(), "held");
}

#[test]
fn lanes_of_a_level_take_turns() {
    let Some((pool, first, second)) = pair() else { return };
    // Only the first worker runs, so each lane's tasks keep their order. The priority is only a label here.
    let (hold, _elsewhere) = (Hold::one(&pool, &on([first])), Hold::one(&pool, &on([second])));
    let log = Log::default();
    for number in 0..300 {
        pool.submit_with(&on([first]), log.job(Priority::Low, number)).unwrap();
        pool.submit_with(&SubmitOptions::default(), log.job(Priority::High, number)).unwrap();
    }
    let (say, said) = mpsc::channel();
    pool.submit_with(&on([first]), Job::new(move || say.send(()).unwrap())).unwrap();
    drop(hold);
    said.recv().unwrap();
    for kind in [Priority::Low, Priority::High] {
        assert_eq!(log.of(kind), (0..300).collect::<Vec<_>>());
    }
    assert!(log.priorities().windows(2).all(|two| two[0] != two[1]), "one of each, in turn");
}

#[test]
fn a_stalled_workers_claim_is_taken_over() {
    // The first task of a batch stays; what was claimed behind it runs elsewhere.
    let pool = pool(2);
    let (mut ran, release) = taken_over(&pool, 100);
    ran.sort_unstable();
    assert_eq!(ran, (0..100).collect::<Vec<_>>());
    drop(release);
}

#[test]
fn a_set_of_all_workers_is_no_set() {
    let pool = pool(2);
    let all = CpuSet::new(pool.worker_cpus().into_iter().flatten().chain([1000])).unwrap();
    let tally = Tally::default();
    pool.submit_with(&SubmitOptions { cpus: Some(all), ..SubmitOptions::default() }, tally.job()).unwrap();
    assert_eq!(pool.shared.lanes.iter().count(), 1);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (1, 1));
}

#[test]
fn a_set_without_a_worker_is_refused_in_words() {
    let pool = pool(2);
    let absent = (0..CpuSet::MAX).find(|cpu| !pool.worker_cpus().contains(&Some(*cpu))).unwrap();
    let workers = CpuSet::new(pool.worker_cpus().into_iter().flatten()).unwrap();
    let tally = Tally::default();
    let refused = pool.submit_with(&on([absent]), tally.job()).unwrap_err();
    let text = format!("cpu set {{{absent}}} names no worker; workers are on {workers}");
    assert_eq!(refused.error, Error::Affinity(text));
    assert_eq!(tally.ran_and_dropped(), (0, 0), "the caller still owns it");
    refused.value.run();
    assert_eq!(tally.ran_and_dropped(), (1, 1));
}

#[test]
fn an_empty_set_is_invalid() {
    let refused = pool(1).submit_with(&on([]), Job::new(|| ())).unwrap_err();
    assert!(
        matches!(&refused.error, Error::Invalid(text) if text.contains("cpu set {} is empty")),
        "{}",
        refused.error
    );
}

#[test]
fn a_pool_that_is_not_pinned_takes_no_set() {
    let pool = Pool::new(PoolOptions { workers: Some(2), no_pin: true, ..PoolOptions::default() }).unwrap();
    assert_eq!(pool.worker_cpus(), [None, None]);
    let refused = pool.submit_with(&on([0]), Job::new(|| ())).unwrap_err();
    let text = "cpu set {0} names no worker; workers are not pinned (no_pin)";
    assert_eq!(refused.error, Error::Affinity(text.to_owned()));
}
