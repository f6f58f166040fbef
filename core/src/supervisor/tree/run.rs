//! Runs: how they begin, what they report, what they may not miss, and how they end.

#![forbid(unsafe_code)]

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Tree,
    due::{Beats, reporter},
    node::Kind,
};
use crate::{
    error::{Error, Result},
    event_loop::{TimerId, WeakHandle},
    job::{self, panic_text},
    supervisor::{
        Supervisor,
        decide::Input,
        event::{Because, Ended, What},
        executor::{Report, Running, Start, Stopped},
        service::{Ready, Service, ServiceId, Shutdown},
    },
};

/// How long what was ended may take to be gone; then it is taken as one that cannot be ended.
const GONE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u64,
    began: Instant,
    /// None for a supervisor, and until the executor has answered.
    life: Option<Box<dyn Running>>,
    /// Its process, from when that was told.
    pid: Option<i32>,
    pub(super) beats: Arc<Beats>,
    /// How often it must make progress, if it has said so itself.
    pub(super) watchdog: Option<Duration>,
    /// It need not beat before.
    pub(super) extended: Option<Instant>,
    pub(super) phase: Phase,
    pub(super) ready: bool,
    ignored: bool,
    pub(super) because: Option<Because>,
    /// What it may not miss; the timer may fire before.
    pub(super) deadline: Option<Instant>,
    pub(super) timer: Option<TimerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It begins, or works.
    Up,
    /// It was asked to stop.
    Asked,
    /// It was ended, and is not gone yet.
    Killed,
}

impl Run {
    pub(super) fn new(number: u64) -> Self {
        let began = Instant::now();
        Self {
            number,
            began,
            life: None,
            pid: None,
            beats: Beats::new(began),
            watchdog: None,
            extended: None,
            phase: Phase::Up,
            ready: false,
            ignored: false,
            because: None,
            deadline: None,
            timer: None,
        }
    }

    /// It was ended because its supervisor wanted that, not for a fault of its own.
    fn by_us(&self) -> bool {
        matches!(self.because, Some(Because::Asked | Because::HandOver | Because::ShutdownDeadline))
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.pid
    }
}

