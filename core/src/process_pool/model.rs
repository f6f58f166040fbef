//! Loom's models: of the table here (claims, cancels, dooms, a queue that is made short meanwhile), of blocks in `asking.rs`.

mod asking;

use super::table::{Claimant, Entry, Queue, State, change};
use crate::primitive::{Arc, AtomicU64, Ordering, thread};

/// Two slots, and room for two entries.
#[derive(Default)]
struct Table {
    head: AtomicU64,
    tail: AtomicU64,
    entries: [AtomicU64; 2],
    words: [AtomicU64; 2],
    /// What a call is: written before it is queued.
    bytes: [AtomicU64; 2],
}

impl Table {
    fn queue(&self) -> Queue<'_, AtomicU64> {
        Queue { head: &self.head, tail: &self.tail, entries: &self.entries }
    }

    /// The pool's process: makes a call ready, whose bytes are its generation.
    fn put(&self, tail: &mut u64, slot: u32, generation: u32) {
        self.bytes[slot as usize].store(generation.into(), Ordering::Relaxed);
        self.words[slot as usize].store(State::Queued.word(generation), Ordering::Release);
        let entry = Entry { slot, generation };
        if self.queue().push(tail, entry) == Ok(false) {
            self.queue().shorten(*tail, |entry| self.is_queued(entry));
            assert_eq!(self.queue().push(tail, entry), Ok(true));
        }
    }

    fn is_queued(&self, entry: Entry) -> bool {
        self.words[entry.slot as usize].load(Ordering::Acquire) == State::Queued.word(entry.generation)
    }

    /// A worker: what it took, with its bytes looked at.
    fn take(&self, by: Claimant) -> Option<Entry> {
        let entry = self.queue().claim(by, |slot| self.words.get(slot as usize)).unwrap()?;
        let bytes = self.bytes[entry.slot as usize].load(Ordering::Relaxed);
        assert_eq!(bytes, u64::from(entry.generation), "the call was not whole");
        Some(entry)
    }
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Each call is taken once, by one of two workers.
#[test]
fn a_call_is_taken_once() {
    bounded(3, || {
        let table = Arc::new(Table::default());
        let mut tail = 0;
        table.put(&mut tail, 0, 1);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let table = table.clone();
                thread::spawn(move || {
                    let by = Claimant::new(worker, 1);
                    let mut taken = Vec::new();
                    while let Some(entry) = table.take(by) {
                        taken.push(entry.slot);
                    }
                    taken
                })
            })
            .collect();
        table.put(&mut tail, 1, 1);
        let mut all: Vec<u32> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        // What came after the last look is there still.
        while let Some(entry) = table.take(Claimant::new(2, 1)) {
            all.push(entry.slot);
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    });
}

/// A slot that is cancelled and used again, with a queue that is full of what is dead: nothing is lost, nothing is taken twice.
#[test]
fn a_queue_that_is_made_short_loses_nothing() {
    bounded(3, || {
        let table = Arc::new(Table::default());
        let mut tail = 0;
        table.put(&mut tail, 0, 1);
        table.put(&mut tail, 1, 1);
        let worker = {
            let table = table.clone();
            thread::spawn(move || {
                let by = Claimant::new(0, 1);
                [table.take(by), table.take(by)].into_iter().flatten().collect::<Vec<_>>()
            })
        };
        // The second one; then another call is put in its place, and there is no room.
        let cancelled = change(&table.words[1], 1, State::Queued, State::Free);
        if cancelled {
            table.put(&mut tail, 1, 2);
        }
        let mut all = worker.join().unwrap();
        while let Some(entry) = table.take(Claimant::new(1, 1)) {
            all.push(entry);
        }
        all.sort_unstable_by_key(|entry| (entry.slot, entry.generation));
        let generation = if cancelled { 2 } else { 1 };
        assert_eq!(all, [Entry { slot: 0, generation: 1 }, Entry { slot: 1, generation }]);
    });
}

/// Of a worker that has finished and of whoever dooms its call one comes first, and the other one knows.
#[test]
fn a_call_is_done_or_doomed() {
    loom::model(|| {
        let table = Arc::new(Table::default());
        let (mut tail, by) = (0, Claimant::new(3, 5));
        table.put(&mut tail, 0, 1);
        let worker = {
            let table = table.clone();
            thread::spawn(move || {
                let entry = table.take(by).unwrap();
                change(&table.words[0], entry.generation, State::Claimed(by), State::Done(by))
            })
        };
        let word = State::of(table.words[0].load(Ordering::Acquire), 1);
        let doomed = match word {
            Some(State::Claimed(its)) => {
                assert_eq!(its, by);
                change(&table.words[0], 1, State::Claimed(by), State::Doomed(by))
            }
            _ => false,
        };
        let done = worker.join().unwrap();
        assert_ne!(done, doomed);
        let end = if done { State::Done(by) } else { State::Doomed(by) };
        assert_eq!(State::of(table.words[0].load(Ordering::Acquire), 1), Some(end));
    });
}

/// Whoever makes a call ready sees the bit of a worker that sleeps, or that one sees the call; who has taken a bit in vain passes it on.
#[test]
fn a_call_does_not_wait_while_somebody_sleeps() {
    bounded(3, || {
        let table = Arc::new(Table::default());
        let idle = Arc::new(AtomicU64::new(0));
        let worker = {
            let (table, idle) = (table.clone(), idle.clone());
            thread::spawn(move || {
                idle.fetch_or(1, Ordering::AcqRel);
                crate::primitive::full_fence();
                !table.queue().is_empty()
            })
        };
        let mut tail = 0;
        table.put(&mut tail, 0, 1);
        crate::primitive::full_fence();
        let woken = idle.load(Ordering::Relaxed) != 0;
        let saw = worker.join().unwrap();
        assert!(woken || saw, "the worker sleeps, and the call waits");
    });
}
