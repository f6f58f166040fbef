//! The rules once more, as one who watches would tell them: from what a supervisor hears and does, without knowing how it decides.
//!
//! It follows each run by what was reported, knows who is wanted, who is doomed by a restart of its siblings and what was counted, and
//! objects to whatever does not follow. Every test of this directory is watched.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Life {
    ready: bool,
    asked: bool,
}

#[derive(Debug)]
struct Kid {
    id: ServiceId,
    rules: Rules,
    kept: bool,
    gone: bool,
    run: Option<Life>,
    old: Option<Life>,
    /// The end of the successor, or of the predecessor, that does not count before the other run is over.
    pending: Option<bool>,
    disowned: u32,
    /// It is to run, sooner or later.
    wanted: bool,
    /// Its run must go, by a restart of its siblings.
    doomed: bool,
    delayed: bool,
    parked: bool,
    fresh: bool,
}

impl Kid {
    fn runs(&self) -> bool {
        self.run.is_some() || self.old.is_some()
    }

    fn starts(&self) -> bool {
        self.run.is_some_and(|life| !life.ready && !life.asked)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Down,
    Starting,
    Up,
}

/// What must be done now.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    gave_up: bool,
    auto_shutdown: bool,
    parked: Option<ServiceId>,
}

#[derive(Debug)]
pub(super) struct Model {
    flags: Flags,
    kids: Vec<Kid>,
    phase: Phase,
    ending: bool,
    times: Vec<Duration>,
    /// Those without an answer; the second tells a terminate that has begun.
    verbs: BTreeMap<u64, (Verb, bool)>,
    /// Not forgotten yet.
    brought: BTreeSet<ServiceId>,
}

impl Model {
    pub(super) fn new(flags: Flags) -> Self {
        Self {
            flags,
            kids: Vec::new(),
            phase: Phase::Down,
            ending: false,
            times: Vec::new(),
            verbs: BTreeMap::new(),
            brought: BTreeSet::new(),
        }
    }

    pub(super) fn see(&mut self, now: Duration, input: &Input, actions: &[Action]) {
        let mut expected = Expected::default();
        self.hear(now, input, actions, &mut expected);
        for action in actions {
            self.follow(action);
        }
        let parked = actions.iter().find_map(|action| match action {
            Action::Delay { child, parked: true, .. } => Some(*child),
            _ => None,
        });
        let seen = Expected {
            gave_up: actions.iter().any(|action| matches!(action, Action::GaveUp)),
            auto_shutdown: actions.iter().any(|action| matches!(action, Action::AutoShutdown)),
            parked,
        };
        assert_eq!(seen, expected, "after {input:?}: {actions:?}");
    }

    /// Everybody did what they were asked to, and no time is left to pass.
    pub(super) fn at_rest(&self) {
        assert!(!self.ending, "it does not end");
        assert!(self.verbs.is_empty(), "no answer to {:?}", self.verbs);
        assert_ne!(self.phase, Phase::Starting, "it is not started");
        for kid in self.kids.iter().filter(|kid| !kid.gone) {
            let runs = kid.run == Some(Life { ready: true, asked: false });
            let wanted = kid.wanted && self.phase == Phase::Up;
            assert_eq!(runs, wanted, "at rest: {kid:?}");
            assert!(kid.old.is_none() && !kid.doomed && !kid.delayed, "at rest: {kid:?}");
        }
    }

    fn simple(&self) -> bool {
        self.flags.strategy == Strategy::SimpleOneForOne
    }

    fn grouped(&self) -> bool {
        matches!(self.flags.strategy, Strategy::OneForAll | Strategy::RestForOne)
    }

    fn place(&self, id: ServiceId) -> Option<usize> {
        self.kids.iter().position(|kid| kid.id == id)
    }

    // What it hears.

