//! How a plain thread waits for a coroutine: a waker that it sleeps on.
//!
//! The flag is raised and looked at under one lock, and the wait lets go of it atomically, so a wake-up that comes between the
//! look and the sleep is not lost. The flag is taken by the one who waits, who then polls again.

#![forbid(unsafe_code)]

use std::{sync::PoisonError, task::Wake, time::Duration};

use crate::{
    primitive::{Condvar, Mutex},
    time::Deadline,
};

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until it is raised, and lowers it. False at the deadline.
    pub(crate) fn wait(&self, deadline: Deadline) -> bool {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        while !*raised {
            raised = match deadline.remaining() {
                None => self.changed.wait(raised).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => self.changed.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        *raised = false;
        true
    }
}

impl Wake for Signal {
    fn wake(self: std::sync::Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.raise();
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::primitive::{Arc, AtomicUsize, Ordering, thread};

    /// Whatever the waker did before it raised the signal is seen after the wait, in every order of the two, and each wait that
    /// follows a look at an unfinished state ends.
    #[test]
    fn a_raised_signal_is_never_lost() {
        loom::model(|| {
            let (signal, steps) = (Arc::new(Signal::default()), Arc::new(AtomicUsize::new(0)));
            let waker = {
                let (signal, steps) = (signal.clone(), steps.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        steps.fetch_add(1, Ordering::Relaxed);
                        signal.raise();
                    }
                })
            };
            while steps.load(Ordering::Relaxed) < 2 {
                assert!(signal.wait(Deadline::NEVER));
            }
            waker.join().unwrap();
        });
    }
}
