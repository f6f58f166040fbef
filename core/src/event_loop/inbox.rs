//! The posts that wait: a queue from any thread to the one that runs the loop, with one locked instruction per post.
//!
//! # What holds
//!
//! * A post *claims* a place and then fills it. Places are taken out in the order in which they were claimed, so posts of one thread
//!   keep theirs, and each is taken out once.
//! * Closing and claiming change one word: what was claimed before it was closed will be filled, and is there for the consumer;
//!   later claims are refused, but for those of callers whom the loop waits for by its gate ([`Claim::inside`]).
//! * The fill is the last that its poster touches of the queue: the job may run at once and free the loop.
//! * A claim is a sequentially consistent change, so whoever looks at the loop's announcement after it ([`Claim::new`], wake.rs) needs no
//!   fence.
//!
//! # Why it is sound
//!
//! Places lie in blocks, a list of them. A position counts places, and one more per block, which stands for "the next block is being
//! appended". The one who claims the last place of a block appends the next one, moves the tail there, and only then fills the
//! place. So a claim that succeeded knows its block: the block was read after the position, and the position has not changed since.
//!
//! Only the holder of the [`Consumer`] reads places. It reads one that was filled (a release that it acquires), and leaves a
//! block when all of its places were: then nobody touches the block any more, as the fill is the last touch, and no claim on
//! it can come, as its positions are taken.
//!
//! `unsafe` stands here because places are written and read by different threads without a lock.

use std::{mem::MaybeUninit, ptr};

use crossbeam_utils::{Backoff, CachePadded};

use self::place::Cell;
use crate::{
    job::Job,
    primitive::{AtomicPtr, AtomicUsize, Mutex, MutexGuard, Ordering},
};

const CLOSED: usize = 1;
/// One position in the tail's word.
const ONE: usize = 2;
/// Positions per block; the last has no place.
#[cfg(not(loom))]
const LAP: usize = 64;
#[cfg(loom)]
const LAP: usize = 2;
const PLACES: usize = LAP - 1;

struct Place {
    /// The lap in which it was filled last, counted from 1. So the consumer only reads, and a block is used again as it is.
    filled: AtomicUsize,
    job: Cell<MaybeUninit<Job>>,
}

struct Block {
    places: [Place; PLACES],
    next: AtomicPtr<Block>,
}

impl Block {
    fn new() -> *mut Self {
        let place = |_| Place { filled: AtomicUsize::new(0), job: Cell::new(MaybeUninit::uninit()) };
        Box::into_raw(Box::new(Self { places: std::array::from_fn(place), next: AtomicPtr::new(ptr::null_mut()) }))
    }
}

struct Tail {
    /// `ONE * position + CLOSED`.
    word: AtomicUsize,
    /// The block of that position.
    block: AtomicPtr<Block>,
}

/// Where the consumer is.
struct Head {
    block: *mut Block,
    position: usize,
}

// SAFETY: the block belongs to the queue, which is used from many threads; it goes with the `Head` as any data would.
unsafe impl Send for Head {}

/// See the module's text.
pub(super) struct Inbox {
    tail: CachePadded<Tail>,
    /// The head's position, for those who look.
    taken: CachePadded<AtomicUsize>,
    head: Mutex<Head>,
    /// A block to be used again, or null.
    spare: AtomicPtr<Block>,
}

// SAFETY: the module's text; what it holds are jobs, which are Send.
unsafe impl Send for Inbox {}
// SAFETY: the same.
unsafe impl Sync for Inbox {}

/// A place that is the caller's, to be filled.
#[must_use = "the consumer waits for it"]
pub(super) struct Claim<'a> {
    place: &'a Place,
    lap: usize,
}

impl<'a> Claim<'a> {
    /// The next place, or `None` if the queue was closed.
    #[inline]
    pub(super) fn new(inbox: &'a Inbox) -> Option<Self> {
        Self::next(inbox, CLOSED)
    }

    /// The next place, closed or not: for a caller whom the consumer waits for otherwise before its last look.
    pub(super) fn inside(inbox: &'a Inbox) -> Self {
        Self::next(inbox, 0).unwrap_or_else(|| unreachable!("nothing refuses it"))
    }

    /// The next place, unless one of these bits is set.
    #[inline]
    fn next(inbox: &'a Inbox, refuse: usize) -> Option<Self> {
        let mut next: *mut Block = ptr::null_mut();
        let backoff = Backoff::new();
        let claimed = loop {
            let word = inbox.tail.word.load(Ordering::Acquire);
            if word & refuse != 0 {
                break None;
            }
            let offset = word / ONE % LAP;
            if offset == PLACES {
                wait_a_little(&backoff);
                continue;
            }
            // After the position: see the module's text.
            let block = inbox.tail.block.load(Ordering::Acquire);
            if offset + 1 == PLACES && next.is_null() {
                next = inbox.new_block();
            }
            match inbox.tail.word.compare_exchange_weak(word, word + ONE, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break Some((block, word / ONE)),
                Err(_) => backoff.spin(),
            }
        };
        let Some((block, position)) = claimed else {
            inbox.recycle(next);
            return None;
        };
        let offset = position % LAP;
        // SAFETY: the block of a claimed place stays until that is filled and read.
        let block = unsafe { &*block };
        if offset + 1 == PLACES {
            block.next.store(next, Ordering::Release);
            inbox.tail.block.store(next, Ordering::Release);
            inbox.tail.word.fetch_add(ONE, Ordering::Release);
        } else if !next.is_null() {
            inbox.recycle(next);
        }
        Some(Self { place: &block.places[offset], lap: position / LAP + 1 })
    }

