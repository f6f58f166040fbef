//! The queue of posts under loom.

use super::*;
use crate::primitive::{Arc, thread};

/// What a poster did: how many of its posts were accepted, and how often it was told of the sleep.
type Done = (u64, usize);

/// A thread that posts `posts` values, each `whose * 10 + n`, until one is refused.
fn poster(queue: &Arc<Posts<Box<u64>>>, whose: u64, posts: u64) -> thread::JoinHandle<Done> {
    let queue = queue.clone();
    thread::spawn(move || {
        let (mut accepted, mut told) = (0, 0);
        for n in 0..posts {
            match queue.push(whose * 10 + n, Box::new, || ()) {
                Ok(tell) => told += usize::from(tell.is_some()),
                Err(back) => {
                    assert_eq!(back, whose * 10 + n, "what was refused is another value");
                    break;
                }
            }
            accepted += 1;
        }
        (accepted, told)
    })
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Each poster's values in their order.
fn in_order(values: &[u64], whose: u64) -> u64 {
    let mine: Vec<u64> = values.iter().copied().filter(|value| value / 10 == whose).collect();
    assert!(mine.iter().copied().eq((0..mine.len() as u64).map(|n| whose * 10 + n)), "{values:?}");
    mine.len() as u64
}

/// Over two blocks, while the taker is at work: all of it comes, once, in each poster's order, and a spare block comes back.
#[test]
fn all_that_is_posted_is_taken_in_order() {
    bounded(2, || {
        let queue = Arc::new(Posts::new());
        let posters = [poster(&queue, 1, 2), poster(&queue, 2, 1)];
        let mut values = Vec::new();
        let mut taker = queue.take();
        values.extend(taker.next().map(|value| *value));
        values.extend(taker.next().map(|value| *value));
        posters.into_iter().for_each(|poster| drop(poster.join().unwrap()));
        values.extend(std::iter::from_fn(|| taker.next()).map(|value| *value));
        drop(taker);
        assert_eq!((in_order(&values, 1), in_order(&values, 2), queue.len()), (2, 1, 0), "{values:?}");
    });
}

/// A block that went back is filled again while others post.
#[test]
fn blocks_go_round() {
    bounded(2, || {
        let queue = Arc::new(Posts::new());
        let other = poster(&queue, 1, 3);
        let mut values = Vec::new();
        for n in 0..3 {
            queue.push(20 + n, Box::new, || ()).unwrap();
            values.extend(queue.take().next().map(|value| *value));
        }
        other.join().unwrap();
        let mut taker = queue.take();
        values.extend(std::iter::from_fn(|| taker.next()).map(|value| *value));
        drop(taker);
        assert_eq!((in_order(&values, 1), in_order(&values, 2)), (3, 3), "{values:?}");
    });
}

/// One look after the close finds all that was ever accepted.
#[test]
fn the_last_look_is_final() {
    bounded(3, || {
        let queue = Arc::new(Posts::new());
        let posters = [poster(&queue, 1, 2), poster(&queue, 2, 1)];
        queue.close();
        let mut taker = queue.take();
        let values: Vec<u64> = std::iter::from_fn(|| taker.next()).map(|value| *value).collect();
        let accepted = posters.map(|poster| poster.join().unwrap().0);
        assert_eq!([in_order(&values, 1), in_order(&values, 2)], accepted);
        assert!(taker.next().is_none());
    });
}

/// If the look after the announcement found nothing, whoever posted was told; and one is told of one announcement.
#[test]
fn no_sleeper_is_posted_to_unawares() {
    bounded(3, || {
        let queue = Arc::new(Posts::new());
        let posters = [poster(&queue, 1, 1), poster(&queue, 2, 1)];
        queue.word().announce_sleep();
        let seen = queue.len();
        let told: usize = posters.map(|poster| poster.join().unwrap().1).iter().sum();
        assert!(seen > 0 || told == 1, "nobody wakes the loop");
        assert!(told <= 1);
    });
}

/// What was not taken is dropped with the queue; loom looks for what nobody drops.
#[test]
fn what_is_left_is_dropped() {
    bounded(2, || {
        let (queue, kept) = (Posts::new(), Arc::new(()));
        let queue = Arc::new(queue);
        let other = {
            let (queue, kept) = (queue.clone(), kept.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    assert!(queue.push(kept.clone(), |kept| kept, || ()).is_ok());
                }
            })
        };
        assert!(queue.push(kept, |kept| kept, || ()).is_ok());
        drop(queue);
        other.join().unwrap();
    });
}
