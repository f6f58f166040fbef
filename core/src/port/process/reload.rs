//! A worker that takes over from another one, so that there is no moment in which nobody serves.
//!
//! 1. The supervisor starts the successor beside the predecessor, which goes on as ever.
//! 2. Before it builds its handler, the successor wants the port's place in the set (`baton.rs`). The predecessor tells its handler, lets go of it, and
//!    serves on.
//! 3. The successor is ready: it serves too, at the same socket. The supervisor asks the predecessor to stop.
//! 4. Instead of that it is told to leave: it takes nothing new, and has until the deadline to serve what is open. When it has said so it becomes a
//!    temporary service of its own, named after the port and its run, so that its port's service is free: for a restart of the successor, for the next
//!    reload. That is the end of the reload: from here on all that is new comes to the successor.
//! 5. It is done, or the deadline has come: it is stopped, as any.
//!
//! If the successor does not get ready, the predecessor takes its place back, and nothing has happened. If the predecessor ends meanwhile, the successor has
//! the place at once.

#![forbid(unsafe_code)]

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use super::{
    reins::{Life, Rein, Reins},
    set::Processes,
};
use crate::{
    error::{Error, Result},
    fork::ForkGuard,
    supervisor::{Ended, Executor, Ready, Restart, Running, Service, Shutdown, Start, Verb, executor::Report},
    time::Deadline,
};

/// The reloads of a set: those of one port, one after the other, whoever waits for them.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Those that are not done.
    all: Mutex<VecDeque<Arc<Turn>>>,
    changed: Condvar,
    /// How long the predecessor may take, in the last reload of each port that has begun: also when nobody waits for it any more.
    drains: Mutex<HashMap<usize, Option<Duration>>>,
}

#[derive(Debug)]
struct Turn {
    index: usize,
    drain: Option<Duration>,
    /// Changed under the lock of all.
    stage: Mutex<Stage>,
}

#[derive(Debug)]
enum Stage {
    Waits,
    Begun,
    Done(Result<()>),
}

impl Turn {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    fn all(&self) -> MutexGuard<'_, VecDeque<Arc<Turn>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drains(&self) -> MutexGuard<'_, HashMap<usize, Option<Duration>>> {
        self.drains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port's next one, if none is under way; it is from here on.
    fn next(&self, index: usize) -> Option<Arc<Turn>> {
        let all = self.all();
        let first = all.iter().find(|turn| turn.index == index)?;
        let mut stage = first.stage();
        matches!(*stage, Stage::Waits).then(|| {
            *stage = Stage::Begun;
            first.clone()
        })
    }

    fn done(&self, turn: &Arc<Turn>, result: Result<()>) {
        {
            let mut all = self.all();
            all.retain(|other| !Arc::ptr_eq(other, turn));
            *turn.stage() = Stage::Done(result);
        }
        self.changed.notify_all();
    }