    /// The queue is not the caller's to touch any more: the job may be running.
    #[inline]
    pub(super) fn fill(self, job: Job) {
        // SAFETY: one claim per place, and nobody reads it before it is filled.
        self.place.job.with_mut(|place| unsafe { (*place).write(job) });
        self.place.filled.store(self.lap, Ordering::Release);
    }
}

impl Inbox {
    pub(super) fn new() -> Self {
        let block = Block::new();
        Self {
            tail: CachePadded::new(Tail { word: AtomicUsize::new(0), block: AtomicPtr::new(block) }),
            taken: CachePadded::new(AtomicUsize::new(0)),
            head: Mutex::new(Head { block, position: 0 }),
            spare: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// From here on claims are refused.
    pub(super) fn close(&self) {
        self.tail.word.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// How many places were claimed and not taken out.
    #[inline]
    pub(super) fn len(&self) -> usize {
        // In this order: the head is never past the tail.
        let taken = self.taken.load(Ordering::Acquire);
        let claimed = self.tail.word.load(Ordering::SeqCst) / ONE;
        // Without the positions that have no place.
        (claimed - claimed / LAP) - (taken - taken / LAP)
    }

    /// Whether every place that was claimed was taken out.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The right to take out, unless somebody has it.
    pub(super) fn consume(&self) -> Option<Consumer<'_>> {
        let head = self.head.try_lock().ok()?;
        Some(Consumer { inbox: self, head })
    }

    fn new_block(&self) -> *mut Block {
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        if spare.is_null() { Block::new() } else { spare }
    }

    /// Keeps an empty block that nobody knows, or frees it.
    fn recycle(&self, block: *mut Block) {
        if !block.is_null() {
            free(self.spare.swap(block, Ordering::AcqRel));
        }
    }
}

/// Somebody else is in the middle of a few instructions.
fn wait_a_little(backoff: &Backoff) {
    #[cfg(loom)]
    crate::primitive::thread::yield_now();
    backoff.snooze();
}

/// Frees an empty block that nobody knows.
fn free(block: *mut Block) {
    if !block.is_null() {
        // SAFETY: made by `Block::new`, and the caller's alone.
        drop(unsafe { Box::from_raw(block) });
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if let Some(mut consumer) = self.consume() {
            while let Some(job) = consumer.pop() {
                job.drop_caught("event loop");
            }
            free(consumer.head.block);
        }
        free(self.spare.swap(ptr::null_mut(), Ordering::Acquire));
    }
}

/// Who takes out; one at a time.
pub(super) struct Consumer<'a> {
    inbox: &'a Inbox,
    head: MutexGuard<'a, Head>,
}

impl Consumer<'_> {
    /// The job in the next place. One that is being filled is waited for: that is a few instructions of a running poster.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Job> {
        let (block, position) = (self.head.block, self.head.position);
        let (offset, lap) = (position % LAP, position / LAP + 1);
        // SAFETY: the head's block is freed by the head alone.
        let current = unsafe { &*block };
        let place = &current.places[offset];
        if place.filled.load(Ordering::Acquire) != lap && !self.wait(place, lap) {
            return None;
        }
        // SAFETY: filled, and read once: the head moves on.
        let job = place.job.with_mut(|job| unsafe { (*job).assume_init_read() });
        let mut next = position + 1;
        if offset + 1 == PLACES {
            // Appended before the place was filled.
            self.head.block = current.next.load(Ordering::Acquire);
            next += 1;
            self.inbox.recycle(block);
        }
        self.head.position = next;
        self.inbox.taken.store(next, Ordering::Release);
        Some(job)
    }

    /// False if the place is not claimed; otherwise returns when it is filled.
    #[cold]
    fn wait(&self, place: &Place, lap: usize) -> bool {
        if self.inbox.is_empty() {
            return false;
        }
        let backoff = Backoff::new();
        while place.filled.load(Ordering::Acquire) != lap {
            wait_a_little(&backoff);
        }
        true
    }
}

#[cfg(loom)]
mod place {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) struct Cell<T>(UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(f)
        }
    }
}

#[cfg(not(loom))]
mod place {
    use std::cell::UnsafeCell;

