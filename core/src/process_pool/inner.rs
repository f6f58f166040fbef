//! The pool's side: what its handle, its own thread and its host's thread share.
//!
//! # What holds
//!
//! * A worker's ring is read under its lane's lock, and what was read is applied to the calls before that is let go: whoever has the lane next finds both
//!   in step. The order is lane, then front.
//! * The end of a run is dealt with on the host's thread before its supervisor hears of it: the ring is read to its end, what the run had is ended,
//!   a damaged ring is made anew. So its successor finds nothing of it.
//! * A run is killed on the host's thread, if it is still that run and the call that it is killed for is still doomed.

#![forbid(unsafe_code)]

mod clock;
mod growing;
mod hearing;
mod serving;

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

pub(super) use self::growing::is_a_lack;
use self::{
    clock::Clock,
    growing::{Crew, Vain},
};
use super::{
    Options, Outcome,
    bits::{Bits, wake_one},
    blocks::Borrower,
    front::{Ending, Front, Kills},
    layout::{Layout, Memory},
    lives::{Held, Life},
    manifest::{MEMORY, Manifest, NUMBER, SOCKET},
    options::Equipment,
    pool::Shutdown,
    table::Claimant,
    wire,
};
use crate::{
    cpu,
    error::{Error, Result},
    fork::ForkGuard,
    primitive::full_fence,
    shm::{Doorbell, Receiver, Word32},
    supervisor::{
        Backoff, Growth, Host, HostOptions, Restart, Service, Shutdown as Patience, SupervisorOptions, event::Because,
        executor::process::Descriptor,
    },
};

/// So many ends of one worker within [`CALM`] are followed by a start at once; from there on each start is delayed by [`DELAY`]: no more than what keeps a
/// worker that ends by itself, again and again, from taking a CPU. Calls that wait are not to wait longer for those that kill.
const BURST: u32 = 50;
const CALM: std::time::Duration = std::time::Duration::from_secs(1);
const DELAY: std::time::Duration = std::time::Duration::from_millis(10);
/// While many blocks of a worker are looked at, results of up to so many bytes are copied: it would need new memory for each one that follows, which
/// costs more.
const COPIED: usize = 1 << 20;
/// So many records of one worker are taken at once.
const BATCH: usize = 256;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One worker, as the pool's process hears it.
struct Lane {
    receiver: Receiver,
    run: Option<Run>,
    damaged: bool,
}

/// A run of it.
struct Run {
    number: u64,
    socket: OwnedFd,
    borrower: Borrower,
    life: Arc<Life>,
}

/// Which run of which worker has looked at a block.
fn holder(worker: usize, run: u64) -> u64 {
    run << 12 | worker as u64
}

pub(super) struct Inner<T> {
    pub(super) fork: ForkGuard,
    pub(super) options: Options,
    memory: Memory,
    fd: Descriptor,
    idle: Bits,
    full: Bits,
    bells: Vec<Doorbell>,
    stops: Vec<Word32>,
    /// For those who wake the pool's own thread.
    bell: Doorbell,
    /// There is something else than records.
    alert: AtomicBool,
    lanes: Vec<Mutex<Lane>>,
    front: Mutex<Front<T>>,
    crew: Crew,
    vain: Mutex<Vain>,
    clock: Clock,
    pub(super) host: Host,
    /// The pool's own thread, by its number.
    pub(super) thread: AtomicU64,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

impl<T: Send + 'static> Inner<T> {
    pub(super) fn new(options: Options) -> Result<Arc<Self>> {
        options.check()?;
        let layout = Layout {
            workers: options.workers,
            slots: options.slots,
            inline_bytes: options.inline_bytes,
            ring_bytes: options.ring_bytes,
            pinned: options.pin,
        };
        let memory = Memory::new(layout)?;
        let root = SupervisorOptions { intensity: None, restart: Restart::Temporary, ..SupervisorOptions::default() };
        // Who made the call hears how its worker ended, and why no worker gets ready; what nobody would hear of is told here.
        let host = Host::new(HostOptions { name: options.name.clone(), root, quiet: true, ..HostOptions::default() })?;
        let lane = |worker| Ok(Mutex::new(Lane { receiver: memory.receiver(worker)?, run: None, damaged: false }));
        let inner = Arc::new(Self {
            fork: ForkGuard::new("process pool"),
            fd: memory.fd()?.into(),
            idle: memory.idle()?,
            full: memory.full()?,
            bells: (0..layout.workers).map(|worker| memory.bell(worker)).collect::<Result<_>>()?,
            stops: (0..layout.workers).map(|worker| memory.stop(worker)).collect::<Result<_>>()?,
            bell: memory.parents_bell()?,
            alert: AtomicBool::new(false),
            lanes: (0..layout.workers).map(lane).collect::<Result<_>>()?,
            front: Mutex::new(Front::new(&memory, options.block_bytes, options.kept_bytes)?),
            crew: Crew::new(layout.workers),
            vain: Mutex::default(),
            clock: Clock::default(),
            thread: AtomicU64::new(0),
            has_ended: Mutex::new(false),
            ended: Condvar::new(),
            host,
            memory,
            options,
        });
        let service = inner.service(0)?;
        service.check()?;
        inner.host.start()?;
        Ok(inner)
    }

