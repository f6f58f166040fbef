//! What a supervisor does when something happens: (state, input) → (state, actions), without I/O and clocks.
//!
//! One state is one supervisor with its children; a child that is a supervisor is a child like any other, whose run ends when its own
//! state says [`Action::End`].

#![forbid(unsafe_code)]

use std::time::Duration;

use super::service::{AutoShutdown, Backoff, Restart, ServiceId, Strategy};
use crate::error::{Error, Result};

/// What the rules ask of a supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Option<u32>,
    pub(crate) period: Duration,
    pub(crate) auto_shutdown: AutoShutdown,
}

/// What the rules ask of a child.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Its name among its siblings; made up under `simple_one_for_one`.
    pub(crate) id: String,
    pub(crate) restart: Restart,
    pub(crate) significant: bool,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) park: bool,
    pub(crate) park_at_start: bool,
    pub(crate) supervisor: bool,
}

/// Names who waits for the answer to a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// A call of the program.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    /// A specification that comes back when the supervisor is restarted; started if the supervisor runs.
    Add(ServiceId, Rules),
    /// `start_child`: a specification that lives as long as this run of the supervisor.
    StartChild(ServiceId, Rules),
    TerminateChild(ServiceId),
    RestartChild(ServiceId),
    DeleteChild(ServiceId),
    /// A new run is to be ready before the old one is asked to stop.
    Replace(ServiceId),
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// Start the children in order.
    Start,
    /// The run of this child that was last started is ready.
    Ready(ServiceId),
    /// The run that was last started did not get ready, and is over.
    StartFailed(ServiceId, Error),
    /// It asked not to be run, and is over.
    Ignored(ServiceId),
    /// A run that was ready is over. `successor`: it is the run that takes over in a hand-over, otherwise the one that was there.
    Ended { child: ServiceId, normal: bool, successor: bool },
    /// A run that ignored its deadline cannot be ended: to the supervisor it has stopped, but it is not started before `Ended` comes.
    Unresponsive(ServiceId),
    /// The delay that was asked for is over.
    Elapsed(ServiceId),
    /// Answered once, by an [`Action::Answer`].
    Verb(Token, Verb),
    /// Stop the children, last first, and end.
    Stop,
}

/// Something to be done, in the order given.
#[derive(Debug)]
pub(crate) enum Action {
    /// Begin a run; comes back as `Ready`, `StartFailed` or `Ignored`.
    Start(ServiceId),
    /// End a run by its `shutdown`; comes back as `Ended` (or `StartFailed`, if it was not ready; or `Unresponsive`).
    Stop(ServiceId),
    /// End the run that was there before the successor; comes back as `Ended`.
    StopPredecessor(ServiceId),
    /// `Elapsed` after this; `parked` says why.
    Delay { child: ServiceId, delay: Duration, parked: bool },
    /// The delay is of no use any more.
    CancelDelay(ServiceId),
    /// The specification is gone; the id is stale from now on.
    Forget(ServiceId),
    /// A verb is done.
    Answer(Token, Result<()>),
    /// The start is over: all are ready, or this is why not (what was started is stopped by then).
    Started(Result<()>),
    /// More restarts than the intensity allows; the children are stopped, then `End` comes.
    GaveUp,
    /// Significant children have ended; the children are stopped, then `End` comes.
    AutoShutdown,
    /// Nothing runs any more.
    End,
}
