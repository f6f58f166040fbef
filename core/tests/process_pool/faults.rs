//! Workers that end in the middle of calls, calls that are ended, and memory that is written over.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use coop_core::{
    Error, Priority,
    process_pool::{CallOptions, Options, Outcome, Payload, Shutdown},
    supervisor::Ended,
};
use rustix::process::Signal;

use super::{
    Case,
    functions::OK,
    world::{Gate, LONG, Pool, eventually, is_gone, options, signal},
};

pub(crate) const CASES: &[Case] = &[
    ("a_worker_that_ends_fails_its_call_and_no_other", ends),
    ("how_a_worker_ended_is_told_with_its_last_lines", told),
    ("a_storm_of_kills_loses_nothing_and_runs_nothing_twice", storm),
    ("a_deadline_ends_exactly_its_call", deadlines),
    ("a_deadline_passes_while_the_call_is_queued", queued_deadline),
    ("a_call_is_ended_on_request_and_its_worker_replaced", killed_on_request),
    ("a_pool_that_is_terminated_lets_what_ends_in_time_end", terminated),
    ("a_pool_that_is_terminated_ends_what_goes_on", terminated_too_long),
    ("a_worker_that_cannot_work_breaks_the_pool", broken),
    ("workers_that_never_get_ready_break_the_pool", never_ready),
    ("a_program_that_cannot_be_started_breaks_the_pool", no_program),
    ("a_worker_that_writes_over_the_shared_memory_ends_calls_and_not_the_pool", garbage),
];

fn ends() {
    let pool = Pool::new(options(2));
    let sleeping = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(sleeping);
    let pids = pool.pids(1);
    let others: Vec<u64> = (0..100).map(|_| pool.submit(&[b"pid"])).collect();
    signal(pids[0].1, Signal::KILL);
    let Outcome::Died(death) = pool.outcome(sleeping) else { panic!("it was killed") };
    assert_eq!((death.pid, death.worker), (Some(pids[0].1), 0));
    assert_eq!(death.how, Ended::Signaled { signal: 9, core_dumped: false });
    for other in others {
        assert_ne!(pool.result(other), [pids[0].1.to_string().into_bytes()]);
    }
    eventually("it is replaced", || pool.pool.pids().unwrap().len() == 2);
    assert_eq!(pool.pool.stats().unwrap().died, 1);
    pool.end();
}

fn told() {
    let pool = Pool::new(options(1));
    for (what, argument, how) in [
        (&b"exit"[..], &b"7"[..], Ended::Exited(7)),
        (b"exit", b"0", Ended::Exited(0)),
        (b"abort", b"", Ended::Signaled { signal: 6, core_dumped: false }),
        (b"complain", b"", Ended::Exited(3)),
    ] {
        let call = pool.submit(&[what, argument]);
        let Outcome::Died(death) = pool.outcome(call) else { panic!("it ends") };
        match (&death.how, &how) {
            (Ended::Signaled { signal: is, .. }, Ended::Signaled { signal, .. }) => assert_eq!(is, signal),
            (is, how) => assert_eq!(is, how),
        }
        if what == b"complain" {
            assert_eq!(death.tail, ["the last words"]);
        }
    }
    let call = pool.submit(&[b"panic"]);
    let Outcome::Died(death) = pool.outcome(call) else { panic!("it panics") };
    assert!(death.tail.iter().any(|line| line.contains("as asked")), "{death:?}");
    pool.text(&[b"pid"]);
    pool.end();
}

