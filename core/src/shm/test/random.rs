//! Rings beside a model of them, and beside a peer that writes anything anywhere.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;

use super::{KIND, ring};
use crate::{
    error::Error,
    shm::{Receiver, Segment, Sender, ring::create, ring::space},
};

#[derive(Debug, Clone)]
enum Step {
    Send(Vec<usize>),
    Receive,
    /// The receiver is gone, with a record in hand if there is one, and another one comes.
    LoseReceiver,
    LoseSender,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(0_usize..70, 0..4).prop_map(Step::Send),
        4 => Just(Step::Receive),
        1 => Just(Step::LoseReceiver),
        1 => Just(Step::LoseSender),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_ring_is_a_bounded_queue(power in 6_u32..10, steps in proptest::collection::vec(step(), 0..300)) {
        let capacity = 1 << power;
        let (segment, mut sender, mut receiver) = ring(capacity);
        let mut model: VecDeque<(u32, Vec<u8>)> = VecDeque::new();
        let used = |model: &VecDeque<(u32, Vec<u8>)>| -> usize {
            model.iter().map(|(_, bytes)| 8 + bytes.len().div_ceil(8) * 8).sum()
        };
        for (number, step) in (0_u32..).zip(steps) {
            match step {
                Step::Send(lengths) => {
                    let parts: Vec<Vec<u8>> = lengths.iter().map(|len| (0..*len).map(|at| (at as u32 * 7 + number) as u8).collect()).collect();
                    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                    let whole = parts.concat();
                    let sent = sender.try_send_parts(number, &slices);
                    let space = 8 + whole.len().div_ceil(8) * 8;
                    if whole.len() > capacity - 8 {
                        prop_assert!(matches!(sent, Err(Error::Invalid(_))));
                    } else if used(&model) + space > capacity {
                        let full = matches!(sent, Err(Error::QueueFull { .. }));
                        prop_assert!(full);
                    } else {
                        prop_assert_eq!(sent, Ok(()));
                        model.push_back((number, whole));
                    }
                }
                Step::Receive => {
                    let record = receiver.recv().unwrap().map(|record| (record.tag(), record.to_vec()));
                    prop_assert_eq!(record, model.pop_front());
                }
                Step::LoseReceiver => {
                    std::mem::forget(receiver.recv().unwrap());
                    model.pop_front();
                    receiver = Receiver::attach(&segment, Segment::FIRST).unwrap();
                }
                Step::LoseSender => sender = Sender::attach(&segment, Segment::FIRST).unwrap(),
            }
        }
    }

    /// Any words anywhere in the ring: what comes is records within its bounds, or an error that stays.
    #[test]
    fn damage_is_an_error_and_nothing_else(
        scribbles in proptest::collection::vec((0_usize..60, prop_oneof![any::<u64>(), 0_u64..200]), 1..20),
        sent in 0_usize..6,
    ) {
        let (segment, mut sender, mut receiver) = ring(256);
        for number in 0..sent {
            sender.try_send(0, &vec![1; number * 9]).unwrap();
        }
        let words = segment.words(Segment::FIRST, space(256).unwrap() / 8).unwrap();
        for (at, value) in scribbles {
            words[at].store(value, Ordering::Relaxed);
        }
        for _ in 0..100 {
            match receiver.recv().map(|record| record.map(|record| record.to_vec())) {
                Ok(None) => break,
                Ok(Some(bytes)) => prop_assert!(bytes.len() <= 248),
                Err(error) => {
                    prop_assert!(error.to_string().contains("the ring is damaged"), "{}", error);
                    prop_assert_eq!(receiver.recv().unwrap_err(), error);
                    break;
                }
            }
        }
        for _ in 0..100 {
            match sender.try_send(0, b"more") {
                Ok(()) | Err(Error::QueueFull { .. }) => {}
                Err(error) => prop_assert!(error.to_string().contains("the ring is damaged"), "{}", error),
            }
        }
        let sender = Sender::attach(&segment, Segment::FIRST).map(drop);
        let receiver = Receiver::attach(&segment, Segment::FIRST).map(drop);
        for attached in [sender, receiver] {
            prop_assert!(matches!(attached, Ok(()) | Err(Error::Invalid(_) | Error::Failed(_))), "{:?}", attached);
        }
    }
}

/// The same while the receiver is at it.
#[test]
fn a_peer_that_writes_while_it_is_read_does_no_harm() {
    let segment = Arc::new(Segment::new("test", KIND, 4096).unwrap());
    let over = AtomicBool::new(false);
    let mut records = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let words = segment.words(Segment::FIRST, space(256).unwrap() / 8).unwrap();
            let mut random = 1_u64;
            while !over.load(Ordering::Relaxed) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = 16 + (random >> 33) as usize % 64;
                // Lengths and positions that might be, mostly.
                let value = if random & 7 == 0 { random } else { random >> 57 };
                words[at].store(value, Ordering::Relaxed);
            }
        });
        for _ in 0..20_000 {
            create(&segment, Segment::FIRST, 256).unwrap();
            let Ok(mut receiver) = Receiver::attach(&segment, Segment::FIRST) else { continue };
            while let Ok(Some(record)) = receiver.recv() {
                assert!(record.to_vec().len() <= 248);
                records += 1;
                if records % 1000 == 0 {
                    break;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}
