//! The queue of posts: many threads put in, whoever runs the loop takes out.
//!
//! A post is one compare-and-swap, the write of the job, and one release store. What a post must know beside its place in the
//! queue is in the same word as that place, [`Word`]: whether the queue is closed, so that it is refused at once, and whether
//! the loop sleeps (wake.rs), so that it wakes it.
//!
//! # Invariants
//!
//! * **The word** is `posts so far | INSTALLING | CLOSED | SLEEPING`. Its count only grows, so a compare-and-swap that succeeds has
//!   seen all of the state that it replaces. It makes the poster the owner of the slot with the number of that count: all that
//!   is accepted has a slot of its own, and slots are in the order of the posts.
//! * **Closed** is final: no compare-and-swap succeeds on a word with the bit, and nobody takes the bit away. So the count of a
//!   closed word says how many posts there will ever be, and a taker that has come so far has seen the last one. It waits only for
//!   posters between their compare-and-swap and their release store.
//! * **Sleeping** is taken away by the compare-and-swap of the one post that it tells. A post that was not told comes before the
//!   announcement in the word's order, so the announcer's last look counts it.
//! * **Blocks.** `tail.block` is the block of the slot that comes next, unless INSTALLING is set. Who takes the last slot of a block
//!   sets that bit with it, links the block that it has brought along, and takes the bit away; nobody posts meanwhile. A poster
//!   reads the pointer after the word and before its compare-and-swap, so when that succeeds the pointer was the right one:
//!   a later block is stored only after the word has changed. Before that, nothing behind the pointer is touched.
//! * **Slots.** A slot is full when its number is one more than that of its post; only its owner writes it then, with a release. The
//!   taker reads it once, after an acquire. A block goes back when all of its slots were read and the next block is wanted: all of its posters have made their
//!   release stores and touch it no more, and what is left in it are numbers that no later post has.
//! * **After its release store a poster touches nothing of the queue**: the job may be run at once, and free it. What a poster
//!   that was told of the sleep needs to wake the loop, it makes before ([`Posts::push`]).

#![allow(
    unsafe_code,
    reason = "slots that one thread writes and another reads, and blocks that go from one to the other"
)]

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod test;

use std::{fmt, mem::MaybeUninit, ptr};

use crossbeam_utils::CachePadded;

use super::wake::Word;
use crate::primitive::{AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering, Spin, UnsafeCell};

/// Posts of one block: a power of two.
#[cfg(not(loom))]
const BLOCK: u64 = 128;
#[cfg(loom)]
const BLOCK: u64 = 2;

/// How far ahead a poster fetches: a few lines.
#[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
const AHEAD: usize = 8;

/// Blocks that are kept when they are empty, for a queue that fills and empties all the time.
#[cfg(not(loom))]
const SPARES: usize = 32;
#[cfg(loom)]
const SPARES: usize = 1;

struct Slot<T> {
    /// One more than the number of the post that is in it.
    full: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

struct Block<T> {
    /// Set by who takes the last slot, before that is full.
    next: AtomicPtr<Self>,
    slots: [Slot<T>; BLOCK as usize],
}

impl<T> Block<T> {
    fn new() -> *mut Self {
        let mut block = Box::<Self>::new_uninit();
        let place = block.as_mut_ptr();
        // SAFETY: a field of the new block, which is nobody else's.
        let next = unsafe { &raw mut (*place).next };
        // SAFETY: the same. It is written where it lies: it is too large to be copied there.
        unsafe { next.write(AtomicPtr::new(ptr::null_mut())) };
        for at in 0..BLOCK as usize {
            // SAFETY: as before.
            let slot = unsafe { &raw mut (*place).slots[at] };
            // SAFETY: as before.
            unsafe { slot.write(Slot { full: AtomicU64::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) }) };
        }
        // SAFETY: both of its fields were written, the slots each.
        Box::into_raw(unsafe { block.assume_init() })
    }
}

/// Has the processor fetch the slots that are a few posts ahead of this one, to be written to: otherwise the next post's
/// compare-and-swap waits until the line that the taker has read last comes over.
#[inline]
fn fetch_ahead<T>(slot: *const Slot<T>) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint, which does nothing where it is not understood or nothing is at the address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(slot.wrapping_add(AHEAD).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = slot;
}

struct Tail<T> {
    word: Word,
    block: AtomicPtr<Block<T>>,
}

