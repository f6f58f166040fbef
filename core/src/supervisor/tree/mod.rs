//! The tree of a host: drives one [`State`] for each supervisor, and does what it asks for.
//!
//! # What holds
//!
//! * All of it happens on the host's thread, one input after the other: what an input brings about is queued behind those that are there.
//! * A run is known by its service and its number, so a report of one that was let go of disturbs no other.
//! * A run has one timer at most, for what it may not miss next: being ready, a beat, its end. A beat moves no timer; the timer
//!   looks at the last beat when it fires.
//!
//! `node.rs` what is known of a service or supervisor; `run.rs` runs, `due.rs` what they may not miss; `act.rs` what the rules ask for; `verbs.rs` the
//! program's calls and questions.

#![forbid(unsafe_code)]

mod act;
mod due;
mod node;
mod run;
mod verbs;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    node::{Kind, Node, Sup},
    run::Run,
    verbs::Waiting,
};
use super::{
    decide::Input,
    event::What,
    journal::Journal,
    reap::Orphans,
    service::{ServiceId, SupervisorOptions},
    shared::{Finish, Link, Phase, Shared},
};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, On, TimerId, TimerOptions, WeakHandle, news::Teller},
    slots::Slots,
};

/// See the module's text.
pub(super) struct Tree {
    link: Link,
    journal: Arc<Journal>,
    event_loop: Handle,
    main_loop: Option<WeakHandle>,
    nodes: Slots<Node>,
    root: ServiceId,
    inputs: VecDeque<(ServiceId, Input)>,
    waiting: Slots<Waiting>,
    /// Who waits for the start.
    starting: Option<Teller<Result<()>>>,
    /// Runs that could not be ended, and what was their path.
    disowned: HashMap<(ServiceId, u64), (Arc<str>, Run)>,
    began: Instant,
    random: u64,
    /// Nothing may take as long as it likes any more: the owner has gone.
    bounded: bool,
    stopped: bool,
    signals: u64,
    killing: bool,
    finish: Finish,
    orphans: Orphans,
    /// The next look at them.
    looks: Option<TimerId>,
}

impl Tree {
    pub(super) fn new(shared: &Arc<Shared>, event_loop: Handle, name: String, options: SupervisorOptions) -> Self {
        let mut nodes = Slots::new();
        let path = Arc::from(name.as_str());
        let root = Node::new(name, path, None, Kind::Supervisor(Box::new(Sup::new(options))));
        let root = ServiceId(nodes.insert(root));
        Self {
            link: Arc::downgrade(shared),
            journal: shared.journal.clone(),
            event_loop,
            main_loop: shared.main_loop.clone(),
            nodes,
            root,
            inputs: VecDeque::new(),
            waiting: Slots::new(),
            starting: None,
            disowned: HashMap::new(),
            began: Instant::now(),
            random: RandomState::new().hash_one(0u8),
            bounded: false,
            stopped: false,
            signals: 0,
            killing: false,
            finish: Finish::Stopped,
            orphans: Orphans::default(),
            looks: None,
        }
    }

    pub(super) fn root(&self) -> ServiceId {
        self.root
    }

    /// Handles inputs until there is none.
    pub(super) fn drive(&mut self) {
        while let Some((supervisor, input)) = self.inputs.pop_front() {
            let (now, random) = (self.began.elapsed(), self.random());
            let Some(sup) = self.sup_mut(supervisor) else { continue };
            let actions = sup.state.apply(now, input, random);
            for action in actions {
                self.act(supervisor, action);
            }
        }
    }

    fn input(&mut self, supervisor: ServiceId, input: Input) {
        self.inputs.push_back((supervisor, input));
    }

    /// To the supervisor of this child; the root has none.
    fn input_of(&mut self, child: ServiceId, input: Input) {
        if let Some(parent) = self.nodes.get_mut(child.0).and_then(|node| node.parent) {
            self.input(parent, input);
        }
    }

    /// 0.0 to 1.0, by xorshift.
    fn random(&mut self) -> f64 {
        let mut word = self.random | 1;
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        self.random = word;
        (word >> 11) as f64 / (1u64 << 53) as f64
    }

