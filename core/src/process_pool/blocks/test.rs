//! Blocks, lent and given back by both sides of one process.

use std::os::fd::AsFd;

use super::*;
use crate::{
    fork,
    shm::{Segment, block::Bytes},
};

fn words(count: usize) -> Words {
    let segment = Arc::new(Segment::new("test", 1, 4096).unwrap());
    segment.words(Segment::FIRST, count).unwrap()
}

fn borrow(borrower: &mut Borrower, lent: &Lent) -> Lease {
    borrower.borrow(lent.block, || Ok(lent.store.as_fd().try_clone_to_owned().unwrap())).unwrap()
}

#[test]
fn sizes_waste_a_quarter_at_most() {
    assert_eq!((size(1), size(65_537), size(100_000)), (Some(65_536), Some(81_920), Some(114_688)));
    for bytes in [65_536, 70_000, 131_072, 131_073, (16 << 20) + 100, 1 << 40] {
        let size = size(bytes).unwrap();
        assert!(size >= bytes && size - bytes <= bytes / 4, "{bytes} {size}");
    }
    assert!(size(usize::MAX).is_none());
}

/// Again, if another test has forked meanwhile: blocks are not given back then.
fn undisturbed(test: fn()) {
    loop {
        let before = fork::begun();
        match std::panic::catch_unwind(test) {
            Ok(()) => return,
            Err(panic) if fork::begun() == before => std::panic::resume_unwind(panic),
            Err(_) => {}
        }
    }
}

#[test]
fn what_a_forked_child_may_look_at_is_not_used_again() {
    let words = words(1);
    let (mut lender, mut borrower) = (Lender::new(words.clone(), 1 << 20), Borrower::new(words, || ()));
    let lent = lender.lend(1000).unwrap().unwrap();
    let lease = borrow(&mut borrower, &lent);
    assert!(fork::run_in_child(|| true));
    drop(lease);
    lender.over(lent.block.number, 0);
    assert_eq!(lender.held.len(), 1);
    let next = lender.lend(1000).unwrap().unwrap();
    assert_eq!(next.block.number, lent.block.number);
    assert_ne!(next.block.serial, lent.block.serial, "it is other memory");
}

#[test]
fn at_the_end_nothing_is_kept() {
    let words = words(3);
    let mut lender = Lender::new(words, 1 << 20);
    let lent = [(); 3].map(|()| lender.lend(1000).unwrap().unwrap().block.number);
    lender.reclaim(lent[0]);
    assert_eq!(lender.count(), 3);
    lender.end();
    assert_eq!(lender.count(), 2);
    lender.reclaim(lent[1]);
    assert_eq!(lender.count(), 1, "nor what comes back after it");
    assert!(lender.lend(1000).is_ok_and(|lent| lent.is_some()));
}

#[test]
fn what_is_given_back_is_used_again() {
    undisturbed(given_back_and_used_again);
}

fn given_back_and_used_again() {
    let words = words(4);
    let (mut lender, mut borrower) = (Lender::new(words.clone(), 1 << 20), Borrower::new(words, || ()));
    let mut fetched = 0;
    for round in 0..10_u8 {
        let lent = lender.lend(1000).unwrap().unwrap();
        lent.store.write(0, &[round; 3]).unwrap();
        let lease = borrower
            .borrow(lent.block, || {
                fetched += 1;
                Ok(lent.store.as_fd().try_clone_to_owned().unwrap())
            })
            .unwrap();
        let mut seen = [0; 3];
        lease.copy_to(0, &mut seen).unwrap();
        assert_eq!(seen, [round; 3]);
        drop(lease);
        lender.over(lent.block.number, 0);
    }
    assert_eq!((fetched, lender.count()), (1, 1));
}

#[test]
fn what_is_looked_at_is_given_up_only_when_its_number_is_needed() {
    undisturbed(given_up_only_when_needed);
}

fn given_up_only_when_needed() {
    let words = words(2);
    let (mut lender, mut borrower) = (Lender::new(words.clone(), 1 << 20), Borrower::new(words, || ()));
    let first = lender.lend(1000).unwrap().unwrap();
    first.store.write(0, b"first").unwrap();
    let old = borrow(&mut borrower, &first);
    let second = lender.lend(1000).unwrap().unwrap();
    assert!(lender.lend(1000).unwrap().is_none(), "both calls run");
    lender.over(first.block.number, 7);
    let third = lender.lend(1000).unwrap().unwrap();
    assert_eq!(third.block.number, first.block.number);
    assert_ne!(third.block.serial, first.block.serial);
    third.store.write(0, b"third").unwrap();
    let new = borrow(&mut borrower, &third);
    let mut seen = [0; 5];
    old.copy_to(0, &mut seen).unwrap();
    assert_eq!(&seen, b"first", "it is there as long as somebody looks at it");
    drop(old);
    lender.over(third.block.number, 7);
    lender.over(second.block.number, 8);
    assert_eq!(lender.held.len(), 2);
    lender.is_gone(8);
    assert_eq!((lender.held.len(), lender.kept.len()), (1, 1));
    drop(new);
    lender.sweep();
    assert_eq!(lender.kept.len(), 2);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut lender = Lender::new(words(8), 200 << 10);
    let lent: Vec<_> = (0..8).map(|_| lender.lend(64 << 10).unwrap().unwrap().block.number).collect();
    lent.into_iter().for_each(|number| lender.reclaim(number));
    assert_eq!((lender.count(), lender.kept_bytes), (3, 192 << 10));
    // A larger one needs a number of its own, and one that is far too large is not used.
    let large = lender.lend(1 << 20).unwrap().unwrap();
    assert_eq!(large.store.bytes(), 1 << 20);
    lender.reclaim(large.block.number);
    assert_eq!(lender.count(), 3);
}

#[test]
fn what_its_owner_has_no_more_is_not_kept_by_the_borrower() {
    undisturbed(no_more_and_not_kept);
}

fn no_more_and_not_kept() {
    let words = words(4);
    let (mut lender, mut borrower) = (Lender::new(words.clone(), 64 << 10), Borrower::new(words, || ()));
    let lent: Vec<_> = (0..3).map(|_| lender.lend(1000).unwrap().unwrap()).collect();
    let leases: Vec<_> = lent.iter().map(|lent| borrow(&mut borrower, lent)).collect();
    drop(leases);
    lent.iter().for_each(|lent| lender.over(lent.block.number, 0));
    assert_eq!(lender.count(), 1);
    drop(borrow(&mut borrower, &lender.lend(1000).unwrap().unwrap()));
    assert_eq!(borrower.known.iter().flatten().count(), 1);
}

#[test]
fn a_successor_is_not_disturbed_by_what_its_predecessor_lent() {
    let words = words(1);
    let mut borrower = Borrower::new(words.clone(), || ());
    let lease = {
        let mut before = Lender::new(words.clone(), 1 << 20);
        borrow(&mut borrower, &before.lend(1).unwrap().unwrap())
    };
    let mut lender = Lender::new(words.clone(), 1 << 20);
    let lent = lender.lend(1).unwrap().unwrap();
    drop(lease);
    lender.over(lent.block.number, 0);
    assert_eq!(lender.held.len(), 1, "its own borrower has not given it back");
    let wrong = BlockRef { number: 1, ..lent.block };
    assert!(borrower.borrow(wrong, || unreachable!()).is_err());
}
