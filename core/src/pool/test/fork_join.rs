//! fork, scope, and parallel_for.

use std::{collections::HashSet, panic::catch_unwind, sync::Barrier};

use super::*;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = fork(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn own_cpu() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect()
}

/// Runs `f` as a task with these options and answers what it returned.
fn run_in<R: Send + 'static>(pool: &Pool, options: &SubmitOptions, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (say, said) = mpsc::channel();
    pool.submit_with(options, Job::new(move || say.send(f()).unwrap())).unwrap();
    said.recv().unwrap()
}

fn text(panic: Box<dyn std::any::Any + Send>) -> String {
    crate::job::panic_text(&*panic).to_owned()
}

#[test]
fn fib_is_right_everywhere() {
    assert_eq!(fib(12), 144, "outside any pool");
    for workers in [1, 2, 4] {
        let pool = pool(workers);
        for _ in 0..20 {
            assert_eq!(pool.fork(|| fib(16), || fib(15)).unwrap(), (987, 610));
        }
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            assert_eq!(run_in(&pool, &with(priority), || fib(16)), 987);
        }
    }
}

#[test]
fn halves_run_at_the_same_time() {
    let pool = pool(2);
    for _ in 0..500 {
        let both = Barrier::new(2);
        pool.fork(|| both.wait(), || both.wait()).unwrap();
    }
}

#[test]
fn halves_borrow_and_return() {
    let (pool, mut words) = (pool(2), vec![String::from("left"), String::from("right")]);
    let (left, right) = words.split_at_mut(1);
    let lengths = pool
        .fork(
            || {
                left[0].push('!');
                left[0].len()
            },
            || {
                right[0].push('?');
                right[0].len()
            },
        )
        .unwrap();
    assert_eq!((lengths, words.join(" ")), ((5, 6), "left! right?".to_owned()));
}

#[test]
fn a_narrow_task_keeps_its_parts_inside_its_set() {
    let pool = pool(4);
    for cpu in pool.worker_cpus().into_iter().flatten().collect::<HashSet<_>>() {
        let outside = Arc::new(AtomicUsize::new(0));
        let (sum, seen) = (Arc::new(AtomicUsize::new(0)), outside.clone());
        let total = sum.clone();
        run_in(&pool, &on([cpu]), move || {
            fn tree(cpu: usize, depth: usize, outside: &AtomicUsize, sum: &AtomicUsize) {
                if own_cpu() != [cpu] {
                    outside.fetch_add(1, Ordering::Relaxed);
                }
                sum.fetch_add(1, Ordering::Relaxed);
                if depth > 0 {
                    fork(|| tree(cpu, depth - 1, outside, sum), || tree(cpu, depth - 1, outside, sum));
                    scope(|s| {
                        s.spawn(|| tree(cpu, depth - 1, outside, sum));
                        s.spawn(move || s.spawn(move || tree(cpu, depth - 1, outside, sum)));
                    });
                }
            }
            tree(cpu, 5, &seen, &sum);
        });
        assert_eq!(outside.load(Ordering::Relaxed), 0);
        assert_eq!(total.load(Ordering::Relaxed), (4_usize.pow(6) - 1) / 3);
    }
}

#[test]
fn a_panic_goes_on_when_both_have_ended() {
    let pool = pool(2);
    for round in 0..200 {
        let (a_panics, b_panics) = (round % 4 != 0, round % 4 != 1);
        let ended = AtomicUsize::new(0);
        let half = |panics: bool, name: &'static str| {
            let ended = &ended;
            move || {
                ended.fetch_add(1, Ordering::SeqCst);
                assert!(!panics, "{name}, on purpose");
            }
        };
        let both = std::panic::AssertUnwindSafe(|| pool.fork(half(a_panics, "a"), half(b_panics, "b")).unwrap());
        let said = text(catch_unwind(both).unwrap_err());
        assert_eq!(said, if a_panics { "a, on purpose" } else { "b, on purpose" });
        assert_eq!(ended.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn a_scope_waits_for_all_of_its_tasks_and_for_those_of_those() {
    let place = |pool: Option<&Pool>| {
        let count = AtomicUsize::new(0);
        fn grow<'s>(s: &'s Scope<'s, '_>, depth: usize, count: &'s AtomicUsize) {
            count.fetch_add(1, Ordering::Relaxed);
            (0..if depth == 0 { 0 } else { 4 }).for_each(|_| s.spawn(move || grow(s, depth - 1, count)));
        }
        match pool {
            Some(pool) => pool.scope(|s| grow(s, 5, &count)).unwrap(),
            None => scope(|s| grow(s, 5, &count)),
        }
        count.into_inner()
    };
    let all = (4_usize.pow(6) - 1) / 3;
    assert_eq!(place(None), all, "outside any pool");
    for workers in [1, 2, 4] {
        let pool = pool(workers);
        (0..10).for_each(|_| assert_eq!(place(Some(&pool)), all));
    }
}

#[test]
fn a_scopes_panic_waits_for_its_tasks() {
    let pool = pool(2);
    for own in [true, false] {
        let ended = AtomicUsize::new(0);
        let failed = catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.scope(|s| {
                for number in 0..100 {
                    let ended = &ended;
                    s.spawn(move || {
                        ended.fetch_add(1, Ordering::SeqCst);
                        assert_ne!(number, 50, "a task's, on purpose");
                    });
                }
                assert!(!own, "its own, on purpose");
            })
        }));
        let said = text(failed.unwrap_err());
        assert!(said.contains(if own { "its own" } else { "a task's" }), "{said}");
        assert_eq!(ended.load(Ordering::SeqCst), 100);
    }
}