    fn node(&mut self, id: ServiceId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0)
    }

    fn sup_mut(&mut self, id: ServiceId) -> Option<&mut Sup> {
        match &mut self.node(id)?.kind {
            Kind::Supervisor(sup) => Some(sup),
            Kind::Service(_) => None,
        }
    }

    fn emit(&mut self, id: ServiceId, what: What) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        self.journal.add(id.0, &node.path, node.runs, what);
    }

    fn emit_run(&mut self, id: ServiceId, run: u64, what: What) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        self.journal.add(id.0, &node.path, run, what);
    }

    /// Has the tree do something later.
    fn timer(&self, after: Duration, f: impl FnOnce(&mut Self) + Send + 'static) -> Option<TimerId> {
        let link = self.link.clone();
        let mut f = Some(f);
        let options = TimerOptions { after, on: On::Loop, ..TimerOptions::default() };
        let fire = move |_| {
            if let (Some(shared), Some(f)) = (link.upgrade(), f.take()) {
                shared.turn(f);
            }
        };
        // Refused only by a loop that has been stopped: then nothing is waited for any more.
        self.event_loop.timer(options, fire).ok()
    }

    fn cancel(&self, timer: Option<TimerId>) {
        if let Some(timer) = timer {
            let _ = self.event_loop.cancel_timer(timer);
        }
    }

    pub(super) fn start(&mut self, teller: Teller<Result<()>>) {
        let refused = match self.phase() {
            Phase::New if self.starting.is_none() => None,
            Phase::New | Phase::Started => Some(Error::Exists("the host has been started already".into())),
            Phase::Ended(_) => Some(Error::Closed("host")),
        };
        if let Some(refused) = refused {
            teller.tell(Err(refused));
            return;
        }
        self.starting = Some(teller);
        self.begin_supervisor(self.root);
        if let Some(shared) = self.link.upgrade() {
            shared.set_phase(Phase::Started);
        }
    }

    fn phase(&self) -> Phase {
        self.link.upgrade().map_or(Phase::Ended(Finish::Stopped), |shared| shared.phase())
    }

    /// Reaps orphans, if the host was asked to.
    pub(super) fn reap(&mut self) {
        let mut own: HashSet<i32> = self.disowned.values().filter_map(|(_, run)| run.pid()).collect();
        for id in self.below(self.root) {
            if let Some(node) = self.node(id) {
                own.extend(node.current.iter().chain(&node.next).filter_map(Run::pid));
            }
        }
        let next = self.orphans.reap(&own);
        let before = self.looks.take();
        self.cancel(before);
        self.looks = next.and_then(|after| self.timer(after, Self::reap));
    }

    /// Asks the root to end.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        match self.phase() {
            Phase::New if self.starting.is_none() => self.set_ended(),
            Phase::New | Phase::Started => self.stop_child(self.root),
            Phase::Ended(_) => {}
        }
    }

    /// The first signal stops, the second one ends everything.
    pub(super) fn signal(&mut self, signum: i32, times: u64) {
        if self.signals == 0 && !self.stopped {
            self.finish = Finish::Signal(signum);
        }
        self.signals += times;
        if self.signals > 1 { self.kill() } else { self.stop() }
    }

    /// [`Tree::stop`], where nothing may take as long as it likes.
    pub(super) fn stop_bounded(&mut self) {
        self.bounded = true;
        self.stop();
        self.bound_all();
    }

    /// Ends everything at once.
    pub(super) fn kill(&mut self) {
        self.killing = true;
        self.stop();
        self.drive();
        self.kill_below(self.root);
    }

    /// Whether the host has ended: nothing is added or started any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase(), Phase::Ended(_))
    }

    fn set_ended(&mut self) {
        if let Some(shared) = self.link.upgrade() {
            shared.set_phase(Phase::Ended(self.finish.clone()));
        }
        self.close_journal();
    }

    /// Nothing is told any more once the root has ended and nobody is left who ignored a deadline.
    fn close_journal(&mut self) {
        if self.disowned.is_empty() && matches!(self.phase(), Phase::Ended(_)) {
            self.journal.close();
        }
    }
}
