//! How much there may be: queued calls, blocks, calls of one worker; who goes first, and who runs where.

use std::time::Duration;

use coop_core::{
    CpuSet, Error, Priority, cpu,
    process_pool::{CallOptions, Options, Outcome, Shutdown},
};

use super::{
    Case,
    world::{Gate, LONG, Pool, eventually, options},
};

pub(crate) const CASES: &[Case] = &[
    ("a_hundred_thousand_queued_calls", queued),
    ("blocks_are_used_again_and_bounded", blocks),
    ("results_that_are_kept_are_there_as_long_as_they_are_looked_at", kept),
    ("a_worker_ends_after_its_calls_and_is_replaced", calls_per_worker),
    ("the_higher_level_goes_first_also_past_a_full_table", priorities),
    ("a_call_for_some_cpus_is_run_there", pinned),
    ("a_bounded_queue_refuses_one_more", bounded),
    ("a_drain_runs_all_and_a_cancel_what_runs", shutdowns),
    ("workers_are_started_when_they_are_needed", on_demand),
    ("what_cannot_be_is_refused_in_words", refused),
    ("a_call_goes_to_whoever_is_idle_not_behind_a_long_one", conserving),
];

fn at(priority: Priority) -> CallOptions {
    CallOptions { priority, ..CallOptions::default() }
}

fn queued() {
    let pool = Pool::new(options(2));
    let gate = Gate::new("queued");
    let running = [pool.submit(&[b"until", &gate.bytes()]), pool.submit(&[b"until", &gate.bytes()])];
    let calls: Vec<u64> = (0..100_000_u32).map(|number| pool.submit(&[b"echo", &number.to_ne_bytes()])).collect();
    // One in ten is taken back, wherever it waits.
    let cancelled: Vec<bool> = (0..)
        .zip(&calls)
        .map(|(index, call)| index % 10 == 0 && pool.pool.cancel(pool.id(*call)).unwrap().is_some())
        .collect();
    gate.open();
    running.into_iter().for_each(|call| drop(pool.result(call)));
    for (number, (call, cancelled)) in (0_u32..).zip(calls.into_iter().zip(cancelled)) {
        if !cancelled {
            assert_eq!(pool.result(call), [number.to_ne_bytes()]);
        }
    }
    let stats = pool.pool.stats().unwrap();
    assert_eq!((stats.queued, stats.running, stats.submitted), (0, 0, 100_002), "{stats:?}");
    pool.end();
}

fn blocks() {
    let pool = Pool::new(Options { block_bytes: 1 << 20, kept_bytes: 512 << 10, ..options(2) });
    let long = vec![3; 200_000];
    let calls: Vec<u64> = (0..300).map(|_| pool.submit(&[b"sum", &long])).collect();
    let stats = pool.pool.stats().unwrap();
    assert!(stats.block_bytes <= 1 << 20 && stats.blocks <= 16, "{stats:?}");
    calls.into_iter().for_each(|call| assert_eq!(pool.result(call), [b"600000"]));
    // Larger than all that may be lent: one at a time.
    let huge = vec![1; 3 << 20];
    let calls: Vec<u64> = (0..4).map(|_| pool.submit(&[b"sum", &huge])).collect();
    calls.into_iter().for_each(|call| assert_eq!(pool.result(call), [(3 << 20).to_string().as_bytes()]));
    let stats = pool.pool.stats().unwrap();
    assert_eq!(stats.block_bytes, 0, "{stats:?}");
    let again = pool.submit(&[b"sum", b"\x01"]);
    assert_eq!(pool.result(again), [b"1"]);
    pool.end();
}

fn kept() {
    let pool = Pool::new(options(1));
    let mut kept = Vec::new();
    // More than a worker has numbers for: in the end short ones are copied, and long ones have the numbers of those that are given up.
    for round in 0..110 {
        let size = if round % 2 == 0 { 100_000 + round } else { (1 << 20) + round };
        let call = pool.submit(&[b"make", size.to_string().as_bytes()]);
        let Outcome::Done { result, .. } = pool.outcome(call) else { panic!("it is made") };
        assert!(result.is_in_block() || size < 1 << 20 && round > 30);
        kept.push((size, result));
    }
    for (size, result) in kept {
        assert!(result.part(0).to_vec() == vec![7; size]);
    }
    // Those of a worker that has gone, and of a pool that has.
    let call = pool.submit(&[b"make", b"1000000"]);
    let Outcome::Done { result, .. } = pool.outcome(call) else { panic!("it is made") };
    let call = pool.submit(&[b"abort"]);
    assert!(matches!(pool.outcome(call), Outcome::Died(_)));
    let part = result.part(0);
    drop(result);
    pool.end();
    assert!(part.to_vec() == vec![7; 1_000_000]);
}

