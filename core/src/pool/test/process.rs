//! What only a whole process shows: fork, and idleness.

use std::fs;

use super::*;
use crate::fork::run_in_child;

#[test]
fn a_forked_child_is_refused_may_free_and_may_make_its_own() {
    let mut parents = Some(pool(2));
    let hold = Hold::all(parents.as_ref().unwrap());
    let tally = Tally::default();
    let submit = |pool: &Option<Pool>| pool.as_ref().unwrap().submit_with(&SubmitOptions::default(), tally.job());
    (0..10).for_each(|_| submit(&parents).unwrap());
    let task = parents.as_ref().unwrap().submit_task(&SubmitOptions::default(), || 7).unwrap();
    let ok = run_in_child(|| {
        let pool = parents.take().unwrap();
        let forked = Error::Forked("pool");
        let told = pool.submit(|| ()).unwrap_err().error == forked
            && pool.submit_with(&on([]), Job::new(|| ())).unwrap_err().error == forked
            && pool.submit_task(&SubmitOptions::default(), || ()).unwrap_err().error == forked
            && pool.submit_batch(&SubmitOptions::default(), Vec::new()).unwrap_err().error == forked
            && (task.join(None), task.cancel()) == (Err(forked.clone()), Err(forked.clone()))
            && (pool.stats(), pool.worker_stats(0)) == (Err(forked.clone()), Err(forked.clone()))
            && pool.shutdown(ShutdownMode::Discard, None) == Err(forked);
        drop(pool);
        let own = self::pool(2);
        let (say, said) = mpsc::channel();
        own.submit(move || say.send(7).unwrap()).unwrap();
        told && said.recv() == Ok(7)
            && own.shutdown(ShutdownMode::Drain, None) == Ok(())
            && tally.ran_and_dropped() == (0, 0)
    });
    assert!(ok, "the child saw something else");
    drop(hold);
    assert_eq!(task.join(None), Ok(7), "the parent's task is its own");
    submit(&parents).unwrap();
    parents.unwrap().shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (11, 11));
}

/// The voluntary context switches so far of each thread whose name starts so.
fn switches(name: &str) -> Vec<(String, u64)> {
    let field = |status: &str, field: &str| {
        status.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned())
    };
    let mut found: Vec<_> = fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
        .filter_map(|status| Some((field(&status, "Name:")?, field(&status, "voluntary_ctxt_switches:")?)))
        .filter(|(thread, _)| thread.starts_with(name))
        .map(|(thread, count)| (thread, count.parse().unwrap()))
        .collect();
    found.sort();
    found
}

/// A worker is marked asleep a moment before the system has it asleep, so this waits for the system's own word.
fn wait_asleep(name: &str, workers: usize) {
    let asleep = || {
        fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
            .filter(|status| status.contains(&format!("Name:\t{name}")) && status.contains("State:\tS"))
            .count()
    };
    while asleep() < workers {
        std::thread::yield_now();
    }
}

#[test]
fn an_idle_pool_does_not_wake_up() {
    let pool = Pool::new(PoolOptions { workers: Some(4), name: "idle".to_owned(), ..PoolOptions::default() }).unwrap();
    let (say, said) = mpsc::channel();
    pool.submit(move || say.send(()).unwrap()).unwrap();
    said.recv().unwrap();
    while !pool.shared.sleep.all_asleep() {
        std::thread::yield_now();
    }
    wait_asleep("idle", 4);
    let before = switches("idle");
    assert_eq!(before.len(), 4);
    // Not a wait for something: a second in which nothing may happen.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(switches("idle"), before);
}
