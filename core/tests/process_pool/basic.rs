//! Calls and results.

use coop_core::process_pool::{Outcome, ProcessPool};

use super::{
    Case,
    functions::ERROR,
    world::{Pool, options},
};

pub(crate) const CASES: &[Case] = &[
    ("calls_of_every_size_come_back", sizes),
    ("a_status_and_no_parts_at_all", statuses),
    ("many_calls_are_run_once_each", many),
    ("a_pool_that_was_not_used_leaves_nothing", unused),
];

fn sizes() {
    let pool = Pool::new(options(2));
    for size in [0, 1, 7, 16, 900, 1008, 1009, 5000, 40_000, 65_536, 1 << 20, (16 << 20) + 3] {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let call = pool.submit(&[b"echo", b"", &bytes, b"tail"]);
        assert_eq!(pool.result(call), [b"".to_vec(), bytes, b"tail".to_vec()], "{size}");
    }
    pool.end();
}

fn statuses() {
    let pool = Pool::new(options(1));
    let (none, wrong) = (pool.submit(&[b"nothing"]), pool.submit(&[]));
    assert!(matches!(pool.outcome(none), Outcome::Done { status: 0, result } if result.is_empty()));
    assert!(matches!(pool.outcome(wrong), Outcome::Done { status: ERROR, .. }));
    let stats = pool.pool.stats().unwrap();
    assert_eq!((stats.submitted, stats.done, stats.started, stats.died), (2, 2, 1, 0), "{stats:?}");
    pool.end();
}

fn many() {
    let pool = Pool::new(options(2));
    let calls: Vec<u64> = (0..20_000).map(|number: u32| pool.submit(&[b"echo", &number.to_ne_bytes()])).collect();
    for (number, call) in (0u32..).zip(calls) {
        assert_eq!(pool.result(call), [number.to_ne_bytes()]);
    }
    pool.end();
}

fn unused() {
    drop(ProcessPool::<()>::new(options(2), |_| {}).unwrap());
    let pool = Pool::new(options(2));
    pool.end();
}
