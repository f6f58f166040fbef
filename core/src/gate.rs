//! A gate: calls pass while it is open, and closing it tells when the last one is through.
//!
//! Pool and event loop both promise that what they accepted is not lost, and both are closed while other threads are in the
//! middle of handing something over. A flag alone cannot do that: a caller that saw "open" may be held up and push
//! after the last look at the queue. So a caller *enters*, pushes, and leaves; the closer closes and waits until everyone
//! who entered has left. After that nothing can arrive any more, and one look at the queue is final.
//!
//! # Invariant
//!
//! Each stripe is `2 * callers inside + closed`. Entering is one `fetch_add(2)`: its old value says whether the gate
//! was closed, in the one order all operations on that stripe have. Hence after `close` has set every stripe's bit,
//! a stripe that reads 1 has nobody inside, and nobody will be: whoever comes later sees the bit and leaves again.
//! Leaving is a release and the closer's reads are acquires, so it sees all that was pushed inside.
//!
//! Threads are spread over the stripes, so that callers on different CPUs do not share a cache line.

#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;

use crate::primitive::{AtomicUsize, Ordering, thread};

#[cfg(not(loom))]
const STRIPES: usize = 8;
#[cfg(loom)]
const STRIPES: usize = 1;

const CLOSED: usize = 1;
const CALLER: usize = 2;

/// See the module's text.
#[derive(Debug)]
pub struct Gate {
    stripes: [CachePadded<AtomicUsize>; STRIPES],
}

/// Somebody inside; leaves when dropped.
#[derive(Debug)]
pub struct Inside<'a>(&'a AtomicUsize);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Self { stripes: std::array::from_fn(|_| CachePadded::new(AtomicUsize::new(0))) }
    }

    /// Enters, or answers `None` if the gate was closed.
    #[inline]
    pub fn enter(&self) -> Option<Inside<'_>> {
        let stripe = &*self.stripes[this_threads_stripe()];
        let before = stripe.fetch_add(CALLER, Ordering::Acquire);
        let inside = Inside(stripe);
        (before & CLOSED == 0).then_some(inside)
    }

    /// Whether it has been closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.stripes[0].load(Ordering::Acquire) & CLOSED != 0
    }

    /// Closes it, without waiting. True for the call that closed it.
    pub fn close(&self) -> bool {
        let mut first = false;
        // Stripe 0 last: `is_closed` says yes only when every stripe refuses.
        for (index, stripe) in self.stripes.iter().enumerate().rev() {
            let before = stripe.fetch_or(CLOSED, Ordering::AcqRel);
            first |= index == 0 && before & CLOSED == 0;
        }
        first
    }

    /// Whether it is closed and everyone who entered has left.
    pub fn is_quiet(&self) -> bool {
        self.stripes.iter().all(|stripe| stripe.load(Ordering::Acquire) == CLOSED)
    }

    /// Waits until everyone who entered a closed gate has left: the time of one push, so it yields and does not park.
    ///
    /// Never call it between [`Gate::enter`] and leaving: it would wait for itself.
    pub fn wait_quiet(&self) {
        debug_assert!(self.is_closed());
        while !self.is_quiet() {
            thread::yield_now();
        }
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.fetch_sub(CALLER, Ordering::Release);
    }
}

#[cfg(not(loom))]
#[inline]
fn this_threads_stripe() -> usize {
    use std::{
        cell::Cell,
        sync::atomic::{AtomicUsize, Ordering},
    };
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const UNSET: usize = usize::MAX;
    thread_local!(static MINE: Cell<usize> = const { Cell::new(UNSET) });
    // A thread that is ending has no thread-locals left: any stripe is right, only perhaps shared.
    MINE.try_with(|mine| {
        if mine.get() == UNSET {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
    .unwrap_or(0)
}

#[cfg(loom)]
fn this_threads_stripe() -> usize {
    0
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;

    #[test]
    fn closed_is_closed_for_every_thread() {
        let gate = Gate::new();
        let inside = gate.enter().expect("open");
        assert!(gate.close());
        assert!(!gate.close(), "only the first call closed it");
        assert!(!gate.is_quiet(), "somebody is inside");
        thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| assert!(gate.enter().is_none()));
            }
        });
        drop(inside);
        gate.wait_quiet();
        assert!(gate.is_quiet());
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::primitive::Arc;

    /// Whatever entered is seen by one look after `wait_quiet`.
    fn check(pushers: usize) {
        let (gate, pushed) = (Arc::new(Gate::new()), Arc::new(AtomicUsize::new(0)));
        let pushers: Vec<_> = (0..pushers)
            .map(|_| {
                let (gate, pushed) = (gate.clone(), pushed.clone());
                thread::spawn(move || {
                    let inside = gate.enter();
                    if inside.is_some() {
                        pushed.fetch_add(1, Ordering::Relaxed);
                    }
                    inside.is_some()
                })
            })
            .collect();
        gate.close();
        gate.wait_quiet();
        let final_look = pushed.load(Ordering::Relaxed);
        let accepted = pushers.into_iter().map(|p| p.join().unwrap()).filter(|accepted| *accepted).count();
        assert_eq!(final_look, accepted);
    }

    #[test]
    fn nothing_is_pushed_after_quiet() {
        loom::model(|| check(1));
    }

    /// All orders of two are too many; those with up to three preemptions are not.
    #[test]
    fn nothing_is_pushed_after_quiet_by_two() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| check(2));
    }
}
