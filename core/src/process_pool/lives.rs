//! The executor of one worker: another one, made anew for each run, whose end the pool hears of first.

#![forbid(unsafe_code)]

use std::{
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
};

use super::{
    Death,
    inner::{Inner, is_a_lack, lock},
    rest::Rest,
};
use crate::{
    error::{Error, Result},
    event_loop::Handle,
    supervisor::{
        Executor, Ready, Reporter, Running, Service, Start, Stopped,
        event::{Because, Ended},
        executor::Report,
    },
};

/// One run, as the pool and its supervisor hold it.
pub(super) struct Life {
    run: Mutex<Option<Box<dyn Running>>>,
    event_loop: Handle,
    /// It was asked to end, or is killed for its call.
    asked: AtomicBool,
    /// 0: not known.
    pid: AtomicI32,
    /// It could not begin, for want of something.
    lacked: AtomicBool,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Life {
    /// With no lock held while it does.
    fn with<R>(&self, f: impl FnOnce(&mut Box<dyn Running>) -> R) -> Option<R> {
        let mut run = lock(&self.run).take()?;
        let answer = f(&mut run);
        *lock(&self.run) = Some(run);
        Some(answer)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        let known = Some(self.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0);
        known.or_else(|| lock(&self.run).as_ref().and_then(|run| run.pid()))
    }

    /// Ends it on the host's thread, if it is still to be ended then.
    pub(super) fn kill(self: &Arc<Self>, because: Because, still: impl FnOnce() -> bool + Send + 'static) {
        let life = self.clone();
        // Refused when the host has ended, and all runs with it.
        let _ = self.event_loop.post(move || {
            if still() {
                life.asked.store(true, Ordering::Release);
                life.with(|run| run.kill(because));
            }
        });
    }
}

/// See the module's text.
pub(super) struct Held<T> {
    /// Says what the runs are like.
    like: Arc<dyn Executor>,
    pool: Weak<Inner<T>>,
    worker: usize,
}

impl<T> Held<T> {
    pub(super) fn new(like: Arc<dyn Executor>, pool: Weak<Inner<T>>, worker: usize) -> Self {
        Self { like, pool, worker }
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("like", &self.like).field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Executor for Held<T> {
    fn name(&self) -> &'static str {
        self.like.name()
    }

    fn check(&self, service: &Service) -> Result<()> {
        self.like.check(service)
    }

    /// The pool knows itself which of its workers can work.
    fn ready(&self, _: &Service) -> Ready {
        Ready::AtOnce
    }

    fn beats(&self) -> bool {
        self.like.beats()
    }

    /// What cannot be started is an end: so it is counted, and tried again.
    fn start(&self, start: Start<'_>) -> Result<Box<dyn Running>> {
        let pool = self.pool.upgrade().ok_or(Error::Closed("process pool"))?;
        let (worker, number) = (self.worker, start.run);
        let rest = pool.take_rest();
        if !rest.is_zero() {
            return Ok(Box::new(Rest::begin(start, rest)?));
        }
        let life = Arc::new(Life {
            run: Mutex::default(),
            event_loop: start.event_loop.clone(),
            asked: AtomicBool::new(false),
            pid: AtomicI32::new(0),
            lacked: AtomicBool::new(false),
        });
        let (weak, its, told) = (self.pool.clone(), life.clone(), start.reporter.clone());
        let reporter = Reporter::new(move |report| {
            match &report {
                Report::Spawned { pid } => its.pid.store(*pid, Ordering::Release),
                Report::Ended { how, tail, details } => {
                    let (how, tail, details) = (how.clone(), tail.clone(), details.clone());
                    let death = Death { worker, pid: its.pid(), how, tail, details };
                    if let Some(pool) = weak.upgrade() {
                        let (asked, lacked) = (its.asked.load(Ordering::Acquire), its.lacked.load(Ordering::Acquire));
                        pool.run_ended(number, death, asked, lacked);
                    }
                }
                _ => {}
            }
            told.tell(report);
        });
        let begun = pool.begin(worker, number, life.clone()).and_then(|equipment| {
            let executor = pool.options.executor(&equipment)?;
            executor.start(Start { reporter: reporter.clone(), ..start })
        });
        match begun {
            Ok(run) => *lock(&life.run) = Some(run),
            Err(error) => {
                life.lacked.store(is_a_lack(&error), Ordering::Release);
                reporter.ended(Ended::Failed(error.to_string()));
            }
        }
        Ok(Box::new(Rein(life)))
    }
}

/// A run, as its supervisor holds it.
#[derive(Debug)]
struct Rein(Arc<Life>);

impl Running for Rein {
    fn ask(&mut self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.with(|run| run.ask());
    }

    fn kill(&mut self, because: Because) -> Stopped {
        self.0.asked.store(true, Ordering::Release);
        self.0.with(|run| run.kill(because)).unwrap_or(Stopped::Ends)
    }

    fn pid(&self) -> Option<i32> {
        self.0.pid()
    }
}

impl Drop for Rein {
    fn drop(&mut self) {
        // Dropped with no lock held.
        let run = lock(&self.0.run).take();
        drop(run);
    }
}
