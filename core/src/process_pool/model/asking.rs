//! Blocks that are asked back, while they are given back: none is lost, none comes back twice, and no request is forgotten.

use super::bounded;
use crate::{
    primitive::{Arc, AtomicU32, AtomicU64, Ordering, UnsafeCell, full_fence, thread},
    process_pool::{bits, blocks::handing},
    shm::{announce, must_wake},
};

/// The bit of the worker.
const ITS: u64 = 1;

/// A block, and what is in it.
struct Block {
    word: AtomicU64,
    /// Loom says so if one looks at it while another one writes to it.
    bytes: UnsafeCell<()>,
}

impl Block {
    /// Lent in use 1.
    fn lent() -> Self {
        let block = Self { word: AtomicU64::new(0), bytes: UnsafeCell::new(()) };
        handing::lend(&block.word, 1);
        block
    }

    /// The borrower: looks at it for the last time. Whether its owner is to be told.
    fn give_back(&self) -> bool {
        self.bytes.with(|_| ());
        handing::give_back(&self.word, 1)
    }

    /// The owner: uses it again, if it was given back.
    fn use_again(&self) -> bool {
        let is_back = handing::is_back(&self.word, 1);
        if is_back {
            self.bytes.with_mut(|_| ());
            handing::lend(&self.word, 2);
        }
        is_back
    }
}

/// What the owner's and the borrower's side have, and how the owner sleeps.
struct Sides {
    blocks: [Block; 2],
    /// Whose side has something for the owner.
    told: AtomicU64,
    flag: AtomicU32,
}

impl Sides {
    fn new() -> Arc<Self> {
        Arc::new(Self { blocks: [(); 2].map(|()| Block::lent()), told: AtomicU64::new(0), flag: AtomicU32::new(0) })
    }

    /// The owner, as in `Lender::tidy`: asks for what is held, and takes what is back. What it takes is held no more.
    fn tidy(&self, held: &mut Vec<usize>) {
        held.iter().for_each(|block| handing::ask(&self.blocks[*block].word, 1));
        held.retain(|block| !self.blocks[*block].use_again());
    }

    /// As in `Lender::has_news`.
    fn has_news(&self, held: &[usize]) -> bool {
        held.iter().any(|block| handing::is_back(&self.blocks[*block].word, 1))
    }

    /// Another thread, which gives a block back, and tells the owner if it is to. Whether that has woken it.
    fn borrower(
        sides: &Arc<Self>,
        block: usize,
        tell: impl FnOnce(&Self) -> bool + 'static,
    ) -> thread::JoinHandle<bool> {
        let sides = sides.clone();
        thread::spawn(move || sides.blocks[block].give_back() && tell(&sides))
    }
}

/// A worker that owns: it looks at the words themselves before it sleeps. Of two that give back, one at most wakes it.
#[test]
fn who_looks_at_its_blocks_has_them_or_is_woken() {
    bounded(3, || {
        let sides = Sides::new();
        let borrowers = [0, 1].map(|block| Sides::borrower(&sides, block, |sides| must_wake(&sides.flag).is_some()));
        let mut held = vec![0, 1];
        sides.tidy(&mut held);
        // Once more, as after a call: what was asked for stays so.
        sides.tidy(&mut held);
        announce(&sides.flag, 1);
        let awake = held.is_empty() || sides.has_news(&held);
        let woken = borrowers.map(|borrower| usize::from(borrower.join().unwrap())).iter().sum::<usize>();
        assert!(woken <= 1);
        assert!(awake || woken == 1, "blocks {held:?} are there, and it sleeps");
        sides.tidy(&mut held);
        assert!(held.is_empty(), "blocks {held:?} are lost");
    });
}

/// The pool's process as the owner: it looks at the bits of those that have something, one of which may be there from before.
#[test]
fn who_looks_at_bits_has_its_blocks_or_is_told() {
    bounded(3, || {
        let sides = Sides::new();
        sides.told.store(ITS, Ordering::Relaxed);
        let borrowers = [0, 1].map(|block| {
            Sides::borrower(&sides, block, |sides| {
                full_fence();
                bits::set(&sides.told, ITS);
                must_wake(&sides.flag).is_some()
            })
        });
        let mut held = vec![0, 1];
        bits::take(&sides.told);
        sides.tidy(&mut held);
        announce(&sides.flag, 1);
        let awake = sides.told.load(Ordering::Relaxed) != 0;
        let woken = borrowers.map(|borrower| borrower.join().unwrap());
        // What it finds when it is woken; without a bit it would sleep again.
        let has_reason = sides.told.load(Ordering::Relaxed) != 0;
        assert!(!sides.has_news(&held) || has_reason, "blocks {held:?} are there, and no bit");
        assert!(!sides.has_news(&held) || awake || woken.contains(&true), "blocks {held:?} are there, and it sleeps");
        sides.tidy(&mut held);
        assert!(held.is_empty(), "blocks {held:?} are lost");
    });
}

/// One that is given up while it is given back: the next use of its number is not ended by that, and is told of by its own borrower.
#[test]
fn what_was_given_up_does_not_come_back() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        handing::lend(&*word, 1);
        let old = {
            let word = word.clone();
            thread::spawn(move || handing::give_back(&*word, 1))
        };
        handing::ask(&*word, 1);
        // Not looked for: its number is needed.
        handing::own(&*word, 2);
        handing::lend(&*word, 3);
        handing::ask(&*word, 3);
        old.join().unwrap();
        assert!(!handing::is_back(&*word, 3), "nobody has given it back");
        assert!(handing::give_back(&*word, 3), "the request is forgotten");
        assert!(handing::is_back(&*word, 3));
        assert!(!handing::give_back(&*word, 3), "twice");
    });
}

/// What has been put into a ring or given back before the bits are taken is seen by who takes them, or there is a bit again.
#[test]
fn no_bit_is_lost() {
    loom::model(|| {
        let (told, things) = (Arc::new(AtomicU64::new(ITS)), Arc::new(AtomicU64::new(0)));
        let teller = {
            let (told, things) = (told.clone(), things.clone());
            thread::spawn(move || {
                things.store(1, Ordering::Relaxed);
                full_fence();
                bits::set(&*told, ITS);
            })
        };
        bits::take(&*told);
        let seen = things.load(Ordering::Relaxed) == 1;
        teller.join().unwrap();
        assert!(seen || told.load(Ordering::Relaxed) == ITS, "there is something, and no bit");
    });
}
