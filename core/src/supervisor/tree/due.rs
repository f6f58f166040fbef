//! What a run may not miss: being ready, its beats, its end.
//!
//! Beats are judged by a host that runs itself: one that looks late, because it or the whole machine stood still (a stopped job, a paused
//! container, a debugger), could not hear any, and gives them their time once more. Nor are they judged of those who are about to be asked to
//! stop: what ends beats no more.

#![forbid(unsafe_code)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Tree,
    node::Kind,
    run::{Phase, Run},
};
use crate::supervisor::{
    event::Because,
    executor::{Report, Reporter},
    service::{Service, ServiceId},
    shared::Link,
};

/// Longer than a deadline is ever waited for, and within what the clock can hold.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A host that looks later than this, and than a sixteenth of the time that a run had, did not run itself.
const LATE: Duration = Duration::from_millis(50);

/// When a run last beat, as nanoseconds since it began.
#[derive(Debug)]
pub(super) struct Beats {
    began: Instant,
    /// By itself: it makes progress.
    progress: AtomicU64,
    /// By the library: it runs.
    alive: AtomicU64,
}

impl Beats {
    pub(super) fn new(began: Instant) -> Arc<Self> {
        Arc::new(Self { began, progress: AtomicU64::new(0), alive: AtomicU64::new(0) })
    }

    /// Both count from now on.
    pub(super) fn begin(&self) {
        self.beat(&self.progress);
        self.beat(&self.alive);
    }

    /// It is taken to have made progress.
    pub(super) fn progress(&self) {
        self.beat(&self.progress);
    }

    fn beat(&self, beat: &AtomicU64) {
        beat.store(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When it must have beaten again.
    fn due(&self, beat: &AtomicU64, every: Duration) -> Option<Instant> {
        let last = self.began + Duration::from_nanos(beat.load(Ordering::Relaxed));
        last.checked_add(every)
    }
}

pub(super) fn reporter(link: &Link, id: ServiceId, run: u64, beats: Arc<Beats>) -> Reporter {
    let link = link.clone();
    Reporter::new(move |report| {
        match report {
            Report::Beat => return beats.progress(),
            Report::Alive => return beats.beat(&beats.alive),
            _ => {}
        }
        if let Some(shared) = link.upgrade() {
            // Refused when the host has gone: nobody cares any more.
            let _ = shared.post(move |tree| tree.report(id, run, report));
        }
    })
}

/// What a run may miss.
struct Due {
    at: Instant,
    /// Why it would be ended then.
    because: Because,
    /// How often it beats, if it is that.
    every: Option<Duration>,
}

impl Due {
    /// Whether it can only be that the host did not run.
    fn is_late(&self, now: Instant) -> bool {
        self.every.is_some_and(|every| now.saturating_duration_since(self.at) > LATE.max(every / 16))
    }
}

impl Run {
    /// What it may miss next.
    fn due(&self, service: Option<&Service>) -> Option<Due> {
        let once = |because| Some(Due { at: self.deadline?, because, every: None });
        match (self.phase, self.because) {
            (Phase::Up, _) if self.ready => {
                let service = service?;
                let beats = &self.beats;
                let due =
                    |beat, every, because| beats.due(beat, every).map(|at| Due { at, because, every: Some(every) });
                let progress = self.watchdog.or(service.watchdog);
                let progress = progress.and_then(|every| due(&beats.progress, every, Because::Watchdog));
                let progress = progress.map(|due| Due { at: due.at.max(self.extended.unwrap_or(due.at)), ..due });
                let alive = service.liveness.and_then(|every| due(&beats.alive, every, Because::Liveness));
                progress.into_iter().chain(alive).min_by_key(|due| due.at)
            }
            (Phase::Up, _) => once(Because::ReadyDeadline),
            (_, Some(because @ (Because::ReadyDeadline | Because::Watchdog | Because::Liveness))) => once(because),
            _ => once(Because::ShutdownDeadline),
        }
    }
}

impl Tree {
    /// Sets the run's timer; `None`: nothing is waited for.
    pub(super) fn arm(&mut self, id: ServiceId, number: u64, within: Option<Duration>) {
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

    /// The same for its beats.
    pub(super) fn arm_beats(&mut self, id: ServiceId, number: u64) {
        let due = self.due(id, number).map(|due| due.at);
        self.arm_at(id, number, due);
    }

    fn due(&mut self, id: ServiceId, number: u64) -> Option<Due> {
        let parent = self.node(id)?.parent;
        let stops =
            parent.and_then(|parent| self.node(parent)?.current.as_ref()).is_some_and(|run| run.phase != Phase::Up);
        let node = self.nodes.get_mut(id.0)?;
        let service = match &node.kind {
            Kind::Service(service) => Some(service.clone()),
            Kind::Supervisor(_) => None,
        };
        let run = node.run_mut(number)?;
        if stops && run.ready && run.phase == Phase::Up {
            return None;
        }
        run.due(service.as_deref())
    }

    /// It must make progress so often from now on.
    pub(super) fn rewatch(&mut self, id: ServiceId, number: u64, every: Duration) {
        let Some(run) = self.node(id).and_then(|node| node.run_mut(number)) else { return };
        run.watchdog = Some(every);
        run.beats.progress();
        if run.ready && run.phase == Phase::Up {
            self.arm_beats(id, number);
        }
    }

    /// More time, counted from now, for what is waited for.
    pub(super) fn extend(&mut self, id: ServiceId, number: u64, by: Duration) {
        let Some(run) = self.node(id).and_then(|node| node.run_mut(number)) else { return };
        let now = Instant::now();
        let until = now.checked_add(by).unwrap_or(now + FAR);
        match run.phase {
            // The timer looks at it when it fires.
            Phase::Up if run.ready => run.extended = run.extended.max(Some(until)),
            Phase::Up | Phase::Asked if run.deadline.is_some_and(|before| until > before) => {
                self.arm_at(id, number, Some(until));
            }
            _ => {}
        }
    }

    /// A run's timer has fired.
    pub(super) fn overdue(&mut self, id: ServiceId, number: u64) {
        let Some(run) = self.node(id).and_then(|node| node.run_mut(number)) else { return };
        run.timer = None;
        let (phase, beats, now) = (run.phase, run.beats.clone(), Instant::now());
        let Some(due) = self.due(id, number) else { return };
        if due.at > now {
            return self.arm_at(id, number, Some(due.at));
        }
        if due.is_late(now) {
            beats.begin();
            return self.arm_beats(id, number);
        }
        match (phase, due.because) {
            (Phase::Up, Because::ReadyDeadline) => self.stop_run(id, number, due.because),
            (Phase::Up | Phase::Asked, _) => self.kill_run(id, number, due.because),
            (Phase::Killed, _) => self.disown(id, number),
        }
    }
}
