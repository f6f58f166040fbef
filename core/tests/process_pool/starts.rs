//! Workers that do not get ready, and those that there is nothing to start with.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    process::ExitCode,
    time::Duration,
};

use coop_core::{
    Error,
    process_pool::{Options, Outcome, Shutdown},
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::{
    Case,
    cases::in_role,
    world::{Gate, Pool, eventually, options, signal},
};

pub(crate) const CASES: &[Case] = &[
    ("workers_that_do_not_get_ready_leave_a_pool_alone_that_works", beside_others),
    ("a_break_fails_every_call_with_its_reason", broken_with_calls),
    ("a_process_without_descriptors_refuses_calls_and_has_them_again", exhausted),
];

/// Workers that begin while `closed` is there do as it says.
fn like(closed: &Gate, what: &str) -> Options {
    let mut args = format!("{what}:").into_bytes();
    args.extend(closed.bytes());
    Options { args, shutdown: Duration::from_millis(200), ..options(2) }
}

fn beside_others() {
    let (closed, gate) = (Gate::new("closed"), Gate::new("beside"));
    let pool = Pool::new(like(&closed, "dies-if"));
    let running = pool.submit(&[b"until", &gate.bytes()]);
    pool.wait_running(running);
    closed.open();
    let queued = pool.submit(&[b"echo", b"queued"]);
    eventually("many starts were in vain", || pool.pool.stats().unwrap().died >= 10);
    assert!(pool.pool.is_running(pool.id(running)).unwrap());
    closed.close();
    assert_eq!(pool.result(queued), [b"queued"]);
    gate.open();
    pool.result(running);
    pool.end();
}

fn broken_with_calls() {
    let (closed, gate) = (Gate::new("fails"), Gate::new("never"));
    let pool = Pool::new(like(&closed, "fails-if"));
    let running = pool.submit(&[b"until", &gate.bytes()]);
    pool.wait_running(running);
    closed.open();
    let queued: Vec<u64> = (0..50).map(|_| pool.submit(&[b"nothing"])).collect();
    for call in queued.into_iter().chain([running]) {
        let outcome = pool.outcome(call);
        assert!(matches!(&outcome, Outcome::Broken(why) if why.contains("told to")), "{outcome:?}");
    }
    assert!(matches!(pool.try_submit(&[b"nothing"]), Err(Error::Failed(why)) if why.contains("told to")));
    pool.pool.shutdown(Shutdown::Drain).unwrap();
    pool.end();
}

/// What this program is if it is neither a worker nor the tests.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    (std::env::var("PROCESS_POOL_ROLE").ok()? == "exhausted").then(without_descriptors)
}

fn exhausted() {
    let mut child = in_role("PROCESS_POOL_ROLE", "exhausted");
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    assert_eq!(lines, ["refused", "went on", "replaced"]);
}

/// Takes all that there are; given back with it.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn without_descriptors() -> ExitCode {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), ..limit }).unwrap();
    let say = |what: &str| drop(writeln!(io::stdout(), "{what}"));
    let pool = Pool::new(options(1));
    let taken = take_all();
    match pool.try_submit(&[b"nothing"]) {
        Err(Error::Os { .. }) => say("refused"),
        other => say(&format!("{other:?}")),
    }
    drop(taken);
    pool.result(pool.submit(&[b"nothing"]));
    say("went on");
    let worker = pool.pids(1)[0].1;
    let running = pool.submit(&[b"sleep", b"600000"]);
    pool.wait_running(running);
    let taken = take_all();
    signal(worker, Signal::KILL);
    assert!(matches!(pool.outcome(running), Outcome::Died(_)));
    eventually("it was tried in vain", || pool.pool.stats().unwrap().died >= 4);
    let queued = pool.submit(&[b"nothing"]);
    drop(taken);
    pool.result(queued);
    say("replaced");
    pool.end();
    ExitCode::SUCCESS
}
