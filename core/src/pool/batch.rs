//! Batches: many tasks with one call, of which a full or a closing pool takes the first ones.

#![forbid(unsafe_code)]

use std::{fmt, time::Duration};

use super::{Handle, SubmitOptions, Target};
use crate::{
    error::{Error, Result},
    job::Job,
    time::Deadline,
};

/// How many tasks are queued before somebody is woken for them.
const PIECE: usize = 64;

/// A batch of which not all was taken.
///
/// `?` turns it into its [`Error`] and drops the rest.
pub struct RefusedBatch {
    /// Why the rest was not taken.
    pub error: Error,
    /// How many tasks were: the first ones.
    pub accepted: usize,
    /// What was not: nothing of it has run.
    pub rest: Vec<Job>,
}

impl fmt::Debug for RefusedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, accepted, rest } = self;
        f.debug_struct("RefusedBatch")
            .field("error", error)
            .field("accepted", accepted)
            .field("rest", &rest.len())
            .finish()
    }
}

impl fmt::Display for RefusedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for RefusedBatch {}

impl From<RefusedBatch> for Error {
    fn from(refused: RefusedBatch) -> Self {
        refused.error
    }
}

impl Handle {
    /// Has workers run these tasks, in order as far as [`Handle::submit_with`] keeps it, and cheaper than one by one.
    ///
    /// # Errors
    /// Those of [`Handle::submit_with`], with the tasks that were not taken; [`Error::Invalid`] for a batch of none.
    pub fn submit_batch(&self, options: &SubmitOptions, jobs: Vec<Job>) -> Result<(), RefusedBatch> {
        let refuse = |error, rest| Err(RefusedBatch { error, accepted: 0, rest });
        let target = match self.target(options) {
            Ok(target) => target,
            Err(error) => return refuse(error, jobs),
        };
        if jobs.is_empty() {
            return refuse(Error::Invalid("a batch of 0 tasks: give at least 1".to_owned()), jobs);
        }
        self.push_batch(&target, options.timeout, jobs)
    }

    fn push_batch(&self, target: &Target, timeout: Option<Duration>, jobs: Vec<Job>) -> Result<(), RefusedBatch> {
        let count = jobs.len();
        let mut deadline = None;
        let mut rest = jobs.into_iter();
        while rest.len() > 0 {
            let piece = rest.len().min(PIECE);
            let places = match self.admit(piece) {
                0 => {
                    // The time runs from the moment that the pool is found full.
                    let deadline = *deadline.get_or_insert_with(|| Deadline::after(timeout));
                    self.wait_for_room(timeout, deadline).map(|()| 1)
                }
                places => Ok(places),
            };
            let pushed = places.and_then(|places| {
                let mut jobs = rest.by_ref().take(places);
                self.push_all(target, &mut jobs).inspect_err(|_| self.shared.leave_room(places))
            });
            if let Err(error) = pushed {
                let rest: Vec<Job> = rest.collect();
                return Err(RefusedBatch { error, accepted: count - rest.len(), rest });
            }
        }
        Ok(())
    }
}