fn calls_per_worker() {
    let pool = Pool::new(Options { calls_per_worker: Some(3), ..options(1) });
    let calls: Vec<u64> = (0..10).map(|_| pool.submit(&[b"pid"])).collect();
    let pids: Vec<_> = calls.into_iter().map(|call| pool.result(call)).collect();
    for group in pids.chunks(3) {
        assert!(group.iter().all(|pid| *pid == group[0]), "{pids:?}");
    }
    assert!(pids[0] != pids[3] && pids[3] != pids[6]);
    let stats = pool.pool.stats().unwrap();
    assert_eq!((stats.died, stats.done), (0, 10), "{stats:?}");
    pool.end();
}

fn priorities() {
    let path = std::env::temp_dir().join(format!("coop-process-pool-order-{}", std::process::id()));
    let file = path.to_str().unwrap().as_bytes().to_vec();
    let pool = Pool::new(Options { slots: 16, ..options(1) });
    let gate = Gate::new("priorities");
    let running = pool.submit(&[b"until", &gate.bytes()]);
    pool.wait_running(running);
    let mut calls = Vec::new();
    for (priority, count) in [(Priority::Low, 20_u64), (Priority::Normal, 20), (Priority::High, 5)] {
        for number in 0..count {
            let number = (priority as i32 + 1) as u64 * 1000 + number;
            calls.push(pool.submit_with(&[b"note", &file, &number.to_ne_bytes()], &at(priority)));
        }
    }
    gate.open();
    pool.result(running);
    calls.into_iter().for_each(|call| drop(pool.result(call)));
    let notes = std::fs::read(&path).unwrap();
    let notes: Vec<u64> = notes.as_chunks::<8>().0.iter().map(|number| u64::from_ne_bytes(*number)).collect();
    std::fs::remove_file(&path).unwrap();
    for level in 0..3 {
        let of: Vec<u64> = notes.iter().copied().filter(|number| number / 1000 == level).collect();
        assert!(of.is_sorted(), "{of:?}");
    }
    let levels: Vec<u64> = notes.iter().map(|number| number / 1000).collect();
    assert!(levels[..5].iter().all(|level| *level == 2), "{notes:?}");
    pool.end();
}

fn pinned() {
    let workers = 2;
    let pool = Pool::new(Options { pin: true, ..options(workers) });
    for worker in 0..workers {
        let on = cpu::placement(worker);
        let cpus = Some(CpuSet::new([on]).unwrap());
        let options = CallOptions { cpus, ..CallOptions::default() };
        let calls: Vec<u64> = (0..20).map(|_| pool.submit_with(&[b"cpu"], &options)).collect();
        calls.into_iter().for_each(|call| assert_eq!(pool.result(call), [on.to_string().as_bytes()]));
    }
    let all = CallOptions { cpus: Some(cpu::usable()), ..CallOptions::default() };
    pool.result(pool.submit_with(&[b"cpu"], &all));
    pool.result(pool.submit(&[b"cpu"]));
    let nowhere = CallOptions { cpus: Some(CpuSet::new([1000]).unwrap()), ..CallOptions::default() };
    let refused = pool.pool.submit(0, &[], &nowhere).unwrap_err();
    assert!(matches!(&refused.error, Error::Affinity(text) if text.contains("1000")), "{refused:?}");
    pool.end();
    let pool = Pool::new(options(1));
    assert!(matches!(pool.pool.submit(0, &[], &all).unwrap_err().error, Error::Affinity(_)));
    pool.end();
}

fn bounded() {
    let pool = Pool::new(Options { max_queued: Some(3), ..options(1) });
    let running = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(running);
    let queued: Vec<u64> = (0..3).map(|_| pool.submit(&[b"nothing"])).collect();
    let full = Error::QueueFull { what: "process pool", capacity: "3 calls".into() };
    assert_eq!(pool.try_submit(&[b"nothing"]), Err(full));
    assert!(pool.pool.cancel(pool.id(queued[0])).unwrap().is_some());
    let more = pool.submit(&[b"nothing"]);
    assert!(pool.pool.kill(pool.id(running)).unwrap());
    assert!(matches!(pool.outcome(running), Outcome::Killed));
    [queued[1], queued[2], more].into_iter().for_each(|call| drop(pool.result(call)));
    pool.end();
}