/// How long the storm lasts.
fn lasts() -> Duration {
    let seconds = std::env::var("COOP_STORM_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// Each call appends its number to a file when it runs: a number that is there twice was run twice.
fn storm() {
    let path = std::env::temp_dir().join(format!("coop-process-pool-{}", std::process::id()));
    let pool = Pool::new(options(3));
    let until = Instant::now() + lasts();
    let (mut calls, mut kills) = (Vec::new(), 0_usize);
    let file = path.to_str().unwrap().as_bytes().to_vec();
    let long = vec![1; 100_000];
    while Instant::now() < until {
        for _ in 0..50 {
            let number = (calls.len() as u64).to_ne_bytes();
            let rest: &[u8] = if calls.len() % 5 == 0 { &long } else { b"short" };
            calls.push(pool.submit(&[b"note", &file, &number, rest]));
        }
        // One that works: those that are about to are left alone.
        let high = CallOptions { priority: Priority::High, ..CallOptions::default() };
        if let Outcome::Done { result, .. } = pool.outcome(pool.submit_with(&[b"pid"], &high)) {
            let pid = String::from_utf8(result.part(0).to_vec()).unwrap().parse().unwrap();
            std::thread::sleep(Duration::from_micros(200 * (kills as u64 % 10)));
            signal(pid, Signal::KILL);
            kills += 1;
        }
    }
    let mut done = HashSet::new();
    for (number, call) in (0_u64..).zip(&calls) {
        match pool.outcome(*call) {
            Outcome::Done { status: OK, result } => {
                assert_eq!(result.part(0).to_vec(), number.to_ne_bytes());
                done.insert(number);
            }
            Outcome::Died(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let notes = std::fs::read(&path).unwrap_or_default();
    let notes: Vec<u64> = notes.as_chunks::<8>().0.iter().map(|number| u64::from_ne_bytes(*number)).collect();
    let ran: HashSet<u64> = notes.iter().copied().collect();
    assert_eq!(ran.len(), notes.len(), "a call was run twice");
    assert!(done.is_subset(&ran), "a call that was not run is done");
    let died = calls.len() - done.len();
    assert!(died <= kills, "{died} calls ended with {kills} workers");
    std::fs::remove_file(&path).unwrap();
    pool.end();
}

fn within(milliseconds: u64) -> CallOptions {
    CallOptions { deadline: Some(Duration::from_millis(milliseconds)), ..CallOptions::default() }
}

fn deadlines() {
    let pool = Pool::new(options(2));
    // Both workers are there.
    let first = [pool.submit(&[b"sleep", b"50"]), pool.submit(&[b"sleep", b"50"])];
    first.into_iter().for_each(|call| drop(pool.result(call)));
    let pids = pool.pids(2);
    let mut attempts = [100, 1000, 10_000].into_iter();
    let other = loop {
        let deadline = attempts.next().expect("it was never begun in time");
        let other = pool.submit(&[b"sleep", (deadline + 300).to_string().as_bytes()]);
        let long = pool.submit_with(&[b"sleep", b"60000"], &within(deadline));
        match pool.outcome(long) {
            Outcome::TimedOut { ran: true } => break other,
            Outcome::TimedOut { ran: false } => drop(pool.result(other)),
            other => panic!("{other:?}"),
        }
    };
    let survivor = pool.result(other);
    let survivor = String::from_utf8(survivor[0].clone()).unwrap().parse::<i32>().unwrap();
    assert!(pids.iter().any(|(_, pid)| *pid == survivor), "the other worker was left alone");
    let gone = pids.iter().find(|(_, pid)| *pid != survivor).unwrap().1;
    assert!(is_gone(gone), "what is told is over");
    // Those that keep theirs, and the extremes.
    for deadline in [Duration::from_secs(60), Duration::MAX] {
        let options = CallOptions { deadline: Some(deadline), ..CallOptions::default() };
        let call = pool.submit_with(&[b"nothing"], &options);
        assert!(matches!(pool.outcome(call), Outcome::Done { .. }));
    }
    assert_eq!(pool.pool.stats().unwrap().died, 0, "nobody died by itself");
    pool.end();
}

fn queued_deadline() {
    let pool = Pool::new(options(1));
    let running = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(running);
    let queued = pool.submit_with(&[b"nothing"], &within(20));
    let over = pool.submit_with(&[b"nothing"], &within(0));
    assert!(matches!(pool.outcome(queued), Outcome::TimedOut { ran: false }));
    assert!(matches!(pool.outcome(over), Outcome::TimedOut { ran: false }));
    assert!(pool.pool.is_running(pool.id(running)).unwrap());
    pool.pool.shutdown(Shutdown::Kill).unwrap();
    assert!(matches!(pool.outcome(running), Outcome::Killed));
    pool.end();
}

fn killed_on_request() {
    let pool = Pool::new(options(1));
    let running = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(running);
    let queued = [pool.submit(&[b"pid"]), pool.submit(&[b"pid"])];
    let pid = pool.pids(1)[0].1;
    assert_eq!(pool.pool.cancel(pool.id(running)).unwrap(), None, "it runs");
    assert_eq!(pool.pool.cancel(pool.id(queued[0])).unwrap(), Some(queued[0]));
    assert!(pool.pool.kill(pool.id(running)).unwrap());
    assert!(!pool.pool.kill(pool.id(running)).unwrap(), "it is about to be over");
    assert!(matches!(pool.outcome(running), Outcome::Killed));
    assert!(is_gone(pid));
    assert_ne!(pool.result(queued[1]), [pid.to_string().into_bytes()]);
    assert!(!pool.pool.kill(pool.id(queued[1])).unwrap(), "it is over");
    pool.end();
}

fn terminated() {
    let pool = Pool::new(Options { shutdown: LONG, ..options(1) });
    let gate = Gate::new("terminated");
    let running = pool.submit(&[b"until", &gate.bytes()]);
    pool.wait_running(running);
    let queued = pool.submit(&[b"pid"]);
    pool.pool.shutdown(Shutdown::Terminate).unwrap();
    assert!(matches!(pool.try_submit(&[b"pid"]), Err(Error::Closed(_))));
    assert!(matches!(pool.outcome(queued), Outcome::Cancelled));
    gate.open();
    assert!(matches!(pool.outcome(running), Outcome::Done { .. }));
    pool.end();
}

fn terminated_too_long() {
    let pool = Pool::new(Options { shutdown: Duration::from_millis(50), ..options(2) });
    let running = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(running);
    let pid = pool.pids(1)[0].1;
    pool.pool.shutdown(Shutdown::Terminate).unwrap();
    let Outcome::Died(death) = pool.outcome(running) else { panic!("it cannot be over") };
    assert_eq!((death.pid, death.how), (Some(pid), Ended::Signaled { signal: 9, core_dumped: false }));
    assert!(is_gone(pid));
    assert_eq!(pool.pool.stats().unwrap().died, 0, "nobody died by itself");
    pool.end();
    // What is asked to end is ended at once, if there is more haste.
    let pool = Pool::new(Options { shutdown: LONG, ..options(1) });
    let running = pool.submit(&[b"sleep", b"60000"]);
    pool.wait_running(running);
    pool.pool.shutdown(Shutdown::Terminate).unwrap();
    pool.pool.shutdown(Shutdown::Kill).unwrap();
    assert!(matches!(pool.outcome(running), Outcome::Killed));
    pool.end();
}

fn broken() {
    let pool = Pool::new(Options { args: b"nonsense".to_vec(), ..options(2) });
    let calls: Vec<u64> = (0..10).filter_map(|_| pool.try_submit(&[b"pid"]).ok()).collect();
    for call in calls {
        let Outcome::Broken(reason) = pool.outcome(call) else { panic!("it cannot be run") };
        assert_eq!(reason, "cannot work with \"nonsense\"");
    }
    let refused = pool.try_submit(&[b"pid"]).unwrap_err();
    assert_eq!(refused, Error::Failed("cannot work with \"nonsense\"".into()));
    pool.end();
}

fn never_ready() {
    let pool = Pool::new(Options { args: b"dies".to_vec(), ..options(1) });
    let call = pool.submit(&[b"pid"]);
    let Outcome::Broken(reason) = pool.outcome(call) else { panic!("it cannot be run") };
    assert!(reason.contains("no worker gets ready") && reason.contains("SIGABRT"), "{reason}");
    pool.end();
}

fn no_program() {
    let command = coop_core::supervisor::Command::new("/nonexistent/program");
    let pool = Pool::new(Options { command: Some(command), ..options(1) });
    let call = pool.submit(&[b"pid"]);
    let Outcome::Broken(reason) = pool.outcome(call) else { panic!("it cannot be run") };
    assert!(reason.contains("/nonexistent/program"), "{reason}");
    pool.end();
}

/// Whether it is this number's bytes, some of which may have been written over meanwhile, in a call that was read or a result that was told. So is which part there is.
fn is_own_or_scribble(result: &Payload, number: u32, fill: u8) -> bool {
    let bytes = result.get(0).map(|part| part.to_vec()).unwrap_or_default();
    let own = number.to_ne_bytes().into_iter().chain(std::iter::repeat(fill));
    bytes.iter().zip(own).all(|(byte, own)| *byte == own || *byte == fill)
}

/// One worker writes over all of the memory and ends: calls may be lost in words, and none is answered by another one's result.
fn garbage() {
    for (fill, ends) in [(&b"255"[..], &b"ends"[..]), (b"0", b"ends"), (b"170", b"goes on")] {
        let pool = Pool::new(options(2));
        let gate = Gate::new("garbage");
        let waiting = pool.submit(&[b"until", &gate.bytes()]);
        pool.wait_running(waiting);
        // None of their bytes is one that is written over them.
        let numbers = (0..50_u32).map(|number| 0x0101_0101 + number);
        let queued: Vec<u64> = numbers.clone().map(|number| pool.submit(&[b"echo", &number.to_ne_bytes()])).collect();
        let filled = std::str::from_utf8(fill).unwrap().parse().unwrap();
        let options = CallOptions { deadline: Some(Duration::from_secs(5)), ..CallOptions::default() };
        let scribble = pool.submit_with(&[b"scribble", fill, ends], &options);
        let _ = pool.outcome(scribble);
        gate.open();
        let _ = pool.outcome(waiting);
        for (number, call) in numbers.zip(queued) {
            if let Outcome::Done { result, .. } = pool.outcome(call) {
                assert!(is_own_or_scribble(&result, number, filled), "{number}: {result:?}");
            }
        }
        // As good as new, when those that could not read it have been replaced.
        let until = Instant::now() + LONG;
        loop {
            let call = pool.submit_with(&[b"echo", b"again"], &options);
            if let Outcome::Done { result, .. } = pool.outcome(call) {
                assert_eq!(result.part(0).to_vec(), b"again");
                break;
            }
            assert!(Instant::now() < until, "it does not recover");
        }
        pool.end();
    }
}
