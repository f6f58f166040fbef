//! What others do between the beginning of a driver's turn and its end is seen, and what they do later wakes it.

use std::{
    sync::atomic::AtomicU32,
    task::{Context, Wake, Waker},
};

use super::*;
use crate::{EventLoop, EventLoopOptions};

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A link whose driver is the test.
fn link() -> (EventLoop, Arc<Link>) {
    let event_loop = EventLoop::new(EventLoopOptions::default()).unwrap();
    let link = Link::new(&event_loop, Arc::default(), Use::Shared, Arc::default());
    (event_loop, Arc::new(link))
}

fn call(link: &Link, timeout: Option<Duration>) -> u64 {
    link.send(timeout, None, Done::Nobody, |bytes| bytes.extend_from_slice(b"PING\r\n"))
        .unwrap_or_else(|_| panic!("there is room"))
}

#[test]
fn nothing_is_lost_between_a_turn_and_its_end() {
    type Act = fn(&Link, u64);
    let acts: [(&str, Act); 6] = [
        ("a call", |link, _| _ = call(link, None)),
        ("a call with a deadline", |link, _| _ = call(link, Some(Duration::from_millis(1)))),
        ("a cancel", |link, id| assert!(link.cancel(id))),
        ("a dropped call", Link::forget),
        ("a close", |link, _| link.close(Closing::Now, None)),
        ("a drain", |link, _| link.close(Closing::Drain, None)),
    ];
    for (what, act) in acts {
        for in_flight in [false, true] {
            let ((_event_loop, link), woken) = (link(), Arc::new(Woken::default()));
            let waker = Waker::from(woken.clone());
            let cx = Context::from_waker(&waker);
            let id = call(&link, None);
            if in_flight {
                assert!(link.hand_over(&mut Vec::new()));
            }
            link.tend();
            act(&link, id);
            assert!(!link.rest(&cx), "{what} during a turn is seen at its end");
            link.tend();
            assert!(link.rest(&cx), "{what}: nothing was added since");
            assert_eq!(woken.0.load(Ordering::Relaxed), 0, "{what}: nobody slept");
        }
    }
}

#[test]
fn who_sleeps_is_woken_once() {
    let acts: [fn(&Link, u64); 4] = [
        |link, _| _ = call(link, None),
        |link, id| assert!(link.cancel(id)),
        Link::forget,
        |link, _| link.close(Closing::Now, None),
    ];
    for act in acts {
        let ((_event_loop, link), woken) = (link(), Arc::new(Woken::default()));
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        let id = call(&link, None);
        link.tend();
        assert!(link.rest(&cx));
        act(&link, id);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        link.close(Closing::Now, None);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "it is awake by now");
        assert!(!link.rest(&cx));
    }
}
