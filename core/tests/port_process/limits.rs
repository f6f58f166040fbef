//! Sets of a process that has no descriptors left, and of one that forks.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use coop_core::{
    Error,
    port::{Bytes, PortSet},
    supervisor::{Filter, Item, Kind, ObserverOptions},
};
use rustix::process::{Resource, Signal, getrlimit, setrlimit};

use super::{
    Case,
    world::{Client, LONG, children_of, descriptors, eventually, options, ports, signal, started},
};

pub(crate) const CASES: &[Case] = &[
    ("a_start_without_descriptors_is_an_error_that_leaves_nothing", no_start),
    ("a_worker_that_ends_while_there_are_no_descriptors_comes_back", comes_back),
    ("a_forked_child_is_told_so_and_does_not_touch_the_set", forked),
];

/// Has this process, and those that it starts, have no more descriptors than this; until it is dropped.
struct Limited(rustix::process::Rlimit);

impl Limited {
    fn to(count: u64) -> Self {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: Some(count), ..before }).unwrap();
        Self(before)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

/// All descriptors that this process may still have.
fn all_descriptors() -> Vec<File> {
    let mut all = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        all.push(file);
    }
    all
}

fn no_start() {
    drop(started(options(), ports("echo", &["A", "B"])));
    let before = descriptors();
    let _limited = Limited::to(96);
    let (mut failed, mut free) = (0, 0);
    // One more each time, until there are enough.
    loop {
        let mut taken = all_descriptors();
        taken.truncate(taken.len().checked_sub(free).expect("less than there may be is enough"));
        let begun = PortSet::new(options(), ports("echo", &["A", "B"])).and_then(|set| set.start().map(|()| set));
        drop(taken);
        match begun {
            Ok(set) => {
                assert_eq!(Client::new(&set, "B").ask(b"x"), "x");
                set.stop(Some(LONG)).unwrap();
                break;
            }
            Err(Error::Os { errno, context }) => assert_eq!(errno, libc::EMFILE, "{context}"),
            Err(error) => assert!(error.to_string().contains("Too many open files"), "with {free} left: {error}"),
        }
        assert_eq!((descriptors(), children_of(std::process::id())), (before, vec![]), "with {free} left");
        (failed, free) = (failed + 1, free + 1);
    }
    assert!(failed > 10, "{failed}");
    assert_eq!(descriptors(), before);
}

fn comes_back() {
    let set = started(options(), ports("echo", &["A", "B"]));
    let (a, b) = (Client::new(&set, "A"), Client::new(&set, "B"));
    let pid = a.pid();
    let observer = set.observe(Filter::kinds([Kind::Ended, Kind::Backoff]), &ObserverOptions::default()).unwrap();
    let limited = Limited::to(128);
    let before = descriptors();
    let taken = all_descriptors();
    signal(pid, Signal::KILL);
    // It has ended, and cannot be started.
    for _ in 0..6 {
        assert!(matches!(observer.next(Some(LONG)).unwrap(), Item::Event(_)));
    }
    a.send(b"waits");
    assert_eq!(b.ask(b"goes on"), "goes on");
    set.send("B", Box::new(Bytes(b"x".to_vec()))).unwrap();
    assert_eq!(set.stats().unwrap()[0].1.restarts, 0);
    drop(taken);
    drop(limited);
    assert_eq!(a.next(LONG).unwrap(), b"waits");
    assert_eq!(set.stats().unwrap()[0].1.restarts, 1);
    eventually("no descriptor is lost", || descriptors() <= before);
    // A stop needs none either.
    let _limited = Limited::to(128);
    let _taken = all_descriptors();
    set.stop(Some(LONG)).unwrap();
}

/// Runs `child` in a forked child and asserts that it returned true; one that hangs is killed by its alarm.
fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child calls the library, which promises to take no lock there, and ends with _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: an alarm has no preconditions; it ends a child that hangs.
        unsafe { libc::alarm(60) };
        let fine = catch_unwind(AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!fine)) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for the child's status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "the child failed, crashed or hung");
}

fn forked() {
    let set = started(options(), ports("talks", &["A", "B"]));
    let client = Client::new(&set, "A");
    assert_eq!(client.ask(b"send B 0 one"), "sent");
    let new = PortSet::new(options(), ports("echo", &["A"])).unwrap();
    let is_told = |error: Error| matches!(error, Error::Forked(_));
    let mut owned = Some(set);
    in_child(|| {
        let set = owned.as_ref().unwrap();
        let told = set.send("B", Box::new(Bytes(vec![1]))).is_err_and(|refused| is_told(refused.error))
            && set.stop(Some(Duration::ZERO)).is_err_and(is_told)
            && set.request_stop().is_err_and(is_told)
            && set.join(None).is_err_and(is_told)
            && set.wait_ready(None).is_err_and(is_told)
            && set.stats().is_err_and(is_told)
            && set.addresses().is_err_and(is_told)
            && set.observe(Filter::default(), &ObserverOptions::default()).is_err_and(is_told)
            && new.start().is_err_and(is_told);
        drop(owned.take());
        told
    });
    // One of the child's own.
    in_child(|| {
        let set = started(options(), ports("echo", &["A"]));
        let fine = Client::new(&set, "A").ask(b"x") == "x";
        set.stop(Some(LONG)).unwrap();
        fine && children_of(std::process::id()).is_empty()
    });
    let set = owned.take().unwrap();
    assert_eq!(client.ask(b"send B 0 two"), "sent");
    let b = Client::new(&set, "B");
    b.ask_until(b"heard", |heard| heard == "A:0:one,A:0:two");
    let stats = set.stats().unwrap();
    assert_eq!(stats.iter().map(|(_, stats)| stats.restarts).sum::<u64>(), 0);
    set.stop(Some(LONG)).unwrap();
}