    /// As loom has it, which tells accesses that race.
    pub(super) struct Cell<T>(UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use std::{
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;

    fn push(inbox: &Inbox, f: impl FnOnce() + Send + 'static) -> bool {
        Claim::new(inbox).map(|claim| claim.fill(Job::new(f))).is_some()
    }

    #[test]
    fn posts_of_a_thread_keep_their_order_and_each_comes_out_once() {
        const POSTERS: usize = 4;
        let each = if cfg!(miri) { 200 } else { 50_000 };
        let (inbox, seen) = (Inbox::new(), Arc::new(Mutex::new(vec![0; POSTERS])));
        let mut ran = 0;
        thread::scope(|scope| {
            for poster in 0..POSTERS {
                let (inbox, seen) = (&inbox, seen.clone());
                scope.spawn(move || {
                    for number in 0..each {
                        let seen = seen.clone();
                        assert!(push(inbox, move || {
                            let last = &mut seen.lock().unwrap()[poster];
                            assert_eq!(*last, number, "of poster {poster}");
                            *last += 1;
                        }));
                    }
                });
            }
            let mut consumer = inbox.consume().expect("nobody else");
            assert!(inbox.consume().is_none(), "one at a time");
            while ran < POSTERS * each {
                match consumer.pop() {
                    Some(job) => {
                        job.run();
                        ran += 1;
                    }
                    None => thread::yield_now(),
                }
            }
        });
        assert_eq!(*seen.lock().unwrap(), [each; POSTERS]);
        assert!(inbox.is_empty() && inbox.consume().unwrap().pop().is_none());
    }

    #[test]
    fn what_is_left_is_dropped_once_and_counted() {
        for count in [0, 1, PLACES - 1, PLACES, PLACES + 1, 3 * PLACES] {
            let (inbox, dropped) = (Inbox::new(), Arc::new(()));
            for _ in 0..count {
                let held = dropped.clone();
                assert!(push(&inbox, move || drop(held)));
            }
            assert_eq!((inbox.len(), Arc::strong_count(&dropped)), (count, 1 + count));
            if let Some(job) = inbox.consume().unwrap().pop() {
                job.run();
            }
            assert_eq!(inbox.len(), count.saturating_sub(1));
            drop(inbox);
            assert_eq!(Arc::strong_count(&dropped), 1);
        }
    }

    #[test]
    fn what_was_claimed_before_it_was_closed_comes_out() {
        let (inbox, ran) = (Inbox::new(), Arc::new(AtomicUsize::new(0)));
        let accepted: usize = thread::scope(|scope| {
            let posters: Vec<_> = (0..4)
                .map(|_| {
                    let (inbox, ran) = (&inbox, ran.clone());
                    scope.spawn(move || {
                        let accepted = |_: &()| {
                            let ran = ran.clone();
                            push(inbox, move || _ = ran.fetch_add(1, Ordering::Relaxed))
                        };
                        std::iter::repeat(()).take_while(accepted).count()
                    })
                })
                .collect();
            while inbox.len() < PLACES {
                thread::yield_now();
            }
            inbox.close();
            posters.into_iter().map(|poster| poster.join().unwrap()).sum()
        });
        let mut consumer = inbox.consume().unwrap();
        while let Some(job) = consumer.pop() {
            job.run();
        }
        assert_eq!(ran.load(Ordering::Relaxed), accepted);
        assert!(!push(&inbox, || ()), "closed");
        Claim::inside(&inbox).fill(Job::new(|| ()));
        assert_eq!(inbox.len(), 1, "the loop waits for it");
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::primitive::{Arc, thread};

    /// Two posters, across the end of a block; closed meanwhile, or not. What was accepted comes out, once, in order.
    fn check(posts: usize, close: bool) {
        let (inbox, ran) = (Arc::new(Inbox::new()), Arc::new(std::sync::Mutex::new(Vec::new())));
        let posters: Vec<_> = (0..2)
            .map(|poster| {
                let (inbox, ran) = (inbox.clone(), ran.clone());
                thread::spawn(move || {
                    let accept = |number: &usize| {
                        let (ran, post) = (ran.clone(), (poster, *number));
                        Claim::new(&inbox)
                            .map(|claim| claim.fill(Job::new(move || ran.lock().unwrap().push(post))))
                            .is_some()
                    };
                    (0..posts).take_while(accept).count()
                })
            })
            .collect();
        if close {
            inbox.close();
        }
        if let Some(job) = inbox.consume().and_then(|mut consumer| consumer.pop()) {
            job.run();
        }
        let accepted: Vec<usize> = posters.into_iter().map(|poster| poster.join().unwrap()).collect();
        while let Some(job) = inbox.consume().and_then(|mut consumer| consumer.pop()) {
            job.run();
        }
        assert!(inbox.is_empty());
        for (poster, accepted) in accepted.into_iter().enumerate() {
            let ran = ran.lock().unwrap();
            let numbers: Vec<usize> = ran.iter().filter(|post| post.0 == poster).map(|post| post.1).collect();
            assert_eq!(numbers, (0..accepted).collect::<Vec<_>>());
        }
    }

    fn explore(posts: usize, close: bool) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || check(posts, close));
    }

    #[test]
    fn each_post_comes_out_once_in_order() {
        explore(2, false);
    }

    #[test]
    fn what_was_accepted_before_the_close_comes_out() {
        explore(1, true);
    }
}