impl Tree {
    pub(super) fn start_service(&mut self, id: ServiceId, service: &Arc<Service>) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.runs += 1;
        let mut run = Run::new(node.runs);
        let (number, path, args) = (run.number, node.path.clone(), node.args.clone());
        let parent = node.parent.unwrap_or(id);
        self.emit(id, What::Starting);
        let reporter = reporter(&self.link, id, number, run.beats.clone());
        let main_loop = self.main_loop.as_ref().and_then(WeakHandle::upgrade);
        let supervisor = self.link.upgrade().map(|shared| Supervisor { shared, id: parent });
        let begun = catch_unwind(AssertUnwindSafe(|| {
            service.executor.start(Start {
                service,
                id,
                path: &path,
                run: number,
                args: &args,
                event_loop: &self.event_loop,
                main_loop: main_loop.as_ref(),
                supervisor: supervisor.as_ref(),
                reporter,
            })
        }));
        let begun = begun.unwrap_or_else(|payload| Err(Error::Panic(panic_text(&*payload).to_owned())));
        match begun {
            Ok(life) => {
                let pid = life.pid();
                run.life = Some(life);
                let Some(node) = self.nodes.get_mut(id.0) else { return };
                let place = if node.current.is_some() { &mut node.next } else { &mut node.current };
                *place = Some(run);
                if let Some(pid) = pid {
                    self.spawned(id, number, pid);
                }
                match service.executor.ready(service) {
                    Ready::AtOnce => self.ready(id, number),
                    Ready::Notify(within) => self.arm(id, number, Some(within)),
                }
            }
            Err(error) => {
                self.emit(id, What::StartFailed { reason: error.to_string(), tail: Vec::new(), details: None });
                self.input_of(id, Input::StartFailed(id, error));
            }
        }
    }

    /// Its process is there; told once for each run.
    fn spawned(&mut self, id: ServiceId, number: u64, pid: i32) {
        let disowned = self.disowned.get_mut(&(id, number)).map(|(_, run)| run);
        let current = self.nodes.get_mut(id.0).and_then(|node| node.run_mut(number));
        let is_disowned = disowned.is_some();
        if let Some(run) = disowned.or(current)
            && run.pid.replace(pid).is_none()
        {
            self.orphans.ran(pid);
            if !is_disowned {
                self.emit_run(id, number, What::Spawned { pid });
            }
        }
    }

    pub(super) fn report(&mut self, id: ServiceId, number: u64, report: Report) {
        match report {
            Report::Ready => self.ready(id, number),
            Report::Beat | Report::Alive => {}
            Report::Extend(by) => self.extend(id, number, by),
            Report::Watchdog(every) => self.rewatch(id, number, every),
            Report::Trigger => {
                // One that is being ended is, by its own deadline.
                if self.node(id).and_then(|node| node.run_mut(number)).is_some_and(|run| run.phase == Phase::Up) {
                    self.kill_run(id, number, Because::Watchdog);
                }
            }
            Report::Status(text) => {
                if self.is_known(id, number) {
                    self.emit_run(id, number, What::Status(text));
                }
            }
            Report::Ignore => {
                if let Some(run) = self.node(id).and_then(|node| node.run_mut(number))
                    && !run.ready
                    && !mem::replace(&mut run.ignored, true)
                {
                    self.emit_run(id, number, What::Ignored);
                }
            }
            Report::Spawned { pid } => self.spawned(id, number, pid),
            Report::Ended { how, tail, details } => self.ended(id, number, how, (tail, details)),
        }
    }

    fn is_known(&mut self, id: ServiceId, number: u64) -> bool {
        self.node(id).is_some_and(|node| node.run_mut(number).is_some())
    }

    fn ready(&mut self, id: ServiceId, number: u64) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        let Some(run) = node.run_mut(number) else { return };
        if run.ready || run.phase != Phase::Up || run.ignored {
            return;
        }
        run.ready = true;
        run.beats.begin();
        self.arm_beats(id, number);
        self.emit_run(id, number, What::Ready);
        self.input_of(id, Input::Ready(id));
    }

    /// Ends a run by its `shutdown`.
    pub(super) fn stop_run(&mut self, id: ServiceId, number: u64, because: Because) {
        let (bounded, killing) = (self.bounded, self.killing);
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        let shutdown = match node.shutdown() {
            _ if killing => Shutdown::Kill,
            Shutdown::Infinity if bounded && matches!(node.kind, Kind::Service(_)) => {
                Shutdown::After(super::node::SHUTDOWN)
            }
            shutdown => shutdown,
        };
        let Some(run) = node.run_mut(number) else { return };
        // It may be on its way out for a reason of its own.
        if run.phase != Phase::Up {
            return;
        }
        run.because = Some(because);
        run.phase = Phase::Asked;
        self.emit_run(id, number, What::Stopping);
        match shutdown {
            Shutdown::Kill => self.kill_run(id, number, because),
            Shutdown::After(within) => {
                self.ask(id, number);
                self.arm(id, number, Some(within));
            }
            Shutdown::Infinity => {
                self.ask(id, number);
                self.arm(id, number, None);
            }
        }
    }

    fn ask(&mut self, id: ServiceId, number: u64) {
        if let Some(run) = self.node(id).and_then(|node| node.run_mut(number)) {
            match &mut run.life {
                Some(life) => {
                    job::caught("executor", || life.ask());
                }
                None => self.input(id, Input::Stop),
            }
        }
    }

    pub(super) fn kill_run(&mut self, id: ServiceId, number: u64, because: Because) {
        let Some(run) = self.node(id).and_then(|node| node.run_mut(number)) else { return };
        if run.phase == Phase::Killed {
            return;
        }
        run.because = Some(because);
        run.phase = Phase::Killed;
        let Some(life) = &mut run.life else {
            // A supervisor: its children are, and it ends with them.
            self.arm(id, number, None);
            self.input(id, Input::Stop);
            return self.kill_below(id);
        };
        let mut stopped = Stopped::GoesOn;
        job::caught("executor", || stopped = life.kill(because));
        match stopped {
            Stopped::Ends => self.arm(id, number, Some(GONE_WITHIN)),
            Stopped::Dumps => self.await_dump(id, number, because),
            Stopped::GoesOn => self.disown(id, number),
        }
    }

    /// It was told to end with a dump: its `shutdown` is how long that may take.
    fn await_dump(&mut self, id: ServiceId, number: u64, because: Because) {
        let killing = self.killing;
        let Some(node) = self.node(id) else { return };
        let within = match node.shutdown() {
            _ if killing => Duration::ZERO,
            Shutdown::Kill => Duration::ZERO,
            Shutdown::After(within) => within,
            // It does not even beat: not for ever.
            Shutdown::Infinity => super::node::SHUTDOWN,
        };
        if let Some(run) = node.run_mut(number) {
            run.phase = Phase::Asked;
        }
        if within.is_zero() {
            return self.kill_run(id, number, because);
        }
        self.arm(id, number, Some(within));
    }

    /// Ends every run below a supervisor.
    pub(super) fn kill_below(&mut self, id: ServiceId) {
        for child in self.below(id) {
            let Some(node) = self.node(child) else { continue };
            let numbers: Vec<u64> = node.current.iter().chain(&node.next).map(|run| run.number).collect();
            for number in numbers {
                self.kill_run(child, number, Because::ShutdownDeadline);
            }
        }
    }

    /// Services that may take as long as they like have the usual time from now on.
    pub(super) fn bound_all(&mut self) {
        for child in self.below(self.root) {
            let Some(node) = self.node(child) else { continue };
            let is_service = matches!(node.kind, Kind::Service(_));
            let asked = |run: &&Run| run.phase == Phase::Asked && run.deadline.is_none();
            let numbers: Vec<u64> = node.current.iter().chain(&node.next).filter(asked).map(|run| run.number).collect();
            for number in numbers.into_iter().filter(|_| is_service) {
                self.arm(child, number, Some(super::node::SHUTDOWN));
            }
        }
    }

    /// It cannot be ended: its supervisor goes on without it.
    pub(super) fn disown(&mut self, id: ServiceId, number: u64) {
        let Some((run, is_next)) = self.take_run(id, number) else { return };
        let Some(node) = self.node(id) else { return };
        let path = node.path.clone();
        self.emit_run(id, number, What::Unresponsive);
        self.disowned.insert((id, number), (path, run));
        self.input_of(id, Input::Unresponsive { child: id, successor: is_next });
    }

    /// Takes a run out; a successor takes the place of a predecessor that has gone. True for a successor whose predecessor is there.
    fn take_run(&mut self, id: ServiceId, number: u64) -> Option<(Run, bool)> {
        let others = self.disowned.keys().any(|(other, run)| *other == id && *run != number);
        let node = self.nodes.get_mut(id.0)?;
        let is_next = node.next.as_ref().is_some_and(|run| run.number == number);
        let mut run = if is_next {
            node.next.take()?
        } else {
            let run = node.current.take_if(|run| run.number == number)?;
            node.current = node.next.take();
            run
        };
        let timer = run.timer.take();
        self.cancel(timer);
        Some((run, is_next || others))
    }

    fn ended(&mut self, id: ServiceId, number: u64, how: Ended, left: Left) {
        if let Some((path, run)) = self.disowned.remove(&(id, number)) {
            run.pid().into_iter().for_each(|pid| self.orphans.ended(pid));
            let what = if run.ready {
                let normal = run.by_us();
                ended(&run, how, normal, left)
            } else {
                let reason = not_ready(&run, &how, &left.0);
                What::StartFailed { reason, tail: left.0, details: left.1 }
            };
            self.journal.add(id.0, &path, number, what);
            // What it counts for was counted when it was let go of.
            self.input_of(id, Input::Ended { child: id, normal: true, successor: false });
            return self.close_journal();
        }
        let normal_exits = match self.node(id).map(|node| &node.kind) {
            Some(Kind::Service(service)) => service.normal_exits.clone(),
            _ => Vec::new(),
        };
        let Some((run, successor)) = self.take_run(id, number) else { return };
        run.pid().into_iter().for_each(|pid| self.orphans.ended(pid));
        let normal = run.by_us()
            || run.because.is_none()
                && match &how {
                    Ended::Returned | Ended::Shutdown | Ended::Exited(0) => true,
                    Ended::Exited(code) => normal_exits.contains(code),
                    _ => false,
                };
        let input = if run.ready {
            if !normal {
                self.note_fault(id, &how.to_string());
            }
            self.emit_run(id, number, ended(&run, how, normal, left));
            Input::Ended { child: id, normal, successor }
        } else if run.ignored {
            self.emit_run(id, number, ended(&run, how, true, left));
            Input::Ignored(id)
        } else {
            let reason = not_ready(&run, &how, &left.0);
            self.note_fault(id, &reason);
            let (tail, details) = left;
            self.emit_run(id, number, What::StartFailed { reason: reason.clone(), tail, details });
            Input::StartFailed(id, Error::Failed(reason))
        };
        // The executor's part of it goes before anything is started in its place.
        drop(run);
        self.input_of(id, input);
    }

    /// Remembers what may make the supervisor give up.
    pub(super) fn note_fault(&mut self, id: ServiceId, text: &str) {
        let Some(node) = self.node(id) else { return };
        let (text, parent) = (format!("{}: {text}", node.path), node.parent);
        if let Some(sup) = parent.and_then(|parent| self.sup_mut(parent)) {
            sup.last = Some(text);
        }
    }

    /// Begins a run of a supervisor.
    pub(super) fn begin_supervisor(&mut self, id: ServiceId) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.runs += 1;
        node.current = Some(Run::new(node.runs));
        if let Kind::Supervisor(sup) = &mut node.kind {
            (sup.last, sup.failed) = (None, None);
        }
        self.emit(id, What::Starting);
        self.input(id, Input::Start);
    }

    /// A supervisor's start is over.
    pub(super) fn supervisor_started(&mut self, id: ServiceId, started: Result<()>) {
        match started {
            Ok(()) => {
                let Some(number) = self.node(id).and_then(|node| Some(node.current.as_ref()?.number)) else { return };
                self.ready(id, number);
            }
            Err(error) => {
                if let Some(sup) = self.sup_mut(id) {
                    sup.failed = Some(error);
                }
            }
        }
    }

    /// A supervisor has no child left that runs.
    pub(super) fn supervisor_ended(&mut self, id: ServiceId) {
        let Some(number) = self.node(id).and_then(|node| Some(node.current.as_ref()?.number)) else { return };
        let failed = self.sup_mut(id).and_then(|sup| sup.failed.take());
        if let Some(error) = failed {
            let Some((run, _)) = self.take_run(id, number) else { return };
            drop(run);
            self.emit_run(id, number, What::StartFailed { reason: error.to_string(), tail: Vec::new(), details: None });
            self.input_of(id, Input::StartFailed(id, error));
        } else {
            self.ended(id, number, Ended::Shutdown, Left::default());
        }
    }
}

/// What a run left: its last lines, and details.
type Left = (Vec<String>, Option<String>);

fn ended(run: &Run, how: Ended, normal: bool, (tail, details): Left) -> What {
    let (because, uptime) = (run.because, run.began.elapsed());
    What::Ended { how, normal, because, uptime, restarts: run.number - 1, tail, details }
}

fn not_ready(run: &Run, how: &Ended, tail: &[String]) -> String {
    let since = run.because.map(|because| format!(", since {because}")).unwrap_or_default();
    let last = tail.last().map(|line| format!("; its last line: {line}")).unwrap_or_default();
    format!("{how} before it was ready{since}{last}")
}
