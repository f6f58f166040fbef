//! Segments, rings and bells, within one process and between two.

use std::{
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    time::{Duration, Instant},
};

mod killed;
mod random;

use super::*;
use crate::{error::Error, fork::run_in_child, time::Deadline};

const KIND: u64 = 7;

fn ring(capacity: usize) -> (Arc<Segment>, Sender, Receiver) {
    let bytes = Segment::size(&[ring::space(capacity).unwrap(), Doorbell::SPACE]);
    let segment = Arc::new(Segment::new("test", KIND, bytes).unwrap());
    ring::create(&segment, Segment::FIRST, capacity).unwrap();
    let sender = Sender::attach(&segment, Segment::FIRST).unwrap();
    let receiver = Receiver::attach(&segment, Segment::FIRST).unwrap();
    (segment, sender, receiver)
}

fn bell_place(capacity: usize) -> usize {
    Segment::FIRST + Segment::space(ring::space(capacity).unwrap())
}

fn again(segment: &Segment) -> Arc<Segment> {
    Arc::new(Segment::attach(segment.as_fd().try_clone_to_owned().unwrap(), KIND).unwrap())
}

#[test]
fn what_is_sent_arrives_in_order() {
    let (segment, mut sender, _) = ring(1024);
    let mut receiver = Receiver::attach(&again(&segment), Segment::FIRST).unwrap();
    assert!(receiver.recv().unwrap().is_none());
    sender.try_send(1, b"one").unwrap();
    sender.try_send(2, b"").unwrap();
    sender.try_send_parts(u32::MAX, &[b"in ", b"", b"several parts", b"!"]).unwrap();
    let record = receiver.recv().unwrap().unwrap();
    assert_eq!((record.tag(), record.len(), record.to_vec()), (1, 3, b"one".to_vec()));
    let mut short = [b'x'; 2];
    record.copy_to(&mut short);
    assert_eq!(&short, b"on");
    let mut long = [b'x'; 5];
    record.copy_to(&mut long);
    assert_eq!(&long, b"onexx");
    drop(record);
    assert!(receiver.recv().unwrap().unwrap().is_empty());
    let record = receiver.recv().unwrap().unwrap();
    assert_eq!((record.tag(), record.to_vec()), (u32::MAX, b"in several parts!".to_vec()));
}

#[test]
fn a_full_ring_says_how_much_it_holds_and_takes_more_when_there_is_room() {
    let (_segment, mut sender, mut receiver) = ring(64);
    for tag in 0..4 {
        sender.try_send(tag, b"8 bytes.").unwrap();
    }
    let full = sender.try_send(4, b"").unwrap_err();
    assert_eq!(full, Error::QueueFull { what: "ring", capacity: "64 bytes".into() });
    assert_eq!((sender.has_room(8), sender.has_room(1000)), (Ok(false), Ok(false)));
    let record = receiver.recv().unwrap().unwrap();
    assert_eq!(sender.has_room(8), Ok(false), "a record that somebody has keeps its room");
    drop(record);
    assert_eq!((sender.has_room(8), sender.has_room(9)), (Ok(true), Ok(false)));
    sender.try_send(4, b"8 bytes!").unwrap();
    let tags: Vec<_> = std::iter::from_fn(|| receiver.recv().unwrap().map(|record| record.tag())).collect();
    assert_eq!(tags, [1, 2, 3, 4]);
}

#[test]
fn the_longest_record_fits_anywhere_and_a_longer_one_is_named() {
    let (_segment, mut sender, mut receiver) = ring(64);
    assert_eq!((sender.capacity(), sender.longest()), (64, 56));
    for round in 0..20_u8 {
        sender.try_send(0, &[round; 5]).unwrap();
        drop(receiver.recv().unwrap().unwrap());
        let bytes: Vec<u8> = (0..56).map(|byte| byte ^ round).collect();
        sender.try_send(0, &bytes).unwrap();
        assert_eq!(receiver.recv().unwrap().unwrap().to_vec(), bytes);
    }
    let error = sender.try_send_parts(0, &[&[0; 50], &[0; 7]]).unwrap_err();
    assert_eq!(error, Error::Invalid("a record of 57 bytes does not fit into a ring of 64: at most 56".into()));
}

#[test]
fn successors_go_on_where_the_ones_before_them_were() {
    let (segment, mut sender, mut receiver) = ring(256);
    for tag in 0..3 {
        sender.try_send(tag, b"record").unwrap();
    }
    drop(receiver.recv().unwrap());
    // As if it had been killed: the record in hand is never given back.
    std::mem::forget(receiver.recv().unwrap());
    drop((sender, receiver));
    let segment = again(&segment);
    let mut receiver = Receiver::attach(&segment, Segment::FIRST).unwrap();
    let mut sender = Sender::attach(&segment, Segment::FIRST).unwrap();
    assert_eq!(receiver.recv().unwrap().unwrap().tag(), 2, "the record in hand is lost, and nothing else");
    assert!(sender.has_room(248).unwrap(), "its room is there again");
    sender.try_send(3, b"more").unwrap();
    assert_eq!(receiver.recv().unwrap().unwrap().tag(), 3);
}