    pub(super) fn front(&self) -> MutexGuard<'_, Front<T>> {
        lock(&self.front)
    }

    /// What the pool's own thread waits at.
    ///
    /// # Errors
    /// [`Error::Forked`](crate::Error::Forked).
    pub(super) fn parents_bell(&self) -> Result<Doorbell> {
        self.memory.parents_bell()
    }

    /// What its supervisor is told of a worker.
    fn service(self: &Arc<Self>, worker: usize) -> Result<Service> {
        // Asked what it is like; what it is given is not used.
        let (_, theirs) = wire::pair()?;
        let like = self.options.executor(&self.equipment(worker, 0, theirs)?)?;
        let held = Held::new(like, Arc::downgrade(self), worker);
        Ok(Service {
            shutdown: Some(Patience::After(self.options.shutdown)),
            liveness: self.options.liveness,
            backoff: Some(Backoff {
                delay: DELAY,
                growth: Growth::Fixed,
                cap: DELAY,
                jitter: 0.0,
                calm: CALM,
                burst: BURST,
            }),
            ..Service::new(format!("worker-{worker}"), Arc::new(held))
        })
    }

    fn equipment(&self, worker: usize, run: u64, socket: OwnedFd) -> Result<Equipment> {
        let mut manifest = Manifest::new(self.memory.layout(), worker, run);
        manifest.calls = self.options.calls_per_worker;
        manifest.cpu = self.options.pin.then(|| cpu::placement(worker));
        manifest.kept_bytes = self.options.kept_bytes;
        let descriptors = vec![
            (NUMBER, manifest.write(&self.options.args)?.into()),
            (MEMORY, self.fd.clone()),
            (SOCKET, socket.into()),
        ];
        Ok(Equipment { index: worker, descriptors })
    }

    /// On the host's thread: a run is about to begin.
    pub(super) fn begin(&self, worker: usize, run: u64, life: Arc<Life>) -> Result<Equipment> {
        let (ours, theirs) = wire::pair()?;
        let equipment = self.equipment(worker, run, theirs)?;
        // Whatever is written there: one that is to stop is asked by its supervisor, too.
        self.stops[worker].store(0, Ordering::Release);
        let bell = self.memory.bell(worker)?;
        let borrower = Borrower::new(self.memory.blocks(worker)?, move || bell.ring());
        let mut lane = lock(&self.lanes[worker]);
        lane.run = Some(Run { number: run, socket: ours, borrower, life });
        drop(lane);
        self.front().counts.started += 1;
        Ok(equipment)
    }

    /// Wakes the pool's own thread for something else than records.
    pub(super) fn alert(&self) {
        self.alert.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// After calls were made ready: for workers that this one finds idle, who wake others.
    #[inline]
    pub(super) fn wake(&self, within: Option<&[u64]>) {
        wake_one(&self.idle, within, |worker| self.bells[worker].ring());
    }

    /// After calls were made ready that waited for room.
    pub(super) fn wake_for_more(&self) {
        if self.options.pin {
            full_fence();
            self.idle.take_all(|worker| self.bells[worker].ring());
        } else {
            self.wake(None);
        }
    }

    /// The workers cannot work.
    pub(super) fn break_for(&self, reason: &str) {
        let mut front = self.front();
        if front.broken.is_none() {
            front.broken = Some(reason.to_owned());
            front.end_queued(|| Outcome::Broken(reason.to_owned()));
            drop(front);
            // One that has gone has nothing left to stop.
            let _ = self.host.stop();
            self.alert();
        }
    }

    /// Kills the runs that calls were doomed for.
    pub(super) fn kill(self: &Arc<Self>, kills: Kills) {
        for (by, entry) in kills {
            let life = {
                let lane = lock(&self.lanes[by.worker()]);
                let its = lane.run.as_ref().filter(|run| Claimant::new(by.worker(), run.number) == by);
                its.map(|run| run.life.clone())
            };
            if let Some(life) = life {
                let inner = Arc::downgrade(self);
                life.kill(Because::Asked, move || {
                    inner.upgrade().is_some_and(|inner| inner.front().is_doomed(by, entry))
                });
            }
        }
    }

    pub(super) fn shutdown(self: &Arc<Self>, how: Shutdown) {
        let mut kills = Kills::new();
        {
            let mut front = self.front();
            front.closing = front.closing.max(Some(how));
            if how != Shutdown::Drain {
                front.end_queued(|| Outcome::Cancelled);
            }
            if how == Shutdown::Kill {
                front.kill_running(&mut kills);
            }
        }
        self.kill(kills);
        if how == Shutdown::Terminate {
            self.ask_workers();
        }
        self.alert();
    }

    pub(super) fn idle_workers(&self) -> usize {
        self.idle.count()
    }

    /// The processes that are there.
    pub(super) fn pids(&self) -> Vec<(usize, Option<i32>)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter_map(|(worker, lane)| Some((worker, lock(lane).run.as_ref()?.life.pid()))).collect()
    }

    /// The workers that are kept on one of these CPUs, as a mask.
    pub(super) fn within(&self, cpus: &cpu::CpuSet) -> Result<Arc<[u64]>> {
        if !self.options.pin {
            let text = "a call for some CPUs in a pool that does not keep its workers on CPUs: it needs pin";
            return Err(Error::Affinity(text.into()));
        }
        let mut mask = vec![0_u64; self.options.workers.div_ceil(64)];
        for worker in (0..self.options.workers).filter(|worker| cpus.contains(cpu::placement(*worker))) {
            mask[worker / 64] |= 1 << (worker % 64);
        }
        if mask.iter().all(|word| *word == 0) {
            let on = cpu::CpuSet::new((0..self.options.workers).map(cpu::placement))?;
            let text = format!("no worker is on one of the CPUs {cpus}: they are on {on}");
            return Err(Error::Affinity(text));
        }
        Ok(mask.into())
    }

    pub(super) fn doom(self: &Arc<Self>, id: u64) -> bool {
        let mut kills = Kills::new();
        let doomed = self.front().doom(id, Ending::Kill, &mut kills);
        self.kill(kills);
        if doomed {
            self.alert();
        }
        doomed
    }
}
