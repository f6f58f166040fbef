//! Small pools in every order of steps. A lane is a counter; a lost wake-up is a deadlock, which loom reports.

use super::*;
use crate::primitive::Arc;

/// One lane, as the pool uses it: a queue, and who may take from it.
struct Lane {
    queued: AtomicUsize,
    members: WorkerSet,
}

struct Pool {
    sleep: Sleep,
    lanes: Vec<Lane>,
    ran: AtomicUsize,
    stop: AtomicUsize,
    drained: AtomicUsize,
}

fn set(workers: &[usize]) -> WorkerSet {
    let mut set = WorkerSet::default();
    workers.iter().for_each(|worker| set.insert(*worker));
    set
}

impl Pool {
    fn new(workers: usize, lanes: &[&[usize]]) -> Arc<Self> {
        Arc::new(Self {
            sleep: Sleep::new(&vec![None; workers]),
            lanes: lanes.iter().map(|m| Lane { queued: AtomicUsize::new(0), members: set(m) }).collect(),
            ran: AtomicUsize::new(0),
            stop: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
        })
    }

    fn submit(&self, lane: usize) {
        self.lanes[lane].queued.fetch_add(1, Ordering::Release);
        fence(Ordering::SeqCst);
        self.sleep.wake_one(&self.lanes[lane].members);
    }

    fn mine(&self, worker: usize) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(move |lane| lane.members.contains(worker))
    }

    fn take(&self, worker: usize) -> bool {
        self.mine(worker).any(|lane| {
            let take = |queued: usize| queued.checked_sub(1);
            lane.queued.fetch_update(Ordering::AcqRel, Ordering::Relaxed, take).is_ok()
        })
    }

    fn has_work(&self, worker: usize) -> bool {
        self.stop.load(Ordering::Relaxed) == 1 || self.mine(worker).any(|lane| lane.queued.load(Ordering::Relaxed) > 0)
    }

    fn stop(&self) {
        self.stop.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.sleep.wake_all();
    }

    /// A worker until the pool stops; `goal` is what the last task of all is, and it stops the pool.
    fn work(&self, worker: usize, goal: usize, mut searching: bool, task: impl Fn(usize)) {
        self.sleep.register(worker);
        while self.stop.load(Ordering::Relaxed) == 0 {
            if self.take(worker) {
                if std::mem::take(&mut searching) {
                    self.sleep.found(worker);
                    for lane in self.mine(worker).filter(|lane| lane.queued.load(Ordering::Relaxed) > 0) {
                        self.sleep.wake_one(&lane.members);
                    }
                }
                let ran = self.ran.fetch_add(1, Ordering::Relaxed) + 1;
                task(ran);
                if ran == goal {
                    self.stop();
                }
            } else {
                let last = || {
                    self.drained.fetch_add(1, Ordering::Relaxed);
                };
                self.sleep.sleep(worker, || self.has_work(worker), last);
                searching = true;
            }
        }
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// One worker and two tasks from outside: whatever the order, both run.
#[test]
fn a_task_wakes_the_sleeper() {
    check(3, || {
        let pool = Pool::new(1, &[&[0]]);
        let worker = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(0, 2, false, |_| ()))
        };
        pool.submit(0);
        pool.submit(0);
        worker.join().unwrap();
        assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
    });
}

/// A searcher outside the task's set must not keep the one inside asleep.
#[test]
fn only_a_searcher_of_the_set_suppresses() {
    check(2, || {
        let pool = Pool::new(2, &[&[0, 1], &[1]]);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || pool.work(worker, 2, false, |_| ()))
            })
            .collect();
        pool.submit(0);
        pool.submit(1);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Two tasks for two workers, the second of which the first one waits for: a searcher that found one wakes the other.
#[test]
fn a_searcher_that_found_work_wakes_the_next() {
    check(2, || {
        let pool = Pool::new(2, &[&[0, 1]]);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let inner = pool.clone();
                    pool.work(worker, 2, false, move |ran| {
                        while ran == 1 && inner.ran.load(Ordering::Relaxed) < 2 {
                            thread::yield_now();
                        }
                    });
                })
            })
            .collect();
        pool.submit(0);
        pool.submit(0);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// A task for worker 1 submits one for worker 0: somebody notices that all sleep, and not while anything is to do.
