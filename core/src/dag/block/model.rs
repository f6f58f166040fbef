//! Rights and counters in every order of steps: each node comes out once, with all that it reads, and the run ends once; nothing is lost or dropped twice.

use std::sync::Arc as StdArc;

use super::*;
use crate::primitive::thread;

/// What every value of a model is made of: how many are left can be seen from outside.
type Counted = StdArc<()>;

/// The links of these nodes, each with what it reads.
fn links(reads: &[&[u32]]) -> StdArc<Links> {
    let reads: Vec<Vec<u32>> = reads.iter().map(|reads| reads.to_vec()).collect();
    StdArc::new(Links::new(&reads, &reads, |_| false).unwrap())
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn tokens(start: Token<()>) -> Vec<Token<()>> {
    let mut ready = Vec::new();
    assert!(start.settle(None, 0, |token, _| ready.push(token)).is_none());
    ready
}

/// Two nodes end at once; who is second has the third, and both values.
#[test]
fn what_two_nodes_made_is_there_for_the_third() {
    check(|| {
        let counted = Counted::default();
        let (block, start) = Block::new(links(&[&[], &[], &[0, 1]]), ()).unwrap();
        let ends: Vec<_> = tokens(start)
            .into_iter()
            .map(|token| {
                let counted = counted.clone();
                thread::spawn(move || {
                    let mut third = None;
                    let last = token.settle(Some(Value::new(counted)), 0, |token, _| third = Some(token));
                    assert!(last.is_none());
                    let Some(third) = third else { return false };
                    let both: Vec<Value> = std::iter::from_fn(|| third.next()).collect();
                    assert!(both.iter().all(|value| value.get::<Counted>().is_some()) && both.len() == 2);
                    third.settle(both.into_iter().next(), 0, |_, _| unreachable!()).is_some()
                })
            })
            .collect();
        let ended = ends.into_iter().map(|thread| thread.join().unwrap()).filter(|last| *last).count();
        assert_eq!(ended, 1, "the run ends once");
        let kept = block.ask(2).unwrap();
        assert!(kept.get::<Counted>().is_some() && block.ask(2).is_none());
        drop((kept, block));
        assert_eq!(StdArc::strong_count(&counted), 1, "all values are gone");
    });
}

/// Two nodes read the same value and end; both have it, and it goes once. The run ends once.
#[test]
fn a_value_with_two_readers_is_taken_once() {
    check(|| {
        let counted = Counted::default();
        let (block, start) = Block::new(links(&[&[], &[0], &[0]]), ()).unwrap();
        let mut readers = Vec::new();
        let first = tokens(start).pop().unwrap();
        assert!(first.settle(Some(Value::new(counted.clone())), 0, |token, _| readers.push(token)).is_none());
        let threads: Vec<_> = readers
            .into_iter()
            .map(|token| {
                thread::spawn(move || {
                    let value = token.next().unwrap();
                    assert!(value.get::<Counted>().is_some() && token.next().is_none());
                    drop(value);
                    token.settle(None, 0, |_, _| unreachable!()).is_some()
                })
            })
            .collect();
        // Whoever asks meanwhile is told nothing of a node that is not done.
        assert!(block.ask(1).is_none());
        let ended = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|last| *last).count();
        assert_eq!((ended, StdArc::strong_count(&counted)), (1, 1));
        drop(block);
    });
}

/// A node's end and its deadline come at once: one of them settles it.
#[test]
fn one_of_two_claims_wins() {
    check(|| {
        let (block, start) = Block::new(links(&[&[]]), ()).unwrap();
        let (one, other) = tokens(start).pop().unwrap().share();
        drop(block);
        let settle = |claim: Claim<()>| claim.win().map(|token| token.settle(None, 0, |_, _| unreachable!()).is_some());
        let thread = thread::spawn(move || settle(other));
        let (here, there) = (settle(one), thread.join().unwrap());
        assert!(matches!((here, there), (Some(true), None) | (None, Some(true))));
    });
}

/// A failure on one way and a skip on the other are both told.
#[test]
fn what_a_node_is_told_by_each_way_is_kept() {
    check(|| {
        let (block, start) = Block::new(links(&[&[], &[], &[0, 1]]), ()).unwrap();
        let mut first = tokens(start);
        let (other, one) = (first.pop().unwrap(), first.pop().unwrap());
        let settle = |token: Token<()>, flags: u32| {
            let mut told = None;
            let last = token.settle(None, flags, |third, flags| {
                told = Some(flags);
                assert!(third.settle(None, 0, |_, _| unreachable!()).is_some());
            });
            assert!(last.is_none());
            told
        };
        let thread = thread::spawn(move || settle(other, SKIP));
        let (here, there) = (settle(one, CANCEL), thread.join().unwrap());
        assert_eq!(here.or(there), Some(SKIP | CANCEL));
        assert!(here.is_none() || there.is_none());
        drop(block);
    });
}
