//! The ring and the bell under loom.

use super::{doorbell, ring};
use crate::{
    error::{Error, Result},
    primitive::{Arc, AtomicU32, AtomicU64, Ordering, thread},
};

impl doorbell::Flag for AtomicU32 {
    fn load(&self, ordering: Ordering) -> u32 {
        self.load(ordering)
    }

    fn store(&self, value: u32, ordering: Ordering) {
        self.store(value, ordering);
    }

    fn swap(&self, value: u32, ordering: Ordering) -> u32 {
        self.swap(value, ordering)
    }
}

/// Room for two records of a word each.
#[derive(Default)]
struct Heap {
    tail: AtomicU64,
    taken: AtomicU64,
    head: AtomicU64,
    data: [AtomicU64; 4],
}

impl ring::Memory for Arc<Heap> {
    type Word = AtomicU64;

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn tail(&self) -> &AtomicU64 {
        &self.tail
    }

    fn taken(&self) -> &AtomicU64 {
        &self.taken
    }

    fn head(&self) -> &AtomicU64 {
        &self.head
    }

    fn data(&self) -> &[AtomicU64] {
        &self.data
    }
}

type Producer = ring::Producer<Arc<Heap>>;
type Consumer = ring::Consumer<Arc<Heap>>;

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn send(sender: &mut Producer, tag: u32) {
    while let Err(error) = sender.try_send(tag, &[&[u8::try_from(tag).unwrap(); 8]]) {
        assert!(matches!(error, Error::QueueFull { .. }), "{error}");
        thread::yield_now();
    }
}

/// The next record's tag, with its bytes looked at; it keeps its room.
fn take(receiver: &mut Consumer) -> Option<u32> {
    let (tag, first, bytes) = receiver.take().unwrap()?;
    let mut copy = vec![0; bytes];
    receiver.copy_to(first, &mut copy);
    assert_eq!(copy, [u8::try_from(tag).unwrap(); 8], "the record was not whole");
    Some(tag)
}

/// Once round and further: each record is whole when it is seen, and none is written over before it was used.
#[test]
fn records_are_whole_and_in_order() {
    bounded(3, || {
        let heap = Arc::new(Heap::default());
        let mut sender = Producer::new(heap.clone()).unwrap();
        let sending = thread::spawn(move || (1..=4).for_each(|tag| send(&mut sender, tag)));
        let mut receiver = Consumer::new(heap).unwrap();
        for expected in 1..=4 {
            let tag = loop {
                match take(&mut receiver) {
                    Some(tag) => break tag,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(tag, expected);
            receiver.release();
        }
        sending.join().unwrap();
    });
}

/// A receiver that is gone with a record in hand: its successor has what comes after that, and the sender has its room.
#[test]
fn a_successor_begins_behind_the_record_in_hand() {
    bounded(3, || {
        let heap = Arc::new(Heap::default());
        let mut sender = Producer::new(heap.clone()).unwrap();
        let sending = thread::spawn(move || (1..=3).for_each(|tag| send(&mut sender, tag)));
        let mut receiver = Consumer::new(heap.clone()).unwrap();
        let in_hand = take(&mut receiver);
        drop(receiver);
        let mut receiver = Consumer::new(heap).unwrap();
        for expected in in_hand.map_or(1, |tag| tag + 1)..=3 {
            let tag = loop {
                match take(&mut receiver) {
                    Some(tag) => break tag,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(tag, expected);
            receiver.release();
        }
        sending.join().unwrap();
    });
}

/// A sender that is gone at any moment between two records: its successor goes on behind them.
#[test]
fn a_senders_successor_goes_on_behind_it() {
    bounded(3, || {
        let heap = Arc::new(Heap::default());
        let mut first = Producer::new(heap.clone()).unwrap();
        let second = heap.clone();
        let sending = thread::spawn(move || {
            send(&mut first, 1);
            drop(first);
            let mut second = Producer::new(second).unwrap();
            send(&mut second, 2);
            send(&mut second, 3);
        });
        let mut receiver = Consumer::new(heap).unwrap();
        for expected in 1..=3 {
            while receiver.has_record() == Ok(false) {
                thread::yield_now();
            }
            assert_eq!(take(&mut receiver), Some(expected));
            receiver.release();
        }
        sending.join().unwrap();
    });
}

/// If the look after the announcement found nothing, one of those who made something visible wakes the receiver, and one only.
#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let (word, things) = (Arc::new(AtomicU32::new(0)), [0, 1].map(|_| Arc::new(AtomicU64::new(0))));
        let ringing: Vec<_> = things
            .iter()
            .map(|thing| {
                let (word, thing) = (word.clone(), thing.clone());
                thread::spawn(move || {
                    thing.store(1, Ordering::Release);
                    doorbell::must_wake(&*word).is_some()
                })
            })
            .collect();
        doorbell::announce(&*word, 1);
        let seen: u64 = things.iter().map(|thing| thing.load(Ordering::Acquire)).sum();
        let woken = ringing.into_iter().map(|ringing| usize::from(ringing.join().unwrap())).sum::<usize>();
        assert!(seen == 2 || woken == 1, "the receiver sleeps: it saw {seen} of 2, and {woken} wake it");
        assert!(woken <= 1);
    });
}

/// Who is woken by the word sees what it was woken for.
#[test]
fn who_is_woken_sees_why() {
    bounded(3, || {
        let (word, thing) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
        let ringing = {
            let (word, thing) = (word.clone(), thing.clone());
            thread::spawn(move || {
                thing.store(1, Ordering::Relaxed);
                doorbell::must_wake(&*word);
            })
        };
        doorbell::announce(&*word, 1);
        if thing.load(Ordering::Relaxed) == 0 {
            // The kernel's sleep: over when the word is another one.
            while word.load(Ordering::Relaxed) == 1 {
                thread::yield_now();
            }
            doorbell::awake(&*word);
            assert_eq!(thing.load(Ordering::Relaxed), 1);
        }
        ringing.join().unwrap();
    });
}