#[test]
fn all_asleep_is_noticed_and_final() {
    check(2, || {
        let pool = Pool::new(2, &[&[0], &[1]]);
        pool.lanes[1].queued.store(1, Ordering::Relaxed);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || {
                    pool.sleep.register(worker);
                    while pool.stop.load(Ordering::Relaxed) == 0 {
                        if pool.take(worker) {
                            pool.sleep.found(worker);
                            if worker == 1 {
                                pool.submit(0);
                            }
                            pool.ran.fetch_add(1, Ordering::Relaxed);
                        } else {
                            let last = || {
                                assert_eq!(pool.ran.load(Ordering::Relaxed), 2, "not before all has run");
                                pool.stop();
                            };
                            pool.sleep.sleep(worker, || pool.has_work(worker), last);
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// A worker waits inside a task for a part that another runs: whatever the order, it sees the part's end.
#[test]
fn who_waits_for_a_part_is_woken_by_its_end() {
    loom::model(|| {
        let (pool, done) = (Pool::new(2, &[&[0, 1]]), Arc::new(AtomicUsize::new(0)));
        let waiter = {
            let (pool, done) = (pool.clone(), done.clone());
            thread::spawn(move || {
                pool.sleep.register(0);
                while done.load(Ordering::Acquire) == 0 {
                    pool.sleep.wait(0, || done.load(Ordering::Acquire) == 1);
                }
            })
        };
        done.store(1, Ordering::Release);
        fence(Ordering::SeqCst);
        pool.sleep.wake_waiter(0);
        waiter.join().unwrap();
    });
}

/// A waiter that is woken to help, and at the same time by the end of its part, misses neither, nor is it woken for a task.
#[test]
fn a_waiter_is_woken_to_help_and_by_the_end() {
    check(3, || {
        let (pool, done) = (Pool::new(1, &[&[0]]), Arc::new(AtomicUsize::new(0)));
        let waiter = {
            let (pool, done) = (pool.clone(), done.clone());
            thread::spawn(move || {
                pool.sleep.register(0);
                while done.load(Ordering::Acquire) < 2 {
                    if !pool.take(0) {
                        pool.sleep.wait(0, || done.load(Ordering::Acquire) == 2 || pool.has_work(0));
                    }
                }
            })
        };
        let helper = {
            let (pool, done) = (pool.clone(), done.clone());
            thread::spawn(move || {
                pool.lanes[0].queued.fetch_add(1, Ordering::Release);
                fence(Ordering::SeqCst);
                pool.sleep.wake_helper(&pool.lanes[0].members);
                done.fetch_add(1, Ordering::AcqRel);
                fence(Ordering::SeqCst);
                pool.sleep.wake_waiter(0);
            })
        };
        assert!(!pool.sleep.wake_one(&pool.lanes[0].members), "who waits inside a task does not sleep");
        done.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        pool.sleep.wake_waiter(0);
        helper.join().unwrap();
        waiter.join().unwrap();
    });
}

/// A task that a running worker submits into its own queue: others steal it, and a sleeper is woken for it.
#[test]
fn a_task_from_inside_wakes_a_thief() {
    check(2, || {
        let pool = Pool::new(2, &[&[0, 1]]);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let inner = pool.clone();
                    pool.work(worker, 2, false, move |ran| {
                        if ran == 1 {
                            inner.submit(0);
                            // It ends only when the other has run what it submitted.
                            while inner.ran.load(Ordering::Relaxed) < 2 {
                                thread::yield_now();
                            }
                        }
                    });
                })
            })
            .collect();
        pool.submit(0);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// A batch for two sleepers: both are woken, or find it on their way to sleep, without one that has to wake the other.
#[test]
fn a_batch_wakes_as_many_as_it_has_tasks() {
    check(2, || {
        let pool = Pool::new(2, &[&[0, 1]]);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || pool.work(worker, 2, false, |_| ()))
            })
            .collect();
        pool.lanes[0].queued.fetch_add(2, Ordering::Release);
        fence(Ordering::SeqCst);
        pool.sleep.wake_many(&pool.lanes[0].members, 2);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}