    fn hear(&mut self, now: Duration, input: &Input, actions: &[Action], expected: &mut Expected) {
        match input {
            Input::Start if self.phase == Phase::Down => {
                self.phase = Phase::Starting;
                self.times.clear();
                for kid in &mut self.kids {
                    (kid.wanted, kid.fresh) = (true, true);
                }
            }
            Input::Stop if self.phase != Phase::Down => self.ending = true,
            Input::Verb(token, verb) => {
                self.verbs.insert(token.0, (verb.clone(), false));
                if let Verb::Add(id, _) | Verb::StartChild(id, _) = verb {
                    self.brought.insert(*id);
                }
            }
            Input::Ready(id) => {
                if let Some(kid) = self.place(*id).map(|place| &mut self.kids[place])
                    && let Some(life) = kid.run.as_mut().filter(|life| !life.asked)
                {
                    life.ready = true;
                    (kid.fresh, kid.parked) = (false, false);
                }
            }
            Input::Elapsed(id) => {
                if let Some(place) = self.place(*id) {
                    self.kids[place].delayed = false;
                }
            }
            Input::StartFailed(id, _) | Input::Ignored(id) => {
                let Some(place) = self.place(*id) else { return };
                let kid = &mut self.kids[place];
                let Some(life) = kid.run.take() else { return };
                if life.asked || kid.doomed || self.ending {
                    return self.is_over(place);
                }
                if kid.old.is_some() {
                    kid.run = kid.old.take();
                } else if matches!(input, Input::Ignored(_)) {
                    (kid.wanted, kid.fresh, kid.parked, kid.pending) = (false, false, false, None);
                    self.settle_gone(place);
                } else {
                    self.start_failed(now, place, actions, expected);
                }
            }
            Input::Ended { child, normal, successor } => {
                if let Some(place) = self.place(*child) {
                    self.ended(now, place, *normal, *successor, expected);
                }
            }
            Input::Unresponsive { child, successor } => {
                let Some(place) = self.place(*child) else { return };
                let kid = &mut self.kids[place];
                kid.disowned += 1;
                if let Some(old) = kid.old.filter(|_| !*successor) {
                    self.predecessor_ended(now, place, old.asked, expected);
                } else {
                    kid.run = None;
                    self.is_over(place);
                }
            }
            Input::Start | Input::Stop => {}
        }
    }

    fn start_failed(&mut self, now: Duration, place: usize, actions: &[Action], expected: &mut Expected) {
        let kid = &mut self.kids[place];
        let (id, pending) = (kid.id, kid.pending.take());
        let by_verb = actions.iter().find_map(|action| match action {
            Action::Answer(token, result) => match self.verbs.get(&token.0)?.0 {
                Verb::Add(child, _) | Verb::StartChild(child, _) if child == id => Some((true, result.is_ok())),
                Verb::RestartChild(child) | Verb::Replace(child) if child == id && result.is_err() => {
                    matches!(result, Err(Error::Failed(_))).then_some((false, false))
                }
                _ => None,
            },
            _ => None,
        });
        match by_verb {
            Some((true, parks)) => {
                assert_eq!(parks, kid.rules.park_at_start);
                expected.parked = parks.then_some(id);
            }
            Some((false, _)) => {
                kid.wanted = false;
                if let Some(normal) = pending {
                    self.own_end(now, place, normal, expected);
                }
            }
            None if kid.fresh && kid.rules.park_at_start => {
                kid.fresh = false;
                expected.parked = Some(id);
            }
            None if kid.fresh => self.ending = true,
            None if kid.parked => expected.parked = Some(id),
            None => self.fault(now, place, expected),
        }
    }

    fn ended(&mut self, now: Duration, place: usize, normal: bool, successor: bool, expected: &mut Expected) {
        let kid = &mut self.kids[place];
        if !successor && kid.old.is_some() {
            return self.predecessor_ended(now, place, normal, expected);
        }
        if kid.disowned > 0 && (!successor || kid.run.is_none()) {
            kid.disowned -= 1;
            return;
        }
        let Some(life) = kid.run.take() else { return };
        if life.asked || kid.doomed || self.ending {
            self.is_over(place);
        } else if kid.old.is_some() {
            kid.pending = Some(normal);
        } else {
            self.own_end(now, place, normal, expected);
        }
    }

    fn predecessor_ended(&mut self, now: Duration, place: usize, normal: bool, expected: &mut Expected) {
        let kid = &mut self.kids[place];
        let life = kid.old.take().expect("it was there");
        if kid.doomed || self.ending {
            self.is_over(place);
        } else if !life.asked {
            // The successor takes its place.
            kid.pending = Some(normal);
        } else if kid.run.is_none()
            && let Some(normal) = kid.pending.take()
        {
            self.own_end(now, place, normal, expected);
        }
    }

    /// A run that was to end is over.
    fn is_over(&mut self, place: usize) {
        let kid = &mut self.kids[place];
        if !kid.runs() {
            (kid.doomed, kid.pending) = (false, None);
            if !kid.wanted && !self.ending {
                self.settle_gone(place);
            }
        }
    }

    fn settle_gone(&mut self, place: usize) {
        let simple = self.simple();
        let kid = &mut self.kids[place];
        if kid.rules.restart == Restart::Temporary || simple {
            kid.gone = true;
        }
    }