#[test]
fn a_thread_that_is_no_worker_may_spawn_in_a_scope() {
    for workers in [1, 2] {
        let (pool, count) = (pool(workers), AtomicUsize::new(0));
        pool.scope(|s| {
            let count = &count;
            // From a task of the scope: the scope's own worker may be waiting by then.
            s.spawn(move || {
                std::thread::scope(|threads| {
                    threads.spawn(|| {
                        (0..100).for_each(|_| {
                            s.spawn(|| {
                                count.fetch_add(1, Ordering::SeqCst);
                            });
                        });
                    });
                });
            });
        })
        .unwrap();
        assert_eq!(count.into_inner(), 100);
    }
}

#[test]
fn many_threads_fork_at_once_among_other_tasks() {
    let (pool, tally) = (pool(3), Tally::default());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    pool.submit_with(&SubmitOptions::default(), tally.job()).unwrap();
                    assert_eq!(pool.fork(|| fib(13), || fib(12)).unwrap(), (233, 144));
                }
            });
        }
    });
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(tally.ran_and_dropped(), (200, 200));
}

#[test]
fn a_waiting_worker_parks_and_is_woken() {
    // The first half ends at once; its worker waits for the other for as long as that takes.
    let pool = Arc::new(pool(2));
    for _ in 0..20 {
        let (stolen, is_stolen) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let forker = {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let taken = &Barrier::new(2);
                let second = move || {
                    taken.wait();
                    stolen.send(()).unwrap();
                    let _ = released.recv();
                };
                pool.fork(|| taken.wait().is_leader(), second).unwrap()
            })
        };
        is_stolen.recv().unwrap();
        while !(0..2).any(|worker| pool.shared.sleep.is_waiting(worker)) {
            std::thread::yield_now();
        }
        drop(release);
        forker.join().unwrap();
    }
}

#[test]
fn a_closed_pool_refuses_and_what_was_begun_ends() {
    let pool = Arc::new(pool(2));
    let (begun, is_begun) = mpsc::channel();
    let (go, going) = mpsc::channel::<()>();
    let forker = {
        let pool = pool.clone();
        std::thread::spawn(move || {
            let first = move || {
                begun.send(()).unwrap();
                going.recv().unwrap();
                let mut sum = AtomicUsize::new(0);
                scope(|s| {
                    (0..50).for_each(|_| {
                        s.spawn(|| {
                            sum.fetch_add(1, Ordering::Relaxed);
                        });
                    });
                });
                (fib(15), *sum.get_mut())
            };
            pool.fork(first, || fib(14)).unwrap()
        })
    };
    is_begun.recv().unwrap();
    assert!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).is_err());
    assert_eq!(pool.fork(|| (), || ()), Err(Error::Closed("pool")));
    assert_eq!(pool.scope(|_| ()), Err(Error::Closed("pool")));
    go.send(()).unwrap();
    assert_eq!(forker.join().unwrap(), ((610, 50), 377));
    pool.shutdown(ShutdownMode::Discard, None).unwrap();
}

#[test]
fn one_that_was_queued_when_the_pool_is_discarded_is_told() {
    let pool = pool(1);
    let hold = Hold::all(&pool);
    std::thread::scope(|threads| {
        let forks = threads.spawn(|| pool.fork(|| (), || ()));
        let loops = threads.spawn(|| pool.parallel_for(&SubmitOptions::default(), 0..10, 1, |_| ()));
        while pool.shared.lanes.first().queues[lane::NORMAL].len() < 2 {
            std::thread::yield_now();
        }
        assert!(pool.shutdown(ShutdownMode::Discard, Some(Duration::ZERO)).is_err());
        assert_eq!(forks.join().unwrap(), Err(Error::Closed("pool")));
        assert_eq!(loops.join().unwrap(), Err(Error::Closed("pool")));
    });
    drop(hold);
}

