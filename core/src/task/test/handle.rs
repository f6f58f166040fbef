//! The handle's states against a model of them: any order of turns, polls, joins, cancels, and the pool's end.

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Opens the latch, and waits until the coroutine has ended.
    End,
    Cancel,
    Poll,
    Join,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Waiting,
    Decided(&'static str),
    Told,
}

fn name(outcome: Result<i32>) -> &'static str {
    match outcome {
        Ok(7) => "value",
        Ok(_) => "another value",
        Err(error) => error.name(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_handle_tells_one_outcome_once(
        panics in any::<bool>(),
        steps in vec(prop_oneof![Just(Step::End), Just(Step::Cancel), Just(Step::Poll), Just(Step::Join), Just(Step::Close)], 1..12),
    ) {
        let (pool, latch, drops) = (pool(1), Latch::default(), Drops::default());
        let (opened, guard) = (latch.opened(), drops.guard());
        let coroutine = async move {
            let _guard = guard;
            opened.await;
            if panics {
                panic!("on purpose");
            }
            7
        };
        let mut handle = pool.spawn(coroutine).unwrap();
        latch.wait_for_waiters(1);
        let (mut model, mut is_closed) = (Model::Waiting, false);
        let expect = |model: &mut Model| match std::mem::replace(model, Model::Told) {
            Model::Waiting => {
                *model = Model::Waiting;
                "Timeout"
            }
            Model::Decided(outcome) => outcome,
            Model::Told => "Stale",
        };
        for step in steps {
            match step {
                Step::End => {
                    latch.open();
                    if model == Model::Waiting {
                        model = Model::Decided(match (is_closed, panics) {
                            (true, _) => "Closed",
                            (false, true) => "Panic",
                            (false, false) => "value",
                        });
                    }
                    while !handle.is_done() {
                        std::thread::yield_now();
                    }
                }
                Step::Cancel => {
                    prop_assert_eq!(handle.cancel(), model == Model::Waiting);
                    if model == Model::Waiting {
                        model = Model::Decided("Cancelled");
                    }
                }
                Step::Poll if model == Model::Waiting => {
                    let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
                    prop_assert!(polled.is_pending());
                }
                Step::Poll => prop_assert_eq!(name(block_on(&mut handle)), expect(&mut model)),
                Step::Join => {
                    let timeout = if model == Model::Waiting { Duration::ZERO } else { LONG };
                    prop_assert_eq!(name(handle.join(Some(timeout))), expect(&mut model));
                }
                Step::Close => {
                    pool.shutdown(ShutdownMode::Drain, None).unwrap();
                    is_closed = true;
                }
            }
            prop_assert_eq!(handle.is_done(), model != Model::Waiting);
        }
        drop(handle);
        latch.open();
        pool.shutdown(ShutdownMode::Drain, None).unwrap();
        prop_assert_eq!(drops.count(), 1);
    }
}

#[test]
fn a_handle_is_small() {
    assert!(size_of::<JoinHandle<[u8; 1000]>>() <= 7 * size_of::<usize>());
}