    fn own_end(&mut self, now: Duration, place: usize, normal: bool, expected: &mut Expected) {
        let kid = &mut self.kids[place];
        let again = kid.rules.restart == Restart::Permanent || (kid.rules.restart == Restart::Transient && !normal);
        if again {
            return self.fault(now, place, expected);
        }
        let significant = kid.rules.significant;
        kid.wanted = false;
        self.settle_gone(place);
        let others = self.kids.iter().any(|kid| kid.rules.significant && !kid.gone && (kid.runs() || kid.wanted))
            || self.coming().any(|rules| rules.significant);
        expected.auto_shutdown = significant
            && match self.flags.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !others,
            };
        self.ending |= expected.auto_shutdown;
    }

    fn fault(&mut self, now: Duration, place: usize, expected: &mut Expected) {
        let id = self.kids[place].id;
        self.kids[place].wanted = true;
        let recent = self.times.iter().filter(|time| now - **time <= self.flags.period).count();
        if self.flags.intensity.is_some_and(|most| recent + 1 > most as usize) {
            if self.kids[place].rules.park {
                expected.parked = Some(id);
            } else {
                expected.gave_up = true;
                self.ending = true;
            }
            return;
        }
        self.times.push(now);
        let first = match self.flags.strategy {
            Strategy::OneForAll => 0,
            Strategy::RestForOne => place + 1,
            _ => self.kids.len(),
        };
        for sibling in self.kids[first..].iter_mut().filter(|kid| kid.id != id && !kid.gone && !kid.delayed) {
            sibling.doomed = sibling.runs();
            sibling.wanted = !sibling.doomed || sibling.rules.restart != Restart::Temporary;
        }
    }

    // What it sees done.

    fn follow(&mut self, action: &Action) {
        match action {
            Action::Start(id) => self.start(*id),
            Action::Stop(id) => self.stop(*id),
            Action::StopPredecessor(id) => {
                let place = self.place(*id).expect("stopped, and not there");
                let kid = &mut self.kids[place];
                assert!(
                    self.ending || kid.doomed || kid.run.is_some_and(|life| life.ready),
                    "the successor is not ready"
                );
                assert!(
                    !kid.old.replace(Life { ready: true, asked: true }).expect("no predecessor").asked,
                    "asked twice"
                );
            }
            Action::Delay { child, parked, .. } => {
                let place = self.place(*child).expect("delayed, and not there");
                let kid = &mut self.kids[place];
                assert!(!kid.runs() && !kid.delayed && kid.wanted);
                kid.delayed = true;
                kid.parked |= parked;
            }
            Action::CancelDelay(id) => {
                let place = self.place(*id).expect("delayed, and not there");
                assert!(mem::replace(&mut self.kids[place].delayed, false), "no delay");
            }
            Action::Forget(id) => {
                // One that was refused may never have been started.
                assert!(self.brought.remove(id), "forgotten, and not there");
                if let Some(place) = self.place(*id) {
                    assert!(!self.kids.remove(place).runs(), "forgotten, and runs");
                }
            }
            Action::Answer(token, result) => self.answered(token.0, result),
            Action::Started(result) => {
                assert_eq!(self.phase, Phase::Starting);
                assert_eq!(result.is_err(), self.ending);
                self.phase = Phase::Up;
                assert!(self.ending || self.kids.iter().all(|kid| kid.gone || !kid.fresh));
            }
            Action::GaveUp | Action::AutoShutdown => {}
            Action::End => {
                assert!(self.ending || self.phase == Phase::Down);
                (self.phase, self.ending) = (Phase::Down, false);
                for kid in &mut self.kids {
                    assert!(!kid.runs() && !kid.delayed && kid.kept, "left at the end: {kid:?}");
                    (kid.gone, kid.fresh, kid.parked, kid.doomed) = (false, false, false, false);
                }
            }
        }
    }

    fn start(&mut self, id: ServiceId) {
        let place = self.place(id).unwrap_or_else(|| self.join(id));
        let restart = self.verbs.values().any(|(verb, _)| matches!(verb, Verb::RestartChild(child) if *child == id));
        let (grouped, starting) = (self.grouped(), self.phase == Phase::Starting);
        let (before, rest) = self.kids.split_at_mut(place);
        let [kid, after @ ..] = rest else { unreachable!() };
        assert!(self.phase != Phase::Down && !self.ending, "started while it does not run");
        if let Some(life) = kid.run {
            assert!(life == Life { ready: true, asked: false } && kid.old.is_none() && !kid.doomed, "two runs");
            (kid.old, kid.run) = (kid.run.take(), Some(Life::default()));
            return;
        }
        assert!(kid.wanted || restart, "not wanted");
        assert!(!kid.gone && !kid.delayed && kid.disowned == 0 && kid.old.is_none(), "not to be started: {kid:?}");
        kid.wanted = true;
        kid.run = Some(Life::default());
        let ready = |kid: &Kid| kid.gone || !kid.wanted || kid.parked || kid.run.is_some_and(|life| life.ready);
        if grouped {
            assert!(!before.iter().chain(&*after).any(|kid| kid.doomed), "a sibling is to be stopped first");
            assert!(!before.iter().chain(&*after).any(Kid::starts), "two start at once");
            assert!(before.iter().all(ready), "one before it is not ready");
        }
        if starting && kid.fresh {
            assert!(before.iter().all(|kid| kid.gone || !kid.fresh), "one before it has not been ready yet");
        }
    }

    /// Those that verbs have brought and that wait for their siblings before they are started. Its verb came before whatever comes now.
    fn coming(&self) -> impl Iterator<Item = &Rules> {
        let brought = self.verbs.values().filter_map(|(verb, _)| match verb {
            Verb::Add(id, rules) | Verb::StartChild(id, rules) => Some((id, rules)),
            _ => None,
        });
        let is_new = |(id, rules): &(&ServiceId, &Rules)| {
            self.phase == Phase::Up
                && self.place(**id).is_none()
                && self.kids.iter().all(|kid| kid.gone || kid.rules.id != rules.id)
        };
        brought.filter(is_new).map(|(_, rules)| rules)
    }

    /// A child that a verb has brought.
    fn join(&mut self, id: ServiceId) -> usize {
        let found = self.verbs.values().find_map(|(verb, _)| match verb {
            Verb::Add(child, rules) if *child == id => Some((rules.clone(), true)),
            Verb::StartChild(child, rules) if *child == id => Some((rules.clone(), false)),
            _ => None,
        });
        let (rules, kept) = found.expect("nobody has brought it");
        assert!(self.simple() || self.kids.iter().all(|kid| kid.gone || kid.rules.id != rules.id), "a name used twice");
        self.kids.push(Kid {
            id,
            rules,
            kept,
            gone: false,
            run: None,
            old: None,
            pending: None,
            disowned: 0,
            wanted: true,
            doomed: false,
            delayed: false,
            parked: false,
            fresh: false,
        });
        self.kids.len() - 1
    }

    fn stop(&mut self, id: ServiceId) {
        let place = self.place(id).expect("stopped, and not there");
        let simple = self.simple();
        let ending = self.ending;
        let (kid, later) = self.kids[place..].split_first_mut().expect("it is there");
        let life = kid.run.as_mut().expect("stopped, and no run");
        assert!(!mem::replace(&mut life.asked, true), "asked twice");
        if ending {
            assert!(simple || !later.iter().any(Kid::runs), "one after it still runs");
        } else if kid.doomed {
            assert!(!later.iter().any(|kid| kid.doomed), "one after it is to be stopped first");
        } else {
            let terminate = |(verb, begun): &&mut (Verb, bool)| {
                !begun && matches!(verb, Verb::TerminateChild(child) if *child == id)
            };
            self.verbs.values_mut().find(terminate).expect("nobody wanted it stopped").1 = true;
            kid.wanted = false;
        }
    }

    fn answered(&mut self, token: u64, result: &Result<()>) {
        let (verb, begun) = self.verbs.remove(&token).expect("answered twice");
        if result.is_err() {
            return;
        }
        match verb {
            // One that was being started when the end began is there already.
            Verb::Add(id, rules) if (self.phase == Phase::Down || self.ending) && self.place(id).is_none() => {
                self.verbs.insert(token, (Verb::Add(id, rules), false));
                let place = self.join(id);
                self.kids[place].wanted = false;
                self.verbs.remove(&token);
            }
            Verb::TerminateChild(id) if !begun => {
                if let Some(place) = self.place(id) {
                    let kid = &mut self.kids[place];
                    assert!(!kid.runs(), "terminated, and runs");
                    (kid.wanted, kid.parked) = (false, false);
                    self.settle_gone(place);
                }
            }
            Verb::DeleteChild(id) => {
                let kid = &self.kids[self.place(id).expect("deleted, and not there")];
                assert!(!kid.runs() && (!kid.wanted || self.phase == Phase::Down));
            }
            _ => {}
        }
    }
}