fn shutdowns() {
    for how in [Shutdown::Drain, Shutdown::Cancel] {
        let pool = Pool::new(options(1));
        let gate = Gate::new("shutdown");
        let running = pool.submit(&[b"until", &gate.bytes()]);
        pool.wait_running(running);
        let queued: Vec<u64> = (0..5).map(|_| pool.submit(&[b"nothing"])).collect();
        assert!(matches!(pool.pool.join(None), Err(Error::Invalid(_))));
        pool.pool.shutdown(how).unwrap();
        assert_eq!(pool.try_submit(&[b"nothing"]), Err(Error::Closed("process pool")));
        gate.open();
        pool.result(running);
        for call in queued {
            match (how, pool.outcome(call)) {
                (Shutdown::Drain, Outcome::Done { .. }) | (Shutdown::Cancel, Outcome::Cancelled) => {}
                other => panic!("{other:?}"),
            }
        }
        pool.end();
    }
    let pool = Pool::new(options(1));
    let running = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(running);
    pool.pool.shutdown(Shutdown::Drain).unwrap();
    assert!(matches!(pool.pool.join(Some(Duration::from_millis(10))), Err(Error::Timeout(_))));
    pool.pool.shutdown(Shutdown::Kill).unwrap();
    pool.pool.join(Some(LONG)).unwrap();
    assert!(matches!(pool.outcome(running), Outcome::Killed));
    pool.end();
}

fn on_demand() {
    let pool = Pool::new(options(4));
    assert_eq!(pool.pool.stats().unwrap().workers, 0);
    for _ in 0..5 {
        pool.text(&[b"pid"]);
    }
    assert_eq!(pool.pool.stats().unwrap().started, 1, "one was enough");
    let gate = Gate::new("on-demand");
    let calls: Vec<u64> = (0..3).map(|_| pool.submit(&[b"until", &gate.bytes()])).collect();
    eventually("all three run", || pool.pool.stats().unwrap().running == 3);
    gate.open();
    calls.into_iter().for_each(|call| drop(pool.result(call)));
    assert_eq!(pool.pool.stats().unwrap().started, 3);
    pool.end();
    let pool = Pool::new(Options { at_once: true, ..options(3) });
    pool.text(&[b"pid"]);
    eventually("all are there", || pool.pool.stats().unwrap().started == 3);
    eventually("all wait for calls", || pool.pool.stats().unwrap().idle == 3);
    pool.end();
}

fn conserving() {
    let pool = Pool::new(options(2));
    let first = [pool.submit(&[b"sleep", b"50"]), pool.submit(&[b"sleep", b"50"])];
    first.into_iter().for_each(|call| drop(pool.result(call)));
    for _ in 0..20 {
        let long = pool.submit(&[b"sleep", b"60000"]);
        pool.wait_running(long);
        for _ in 0..20 {
            let short = pool.submit(&[b"nothing"]);
            assert!(matches!(pool.outcome(short), Outcome::Done { .. }));
        }
        assert!(pool.pool.kill(pool.id(long)).unwrap());
        assert!(matches!(pool.outcome(long), Outcome::Killed));
    }
    pool.end();
}

fn refused() {
    use coop_core::process_pool::ProcessPool;
    let text = |options: Options| ProcessPool::<()>::new(options, |_| {}).unwrap_err().to_string();
    assert!(text(options(0)).contains("workers 0: allowed are 1 to 1024"));
    assert!(text(options(1025)).contains("workers 1025"));
    assert!(text(Options { slots: 17, ..options(1) }).contains("slots 17: allowed are powers of two, 16 to 65536"));
    assert!(text(Options { inline_bytes: 100, ..options(1) }).contains("multiples of 64, 64 to 65536"));
    assert!(text(Options { ring_bytes: 1000, ..options(1) }).contains("ring_bytes 1000"));
    assert!(text(Options { calls_per_worker: Some(0), ..options(1) }).contains("calls_per_worker 0"));
}
