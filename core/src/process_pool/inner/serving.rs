//! What the pool's own thread does: it hears what workers tell, and tells of the calls that are over. It alone calls `done`, which may be anybody's code
//! and take its time; what must not wait for that is on the host's loop (`clock.rs`), or done there, too.

#![forbid(unsafe_code)]

use std::sync::{Arc, PoisonError, atomic::Ordering};

use super::{Inner, lock};
use crate::{
    job,
    process_pool::{Completion, Shutdown},
    shm::Doorbell,
    time::Deadline,
};

impl<T: Send + 'static> Inner<T> {
    /// Until the pool has ended. Every call is told, also if this thread itself cannot go on.
    pub(in super::super) fn serve(self: &Arc<Self>, mut bell: Doorbell, mut done: impl FnMut(Vec<Completion<T>>)) {
        let mut why = None;
        let went_well = job::caught("process pool's own thread", || {
            if let Err(error) = self.serve_calls(&mut bell, &mut done) {
                why = Some(format!("the pool's own thread cannot go on: {error}"));
            }
        });
        if !went_well {
            why = Some("the pool's own thread panicked".to_owned());
        }
        if let Some(why) = why {
            self.break_for(&why);
            self.front().closing = Some(Shutdown::Kill);
        }
        self.stop_workers();
        // After a break: what they had.
        self.tell(&mut done);
        drop(done);
        // Whoever has the handle still needs no memory for calls.
        self.front().lender.end();
        self.log_reports();
        *lock(&self.has_ended) = true;
        self.ended.notify_all();
    }

    fn serve_calls(
        self: &Arc<Self>,
        bell: &mut Doorbell,
        done: &mut impl FnMut(Vec<Completion<T>>),
    ) -> crate::Result<()> {
        loop {
            let (full, alert) = (&self.full, &self.alert);
            bell.wait(Deadline::NEVER, || Ok(full.any() || alert.load(Ordering::Acquire)))?;
            alert.swap(false, Ordering::AcqRel);
            self.hear_all();
            self.refill();
            let is_over = {
                let mut front = self.front();
                front.lender.tidy();
                front.closing.is_some() && front.unfinished() == 0
            };
            self.log_reports();
            self.tell(done);
            if is_over {
                return Ok(());
            }
        }
    }

    fn tell(self: &Arc<Self>, done: &mut impl FnMut(Vec<Completion<T>>)) {
        let outbox = self.front().take_outbox();
        if !outbox.is_empty() {
            self.told_of(|| {
                job::caught("process pool", || done(outbox));
            });
        }
    }

    /// Takes what workers have told.
    pub(super) fn hear_all(&self) {
        self.full.take_all(|worker| {
            if self.hear(worker) {
                // It may have more than was taken.
                self.full.set(worker);
            }
        });
    }

    /// Has those that wait for room go to the table.
    pub(super) fn refill(&self) {
        let is_ready = self.front().refill();
        if is_ready {
            self.wake_for_more();
        }
    }

    /// Tells the log what was found with a lock held: whoever hears of it may call the pool.
    fn log_reports(&self) {
        let reports = self.front().take_reports();
        reports.iter().for_each(|report| tracing::error!(target: "coop", "{report}"));
    }

    /// Asks the workers to end, each when its call is over.
    pub(super) fn ask_workers(&self) {
        // First: whoever ends then is not started again.
        if let Err(error) = self.host.stop() {
            tracing::debug!(target: "coop", "a process pool's host has gone: {error}");
        }
        for (stop, bell) in self.stops.iter().zip(&self.bells) {
            stop.store(1, Ordering::Release);
            bell.ring();
        }
    }

    /// Ends the workers, and waits until they have.
    fn stop_workers(&self) {
        self.ask_workers();
        if let Err(error) = self.host.shutdown(None) {
            tracing::error!(target: "coop", "the workers of a process pool were not ended: {error}");
        }
    }

    /// Waits for the end. False at the deadline.
    pub(in super::super) fn wait_ended(&self, deadline: Deadline) -> bool {
        let mut has_ended = lock(&self.has_ended);
        while !*has_ended {
            match deadline.remaining() {
                None => has_ended = self.ended.wait(has_ended).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return false,
                Some(left) => {
                    has_ended = self.ended.wait_timeout(has_ended, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        true
    }
}
