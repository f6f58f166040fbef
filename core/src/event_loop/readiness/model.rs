//! The record against a system that tells, readers that attempt, and waits that are given up.

use std::task::Wake;

use super::*;
use crate::primitive::{AtomicBool, thread};

/// Of a coroutine: it was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Woken {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(false)))
    }

    fn is(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A socket: its record, and how much is there to read.
struct Socket {
    record: Record,
    there: crate::primitive::AtomicUsize,
}

impl Socket {
    /// One that was read empty.
    fn new() -> Arc<Self> {
        let socket = Self { record: Record::new(Arc::default()), there: crate::primitive::AtomicUsize::new(0) };
        assert!(!socket.attempt());
        Arc::new(socket)
    }

    /// The system: one more has come, and then the loop tells of it.
    fn receive(&self) {
        self.there.fetch_add(1, Ordering::AcqRel);
        self.record.tell(READ);
    }

    fn attempt(&self) -> bool {
        let seen = self.record.seen();
        let took = self.there.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok();
        if !took {
            self.record.clear_all(Direction::Read, seen);
        }
        took
    }

    /// As a future does: true if it has read, false if it waits.
    fn poll(&self, name: Option<&mut u64>, woken: &Arc<Woken>) -> bool {
        let waker = Waker::from(woken.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut name = name;
        while self.record.poll(Direction::Read, name.as_deref_mut(), cx).is_ready() {
            if self.attempt() {
                return true;
            }
        }
        false
    }
}

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

/// What comes between the look, the attempt, the clearing and the wait wakes the reader, who then finds it.
#[test]
fn what_comes_before_the_wait_ends_it() {
    for named in [false, true] {
        model(move || {
            let (socket, woken, mut name) = (Socket::new(), Woken::new(), 0);
            let system = thread::spawn({
                let socket = socket.clone();
                move || (0..2).for_each(|_| socket.receive())
            });
            let mut read = 0;
            while socket.poll(named.then_some(&mut name), &woken) {
                read += 1;
                if read == 2 {
                    break;
                }
            }
            system.join().unwrap();
            if read < 2 {
                assert!(woken.is(), "it waits, and what has come was not told");
                assert!(socket.poll(named.then_some(&mut name), &woken), "woken, it finds nothing");
            }
        });
    }
}

/// Of two who wait the one that is given up takes no wake-up away from the other.
#[test]
fn a_wait_that_is_given_up_costs_the_other_nothing() {
    model(|| {
        let socket = Socket::new();
        let (stays, goes) = (Woken::new(), Woken::new());
        let (mut name, mut other) = (0, 0);
        assert!(!socket.poll(Some(&mut name), &stays) && !socket.poll(Some(&mut other), &goes));
        let system = thread::spawn({
            let socket = socket.clone();
            move || socket.receive()
        });
        socket.record.forget(Direction::Read, other);
        system.join().unwrap();
        assert!(stays.is() && socket.poll(Some(&mut name), &stays));
        assert!(socket.record.waiting().is_empty() && socket.record.referenced.load(Ordering::Relaxed) == 0);
    });
}

/// The end, or the loop's, is found by who used up what there was meanwhile, and stays.
#[test]
fn an_end_is_not_cleared_with_what_came_before_it() {
    for bits in [READ | READ_ENDED, GONE] {
        model(move || {
            let (socket, woken) = (Socket::new(), Woken::new());
            socket.receive();
            let system = thread::spawn({
                let socket = socket.clone();
                move || socket.record.tell(bits)
            });
            let seen = socket.record.seen();
            assert_eq!(socket.there.swap(0, Ordering::AcqRel), 1);
            socket.record.clear(Direction::Read, seen);
            let waker = Waker::from(woken.clone());
            let cx = &mut Context::from_waker(&waker);
            let waits = socket.record.poll(Direction::Read, None, cx).is_pending();
            system.join().unwrap();
            assert!(!waits || woken.is());
            assert!(socket.record.poll(Direction::Read, None, cx).is_ready());
        });
    }
}
