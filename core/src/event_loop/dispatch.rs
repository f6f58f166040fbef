//! Where a source's callback runs: on the loop's thread, or in whatever the loop's owner dispatches to.
//!
//! The loop does not know the pool. A [`Runtime`](crate::runtime::Runtime) gives its loop a [`Dispatcher`] made of its
//! pool; a bare loop has none.

#![forbid(unsafe_code)]

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, Refused, Result},
    job::Job,
    priority::Priority,
};

/// Runs jobs somewhere else than on the loop's thread.
pub trait Dispatcher: Send + Sync {
    /// Takes the job, to be run once and soon, or refuses it.
    fn dispatch(&self, priority: Priority, job: Job) -> Result<(), Refused<Job>>;
}

/// Where the callback of a timer or a watch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum On {
    /// On the loop's thread for a bare loop, in the pool at normal priority for a runtime's.
    #[default]
    Default,
    /// On the loop's thread.
    Loop,
    /// In the runtime's pool. The source is disarmed until its callback returns, so its callbacks do not overlap.
    Pool(Priority),
}

/// [`On`], decided when the source was made.
#[derive(Clone)]
pub(super) enum Place {
    Loop,
    Pool(Arc<dyn Dispatcher>, Priority),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop => f.write_str("Loop"),
            Self::Pool(_, priority) => write!(f, "Pool({priority:?})"),
        }
    }
}

impl On {
    pub(super) fn place(self, pool: Option<&Arc<dyn Dispatcher>>) -> Result<Place> {
        match (self, pool) {
            (Self::Loop, _) | (Self::Default, None) => Ok(Place::Loop),
            (Self::Default, Some(pool)) => Ok(Place::Pool(pool.clone(), Priority::Normal)),
            (Self::Pool(priority), Some(pool)) => Ok(Place::Pool(pool.clone(), priority)),
            (Self::Pool(_), None) => Err(Error::Invalid(
                "this event loop has no pool: its callbacks run on the loop's thread (a runtime's loop has one)".into(),
            )),
        }
    }
}
