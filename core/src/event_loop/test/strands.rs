//! Strands: one after another, in order, never inside the push, and told once whatever becomes of the place.

use super::*;

#[derive(Debug)]
struct Told(u32, Arc<Mutex<Vec<u32>>>);
impl Ending for Told {
    fn tell(self) {
        self.1.lock().unwrap().push(self.0);
    }
}

fn strand(event_loop: &EventLoop) -> (Arc<Strand<Told>>, Arc<Mutex<Vec<u32>>>) {
    (Strand::new(&event_loop.handle(), &On::Default).unwrap(), Arc::default())
}

#[test]
fn endings_are_told_in_order_and_not_inside_the_push() {
    let event_loop = new_loop();
    let (strand, seen) = strand(&event_loop);
    for number in 0..100 {
        strand.push(Told(number, seen.clone())).unwrap();
    }
    assert_eq!((strand.waiting(), seen.lock().unwrap().len()), (100, 0));
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(*seen.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_held_strand_tells_nothing_before_its_release() {
    let event_loop = new_loop();
    let seen = Arc::default();
    let strand = Strand::held(&event_loop.handle(), &On::Loop).unwrap();
    strand.push(Told(1, Arc::clone(&seen))).unwrap();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert!(seen.lock().unwrap().is_empty());
    strand.release();
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(*seen.lock().unwrap(), [1]);
}

#[test]
fn what_is_refused_comes_back_and_what_was_promised_is_told() {
    let event_loop = new_loop();
    let (strand, seen) = strand(&event_loop);
    event_loop.stop().unwrap();
    let refused = strand.push(Told(1, seen.clone())).unwrap_err();
    assert_eq!((refused.error, refused.value.0), (Error::Closed("event loop"), 1));
    assert!(seen.lock().unwrap().is_empty());
    strand.push_promised(Told(2, seen.clone()));
    assert_eq!(*seen.lock().unwrap(), [2]);
}

#[test]
fn a_turn_that_is_dropped_unrun_tells_what_it_was_for() {
    let event_loop = new_loop();
    let (strand, seen) = strand(&event_loop);
    strand.push(Told(1, seen.clone())).unwrap();
    strand.push(Told(2, seen.clone())).unwrap();
    drop(event_loop);
    assert_eq!(*seen.lock().unwrap(), [1, 2]);
}

/// A pool that keeps the jobs.
#[derive(Default)]
struct Keeping(Mutex<Vec<Job>>);
impl Target for Keeping {
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
        self.0.lock().unwrap().push(job);
        Ok(())
    }
}

#[test]
fn one_turn_at_a_time_is_queued_in_a_pool() {
    let pool = Arc::new(Keeping::default());
    let event_loop = loop_of(pool.clone());
    let (strand, seen) = strand(&event_loop);
    for number in 0..40 {
        strand.push(Told(number, seen.clone())).unwrap();
    }
    let mut turns = 0;
    loop {
        let mut jobs = std::mem::take(&mut *pool.0.lock().unwrap());
        assert!(jobs.len() <= 1, "{} turns at once", jobs.len());
        let Some(job) = jobs.pop() else { break };
        turns += 1;
        job.run();
    }
    assert_eq!((seen.lock().unwrap().len(), turns), (40, 3), "16 in a turn");
}

/// A pool that takes nothing.
struct Shut;
impl Target for Shut {
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>> {
        Err(Refused::new(Error::Closed("pool"), job))
    }
}

#[test]
fn a_pool_that_refuses_is_stood_in_for_by_the_loop() {
    let event_loop = loop_of(Arc::new(Shut));
    let (strand, seen) = strand(&event_loop);
    strand.push(Told(1, seen.clone())).unwrap();
    assert!(seen.lock().unwrap().is_empty());
    event_loop.run(RunMode::UntilIdle).unwrap();
    assert_eq!(*seen.lock().unwrap(), [1]);
}
