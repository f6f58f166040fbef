//! Runs: how they begin, what they report, what they may not miss, and how they end.

#![forbid(unsafe_code)]

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Tree, node::Kind};
use crate::{
    error::{Error, Result},
    event_loop::{TimerId, WeakHandle},
    job::{self, panic_text},
    supervisor::{
        Supervisor,
        decide::Input,
        event::{Because, Ended, What},
        executor::{Report, Reporter, Running, Start, Stopped},
        service::{Ready, Service, ServiceId, Shutdown},
        shared::Link,
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
    beat: Arc<Beat>,
    phase: Phase,
    pub(super) ready: bool,
    ignored: bool,
    because: Option<Because>,
    /// What it may not miss; the timer may fire before.
    deadline: Option<Instant>,
    timer: Option<TimerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It begins, or works.
    Up,
    /// It was asked to stop.
    Asked,
    /// It was ended, and is not gone yet.
    Killed,
}

/// When a run last beat.
#[derive(Debug)]
struct Beat {
    began: Instant,
    /// Nanoseconds since then.
    last: AtomicU64,
}

impl Beat {
    fn beat(&self) {
        self.last.store(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }
}

impl Run {
    pub(super) fn new(number: u64) -> Self {
        let began = Instant::now();
        Self {
            number,
            began,
            life: None,
            beat: Arc::new(Beat { began, last: AtomicU64::new(0) }),
            phase: Phase::Up,
            ready: false,
            ignored: false,
            because: None,
            deadline: None,
            timer: None,
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.life.as_ref()?.pid()
    }
}

fn reporter(link: &Link, id: ServiceId, run: u64, beat: Arc<Beat>) -> Reporter {
    let link = link.clone();
    Reporter::new(move |report| {
        if let Report::Beat = report {
            return beat.beat();
        }
        if let Some(shared) = link.upgrade() {
            // Refused when the host has gone: nobody cares any more.
            let _ = shared.post(move |tree| tree.report(id, run, report));
        }
    })
}

impl Tree {
    pub(super) fn start_service(&mut self, id: ServiceId, service: &Arc<Service>) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.runs += 1;
        let mut run = Run::new(node.runs);
        let (number, path, args) = (run.number, node.path.clone(), node.args.clone());
        let parent = node.parent.unwrap_or(id);
        self.emit(id, What::Starting);
        let reporter = reporter(&self.link, id, number, run.beat.clone());
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
                    self.emit(id, What::Spawned { pid });
                }
                match service.ready {
                    Ready::AtOnce => self.ready(id, number),
                    Ready::Notify(within) => self.arm(id, number, Some(within)),
                }
            }
            Err(error) => {
                self.emit(id, What::StartFailed { reason: error.to_string(), tail: Vec::new() });
                self.input_of(id, Input::StartFailed(id, error));
            }
        }
    }

    /// Sets the run's timer; `None`: nothing is waited for.
    fn arm(&mut self, id: ServiceId, number: u64, within: Option<Duration>) {
        // A deadline past what the clock can hold is none.
        let deadline = within.and_then(|within| Instant::now().checked_add(within));
        self.arm_at(id, number, deadline);
    }

    fn arm_at(&mut self, id: ServiceId, number: u64, deadline: Option<Instant>) {
        let Some(run) = self.nodes.get_mut(id.0).and_then(|node| node.run_mut(number)) else { return };
        run.deadline = deadline;
        let before = run.timer.take();
        self.cancel(before);
        let Some(deadline) = deadline else { return };
        let after = deadline.saturating_duration_since(Instant::now());
        let timer = self.timer(after, move |tree| tree.overdue(id, number));
        if let Some(run) = self.nodes.get_mut(id.0).and_then(|node| node.run_mut(number)) {
            run.timer = timer;
        }
    }

    fn report(&mut self, id: ServiceId, number: u64, report: Report) {
        match report {
            Report::Ready => self.ready(id, number),
            Report::Beat => {}
            Report::Extend(by) => self.extend(id, number, by),
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
            Report::Ended { how, tail } => self.ended(id, number, how, tail),
        }
    }

    fn is_known(&mut self, id: ServiceId, number: u64) -> bool {
        self.node(id).is_some_and(|node| node.run_mut(number).is_some())
    }

    fn ready(&mut self, id: ServiceId, number: u64) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        let watchdog = match &node.kind {
            Kind::Service(service) => service.watchdog,
            Kind::Supervisor(_) => None,
        };
        let Some(run) = node.run_mut(number) else { return };
        if run.ready || run.phase != Phase::Up || run.ignored {
            return;
        }
        run.ready = true;
        run.beat.beat();
        self.arm(id, number, watchdog);
        self.emit_run(id, number, What::Ready);
        self.input_of(id, Input::Ready(id));
    }

    /// More time, counted from now, for what is waited for.
    fn extend(&mut self, id: ServiceId, number: u64, by: Duration) {
        let Some(run) = self.node(id).and_then(|node| node.run_mut(number)) else { return };
        let (Some(before), Phase::Up | Phase::Asked) = (run.deadline, run.phase) else { return };
        let deadline = Instant::now().checked_add(by);
        if deadline.is_none_or(|deadline| deadline > before) {
            self.arm_at(id, number, deadline);
        }
    }

    /// A run's timer has fired.
    fn overdue(&mut self, id: ServiceId, number: u64) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        let watchdog = match &node.kind {
            Kind::Service(service) => service.watchdog,
            Kind::Supervisor(_) => None,
        };
        let Some(run) = node.run_mut(number) else { return };
        run.timer = None;
        let mut due = run.deadline;
        if let (Phase::Up, true, Some(watchdog)) = (run.phase, run.ready, watchdog) {
            due = due.max(run.beat.last().checked_add(watchdog));
        }
        let Some(due) = due else { return };
        if due > Instant::now() {
            return self.arm_at(id, number, Some(due));
        }
        match run.phase {
            Phase::Up if run.ready => self.kill_run(id, number, Because::Watchdog),
            Phase::Up => self.stop_run(id, number, Because::ReadyDeadline),
            Phase::Asked => {
                let because = match run.because {
                    Some(Because::ReadyDeadline) => Because::ReadyDeadline,
                    _ => Because::ShutdownDeadline,
                };
                self.kill_run(id, number, because);
            }
            Phase::Killed => self.disown(id, number),
        }
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
            Stopped::GoesOn => self.disown(id, number),
        }
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
    fn disown(&mut self, id: ServiceId, number: u64) {
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

    fn ended(&mut self, id: ServiceId, number: u64, how: Ended, tail: Vec<String>) {
        if let Some((path, run)) = self.disowned.remove(&(id, number)) {
            let what = if run.ready {
                ended(&run, how, true, tail)
            } else {
                What::StartFailed { reason: not_ready(&run, &how), tail }
            };
            self.journal.add(id.0, &path, number, what);
            self.input_of(id, Input::Ended { child: id, normal: true, successor: false });
            return self.close_journal();
        }
        let normal_exits = match self.node(id).map(|node| &node.kind) {
            Some(Kind::Service(service)) => service.normal_exits.clone(),
            _ => Vec::new(),
        };
        let Some((run, successor)) = self.take_run(id, number) else { return };
        let by_us = matches!(run.because, Some(Because::Asked | Because::HandOver | Because::ShutdownDeadline));
        let normal = by_us
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
            self.emit_run(id, number, ended(&run, how, normal, tail));
            Input::Ended { child: id, normal, successor }
        } else if run.ignored {
            self.emit_run(id, number, ended(&run, how, true, tail));
            Input::Ignored(id)
        } else {
            let reason = not_ready(&run, &how);
            self.note_fault(id, &reason);
            self.emit_run(id, number, What::StartFailed { reason: reason.clone(), tail });
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
            self.emit_run(id, number, What::StartFailed { reason: error.to_string(), tail: Vec::new() });
            self.input_of(id, Input::StartFailed(id, error));
        } else {
            self.ended(id, number, Ended::Shutdown, Vec::new());
        }
    }
}

fn ended(run: &Run, how: Ended, normal: bool, tail: Vec<String>) -> What {
    let (because, uptime) = (run.because, run.began.elapsed());
    What::Ended { how, normal, because, uptime, restarts: run.number - 1, tail }
}

fn not_ready(run: &Run, how: &Ended) -> String {
    match run.because {
        Some(because) => format!("{how} before it was ready, since {because}"),
        None => format!("{how} before it was ready"),
    }
}
