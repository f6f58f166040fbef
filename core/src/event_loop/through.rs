//! Posts through a queue of the caller's own: a binding whose callbacks cost much to enter runs many of them in one entry.
//!
//! What is put into that queue inside the gate is as good as posted: [`Handle::stop`] closes the posts when nobody is inside any more,
//! and the job that takes the queue up was posted by then.

#![forbid(unsafe_code)]

use super::Handle;
use crate::{
    error::{Error, Result},
    job::Job,
};

impl Handle {
    /// Has `add` put something into a queue of the caller's, and posts the job that it answers, which takes the queue up on the
    /// loop's thread. It answers `None` while a job of that kind is queued and has not begun. `add` runs no foreign code and does not
    /// wait.
    ///
    /// # Errors
    /// [`Error::Closed`] after `stop`, [`Error::Forked`]; then `add` was not called.
    #[inline]
    pub fn post_through(&self, add: impl FnOnce() -> Option<Job>) -> Result<()> {
        let shared = &*self.shared;
        shared.fork.check()?;
        let _inside = shared.gate.enter().ok_or(Error::Closed("event loop"))?;
        if let Some(job) = add() {
            // Still inside the gate: the job may run at once and free the loop, which waits until nobody is inside.
            match shared.posts.push(job, |job| job, || ()) {
                Ok(None) => {}
                Ok(Some(())) => shared.wake(),
                Err(_) => unreachable!("closed when nobody is inside the gate any more"),
            }
        }
        Ok(())
    }

    /// For a callback that has many things to do: whether the loop wants it back before the next one, since it was interrupted or
    /// freed, or this is a forked child.
    #[inline]
    pub fn is_wanted_back(&self) -> bool {
        let runner = &self.shared.runner;
        runner.is_interrupted() || runner.is_freed() || self.shared.fork.is_forked()
    }

    /// Whether the loop's owner is gone: what is queued is to be dropped, not run.
    pub fn is_freed(&self) -> bool {
        self.shared.runner.is_freed()
    }

    /// Whether this is a forked child of the process that made the loop.
    pub fn is_forked(&self) -> bool {
        self.shared.fork.is_forked()
    }
}
