//! Where a source's callback runs: on the loop's thread, or in whatever the loop's owner dispatches to.
//!
//! The loop does not know the pool. A [`Runtime`](crate::runtime::Runtime) gives its loop a [`Dispatcher`] made of its
//! pool; a bare loop has none. What a source asked for is looked up once, when it is made: its callbacks then go to a
//! [`Target`].

#![forbid(unsafe_code)]

use std::{fmt, sync::Arc};

use crate::{
    cpu::CpuSet,
    error::{Error, Refused, Result},
    job::Job,
    priority::Priority,
};

/// Knows the places, other than the loop's thread, where callbacks may run.
pub trait Dispatcher: Send + Sync {
    /// The place for this priority and set of CPUs (`None`: any); refuses a set that nothing runs on.
    fn target(&self, priority: Priority, cpus: Option<&CpuSet>) -> Result<Arc<dyn Target>>;
}

/// One of those places.
pub trait Target: Send + Sync {
    /// Takes the job, to be run once and soon, or refuses it.
    fn dispatch(&self, job: Job) -> Result<(), Refused<Job>>;
}

/// Where the callback of a timer or a watch runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum On {
    /// On the loop's thread for a bare loop, in the pool at normal priority for a runtime's.
    #[default]
    Default,
    /// On the loop's thread.
    Loop,
    /// In the runtime's pool. The source is disarmed until its callback returns, so its callbacks do not overlap.
    Pool {
        /// How urgent its callbacks are.
        priority: Priority,
        /// Where they may run. `None`: on every worker.
        cpus: Option<CpuSet>,
    },
}

impl On {
    /// In the runtime's pool, on every worker.
    pub const fn pool(priority: Priority) -> Self {
        Self::Pool { priority, cpus: None }
    }
}

/// [`On`], decided when the source was made.
#[derive(Clone)]
pub(super) enum Place {
    Loop,
    Pool(Arc<dyn Target>),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop => f.write_str("Loop"),
            Self::Pool(_) => f.write_str("Pool"),
        }
    }
}

impl On {
    pub(super) fn place(&self, pool: Option<&Arc<dyn Dispatcher>>) -> Result<Place> {
        match (self, pool) {
            (Self::Loop, _) | (Self::Default, None) => Ok(Place::Loop),
            (Self::Default, Some(pool)) => Ok(Place::Pool(pool.target(Priority::Normal, None)?)),
            (Self::Pool { priority, cpus }, Some(pool)) => Ok(Place::Pool(pool.target(*priority, cpus.as_ref())?)),
            (Self::Pool { .. }, None) => Err(Error::Invalid(
                "this event loop has no pool: its callbacks run on the loop's thread (a runtime's loop has one)".into(),
            )),
        }
    }
}