    /// Waits until it is done; `None` at the deadline.
    fn wait(&self, turn: &Arc<Turn>, deadline: Deadline) -> Option<Result<()>> {
        let mut all = self.all();
        loop {
            if let Stage::Done(result) = &*turn.stage() {
                return Some(result.clone());
            }
            all = match deadline.remaining() {
                None => self.changed.wait(all).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(left) => self.changed.wait_timeout(all, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// A reload on its way. Dropped, it goes on if it has begun, and nobody is told.
pub(in super::super) struct Reloading {
    fork: ForkGuard,
    set: Arc<Processes>,
    turn: Arc<Turn>,
}

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").field("turn", &self.turn).finish_non_exhaustive()
    }
}

impl Reloading {
    /// Of this port, at once or when those before are done; `None` of a drain is for ever.
    pub(super) fn begin(set: Arc<Processes>, index: usize, drain: Option<Duration>) -> Self {
        let turn = Arc::new(Turn { index, drain, stage: Mutex::new(Stage::Waits) });
        set.turns.all().push_back(turn.clone());
        go_on(&set, index);
        Self { fork: ForkGuard::new("port set"), set, turn }
    }

    /// Waits until the successor serves.
    pub(in super::super) fn join(&mut self, deadline: Deadline) -> Result<()> {
        self.fork.check()?;
        if !deadline.is_over() && !matches!(*self.turn.stage(), Stage::Done(_)) {
            self.set.check_outside()?;
        }
        let waits = || Error::Timeout(format!("port {} has not been reloaded yet", self.set.name(self.turn.index)));
        self.set.turns.wait(&self.turn, deadline).unwrap_or_else(|| Err(waits()))
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // A thread of the parent may have held the lock.
            return;
        }
        let is_this = |turn: &Arc<Turn>| Arc::ptr_eq(turn, &self.turn) && matches!(*turn.stage(), Stage::Waits);
        self.set.turns.all().retain(|turn| !is_this(turn));
    }
}

/// Begins the port's next reload, unless one is under way.
fn go_on(set: &Arc<Processes>, index: usize) {
    while let Some(turn) = set.turns.next(index) {
        set.forget_failure(index);
        set.turns.drains().insert(index, turn.drain);
        let verb = Verb::ReplaceChild(set.name(index).into());
        let asked =
            set.supervisor().and_then(|own| Ok((own.ask(verb)?, set.event_loop().ok_or(Error::Closed("port set"))?)));
        match asked {
            Ok((asked, event_loop)) => {
                let mut under_way = UnderWay { set: Arc::downgrade(set), turn: Some(turn) };
                // The answer is taken where it is given: it is told, and the next one begins, whoever waits. Refused it is over as well.
                let _ = event_loop.spawn(async move { under_way.is_over(asked.await.map(drop)) });
                return;
            }
            Err(error) => set.turns.done(&turn, Err(set.why_not_reloaded(index, error))),
        }
    }
}

/// A reload that has begun; dropped with the loop that it is on, it is over.
struct UnderWay {
    set: Weak<Processes>,
    turn: Option<Arc<Turn>>,
}

impl UnderWay {
    fn is_over(&mut self, answer: Result<()>) {
        let (Some(set), Some(turn)) = (self.set.upgrade(), self.turn.take()) else { return };
        set.turns.done(&turn, answer.map_err(|error| set.why_not_reloaded(turn.index, error)));
        go_on(&set, turn.index);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.is_over(Err(Error::Closed("port set")));
    }
}

impl Reins {
    /// On the host's thread: has a run leave that has a successor.
    pub(super) fn see_off(self: &Arc<Self>, life: &Arc<Life>) {
        self.batons[life.index].leave(life.number);
        let Some(set) = self.set.upgrade() else { return };
        // None for one that is replaced by a verb of its supervisor's, which knows of no connections.
        let drain = set.turns.drains().get(&life.index).copied().unwrap_or(Some(Duration::ZERO));
        let within = drain.map(|drain| drain.saturating_add(set.shutdown()));
        // For as long as its port's service has it.
        life.tell(Report::Extend(within.unwrap_or(Duration::MAX)));
        self.later(life, drain, Self::terminate);
        // Not to hold up restarts for ever, if a callback there does not return.
        self.later(life, Some(set.ready()), Self::part);
    }

    /// On the host's thread, after this time, if the run is still there.
    fn later(self: &Arc<Self>, life: &Arc<Life>, after: Option<Duration>, then: fn(&Self, &Arc<Life>)) {
        let (Some(after), Some(event_loop)) = (after, self.event_loop()) else { return };
        let (this, life) = (Arc::downgrade(self), Arc::downgrade(life));
        // Refused when the host has ended, and the run with it.
        let _ = event_loop.call_later(after, move || {
            if let (Some(this), Some(life)) = (this.upgrade(), life.upgrade()) {
                then(&this, &life);
            }
        });
    }

    /// On the host's thread: has a run that has left be a service of its own.
    fn part(&self, life: &Arc<Life>) {
        let Some(set) = self.set.upgrade() else { return };
        let Some(reins) = set.reins(life) else { return };
        let apart = Apart { life: life.clone(), reins, liveness: set.liveness().is_some() };
        let service = Service {
            restart: Restart::Temporary,
            shutdown: Some(Shutdown::After(set.shutdown())),
            liveness: set.liveness(),
            ..Service::new(set.name_of_run(life), Arc::new(apart))
        };
        if let Err(error) = set.supervisor().and_then(|own| own.ask(Verb::StartChild(service))) {
            tracing::debug!(target: "coop", "a port's worker that leaves has no service of its own: {error}");
        }
    }

    /// On the host's thread.
    pub(super) fn look_who_has_left(&self) {
        for (index, baton) in self.batons.iter().enumerate() {
            let news = baton.take_news();
            for life in self.lives(index).iter().filter(|life| life.leaves.load(Ordering::SeqCst)) {
                match news(life.number) {
                    (_, true) => self.terminate(life),
                    (true, false) => self.part(life),
                    (false, false) => {}
                }
            }
        }
    }

    /// On the host's thread: nothing more is waited for in a run that leaves.
    fn terminate(&self, life: &Arc<Life>) {
        let Some(set) = self.set.upgrade() else { return };
        if !life.is_apart.load(Ordering::SeqCst) {
            life.ask();
            return self.kill_after(life, set.shutdown());
        }
        let verb = Verb::TerminateChild(set.name_of_run(life).into());
        // Refused where all ends anyway.
        let _ = set.supervisor().and_then(|own| own.ask(verb));
    }
}

/// Runs what runs already: a worker that leaves, from now on as a service of its own.
#[derive(Debug)]
struct Apart {
    life: Arc<Life>,
    reins: Arc<Reins>,
    liveness: bool,
}

impl Executor for Apart {
    fn name(&self) -> &'static str {
        "async process"
    }

    fn check(&self, _: &Service) -> Result<()> {
        Ok(())
    }

    fn ready(&self, _: &Service) -> Ready {
        Ready::AtOnce
    }

    fn beats(&self) -> bool {
        self.liveness
    }

    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let before = {
            let mut told = self.life.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_over {
                return Err(Error::Failed("it has ended already".into()));
            }
            self.life.is_apart.store(true, Ordering::SeqCst);
            std::mem::replace(&mut told.reporter, start.reporter.clone())
        };
        // Its port's service is over with it, and is told so first.
        before.ended(Ended::Returned);
        if let Some(pid) = self.life.pid() {
            start.reporter.tell(Report::Spawned { pid });
        }
        Ok(Box::new(Rein { life: self.life.clone(), reins: self.reins.clone(), is_apart: true }))
    }
}
