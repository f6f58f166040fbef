//! One child as its supervisor knows it, and the list of them in start order.

#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use super::{Rules, Token, Verb};
use crate::supervisor::service::{Restart, ServiceId};

/// What is known of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Starting,
    Ready,
    /// It was asked to stop: whatever it reports next but `Ready` is its end.
    Stopping,
}

/// What becomes of a child that has no run, or once its run that is being stopped is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Rest,
    /// Started when its turn comes.
    Start,
    /// Started when the delay that was asked for is over.
    Wait {
        parked: bool,
    },
    Forget,
}

/// The verb that a child is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// `Add` and `StartChild`: without a start there is no specification.
    Add,
    Restart,
    Terminate,
    /// `ended`: the predecessor has, normally or not, before its successor was ready.
    Replace {
        ended: Option<bool>,
    },
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ServiceId,
    pub(super) rules: Rules,
    /// Its specification comes back when the supervisor is started again.
    pub(super) kept: bool,
    /// Forgotten until then.
    pub(super) gone: bool,
    /// The run that was last started.
    pub(super) run: Option<Run>,
    /// The one before it, in a hand-over.
    pub(super) old: Option<Run>,
    /// In a hand-over: the successor was ready, and ended, normally or not, while the predecessor was being stopped.
    pub(super) lost: Option<bool>,
    /// Runs that could not be ended, and have not ended yet.
    pub(super) disowned: u32,
    /// It must stop, by a sibling's restart or with the supervisor. Only while it has a run.
    pub(super) halt: bool,
    pub(super) next: Next,
    /// Not ready since the supervisor began to start: a start that fails fails the supervisor.
    pub(super) fresh: bool,
    /// The coming start is the try that follows a rest: its failure counts nothing.
    pub(super) parked: bool,
    /// Restarts since the last calm time, for the backoff.
    pub(super) attempts: u32,
    /// When its last faults were, as far as its backoff's burst asks for them.
    pub(super) recent: VecDeque<Duration>,
    /// When it was last ready.
    pub(super) since: Duration,
    pub(super) work: Option<(Token, Work)>,
    /// Verbs that wait until it is not busy.
    pub(super) verbs: VecDeque<(Token, Verb)>,
}

impl Child {
    pub(super) fn new(id: ServiceId, rules: Rules, kept: bool) -> Self {
        Self {
            id,
            rules,
            kept,
            gone: false,
            run: None,
            old: None,
            lost: None,
            disowned: 0,
            halt: false,
            next: Next::Rest,
            fresh: false,
            parked: false,
            attempts: 0,
            recent: VecDeque::new(),
            since: Duration::ZERO,
            work: None,
            verbs: VecDeque::new(),
        }
    }

    /// The delay before the restart that follows a fault at `now`.
    pub(super) fn delay(&mut self, now: Duration, random: f64) -> Duration {
        let Some(backoff) = self.rules.backoff else { return Duration::ZERO };
        if backoff.burst > 1 {
            self.recent.push_back(now);
            while self.recent.len() > backoff.burst as usize
                || self.recent.front().is_some_and(|first| now.saturating_sub(*first) >= backoff.calm)
            {
                self.recent.pop_front();
            }
            // Once delayed it goes on until it is calm: delays keep the ends apart.
            if self.attempts == 0 && self.recent.len() < backoff.burst as usize {
                return Duration::ZERO;
            }
        }
        let delay = backoff.before(self.attempts, random);
        self.attempts = self.attempts.saturating_add(1);
        delay
    }

    pub(super) fn runs(&self) -> bool {
        self.run.is_some() || self.old.is_some()
    }

    /// What is going on is not settled before another input about it: verbs wait.
    pub(super) fn busy(&self) -> bool {
        matches!(self.run, Some(Run::Starting | Run::Stopping))
            || self.old.is_some()
            || self.halt
            || self.work.is_some()
    }

    /// OTP's "has a pid, or is restarting".
    pub(super) fn active(&self) -> bool {
        self.runs() || matches!(self.next, Next::Start | Next::Wait { .. })
    }

    pub(super) fn temporary(&self) -> bool {
        self.rules.restart == Restart::Temporary
    }

    /// In words, for the text of an error.
    pub(super) fn words(&self) -> &'static str {
        match (self.run.or(self.old), self.next) {
            (Some(Run::Starting), _) => "is being started",
            (Some(Run::Ready), _) => "runs",
            (Some(Run::Stopping), _) => "is being stopped",
            (None, Next::Start) => "is being restarted",
            (None, Next::Wait { parked: false }) => "waits to be restarted",
            (None, Next::Wait { parked: true }) => "is parked, and will be tried again",
            (None, _) if self.disowned > 0 => "has ignored its deadline, and still runs",
            (None, _) => "is stopped",
        }
    }
}

/// Children in start order.
#[derive(Debug, Default)]
pub(super) struct Children {
    list: BTreeMap<u64, Child>,
    places: HashMap<ServiceId, u64>,
    next: u64,
}

impl Children {
    /// At the end. False if the id is there.
    pub(super) fn push(&mut self, child: Child) -> bool {
        if self.places.contains_key(&child.id) {
            return false;
        }
        self.places.insert(child.id, self.next);
        self.list.insert(self.next, child);
        self.next += 1;
        true
    }

    pub(super) fn remove(&mut self, id: ServiceId) -> Option<Child> {
        let place = self.places.remove(&id)?;
        self.list.remove(&place)
    }

    pub(super) fn get(&self, id: ServiceId) -> Option<&Child> {
        self.list.get(self.places.get(&id)?)
    }

    pub(super) fn get_mut(&mut self, id: ServiceId) -> Option<&mut Child> {
        self.list.get_mut(self.places.get(&id)?)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.list.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Child> {
        self.list.values_mut()
    }

    /// The first from this place on, with its place.
    pub(super) fn first_from(&self, place: u64, wanted: impl Fn(&Child) -> bool) -> Option<(u64, &Child)> {
        self.list.range(place..).find(|(_, child)| wanted(child)).map(|(place, child)| (*place, child))
    }

    /// The last before this place, with its place.
    pub(super) fn last_before(&mut self, place: u64, wanted: impl Fn(&Child) -> bool) -> Option<(u64, &mut Child)> {
        self.list.range_mut(..place).rev().find(|(_, child)| wanted(child)).map(|(place, child)| (*place, child))
    }

    /// Those started after this one.
    pub(super) fn after_mut(&mut self, id: ServiceId) -> impl Iterator<Item = &mut Child> {
        let place = self.places.get(&id).map_or(u64::MAX, |place| place + 1);
        self.list.range_mut(place..).map(|(_, child)| child)
    }
}