#[test]
fn what_cannot_be_a_segment_is_refused_in_words() {
    let text = |result: Result<Segment, Error>| result.unwrap_err().to_string();
    assert!(text(Segment::new("x", 0, 128)).contains("129 to"));
    assert!(text(Segment::new("x", 0, usize::MAX)).contains("allowed are"));
    let segment = Segment::new("x", KIND, 1000).unwrap();
    let copy = || segment.as_fd().try_clone_to_owned().unwrap();
    assert!(text(Segment::attach(copy(), 8)).contains("another kind: 0x7, and not 0x8"));
    assert!(text(Segment::attach(eventfd().unwrap(), KIND)).contains("not shared memory"));
    let shrinks = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    assert!(text(Segment::attach(shrinks, KIND)).contains("not sealed"));
    let segment = Arc::new(segment);
    for (offset, count) in [(0, 126), (1000, 1), (4, 1), (usize::MAX - 7, 2), (0, usize::MAX)] {
        assert!(segment.words(offset, count).is_err(), "{offset} {count}");
    }
    assert_eq!(segment.words(0, 125).unwrap().len(), 125);
    assert!(segment.word32(1000).is_err() && segment.word32(996).is_ok() && segment.word32(2).is_err());
}

#[test]
fn what_cannot_be_a_ring_is_refused_in_words() {
    for capacity in [0, 32, 100, 1 << 32] {
        assert!(ring::space(capacity).unwrap_err().to_string().contains("powers of two, 64 to 2147483648"));
    }
    let segment = Arc::new(Segment::new("x", KIND, 4096).unwrap());
    assert!(Sender::attach(&segment, Segment::FIRST).unwrap_err().to_string().contains("no ring at byte 128"));
    assert!(ring::create(&segment, Segment::FIRST, 4096).is_err());
    assert!(Receiver::attach(&segment, 1 << 40).is_err());
}

#[test]
fn a_forked_child_is_refused() {
    let (segment, mut sender, mut receiver) = ring(64);
    let mut doorbell = Doorbell::attach(&segment, bell_place(64), None).unwrap();
    let forked = Error::Forked("shared memory");
    assert!(run_in_child(|| {
        doorbell.ring();
        doorbell.ring_anyway();
        sender.try_send(0, b"").unwrap_err() == forked
            && receiver.recv().unwrap_err() == forked
            && doorbell.wait(Deadline::NEVER, || Ok(true)).unwrap_err() == forked
            && Sender::attach(&segment, Segment::FIRST).unwrap_err() == forked
    }));
    sender.try_send(0, b"mine").unwrap();
    assert!(receiver.recv().unwrap().is_some());
}

#[test]
fn a_bell_wakes_who_waits() {
    let (segment, mut sender, mut receiver) = ring(64);
    let place = bell_place(64);
    let mut own = Doorbell::attach(&segment, place, None).unwrap();
    let begin = Instant::now();
    let soon = Deadline::after(Some(Duration::from_millis(20)));
    assert_eq!(own.wait(soon, || receiver.has_record()), Ok(false));
    assert!(begin.elapsed() >= Duration::from_millis(20));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bell = Doorbell::attach(&again(&segment), place, None).unwrap();
            for tag in 0..10_000 {
                while sender.try_send(tag, b"x").is_err() {
                    std::thread::yield_now();
                }
                bell.ring();
            }
        });
        for tag in 0..10_000 {
            assert_eq!(own.wait(Deadline::NEVER, || receiver.has_record()), Ok(true));
            assert_eq!(receiver.recv().unwrap().unwrap().tag(), tag);
        }
    });
}

#[test]
fn a_bell_with_an_eventfd_wakes_a_loop() {
    use crate::event_loop::{EventLoop, EventLoopOptions, Interest, RunMode, WatchOptions};

    let (segment, mut sender, mut receiver) = ring(64);
    let place = bell_place(64);
    let eventfd = eventfd().unwrap();
    let own = Doorbell::attach(&segment, place, Some(eventfd.try_clone().unwrap())).unwrap();
    assert!(Doorbell::attach(&segment, place, None).unwrap().answer(|| Ok(false)).is_err());
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let fd = own.as_fd().unwrap().as_raw_fd();
    let handle = event_loop.handle();
    let mut next = 0;
    let mut answer = move || {
        own.answer(|| {
            let Some(record) = receiver.recv()? else { return Ok(false) };
            assert_eq!(record.tag(), next);
            next += 1;
            Ok(true)
        })
        .unwrap();
        if next == 10_000 {
            handle.stop().unwrap();
        }
    };
    answer();
    event_loop.watch(fd, WatchOptions::new(Interest::READ), move |_| answer()).unwrap();
    let sending = std::thread::spawn(move || {
        let bell = Doorbell::attach(&again(&segment), place, Some(eventfd)).unwrap();
        for tag in 0..10_000 {
            while sender.try_send(tag, b"x").is_err() {
                std::thread::yield_now();
            }
            bell.ring();
        }
    });
    event_loop.run(RunMode::Default).unwrap();
    sending.join().unwrap();
}
