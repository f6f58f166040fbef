//! How calls end: answered, taken back, doomed, or with the run that had them.

#![forbid(unsafe_code)]

use std::{cmp::Reverse, sync::atomic::Ordering, time::Instant};

use super::{Call, Ending, Front, Kills, Place, waiting::Waiting};
use crate::{
    error::Result,
    process_pool::{
        CallId, Completion, Death, Outcome,
        layout::level,
        payload::Payload,
        table::{self, Claimant, Entry, State},
    },
};

impl<T> Front<T> {
    /// Takes a call out for good. What it had is free again; its block, if nobody can look at it.
    fn remove(&mut self, id: u64, holder: Option<u64>) -> Option<Call<T>> {
        let call = self.calls.remove(id)?;
        match call.place {
            Place::Waiting { .. } => self.waits -= 1,
            Place::Slot { slot, block } => {
                self.empty(slot, level(call.priority));
                if let Some((block, bytes)) = block {
                    self.out_bytes[level(call.priority)] -= bytes;
                    match holder {
                        Some(holder) => self.lender.over(block.number, holder),
                        None => self.lender.reclaim(block.number),
                    }
                }
            }
        }
        Some(call)
    }

    /// A call has ended, and nobody looks at its block.
    pub(super) fn end(&mut self, id: u64, outcome: Outcome) {
        if let Some(call) = self.remove(id, None) {
            self.tell(id, call.context, outcome);
        }
    }

    fn tell(&mut self, id: u64, context: T, outcome: Outcome) {
        match outcome {
            Outcome::Done { .. } => self.counts.done += 1,
            _ => self.counts.failed += 1,
        }
        self.outbox.push(Completion { id: CallId(id), context, outcome });
    }

    /// The call of a slot that this one has, and is done with.
    fn done_by(&self, entry: Entry, by: Claimant) -> Option<u64> {
        let shadow = self.shadows.get(entry.slot as usize)?;
        let word = self.table.word(entry.slot)?.load(Ordering::Acquire);
        (shadow.call != 0 && shadow.generation == entry.generation && word == State::Done(by).word(entry.generation))
            .then_some(shadow.call)
    }

    /// A worker's answer. What nobody asked it for is left.
    pub(in super::super) fn answered(
        &mut self,
        entry: Entry,
        by: Claimant,
        holder: u64,
        answer: Result<(u32, Payload)>,
    ) {
        let Some(id) = self.done_by(entry, by) else {
            self.report(format!("worker {} of a process pool answers a call that it does not have", by.worker()));
            return;
        };
        let Some(call) = self.remove(id, Some(holder)) else { return };
        let outcome = match answer {
            Ok((status, result)) => Outcome::Done { status, result },
            Err(error) => Outcome::Lost(error.to_string()),
        };
        self.tell(id, call.context, outcome);
    }

    /// Takes a call out of the queue, if no worker has begun it.
    fn unqueue(&mut self, id: u64) -> Option<Call<T>> {
        match self.calls.get_mut(id)?.place {
            Place::Waiting { .. } => self.remove(id, None),
            Place::Slot { slot, .. } => {
                let generation = self.shadows[slot as usize].generation;
                let word = self.table.word(slot)?;
                table::change(word, generation, State::Queued, State::Free).then(|| self.remove(id, None)).flatten()
            }
        }
    }

    pub(in super::super) fn cancel(&mut self, id: u64) -> Option<T> {
        let call = self.unqueue(id)?;
        self.counts.failed += 1;
        Some(call.context)
    }

    /// Takes back what was just added.
    pub(in super::super) fn withdraw(&mut self, id: u64) -> Option<T> {
        let call = self.unqueue(id)?;
        self.counts.submitted -= 1;
        Some(call.context)
    }

