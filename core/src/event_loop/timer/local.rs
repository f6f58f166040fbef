//! Timers that only the loop's own thread touches: no lock, no clock.
//!
//! # Invariant
//!
//! The set of a loop's local timers is in one of two places: *lent* to the thread that runs the loop, in a list of that thread's, for
//! as long as the run lasts; or *parked* in [`Timers`] behind a lock that then nobody else wants. So a thread that finds it in its list
//! runs the loop, and has the set for itself. A thread may run a loop inside another loop's callback: hence a list.
//!
//! No callback runs or is dropped while the list is borrowed.

#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    sync::{PoisonError, atomic::Ordering},
};

use super::{Callback, Timers, set::Set};

/// Local ids have this bit, which no index of a set of less than 2^31 timers has.
pub(super) const LOCAL: u64 = 1 << 31;

pub(super) struct Local {
    /// Whose it is: the address of the loop's [`Timers`].
    of: usize,
    pub(super) set: Set,
    /// The loop's clock when it was first asked for in this turn; 0: it was not yet.
    now_ns: u64,
}

impl Local {
    /// The loop's clock, read once in a turn.
    #[inline]
    pub(super) fn now_ns(&mut self, read: impl FnOnce() -> u64) -> u64 {
        if self.now_ns == 0 {
            self.now_ns = read();
        }
        self.now_ns
    }
}

thread_local! {
    #[allow(clippy::vec_box, reason = "a set is large, and goes from here to where it is parked and back by its pointer")]
    static LENT: RefCell<Vec<Box<Local>>> = const { RefCell::new(Vec::new()) };
}

/// The end of a run: parks what was lent to it.
pub(in crate::event_loop) struct Lent<'a>(&'a Timers);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let of = self.0.address();
        let lent = LENT.try_with(|lent| {
            let mut lent = lent.borrow_mut();
            let at = lent.iter().rposition(|local| local.of == of)?;
            Some(lent.remove(at))
        });
        if let Ok(Some(local)) = lent {
            self.0.publish_set(&local.set);
            *self.0.parked.lock().unwrap_or_else(PoisonError::into_inner) = Some(local);
        }
    }
}

impl Timers {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Lends the local timers to the calling thread, which runs the loop from now on.
    pub(in crate::event_loop) fn lend(&self) -> Lent<'_> {
        let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let local = parked.unwrap_or_else(|| Box::new(Local { of: self.address(), set: Set::new(), now_ns: 0 }));
        // A thread that is ending has no list any more, and its run no local timers.
        let _ = LENT.try_with(|lent| lent.borrow_mut().push(local));
        Lent(self)
    }

    /// Calls `f` with the local timers if the caller is in a callback of the loop, on its thread.
    #[inline]
    pub(super) fn local<R>(&self, f: impl FnOnce(&mut Local) -> R) -> Option<R> {
        let of = self.address();
        LENT.try_with(|lent| lent.borrow_mut().iter_mut().rfind(|local| local.of == of).map(|local| f(local)))
            .ok()
            .flatten()
    }

    /// Calls `f` with the local timers if the caller runs the loop, or nobody does.
    pub(super) fn local_or_parked<R>(&self, f: impl FnOnce(&mut Local) -> R) -> Option<R> {
        let mut f = Some(f);
        let lent = self.local(|local| f.take().map(|f| f(local)));
        lent.flatten().or_else(|| {
            let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
            parked.as_deref_mut().and_then(|local| f.take().map(|f| f(local)))
        })
    }

    /// The loop, before it looks whether to sleep and for how long: makes its local timers known to other threads.
    pub(in crate::event_loop) fn publish_local(&self) {
        self.local(|local| self.publish_set(&local.set));
    }

    /// The loop, when the work of a turn begins: the clock is to be read again.
    pub(in crate::event_loop) fn begin_turn(&self) {
        self.local(|local| local.now_ns = 0);
    }

    fn publish_set(&self, set: &Set) {
        self.local_next.store(set.next_ns().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.local_referenced.store(set.referenced(), Ordering::Relaxed);
        self.local_active.store(set.len(), Ordering::Relaxed);
    }

    /// Every local timer's callback, taken out.
    pub(super) fn take_local(&self) -> Vec<Option<Callback>> {
        let taken = self.local_or_parked(|local| {
            let taken = local.set.take_all();
            self.publish_set(&local.set);
            taken
        });
        taken.unwrap_or_default()
    }
}