/// Runs a loop and checks that each number of the range is in exactly one piece of at most that size.
fn check_loop(pool: &Handle, options: &SubmitOptions, range: std::ops::Range<usize>, grain: usize) {
    let seen: Vec<AtomicUsize> = range.clone().map(|_| AtomicUsize::new(0)).collect();
    pool.parallel_for(options, range.clone(), grain, |piece| {
        assert!(!piece.is_empty() && (grain == 0 || piece.len() <= grain));
        for number in piece {
            seen[number - range.start].fetch_add(1, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) == 1));
}

#[test]
fn a_loop_covers_its_range_once() {
    for workers in [1, 2, 3] {
        let pool = pool(workers);
        for (range, grain) in
            [(0..0, 0), (5..5, 7), (0..1, 0), (3..1000, 0), (3..1000, 1), (0..1000, 7), (0..10, usize::MAX)]
        {
            for priority in [Priority::Low, Priority::Normal, Priority::High] {
                check_loop(&pool, &with(priority), range.clone(), grain);
            }
            let inner = (*pool).clone();
            run_in(&pool, &SubmitOptions::default(), move || {
                check_loop(&inner, &SubmitOptions::default(), range, grain);
            });
        }
    }
}

#[test]
fn a_range_at_the_end_of_numbers_is_covered() {
    let (pool, pieces) = (pool(2), Mutex::new(Vec::new()));
    let range = usize::MAX - 10..usize::MAX;
    pool.parallel_for(&SubmitOptions::default(), range, 4, |piece| pieces.lock().unwrap().push(piece)).unwrap();
    let mut pieces = pieces.into_inner().unwrap();
    pieces.sort_by_key(|piece| piece.start);
    let end = usize::MAX;
    assert_eq!(pieces, [end - 10..end - 6, end - 6..end - 2, end - 2..end]);
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    pool.parallel_for(&SubmitOptions::default(), 9..3, 1, |_| panic!("nothing is in it")).unwrap();
    let count = AtomicUsize::new(0);
    let all = |piece: std::ops::Range<usize>| {
        count.fetch_add(piece.len(), Ordering::Relaxed);
    };
    pool.parallel_for(&SubmitOptions::default(), 0..usize::MAX, usize::MAX / 3, all).unwrap();
    assert_eq!(count.into_inner(), usize::MAX);
}

#[test]
fn every_worker_may_run_a_loop_at_once() {
    let pool = pool(3);
    for _ in 0..20 {
        let (say, said) = mpsc::channel();
        let all = Arc::new(Barrier::new(3));
        for _ in 0..3 {
            let (inner, all, say) = ((*pool).clone(), all.clone(), say.clone());
            pool.submit(move || {
                all.wait();
                let outer = inner.clone();
                // One within the other, too.
                inner
                    .parallel_for(&SubmitOptions::default(), 0..3, 1, |_| {
                        check_loop(&outer, &SubmitOptions::default(), 0..100, 10);
                    })
                    .unwrap();
                say.send(()).unwrap();
            })
            .unwrap();
        }
        (0..3).for_each(|_| said.recv().unwrap());
    }
}

#[test]
fn a_loops_panic_is_told_once_and_the_others_end() {
    let (pool, ran) = (pool(2), AtomicUsize::new(0));
    let body = |piece: std::ops::Range<usize>| {
        ran.fetch_add(1, Ordering::SeqCst);
        assert!(!piece.start.is_multiple_of(10), "piece, on purpose");
    };
    let told = pool.parallel_for(&SubmitOptions::default(), 0..100, 1, body).unwrap_err();
    assert_eq!(told, Error::Panic("piece, on purpose".to_owned()));
    assert_eq!(ran.into_inner(), 100);
}

#[test]
fn a_loop_stays_inside_its_set_and_is_refused_outside_it() {
    let pool = pool(2);
    let cpus: Vec<usize> = pool.worker_cpus().into_iter().flatten().collect();
    pool.parallel_for(&on([cpus[0]]), 0..200, 1, |_| assert_eq!(own_cpu(), [cpus[0]])).unwrap();
    let absent = (0..CpuSet::MAX).find(|cpu| !cpus.contains(cpu)).unwrap();
    assert!(matches!(pool.parallel_for(&on([absent]), 0..1, 1, |_| ()), Err(Error::Affinity(_))));
    if cpus[0] != cpus[1] {
        let inner = (*pool).clone();
        let told = run_in(&pool, &on([cpus[0]]), move || inner.parallel_for(&on([cpus[1]]), 0..1, 1, |_| ()));
        assert!(matches!(told, Err(Error::WouldDeadlock(_))), "{told:?}");
    }
    pool.shutdown(ShutdownMode::Drain, None).unwrap();
    assert_eq!(pool.parallel_for(&SubmitOptions::default(), 0..0, 0, |_| ()), Err(Error::Closed("pool")));
}

#[test]
fn a_long_loop_lets_others_go_between_its_pieces() {
    let pool = pool(1);
    let (say, said) = mpsc::channel();
    let (first, ran) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    pool.parallel_for(&SubmitOptions::default(), 0..1000, 1, |_| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            let (say, ran) = (say.clone(), ran.clone());
            pool.submit_with(&with(Priority::High), Job::new(move || say.send(ran.load(Ordering::SeqCst)).unwrap()))
                .unwrap();
        }
        ran.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    assert_eq!(said.recv(), Ok(1), "after the piece that submitted it");
}
