//! A world for one supervisor: what it asks for is done, and what comes of it reported, as an honest host would.
//!
//! It holds the supervisor to what every host relies on: who may be started and stopped when, that each verb and delay is settled once,
//! and that nothing is left when it has ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{model::Model, *};

/// What a start comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Ready,
    Fail,
    Ignore,
    /// Nothing, until told.
    Hang,
}

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    ready: bool,
    asked: bool,
    disowned: bool,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) model: Model,
    pub(super) now: Duration,
    /// What was reported, and not yet heard.
    pub(super) inbox: VecDeque<Input>,
    lives: BTreeMap<ServiceId, Vec<Life>>,
    names: BTreeMap<ServiceId, String>,
    script: BTreeMap<ServiceId, VecDeque<Begin>>,
    always: BTreeMap<ServiceId, Begin>,
    /// Those that do not end when asked, until told.
    stubborn: BTreeSet<ServiceId>,
    delays: BTreeMap<ServiceId, Duration>,
    open: BTreeSet<u64>,
    answers: BTreeMap<u64, Result<()>>,
    forgotten: BTreeSet<ServiceId>,
    next_id: u64,
    next_token: u64,
    pub(super) log: Vec<String>,
    pub(super) random: f64,
    begun: bool,
    pub(super) started: Option<Result<()>>,
    pub(super) ended: bool,
}

impl World {
    pub(super) fn new(flags: Flags) -> Self {
        Self {
            state: State::new(flags.clone()),
            model: Model::new(flags),
            now: Duration::from_secs(1_000_000),
            inbox: VecDeque::new(),
            lives: BTreeMap::new(),
            names: BTreeMap::new(),
            script: BTreeMap::new(),
            always: BTreeMap::new(),
            stubborn: BTreeSet::new(),
            delays: BTreeMap::new(),
            open: BTreeSet::new(),
            answers: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            next_id: 1,
            next_token: 1,
            log: Vec::new(),
            random: 0.0,
            begun: false,
            started: None,
            ended: false,
        }
    }

    // What the program does.

    /// An id that was not used before, for a child of this name.
    pub(super) fn new_id(&mut self, name: &str) -> ServiceId {
        let id = ServiceId(self.next_id);
        self.next_id += 1;
        self.names.insert(id, name.into());
        id
    }

    /// The id last given to this name.
    pub(super) fn id(&self, name: &str) -> ServiceId {
        *self.names.iter().rev().find(|(_, known)| *known == name).expect("no such child").0
    }

