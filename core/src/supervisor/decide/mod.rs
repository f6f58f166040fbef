//! What a supervisor does when something happens: (state, input) → (state, actions), without I/O and clocks.
//!
//! One [`State`] is one supervisor with its children; a child that is a supervisor is a child like any other, whose run ends when its own
//! state says [`Action::End`].
//!
//! # What holds
//!
//! * Nothing waits here. Where OTP's supervisor blocks, a child is *busy*: a verb on it waits until its matter is settled, and is then
//!   answered by OTP's rule. Under `one_for_one` the others are not held up; under `one_for_all` and `rest_for_one` one child is
//!   started or stopped at a time, in order.
//! * A child has one run at a time; two in a hand-over, until the predecessor has ended.
//! * Each [`Action::Start`] is settled by `Ready`, `StartFailed` or `Ignored`; each run that was ready by one `Ended`; each verb by one
//!   [`Action::Answer`]; each [`Action::Delay`] by `Elapsed` or [`Action::CancelDelay`].
//! * A start that failed is never tried again at once: its `Delay`, of zero without a backoff, gives everything that has come meanwhile its
//!   turn, so that a child that fails for ever starves nobody, and `terminate_child` ends it. Reports that an executor makes while it is
//!   called must be queued as inputs likewise, not be handed in recursively.
//! * After [`Action::End`] the state is as before the first `Start`, and may be started again: what was added is there, temporary
//!   children included; what `StartChild` brought is forgotten.
//!
//! # What is ours
//!
//! * A child that ends while its siblings are being stopped or started by a restart does not wait for them: it counts, and the restart is
//!   begun anew. OTP comes to the same, later.
//! * A delayed restart stops the siblings in range at once, and starts them after the delay.
//! * A parked child is in no range. A start that `terminate_child` takes out of a restart leaves the rest of it as it is.
//! * In a hand-over the end of the predecessor before its successor is ready counts nothing and touches no sibling: the successor takes its
//!   place. If that fails too, the child has ended as the predecessor did.
//!
//! `child.rs` a child and the list of them; `count.rs` the intensity; `report.rs` what is heard of a run; `restart.rs` restarts and
//! parking; `order.rs` who is stopped and started next; `verbs.rs` the program's calls; `end.rs` the supervisor's own start and end;
//! `view.rs` what can be asked.

#![forbid(unsafe_code)]

mod child;
mod count;
mod end;
mod order;
mod report;
mod restart;
mod verbs;
mod view;

#[cfg(test)]
mod test;

use std::{collections::VecDeque, mem, time::Duration};

use self::{child::Children, count::Counted};
use super::service::{AutoShutdown, Backoff, Restart, ServiceId, Strategy};
use crate::error::{Error, Result};

pub(crate) use self::view::{ChildState, Counts};

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
    /// Its name among its siblings; made up for a template's children.
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
    /// A specification that comes back when the supervisor is restarted; started if the supervisor runs, and gone if that start fails.
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
    /// A run that was ready is over. `successor`: it is the run that takes over in a hand-over, as long as its predecessor has not
    /// ended; otherwise the one that was there.
    Ended { child: ServiceId, normal: bool, successor: bool },
    /// A run that ignored its deadline (to stop, to be ready, to beat) cannot be ended: to the supervisor it has stopped, but the child is not
    /// started before `Ended` comes. `successor` as there.
    Unresponsive { child: ServiceId, successor: bool },
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
    /// End the run that was last started by its `shutdown`; comes back as `Ended` (or `StartFailed` or `Ignored`, if it was not ready;
    /// or `Unresponsive`).
    Stop(ServiceId),
    /// End the run that was there before the successor; comes back as `Ended` or `Unresponsive`.
    StopPredecessor(ServiceId),
    /// `Elapsed` after this; `parked` says why. Zero: in its turn, after what has come meanwhile.
    Delay { child: ServiceId, delay: Duration, parked: bool },
    /// The delay is of no use any more.
    CancelDelay(ServiceId),
    /// The specification is gone; the id is stale from now on.
    Forget(ServiceId),
    /// A verb is done.
    Answer(Token, Result<()>),
    /// The start is over: all are ready, or this is why not; what was started is stopped by then, and `End` follows.
    Started(Result<()>),
    /// More restarts than the intensity allows; the children are stopped, then `End` comes.
    GaveUp,
    /// Significant children have ended; the children are stopped, then `End` comes.
    AutoShutdown,
    /// Nothing runs any more.
    End,
}

/// How far the supervisor is.
#[derive(Debug)]
enum Phase {
    /// Not started yet, or ended.
    Down {
        ended: bool,
    },
    Starting,
    Up,
    /// Its children are being stopped. The error is why its start has failed, if it was not over.
    Ending(Option<Error>),
}

/// One supervisor.
#[derive(Debug)]
pub(crate) struct State {
    flags: Flags,
    phase: Phase,
    children: Children,
    counted: Counted,
    /// Where the start, or the end, has come to: what lies behind has not to be looked at again.
    place: u64,
    /// Verbs that came while it starts.
    waiting: VecDeque<(Token, Verb)>,
    /// What the input at work is about: nobody else is looked at where siblings have nothing to do with one another.
    touched: Vec<ServiceId>,
    now: Duration,
    random: f64,
    out: Vec<Action>,
}

impl State {
    pub(crate) fn new(flags: Flags) -> Self {
        Self {
            flags,
            phase: Phase::Down { ended: false },
            children: Children::default(),
            counted: Counted::default(),
            place: 0,
            waiting: VecDeque::new(),
            touched: Vec::new(),
            now: Duration::ZERO,
            random: 0.0,
            out: Vec::new(),
        }
    }

    /// What is to be done. `now` never goes back; `random`, from 0.0 to 1.0, is for the jitter of a delay.
    pub(crate) fn apply(&mut self, now: Duration, input: Input, random: f64) -> Vec<Action> {
        self.now = now;
        self.random = random;
        match input {
            Input::Start => self.start(),
            Input::Stop => self.stop(),
            Input::Ready(child) => self.ready(child),
            Input::StartFailed(child, error) => self.start_failed(child, error),
            Input::Ignored(child) => self.ignored(child),
            Input::Ended { child, normal, successor } => self.ended(child, normal, successor),
            Input::Unresponsive { child, successor } => self.unresponsive(child, successor),
            Input::Elapsed(child) => self.elapsed(child),
            Input::Verb(token, verb) => self.verb(token, verb),
        }
        while self.serve() || self.proceed() {}
        self.touched.clear();
        mem::take(&mut self.out)
    }

    /// Siblings have nothing to do with one another.
    fn free(&self) -> bool {
        matches!(self.flags.strategy, Strategy::OneForOne | Strategy::SimpleOneForOne)
    }

    fn simple(&self) -> bool {
        self.flags.strategy == Strategy::SimpleOneForOne
    }

    fn answer(&mut self, token: Token, result: Result<()>) {
        self.out.push(Action::Answer(token, result));
    }
}
