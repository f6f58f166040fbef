//! What workers tell, and that they have ended.

#![forbid(unsafe_code)]

use std::{os::fd::AsFd, sync::atomic::Ordering};

use super::{BATCH, COPIED, Inner, Lane, holder, lock};
use crate::{
    error::{Error, Result},
    process_pool::{
        Death,
        layout::WORKERS_BLOCKS,
        payload::Payload,
        record::{self, Parts, Told},
        table::Claimant,
        wire,
    },
    shm::Doorbell,
    supervisor::event::{Because, Ended},
};

impl<T: Send + 'static> Inner<T> {
    /// Takes what a worker has told.
    fn drain(&self, worker: usize, lane: &mut Lane) -> Result<bool> {
        let Some(run) = &mut lane.run else { return Ok(false) };
        let (by, of) = (Claimant::new(worker, run.number), holder(worker, run.number));
        let mut told = Vec::new();
        while told.len() < BATCH {
            match lane.receiver.recv()? {
                Some(record) => told.push(record::read(&record)?),
                None => break,
            }
        }
        if told.is_empty() {
            return Ok(false);
        }
        let mut failed = None;
        {
            let mut front = self.front();
            for told in told {
                match told {
                    Told::Done { entry, status, count, parts } => {
                        let payload = match parts {
                            Parts::Here(heap) => Payload::copied(heap, record::HEAD, count),
                            Parts::InBlock { block, bytes } => {
                                let fetch = || wire::receive(&run.socket, block.number, block.serial, false);
                                let lease = run.borrower.borrow(block, fetch);
                                let many = run.borrower.looked_at() > WORKERS_BLOCKS / 2;
                                lease.and_then(|lease| match many && bytes <= COPIED {
                                    true => Payload::copied_from(&lease, count, bytes),
                                    false => Payload::borrowed(lease, count, bytes),
                                })
                            }
                        };
                        front.answered(entry, by, of, payload.map(|payload| (status, payload)));
                    }
                    Told::Unread { entry, why } => front.answered(entry, by, of, Err(Error::Failed(why))),
                    Told::Need { number, serial } => {
                        let store = front.lender.store(number, serial);
                        let memory = store.as_ref().map(|store| store.as_fd());
                        let sent = wire::send(&run.socket, number, serial, memory);
                        let sent = sent.or_else(|_| wire::send(&run.socket, number, serial, None));
                        if let Err(error) = sent {
                            front.report(format!("worker {worker} of a process pool is not given a block: {error}"));
                        }
                    }
                    Told::Failed(why) => failed = Some(why),
                }
            }
        }
        if let Some(why) = failed {
            self.break_for(&why);
        }
        self.bells[worker].ring();
        Ok(true)
    }

    /// Takes what a worker has told; whether there may be more. The pool's own thread, or the loop that stands in for it.
    pub(super) fn hear(&self, worker: usize) -> bool {
        let mut lane = lock(&self.lanes[worker]);
        if lane.damaged {
            return false;
        }
        match self.drain(worker, &mut lane) {
            Ok(more) => more,
            Err(error) => {
                lane.damaged = true;
                let life = lane.run.as_ref().map(|run| run.life.clone());
                drop(lane);
                tracing::error!(target: "coop", "worker {worker} of a process pool is ended: {error}");
                if let Some(life) = life {
                    life.kill(Because::Asked, || true);
                }
                false
            }
        }
    }

    /// On the host's thread: a run has ended, which has been ready or not. `lacked`: it could not begin, for want of something.
    pub(in super::super) fn run_ended(&self, number: u64, death: Death, asked: bool, lacked: bool) {
        let worker = death.worker;
        let was_ready = self.memory.marks(worker).is_ok_and(|marks| marks.is_ready(number));
        let died_idle = {
            let mut lane = lock(&self.lanes[worker]);
            if !lane.damaged {
                while let Ok(true) = self.drain(worker, &mut lane) {}
            }
            lane.run = None;
            let anew = self.memory.make_ring(worker).and_then(|()| self.memory.receiver(worker));
            self.idle.clear(worker);
            let mut front = self.front();
            match anew {
                Ok(receiver) => (lane.receiver, lane.damaged) = (receiver, false),
                Err(error) => front.report(format!("worker {worker} of a process pool has no ring: {error}")),
            }
            let had_a_call = front.ended(Claimant::new(worker, number), holder(worker, number), &death);
            let died = !asked && (had_a_call || !matches!(death.how, Ended::Returned | Ended::Exited(0)));
            front.counts.died += u64::from(died);
            died && was_ready && !had_a_call
        };
        if died_idle {
            let name = &self.options.name;
            tracing::warn!(target: "coop", "process pool {name:?}: {death}, while it had no call: another one takes its place");
        }
        if was_ready || !asked {
            self.count_start(was_ready, lacked, &death);
        }
        // Its calls have left the table: what waits for room is not to wait for whoever is told of them.
        self.refill();
        self.alert.store(true, Ordering::Release);
        // A wake-up may have been taken along, of the pool's own thread or of another worker; and who is idle be written over: whoever is says so again.
        self.idle.take_all(|_| {});
        self.bell.ring_anyway();
        self.bells.iter().for_each(Doorbell::ring_anyway);
    }
}