/// The taker's end.
struct Head<T> {
    block: *mut Block<T>,
    /// How many were taken out; [`Posts::taken`] is its copy for others.
    taken: u64,
}

/// See the module's text.
pub(super) struct Posts<T> {
    tail: CachePadded<Tail<T>>,
    taken: CachePadded<AtomicU64>,
    head: Mutex<Head<T>>,
    spares: [AtomicPtr<Block<T>>; SPARES],
}

// SAFETY: values go from thread to thread, each read by one only; the pointers are to blocks that the queue owns.
unsafe impl<T: Send> Send for Posts<T> {}
// SAFETY: as for Send; references to values are never given out.
unsafe impl<T: Send> Sync for Posts<T> {}

impl<T> fmt::Debug for Posts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posts").field("queued", &self.len()).field("closed", &self.is_closed()).finish()
    }
}

impl<T> Posts<T> {
    pub(super) fn new() -> Self {
        let block = Block::new();
        Self {
            tail: CachePadded::new(Tail { word: Word::new(), block: AtomicPtr::new(block) }),
            taken: CachePadded::new(AtomicU64::new(0)),
            head: Mutex::new(Head { block, taken: 0 }),
            spares: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// The word, for those who sleep and wake.
    #[inline]
    pub(super) fn word(&self) -> &Word {
        &self.tail.word
    }

    /// Puts one in, made of `value` when nothing can be refused any more; a closed queue gives `value` back. The one that is told that
    /// the loop sleeps is answered with what `told` made, and must wake it with that: the queue may be gone by then.
    ///
    /// Neither function may panic: the taker would wait for the slot for ever.
    #[inline]
    pub(super) fn push<V, W>(
        &self,
        value: V,
        make: impl FnOnce(V) -> T,
        told: impl FnOnce() -> W,
    ) -> Result<Option<W>, V> {
        let mut word = self.tail.word.load();
        let (block, number) = loop {
            let (block, number) = (self.tail.block.load(Ordering::Acquire), Word::posts(word));
            if Word::is_open(word) && number % BLOCK != BLOCK - 1 {
                match self.tail.word.post(word, false) {
                    Ok(()) => break (block, number),
                    Err(now) => word = now,
                }
            } else {
                match self.claim(word) {
                    None => return Err(value),
                    Some((seen, block, number)) => {
                        word = seen;
                        break (block, number);
                    }
                }
            }
        };
        let told = Word::is_sleeping(word).then(told);
        // SAFETY: the block of a slot that is not full: it does not go back before that.
        let slot = unsafe { &raw const (*block).slots[(number % BLOCK) as usize] };
        // SAFETY: as before.
        let slot = unsafe { &*slot };
        slot.value.with_mut(|place| {
            // SAFETY: the post with this number owns the slot, and the taker does not look into it before it is full. Made in its
            // place: a job that is written in words and then copied in larger pieces waits for its own stores.
            unsafe { place.cast::<T>().write(make(value)) };
        });
        fetch_ahead(slot);
        slot.full.store(number + 1, Ordering::Release);
        Ok(told)
    }

    /// The rare half of [`Posts::push`]: a queue that is closed (`None`), a block being installed, a block's last slot, which is
    /// answered when the next block is installed. With the word that the post was made on.
    #[cold]
    #[inline(never)]
    fn claim(&self, mut word: u64) -> Option<(u64, *mut Block<T>, u64)> {
        let (mut spare, mut spin) = (ptr::null_mut(), Spin::default());
        let (block, number) = loop {
            if Word::is_closed(word) {
                self.keep(spare);
                return None;
            }
            if Word::is_installing(word) {
                spin.once_more();
                word = self.tail.word.load();
                continue;
            }
            let (block, number) = (self.tail.block.load(Ordering::Acquire), Word::posts(word));
            let last = number % BLOCK == BLOCK - 1;
            if last && spare.is_null() {
                spare = self.fresh();
            }
            match self.tail.word.post(word, last) {
                Ok(()) => break (block, number),
                Err(now) => word = now,
            }
        };
        if !spare.is_null() {
            spare = self.install(block, number, spare);
            self.keep(spare);
        }
        Some((word, block, number))
    }

    /// Links the block that follows, if the number is that of the block's last slot. Answers what was not needed.
    #[cold]
    fn install(&self, block: *mut Block<T>, number: u64, next: *mut Block<T>) -> *mut Block<T> {
        if number % BLOCK != BLOCK - 1 {
            return next;
        }
        // SAFETY: the caller's slot in it is not full, so it has not gone back.
        let link = unsafe { &(*block).next };
        // The release store of the slot publishes it.
        link.store(next, Ordering::Relaxed);
        self.tail.block.store(next, Ordering::Release);
        self.tail.word.installed();
        ptr::null_mut()
    }

    /// A block that nobody else has.
    #[cold]
    fn fresh(&self) -> *mut Block<T> {
        let kept = self.spares.iter().filter(|spare| !spare.load(Ordering::Relaxed).is_null());
        let taken = kept.map(|spare| spare.swap(ptr::null_mut(), Ordering::Acquire)).find(|block| !block.is_null());
        taken.unwrap_or_else(Block::new)
    }

    /// Takes an empty block back, if it is one. Nobody else has it.
    #[cold]
    #[inline(never)]
    fn keep(&self, block: *mut Block<T>) {
        if block.is_null() {
            return;
        }
        for spare in &self.spares {
            let none = ptr::null_mut();
            if spare.load(Ordering::Relaxed).is_null()
                && spare.compare_exchange(none, block, Ordering::Release, Ordering::Relaxed).is_ok()
            {
                return;
            }
        }
        // SAFETY: made by `Block::new`, and the caller's alone.
        drop(unsafe { Box::from_raw(block) });
    }

    /// Refuses what comes from now on. Any number of times.
    pub(super) fn close(&self) {
        self.tail.word.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        Word::is_closed(self.tail.word.load())
    }

    /// How many are in it, or were a moment ago. Exact for the taker about what it has seen announced, and about a closed queue.
    pub(super) fn len(&self) -> usize {
        let taken = self.taken.load(Ordering::Relaxed);
        usize::try_from(Word::posts(self.tail.word.load()).saturating_sub(taken)).unwrap_or(usize::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The taker's end, which one thread at a time holds.
    pub(super) fn take(&self) -> Taker<'_, T> {
        let head = self.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Taker { posts: self, seen: head.taken, head }
    }
}

impl<T> Drop for Posts<T> {
    fn drop(&mut self) {
        let mut taker = self.take();
        while taker.next().is_some() {}
        if taker.head.taken.is_multiple_of(BLOCK) && taker.head.taken > 0 {
            taker.advance();
        }
        let head = taker.head.block;
        drop(taker);
        let spares = self.spares.iter().map(|spare| spare.swap(ptr::null_mut(), Ordering::Acquire));
        for block in spares.chain([head]).filter(|block| !block.is_null()) {
            // SAFETY: nobody else is here any more; an empty queue has one block, and the spares are no part of it.
            drop(unsafe { Box::from_raw(block) });
        }
    }
}

/// Takes posts out, in order.
pub(super) struct Taker<'a, T> {
    posts: &'a Posts<T>,
    head: MutexGuard<'a, Head<T>>,
    /// The posts that are known to be accepted.
    seen: u64,
}

impl<T> Taker<'_, T> {
    /// The next one; waits for its poster if that has not finished. `None` when there is none, which for a closed queue is for ever.
    #[inline]
    pub(super) fn next(&mut self) -> Option<T> {
        let number = self.head.taken;
        if number == self.seen {
            self.seen = Word::posts(self.posts.tail.word.load());
            if number == self.seen {
                return None;
            }
        }
        if number.is_multiple_of(BLOCK) && number > 0 {
            self.advance();
        }
        let block = self.head.block;
        // SAFETY: the taker's block, which does not go back before the next one is taken from.
        let slot = unsafe { &(*block).slots[(number % BLOCK) as usize] };
        let mut spin = Spin::default();
        while slot.full.load(Ordering::Acquire) != number + 1 {
            spin.once_more();
        }
        let value = slot.value.with(|place| {
            // SAFETY: full, and read once: `taken` has this number now only.
            unsafe { place.read() }
        });
        self.head.taken = number + 1;
        self.posts.taken.store(number + 1, Ordering::Relaxed);
        // SAFETY: its poster wrote it before the slot was full.
        Some(unsafe { value.assume_init() })
    }

    /// Goes to the block after this one, of which every slot was read.
    #[cold]
    #[inline(never)]
    fn advance(&mut self) {
        let block = self.head.block;
        // SAFETY: the taker's still.
        let link = unsafe { &(*block).next };
        self.head.block = link.load(Ordering::Relaxed);
        link.store(ptr::null_mut(), Ordering::Relaxed);
        self.posts.keep(block);
    }
}
