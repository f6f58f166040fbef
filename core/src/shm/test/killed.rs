//! Both ends in processes of their own, killed at any moment.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{KIND, bell_place};
use crate::{
    error::Error,
    fork::start_child,
    shm::{Doorbell, Receiver, Segment, Sender, ring},
    time::Deadline,
};

const CAPACITY: usize = 4096;
const LIVES: u32 = 60;

/// A ring, a bell, and a line for what the child reports.
fn segment() -> Arc<Segment> {
    let places = [ring::space(CAPACITY).unwrap(), Doorbell::SPACE, Segment::LINE];
    let segment = Arc::new(Segment::new("test", KIND, Segment::size(&places)).unwrap());
    ring::create(&segment, Segment::FIRST, CAPACITY).unwrap();
    segment
}

const REPORT: usize = Segment::LINE;

fn copy(segment: &Segment) -> OwnedFd {
    segment.as_fd().try_clone_to_owned().unwrap()
}

/// A record that says what it must be.
fn record(number: u64) -> Vec<u8> {
    let length = (number.wrapping_mul(2_654_435_761) % 1000) as usize;
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.extend((0..length).map(|at| (number as usize + at) as u8));
    bytes
}

fn check(bytes: &[u8]) -> u64 {
    let number = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, record(number), "a record is not what was sent");
    number
}

fn end(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.terminating_signal(), Some(9), "the child ended by itself: {status:?}");
}

/// Times that differ, from none to some milliseconds.
fn life(number: u32) -> Duration {
    Duration::from_micros(u64::from(number.wrapping_mul(2_654_435_761) % 5000))
}

#[test]
fn a_sender_that_is_killed_leaves_nothing_half_sent() {
    let segment = segment();
    let mut receiver = Receiver::attach(&segment, Segment::FIRST).unwrap();
    let mut bell = Doorbell::attach(&segment, bell_place(CAPACITY), None).unwrap();
    let mut received = 0;
    for of in 0..LIVES {
        let fd = copy(&segment);
        let child = start_child(move || {
            let segment = Arc::new(Segment::attach(fd, KIND).unwrap());
            let mut sender = Sender::attach(&segment, Segment::FIRST).unwrap();
            let bell = Doorbell::attach(&segment, bell_place(CAPACITY), None).unwrap();
            bell.ring_anyway();
            for number in 0.. {
                while let Err(error) = sender.try_send(of, &record(number)) {
                    assert!(matches!(error, Error::QueueFull { .. }), "{error}");
                    std::thread::yield_now();
                }
                bell.ring();
            }
            false
        });
        // At least one of each life, then for a while.
        let (until, mut next) = (Deadline::after(Some(life(of))), 0);
        while next == 0 || !until.is_over() {
            let soon = Deadline::after(Some(Duration::from_millis(1)));
            bell.wait(soon, || receiver.has_record()).unwrap();
            while let Some(record) = receiver.recv().unwrap() {
                assert_eq!((record.tag(), check(&record.to_vec())), (of, next));
                next += 1;
                if until.is_over() {
                    break;
                }
            }
        }
        end(child);
        while let Some(record) = receiver.recv().unwrap() {
            assert_eq!((record.tag(), check(&record.to_vec())), (of, next), "what was sent before the end is there");
            next += 1;
        }
        received += next;
    }
    assert!(received >= u64::from(LIVES));
}

#[test]
fn a_receiver_that_is_killed_loses_the_record_in_hand_at_most() {
    let segment = segment();
    let mut sender = Sender::attach(&segment, Segment::FIRST).unwrap();
    let bell = Doorbell::attach(&segment, bell_place(CAPACITY), None).unwrap();
    let report = bell_place(CAPACITY) + Segment::space(Doorbell::SPACE);
    let words = segment.words(report, REPORT / 8).unwrap();
    // The number of the next record that is not known to have been dealt with, and how many were skipped.
    let (expected, skipped): (&AtomicU64, &AtomicU64) = (&words[0], &words[1]);
    let mut number = 0;
    for of in 0..LIVES {
        let fd = copy(&segment);
        let before = expected.load(Ordering::Relaxed);
        let child = start_child(move || {
            let segment = Arc::new(Segment::attach(fd, KIND).unwrap());
            let mut receiver = Receiver::attach(&segment, Segment::FIRST).unwrap();
            let mut bell = Doorbell::attach(&segment, bell_place(CAPACITY), None).unwrap();
            let words = segment.words(report, REPORT / 8).unwrap();
            let mut first = true;
            loop {
                bell.wait(Deadline::NEVER, || receiver.has_record()).unwrap();
                let record = receiver.recv().unwrap().unwrap();
                let (number, expected) = (check(&record.to_vec()), words[0].load(Ordering::Relaxed));
                // What the one before this had in hand.
                let gap = number - expected;
                assert!(gap == 0 || (gap == 1 && first), "{gap} records are missing");
                words[1].fetch_add(gap, Ordering::Relaxed);
                words[0].store(number + 1, Ordering::Relaxed);
                first = false;
            }
        });
        let until = Deadline::after(Some(life(of)));
        while expected.load(Ordering::Relaxed) == before || !until.is_over() {
            match sender.try_send(of, &record(number)) {
                Ok(()) => number += 1,
                Err(error) => {
                    assert!(
                        matches!(error, Error::QueueFull { .. }),
                        "a receiver that is gone makes nobody wait: {error}"
                    );
                    std::thread::yield_now();
                }
            }
            bell.ring();
        }
        end(child);
    }
    let lost = skipped.load(Ordering::Relaxed);
    assert!(lost <= u64::from(LIVES), "{lost} records were lost with {LIVES} receivers");
    let mut receiver = Receiver::attach(&segment, Segment::FIRST).unwrap();
    let left = std::iter::from_fn(|| receiver.recv().unwrap().map(|record| check(&record.to_vec()))).count() as u64;
    let in_hand = number - expected.load(Ordering::Relaxed) - left;
    assert!(in_hand <= 1, "{in_hand} records are missing at the end");
}
