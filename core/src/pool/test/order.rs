//! Who goes first.

use proptest::prelude::*;

use super::*;

const ALL: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

fn one_worker(ageing: Option<u32>) -> Pool {
    Pool::new(PoolOptions { workers: Some(1), ageing, ..PoolOptions::default() }).unwrap()
}

/// Has one worker run these, all of them queued before it begins.
fn run_all(ageing: Option<u32>, tasks: impl IntoIterator<Item = Priority>) -> Log {
    let (pool, log) = (one_worker(ageing), Log::default());
    let hold = Hold::all(&pool);
    for (number, priority) in tasks.into_iter().enumerate() {
        pool.submit_with(&with(priority), log.job(priority, number)).unwrap();
    }
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    log
}

#[test]
fn one_worker_keeps_the_order_of_each_level() {
    let log = run_all(Some(64), ALL.into_iter().cycle().take(3000));
    for (first, priority) in ALL.into_iter().enumerate() {
        assert_eq!(log.of(priority), (first..3000).step_by(3).collect::<Vec<_>>());
    }
}

#[test]
fn the_order_holds_while_tasks_arrive() {
    let (pool, log) = (one_worker(Some(64)), Log::default());
    for number in 0..50_000 {
        pool.submit_with(&SubmitOptions::default(), log.job(Priority::Normal, number)).unwrap();
    }
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(log.of(Priority::Normal), (0..50_000).collect::<Vec<_>>());
}

#[test]
fn higher_levels_go_first() {
    let mut expected: Vec<_> = ALL.into_iter().cycle().take(150).collect();
    let log = run_all(None, expected.clone());
    expected.sort_by_key(|priority| std::cmp::Reverse(*priority));
    assert_eq!(log.priorities(), expected);
}

#[test]
fn a_high_task_overtakes_what_was_claimed() {
    let (pool, log) = (Arc::new(one_worker(Some(64))), Log::default());
    let hold = Hold::all(&pool);
    let (inner, inner_log) = (pool.clone(), log.clone());
    // The first of a batch: when it runs, the others are in the worker's own queue.
    pool.submit(move || inner.submit_with(&with(Priority::High), inner_log.job(Priority::High, 0)).unwrap()).unwrap();
    (0..20).for_each(|n| pool.submit_with(&with(Priority::Normal), log.job(Priority::Normal, n)).unwrap());
    drop(hold);
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(log.priorities()[0], Priority::High);
}

#[test]
fn after_64_tasks_above_one_of_the_lowest_runs() {
    let tasks = [Priority::High; 200].into_iter().chain([Priority::Normal; 3]).chain([Priority::Low; 3]);
    let order = run_all(Some(64), tasks).priorities();
    let at = |priority| order.iter().enumerate().filter(|(_, p)| **p == priority).map(|(n, _)| n).collect::<Vec<_>>();
    // The NORMAL ones are above LOW, so between two LOW ones there are 64 of both.
    assert_eq!(at(Priority::Low), [64, 64 + 65, 64 + 2 * 65]);
    assert_eq!(at(Priority::Normal), [65, 65 + 64 + 2, 65 + 2 * (64 + 2)]);
}

#[test]
fn strict_never_ages() {
    let tasks = [Priority::Low; 1].into_iter().chain([Priority::Normal; 1000]).chain([Priority::High; 1000]);
    let order = run_all(None, tasks).priorities();
    assert!(order.is_sorted_by_key(|priority| std::cmp::Reverse(*priority)));
}

/// What one worker with everything queued does, in its simplest words.
fn model(ageing: Option<u32>, tasks: &[Priority]) -> Vec<(Priority, usize)> {
    let mut queues: [std::collections::VecDeque<usize>; 3] = Default::default();
    for (number, priority) in tasks.iter().enumerate() {
        queues[level(*priority)].push_back(number);
    }
    let (mut passed, mut order) = ([0; 3], Vec::new());
    while let Some(highest) = (0..3).find(|level| !queues[*level].is_empty()) {
        let aged = [2, 1].into_iter().find(|level| ageing.is_some_and(|limit| passed[*level] >= limit));
        let now = aged.unwrap_or(highest);
        let number = queues[now].pop_front().unwrap();
        order.push(([Priority::High, Priority::Normal, Priority::Low][now], number));
        passed[now] = 0;
        for below in now + 1..3 {
            passed[below] = if queues[below].is_empty() { 0 } else { passed[below] + 1 };
        }
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn one_worker_does_what_the_model_does(
        ageing in prop_oneof![Just(None), (1u32..9).prop_map(Some)],
        tasks in proptest::collection::vec((-1..=1).prop_map(|p| Priority::try_from(p).unwrap()), 0..300),
    ) {
        let log = run_all(ageing, tasks.clone());
        let order = log.0.lock().unwrap().clone();
        prop_assert_eq!(order, model(ageing, &tasks));
    }
}
