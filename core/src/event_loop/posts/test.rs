use super::*;
use std::sync::Arc;

#[test]
fn it_counts_across_blocks_and_keeps_the_order() {
    let queue = Posts::new();
    for round in 0..3 {
        let posts = 3 * BLOCK + round;
        for n in 0..posts {
            assert_eq!(queue.push(n, |n| n, || ()), Ok(None));
        }
        assert_eq!(queue.len() as u64, posts);
        let mut taker = queue.take();
        assert!((0..posts).all(|n| taker.next() == Some(n)));
        assert_eq!((taker.next(), queue.is_empty()), (None, true));
    }
}

#[test]
fn one_poster_is_told_of_a_sleep_and_a_closed_queue_gives_back() {
    let queue = Posts::new();
    queue.word().announce_sleep();
    assert_eq!(queue.push('a', |a| a, || "asleep"), Ok(Some("asleep")));
    assert_eq!(queue.push('b', |b| b, || "asleep"), Ok(None));
    queue.close();
    assert_eq!(queue.push('c', |_| unreachable!("refused"), || ()), Err('c'));
    let mut taker = queue.take();
    assert_eq!([taker.next(), taker.next(), taker.next()], [Some('a'), Some('b'), None]);
}

#[test]
fn what_is_left_is_dropped_with_the_queue() {
    let (queue, kept) = (Posts::new(), Arc::new(()));
    for _ in 0..2 * BLOCK + 1 {
        assert!(queue.push(kept.clone(), |kept| kept, || ()).is_ok());
    }
    assert!(queue.take().next().is_some());
    drop(queue);
    assert_eq!(Arc::strong_count(&kept), 1);
}

/// Whoever takes the last value frees the queue: a poster that is still on its way out of `push` must not look at it any more.
#[test]
fn a_post_may_be_the_end_of_the_queue() {
    struct Gone(*const Posts<bool>);
    // SAFETY: a queue that is freed once, by the taker, when every post is in it.
    unsafe impl Send for Gone {}
    for _ in 0..200 {
        let queue: &'static Posts<bool> = Box::leak(Box::new(Posts::new()));
        let posting = std::thread::spawn(move || {
            for n in 0..=BLOCK {
                assert!(queue.push(n == BLOCK, |last| last, || ()).is_ok());
            }
        });
        let gone = Gone(queue);
        loop {
            if queue.take().next() == Some(true) {
                break;
            }
        }
        // SAFETY: made by the Box above; the poster has made its last release store.
        drop(unsafe { Box::from_raw(gone.0.cast_mut()) });
        posting.join().unwrap();
    }
}