    /// Ends a call: at once if it is queued, else by dooming it. False if it is over or about to be.
    pub(in super::super) fn doom(&mut self, id: u64, ending: Ending, kills: &mut Kills) -> bool {
        if let Some(call) = self.unqueue(id) {
            let outcome = match ending {
                Ending::Deadline => Outcome::TimedOut { ran: false },
                Ending::Kill => Outcome::Cancelled,
            };
            self.tell(id, call.context, outcome);
            return true;
        }
        let Some(call) = self.calls.get_mut(id) else { return false };
        let Place::Slot { slot, .. } = call.place else { return false };
        let generation = self.shadows[slot as usize].generation;
        let Some(word) = self.table.word(slot) else { return false };
        let Some(State::Claimed(by)) = State::of(word.load(Ordering::Acquire), generation) else { return false };
        if !table::change(word, generation, State::Claimed(by), State::Doomed(by)) {
            return false;
        }
        call.ending = Some(ending);
        kills.push((by, Entry { slot, generation }));
        true
    }

    /// Whether this run is to be killed for that call, still.
    pub(in super::super) fn is_doomed(&self, by: Claimant, entry: Entry) -> bool {
        let word = self.table.word(entry.slot).map(|word| word.load(Ordering::Acquire));
        self.shadows[entry.slot as usize].call != 0 && word == Some(State::Doomed(by).word(entry.generation))
    }

    pub(in super::super) fn is_running(&mut self, id: u64) -> bool {
        let Some(call) = self.calls.get_mut(id) else { return false };
        let Place::Slot { slot, .. } = call.place else { return false };
        let word = self.table.word(slot).map(|word| word.load(Ordering::Acquire));
        word != Some(State::Queued.word(self.shadows[slot as usize].generation))
    }

    /// Ends the calls whose deadlines have passed.
    pub(in super::super) fn overdue(&mut self, now: Instant, kills: &mut Kills) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            if self.calls.get_mut(id).is_some_and(|call| call.has_deadline) {
                self.doom(id, Ending::Deadline, kills);
            }
        }
    }

    /// Ends the calls that no worker has begun.
    pub(in super::super) fn end_queued(&mut self, outcome: impl Fn() -> Outcome) {
        let ids: Vec<u64> = self.calls.all().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(call) = self.unqueue(id) {
                self.tell(id, call.context, outcome());
            }
        }
        self.waiting.iter_mut().for_each(Waiting::clear);
    }

    /// Dooms the calls that run.
    pub(in super::super) fn kill_running(&mut self, kills: &mut Kills) {
        let ids: Vec<u64> = self.calls.all().map(|(id, _)| id).collect();
        for id in ids {
            self.doom(id, Ending::Kill, kills);
        }
    }

    /// A run has ended: what it had is over. Whether it had a call.
    pub(in super::super) fn ended(&mut self, by: Claimant, holder: u64, death: &Death) -> bool {
        self.lender.is_gone(holder);
        let mut over = Vec::new();
        let mut damaged = false;
        for (_, shadow, word) in self.in_table() {
            match State::of(word, shadow.generation) {
                Some(State::Claimed(its) | State::Done(its) | State::Doomed(its)) if its == by => {
                    over.push((shadow.call, true));
                }
                Some(State::Queued | State::Claimed(_) | State::Done(_) | State::Doomed(_)) => {}
                Some(State::Free) | None => {
                    over.push((shadow.call, false));
                    damaged = true;
                }
            }
        }
        let had_a_call = over.iter().any(|(_, was_its)| *was_its);
        for (id, was_its) in over {
            let Some(call) = self.calls.get_mut(id) else { continue };
            let outcome = match (call.ending, &self.broken) {
                _ if !was_its => {
                    Outcome::Lost("the call's slot was written over: the shared memory was damaged".into())
                }
                (Some(Ending::Deadline), _) => Outcome::TimedOut { ran: true },
                (Some(Ending::Kill), _) => Outcome::Killed,
                (None, Some(reason)) => Outcome::Broken(reason.clone()),
                (None, None) => Outcome::Died(death.clone()),
            };
            self.end(id, outcome);
        }
        if damaged {
            self.report(format!("the memory that a process pool shares was damaged, perhaps by {death}"));
        }
        self.rebuild();
        had_a_call
    }
}