    pub(super) fn post(&mut self, verb: Verb) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.open.insert(token);
        self.inbox.push_back(Input::Verb(Token(token), verb));
        token
    }

    pub(super) fn answer(&mut self, token: u64) -> Option<Result<()>> {
        self.answers.remove(&token)
    }

    pub(super) fn answers_none(&self, token: u64) -> bool {
        !self.answers.contains_key(&token)
    }

    /// The answer, which must come without time passing.
    pub(super) fn call(&mut self, verb: Verb) -> Result<()> {
        let token = self.post(verb);
        self.settle();
        self.answer(token).expect("the verb was not answered")
    }

    pub(super) fn add(&mut self, rules: Rules) -> Result<()> {
        let id = self.new_id(&rules.id);
        self.call(Verb::Add(id, rules))
    }

    pub(super) fn post_child(&mut self, rules: Rules) -> u64 {
        let id = self.new_id(&rules.id);
        self.post(Verb::StartChild(id, rules))
    }

    pub(super) fn start_child(&mut self, rules: Rules) -> Result<()> {
        let token = self.post_child(rules);
        self.settle();
        let answer = self.answer(token).expect("start_child was not answered");
        if answer.is_err() {
            self.names.remove(&ServiceId(self.next_id - 1));
        }
        answer
    }

    pub(super) fn terminate(&mut self, name: &str) -> Result<()> {
        self.call(Verb::TerminateChild(self.id(name)))
    }

    pub(super) fn restart(&mut self, name: &str) -> Result<()> {
        self.call(Verb::RestartChild(self.id(name)))
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<()> {
        self.call(Verb::DeleteChild(self.id(name)))
    }

    pub(super) fn start(&mut self) {
        self.begun = true;
        self.started = None;
        self.ended = false;
        self.inbox.push_back(Input::Start);
        self.settle();
    }

    pub(super) fn stop(&mut self) {
        self.inbox.push_back(Input::Stop);
        self.settle();
    }

    // What the children do.

    /// What the next starts of a child come to; later ones get ready.
    pub(super) fn script(&mut self, name: &str, begins: &[Begin]) {
        self.script.insert(self.id(name), begins.iter().copied().collect());
    }

    /// What all starts of a child come to, but for its script.
    pub(super) fn always(&mut self, name: &str, begin: Begin) {
        self.always.insert(self.id(name), begin);
    }

    pub(super) fn stubborn(&mut self, name: &str) {
        self.stubborn.insert(self.id(name));
    }

    /// Its run that was there first ends by itself, or as it was asked to; the world goes on.
    pub(super) fn ends(&mut self, name: &str, normal: bool) {
        let id = self.id(name);
        self.end_life(id, 0, normal);
        self.settle();
    }

    pub(super) fn crash(&mut self, name: &str) {
        self.ends(name, false);
    }

    pub(super) fn successor_crashes(&mut self, name: &str) {
        let id = self.id(name);
        self.end_life(id, 1, false);
        self.settle();
    }

    /// A start that hangs comes to something.
    pub(super) fn begins(&mut self, name: &str, begin: Begin) {
        let id = self.id(name);
        let place = self.lives[&id].len() - 1;
        self.report_begin(id, place, begin);
        self.settle();
    }

    /// It ignored its deadline.
    pub(super) fn ignores_deadline(&mut self, name: &str, place: usize) {
        let id = self.id(name);
        let life = &mut self.lives.get_mut(&id).unwrap()[place];
        assert!(life.asked && !life.disowned, "{name} was not asked to stop");
        life.disowned = true;
        self.inbox.push_back(Input::Unresponsive { child: id, successor: place > 0 });
        self.settle();
    }

    /// It could not be ended, for a fault of its own: nobody had asked it to stop.
    pub(super) fn is_unresponsive(&mut self, name: &str, place: usize) {
        let id = self.id(name);
        self.lives.get_mut(&id).unwrap()[place].disowned = true;
        self.inbox.push_back(Input::Unresponsive { child: id, successor: place > 0 });
        self.settle();
    }

    /// As `ends`, if there is a run that could, unheard yet.
    pub(super) fn may_end(&mut self, id: ServiceId, place: usize, normal: bool) {
        if self.life(id, place).is_some_and(|life| life.ready || life.asked) {
            self.end_life(id, place, normal);
        }
    }

    /// As `begins`, if there is a run that hangs.
    pub(super) fn may_begin(&mut self, id: ServiceId, begin: Begin) {
        let last = self.lives.get(&id).map_or(0, Vec::len).wrapping_sub(1);
        if self.life(id, last).is_some_and(|life| !life.ready && !life.asked) {
            self.report_begin(id, last, begin);
        }
    }

    /// As `ignores_deadline`, if there is a run that was asked.
    pub(super) fn may_ignore_deadline(&mut self, id: ServiceId, place: usize) {
        if self.life(id, place).is_some_and(|life| life.asked && !life.disowned) {
            self.lives.get_mut(&id).unwrap()[place].disowned = true;
            self.inbox.push_back(Input::Unresponsive { child: id, successor: place > 0 });
        }
    }

    fn life(&self, id: ServiceId, place: usize) -> Option<Life> {
        self.lives.get(&id)?.get(place).copied()
    }

    /// A further start, once it has ended.
    pub(super) fn start_again(&mut self) {
        self.settle();
        if self.ended {
            self.start();
        }
    }

    /// From now on everybody gets ready, and ends when asked; and all the time passes that may.
    pub(super) fn heal(&mut self) {
        self.stubborn.clear();
        self.script.clear();
        loop {
            self.pass(SECOND * 1000);
            let open = self.lives.iter().find_map(|(id, lives)| {
                let place = lives.iter().position(|life| life.asked || !life.ready)?;
                Some((*id, place, lives[place].asked))
            });
            match open {
                Some((id, place, true)) => self.end_life(id, place, true),
                Some((id, place, false)) => self.report_begin(id, place, Begin::Ready),
                None => break,
            }
        }
    }

    // What can be seen.

    pub(super) fn take_log(&mut self) -> Vec<String> {
        mem::take(&mut self.log)
    }

    /// What was done since the last time, exactly.
    #[track_caller]
    pub(super) fn saw(&mut self, expected: &str) {
        assert_eq!(self.take_log().join(", "), expected);
    }

    #[track_caller]
    pub(super) fn running(&self, expected: &str) {
        let names: Vec<_> = self
            .state
            .children()
            .filter(|child| child.state == ChildState::Running)
            .map(|child| child.rules.id.as_str())
            .collect();
        assert_eq!(names.join(" "), expected);
    }

    pub(super) fn state_of(&self, name: &str) -> Option<ChildState> {
        self.state.child(self.id(name)).map(|child| child.state)
    }

    /// `[specs, active, supervisors, workers]`.
    pub(super) fn counts(&self) -> [usize; 4] {
        let Counts { specs, active, supervisors, workers } = self.state.counts();
        [specs, active, supervisors, workers]
    }

    pub(super) fn lives_of(&self, id: ServiceId) -> usize {
        self.lives.get(&id).map_or(0, |lives| lives.iter().filter(|life| !life.disowned).count())
    }

    // How it goes on.

    /// Everything is heard and done that takes no time.
    pub(super) fn settle(&mut self) {
        assert!(self.steps(10_000), "it does not come to rest: {:?}", &self.log[self.log.len() - 20..]);
    }

    /// At most so many inputs; true if it is at rest then.
    pub(super) fn steps(&mut self, most: usize) -> bool {
        (0..most).any(|_| !self.step())
    }

    /// One input; false if there is none before time passes.
    pub(super) fn step(&mut self) -> bool {
        if self.inbox.is_empty() {
            let due = self.delays.iter().find(|(_, due)| **due <= self.now).map(|(id, _)| *id);
            let Some(id) = due else { return false };
            self.delays.remove(&id);
            self.inbox.push_back(Input::Elapsed(id));
        }
        let input = self.inbox.pop_front().expect("one was there");
        let actions = self.state.apply(self.now, input.clone(), self.random);
        self.model.see(self.now, &input, &actions);
        let count = actions.len();
        for (index, action) in actions.into_iter().enumerate() {
            assert!(!matches!(action, Action::End) || index + 1 == count, "something is done after the end");
            self.perform(action);
        }
        true
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while let Some(due) = self.delays.values().min().copied().filter(|due| *due <= until) {
            self.now = due;
            self.settle();
        }
        self.now = until;
    }

    fn perform(&mut self, action: Action) {
        let name = |id: &ServiceId| self.names[id].clone();
        let line = match &action {
            Action::Start(id) => format!("start {}", name(id)),
            Action::Stop(id) => format!("stop {}", name(id)),
            Action::StopPredecessor(id) => format!("stop old {}", name(id)),
            Action::Delay { child, delay, parked: false } => format!("delay {} {delay:?}", name(child)),
            Action::Delay { child, delay, parked: true } => format!("park {} {delay:?}", name(child)),
            Action::CancelDelay(id) => format!("cancel {}", name(id)),
            Action::Forget(id) => format!("forget {}", name(id)),
            Action::Answer(token, result) => {
                assert!(self.open.remove(&token.0), "{token:?} was answered twice");
                self.answers.insert(token.0, result.clone());
                return;
            }
            Action::Started(Ok(())) => "started".into(),
            Action::Started(Err(error)) => format!("start failed: {error}"),
            Action::GaveUp => "gave up".into(),
            Action::AutoShutdown => "auto shutdown".into(),
            Action::End => "end".into(),
        };
        self.log.push(line);
        match action {
            Action::Start(id) => self.begin_life(id),
            Action::Stop(id) => self.ask(id, false),
            Action::StopPredecessor(id) => self.ask(id, true),
            Action::Delay { child, delay, .. } => {
                assert_eq!(self.lives_of(child), 0, "a delay for a child that runs");
                assert!(self.delays.insert(child, self.now.saturating_add(delay)).is_none(), "two delays at once");
            }
            Action::CancelDelay(id) => {
                // It may be over, and not heard of yet.
                let known = self.delays.remove(&id).is_some()
                    || self.inbox.iter().any(|input| matches!(input, Input::Elapsed(over) if *over == id));
                assert!(known, "no delay to cancel");
            }
            Action::Forget(id) => {
                assert!(self.forgotten.insert(id), "forgotten twice");
                assert_eq!(self.lives_of(id), 0, "forgotten, and runs");
                assert!(!self.delays.contains_key(&id), "forgotten, and delayed");
            }
            Action::Started(result) => {
                assert!(self.started.replace(result).is_none(), "started twice");
            }
            Action::End => {
                assert!(!self.ended, "ended twice");
                self.ended = true;
                assert!(self.lives.keys().all(|id| self.lives_of(*id) == 0), "ended, and a child runs");
                assert!(self.delays.is_empty(), "ended, and a delay is left");
                let unheard = |token: &u64| {
                    self.inbox.iter().any(|input| matches!(input, Input::Verb(Token(known), _) if known == token))
                };
                assert!(self.open.iter().all(unheard), "ended, and a verb has no answer");
                assert!(!self.begun || self.started.is_some(), "ended before the start was over");
            }
            Action::Answer(..) | Action::GaveUp | Action::AutoShutdown => {}
        }
    }

    fn begin_life(&mut self, id: ServiceId) {
        assert!(!self.forgotten.contains(&id), "started, and forgotten");
        assert!(!self.delays.contains_key(&id), "started before its delay is over");
        let lives = self.lives.entry(id).or_default();
        let hand_over = matches!(lives.as_slice(), [Life { ready: true, asked: false, disowned: false }]);
        assert!(lives.is_empty() || hand_over, "{} has a run: {lives:?}", self.names[&id]);
        lives.push(Life::default());
        let place = lives.len() - 1;
        let scripted = self.script.get_mut(&id).and_then(VecDeque::pop_front);
        let begin = scripted.or(self.always.get(&id).copied()).unwrap_or(Begin::Ready);
        self.report_begin(id, place, begin);
    }

    fn report_begin(&mut self, id: ServiceId, place: usize, begin: Begin) {
        match begin {
            Begin::Ready => {
                self.lives.get_mut(&id).unwrap()[place].ready = true;
                self.inbox.push_back(Input::Ready(id));
            }
            Begin::Fail => {
                self.lives.get_mut(&id).unwrap().remove(place);
                self.inbox.push_back(Input::StartFailed(id, Error::Failed("no luck".into())));
            }
            Begin::Ignore => {
                self.lives.get_mut(&id).unwrap().remove(place);
                self.inbox.push_back(Input::Ignored(id));
            }
            Begin::Hang => {}
        }
    }

    fn ask(&mut self, id: ServiceId, predecessor: bool) {
        let name = &self.names[&id];
        let over = self.inbox.iter().any(|input| match input {
            Input::StartFailed(child, _) | Input::Ignored(child) => *child == id && !predecessor,
            Input::Ended { child, successor, .. } => *child == id && *successor != predecessor,
            _ => false,
        });
        let ended = self.inbox.iter().any(|input| matches!(input, Input::Ended { child, .. } if *child == id));
        let lives = self.lives.entry(id).or_default();
        let place = if predecessor { 0 } else { lives.len().wrapping_sub(1) };
        let Some(life) = lives.get_mut(place).filter(|life| !life.asked && !over) else {
            return assert!(over || ended, "{name} has no run to be stopped");
        };
        life.asked = true;
        if !self.stubborn.contains(&id) {
            self.end_life(id, place, true);
        }
    }

    pub(super) fn end_life(&mut self, id: ServiceId, place: usize, normal: bool) {
        let life = self.lives.get_mut(&id).unwrap().remove(place);
        if life.ready || life.disowned {
            self.inbox.push_back(Input::Ended { child: id, normal, successor: place > 0 });
        } else {
            self.inbox.push_back(Input::StartFailed(id, Error::Failed("it ended before it was ready".into())));
        }
    }
}
