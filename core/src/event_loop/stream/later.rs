//! A wake-up in another turn of the loop, which is not lost if there is none: then it is made when the loop ends, and whoever is woken
//! finds that out.

#![forbid(unsafe_code)]

use std::task::Waker;

use crate::{error::Result, event_loop::Handle, job::Job};

/// Wakes in its turn; also if the loop ends before, which is then found out.
pub(super) struct Later(Option<Waker>);

impl Later {
    pub(super) fn post(handle: &Handle, waker: &Waker) -> Result<()> {
        let later = Self(Some(waker.clone()));
        handle.post_made(later, |later| Job::new(move || drop(later))).map_err(|mut refused| {
            refused.value.0 = None;
            refused.error
        })
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}
