//! Calls on their way into the table, and back out of it while no worker has begun them.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::{Front, Place, Placed, Shadow, Source, is_in};
use crate::{
    error::Result,
    process_pool::{
        Outcome,
        blocks::{BlockRef, Lent},
        layout::{LEVELS, SLOT_HEADER, level},
        parts,
        record::halves,
        table::{self, Entry, State},
    },
    shm::{block::Bytes, word},
};

impl<T> Front<T> {
    /// Puts a call into the table, if there is room.
    pub(super) fn place(&mut self, id: u64, source: Source<'_>) -> Result<Placed> {
        let Some(call) = self.calls.get_mut(id) else { return Ok(Placed::Ready) };
        let (level, within) = (level(call.priority), call.within.clone());
        if self.free.is_empty() && !self.may_make_room(level) {
            return Ok(Placed::NoSlot);
        }
        let bytes = source.space();
        let mut lent = None;
        if bytes > self.inline_bytes {
            lent = self.lend(bytes, level)?;
            if lent.is_none() {
                return Ok(Placed::NoMemory);
            }
        }
        if self.free.is_empty() && !self.make_room(level) {
            self.take_back(lent);
            return Ok(Placed::NoSlot);
        }
        if let Some(Lent { store, .. }) = &lent
            && let Err(error) = source.put(|at, piece| store.write(at, piece))
        {
            self.take_back(lent);
            return Err(error);
        }
        let Some(slot) = self.free.pop() else { return Ok(Placed::NoSlot) };
        let Some(words) = self.table.slot(slot) else { return Ok(Placed::NoSlot) };
        let head = [halves(u32::from(lent.is_some()), u32::try_from(source.count()).unwrap_or(u32::MAX)), bytes as u64];
        words[1].store(head[0], Ordering::Relaxed);
        words[2].store(head[1], Ordering::Relaxed);
        match &lent {
            Some(Lent { block, .. }) => {
                words[3].store(halves(block.number, block.serial), Ordering::Relaxed);
                words[4].store(block.usage.into(), Ordering::Relaxed);
                self.out_bytes[level] += bytes;
            }
            None => source.put(|at, piece| {
                parts::store(&words[SLOT_HEADER..], at, piece);
                Ok(())
            })?,
        }
        let order = self.next_order;
        self.next_order += 1;
        let shadow = &mut self.shadows[slot as usize];
        *shadow = Shadow { generation: shadow.generation.wrapping_add(1), call: id, order };
        let entry = Entry { slot, generation: shadow.generation };
        self.of_level[level] += 1;
        words[0].store(State::Queued.word(entry.generation), Ordering::Release);
        let block = lent.map(|lent| (lent.block, bytes));
        if let Some(call) = self.calls.get_mut(id) {
            call.place = Place::Slot { slot, block };
        }
        self.queue(entry, level, within.as_deref());
        Ok(Placed::Ready)
    }

    /// Memory for a call of a level, if there may be so much for that level and those above it. What is below is in nobody's way:
    /// where all blocks are lent, calls of those levels that are not begun give theirs back.
    fn lend(&mut self, bytes: usize, level: usize) -> Result<Option<Lent>> {
        let out: usize = self.out_bytes[..=level].iter().sum();
        if out > 0 && out.saturating_add(bytes) > self.most_out {
            return Ok(None);
        }
        loop {
            let lent = self.lender.lend(bytes)?;
            if lent.is_some() || !self.unplace(level, true) {
                return Ok(lent);
            }
        }
    }

    fn take_back(&mut self, lent: Option<Lent>) {
        if let Some(Lent { block, .. }) = lent {
            self.lender.reclaim(block.number);
        }
    }

    /// Adds it to the queues that its workers look at.
    fn queue(&mut self, entry: Entry, level: usize, within: Option<&[u64]>) {
        match within {
            None => self.push(level, entry),
            Some(within) => {
                for worker in (0..self.pinned).filter(|worker| is_in(within, *worker)) {
                    self.push(LEVELS * (worker + 1) + level, entry);
                }
            }
        }
    }

    fn push(&mut self, number: usize, entry: Entry) {
        let (table, (words, tail)) = (&self.table, &mut self.queues[number]);
        let queue = words.queue();
        match queue.push(tail, entry) {
            Ok(true) => {}
            Ok(false) => {
                let is_alive = |entry: Entry| {
                    let word = table.word(entry.slot).map(|word| word.load(Ordering::Acquire));
                    word == Some(State::Queued.word(entry.generation))
                };
                queue.shorten(*tail, is_alive);
                // There is room now: what is alive is not more than the slots. If not, all of it is written over: the end of who did it
                // has the queues made anew.
                let _ = queue.push(tail, entry);
            }
            // As above.
            Err(_) => {
                queue.clear(*tail);
                let _ = queue.push(tail, entry);
            }
        }
    }

    /// Makes the queues anew, of what is queued.
    pub(in super::super) fn rebuild(&mut self) {
        for (words, tail) in &self.queues {
            words.queue().clear(*tail);
        }
        let queued = self.in_table().filter_map(|(slot, shadow, word)| {
            let entry = Entry { slot, generation: shadow.generation };
            (word == State::Queued.word(shadow.generation)).then_some((shadow.order, shadow.call, entry))
        });
        let mut queued: Vec<(u64, u64, Entry)> = queued.collect();
        queued.sort_unstable_by_key(|(order, _, _)| *order);
        for (_, id, entry) in queued {
            if let Some(call) = self.calls.get_mut(id) {
                let (level, within) = (level(call.priority), call.within.clone());
                self.queue(entry, level, within.as_deref());
            }
        }
    }

    /// Fills the table from those that wait; whether any lies ready now. Each level has its share first: a worker that may take one of a lower level finds one.
    pub(in super::super) fn refill(&mut self) -> bool {
        if self.waits == 0 {
            return false;
        }
        self.waiting.iter_mut().for_each(|waiting| waiting.is_stuck = false);
        let shares = (0..LEVELS).map(|level| self.refill_level(level, self.share)).fold(false, |any, one| any | one);
        let rest = (0..LEVELS).map(|level| self.refill_level(level, usize::MAX)).fold(false, |any, one| any | one);
        shares | rest
    }

    /// Up to so many in the table.
    fn refill_level(&mut self, level: usize, most: usize) -> bool {
        let mut any = false;
        while self.of_level[level] < most
            && let Some((id, is_long)) = self.waiting[level].first()
        {
            let place = self.calls.get_mut(id).map(|call| &mut call.place);
            let Some(Place::Waiting { body, count }) = place else {
                // Over meanwhile.
                self.waiting[level].remove_first(is_long);
                continue;
            };
            let (body, count) = (std::mem::take(body), *count);
            match self.place(id, Source::Body(&body, count)) {
                Ok(Placed::Ready) => {
                    self.waits -= 1;
                    self.waiting[level].remove_first(is_long);
                    any = true;
                }
                Ok(refused) => {
                    if let Some(call) = self.calls.get_mut(id) {
                        call.place = Place::Waiting { body, count };
                    }
                    if refused == Placed::NoSlot {
                        break;
                    }
                    self.waiting[level].is_stuck = true;
                }
                Err(error) => self.end(id, Outcome::Lost(error.to_string())),
            }
        }
        any
    }

    /// A slot has no call any more.
    pub(super) fn empty(&mut self, slot: u32, level: usize) {
        let shadow = &mut self.shadows[slot as usize];
        shadow.call = 0;
        if let Some(word) = self.table.word(slot) {
            word.store(State::Free.word(shadow.generation), Ordering::Release);
        }
        self.of_level[level] -= 1;
        self.free.push(slot);
    }

    /// Whether a lower level has more in the table than its share.
    fn may_make_room(&self, for_level: usize) -> bool {
        self.of_level[for_level + 1..].iter().any(|count| *count > self.share)
    }

    /// Makes room in a full table by a call of a lower level that has more than its share there.
    fn make_room(&mut self, for_level: usize) -> bool {
        self.may_make_room(for_level) && self.unplace(for_level, false)
    }

    /// Takes a call of a lower level back out of the table, the lowest level's youngest one that no worker has begun: it waits again, before all others
    /// of its level. One that is long for its memory, any other for its slot.
    fn unplace(&mut self, for_level: usize, for_memory: bool) -> bool {
        let (calls, of_level, share) = (&mut self.calls, &self.of_level, self.share);
        let lower = self.shadows.iter().filter_map(|shadow| {
            let call = calls.get_mut(shadow.call)?;
            let its = level(call.priority);
            let Place::Slot { slot, block } = call.place else { return None };
            let is_meant = if for_memory { block.is_some() } else { of_level[its] > share };
            (its > for_level && is_meant).then_some((its, shadow.order, shadow.call, slot, block))
        });
        let mut lower: Vec<_> = lower.collect();
        // Of one level, the short ones first: they are the cheaper ones to move.
        lower.sort_unstable_by_key(|(level, order, _, _, block)| (*level, block.is_none(), *order));
        while let Some((level, _, id, slot, block)) = lower.pop() {
            if self.unplace_one(level, id, slot, block) {
                return true;
            }
        }
        false
    }

    fn unplace_one(&mut self, level: usize, id: u64, slot: u32, block: Option<(BlockRef, usize)>) -> bool {
        let Some(words) = self.table.slot(slot) else { return false };
        let generation = self.shadows[slot as usize].generation;
        if !table::change(&words[0], generation, State::Queued, State::Free) {
            return false;
        }
        // The bytes are as this process has written them, unless somebody has written there who must not.
        let (head, bytes) = (words[1].load(Ordering::Relaxed), words[2].load(Ordering::Relaxed));
        let mut body =
            vec![0; block.map_or(usize::try_from(bytes).unwrap_or(0).min(self.inline_bytes), |(_, bytes)| bytes)];
        match block {
            None => word::load(&words[SLOT_HEADER..], &mut body),
            Some((block, bytes)) => {
                if let Some(store) = self.lender.store(block.number, block.serial) {
                    // Within it: it was written there.
                    let _ = store.copy_to(0, &mut body);
                }
                self.out_bytes[level] -= bytes;
                self.lender.reclaim(block.number);
            }
        }
        let mut arrival = 0;
        if let Some(call) = self.calls.get_mut(id) {
            arrival = call.arrival;
            call.place = Place::Waiting { body, count: (head >> 32) as usize };
        }
        self.empty(slot, level);
        self.waiting[level].add_first(block.is_some(), arrival, id);
        self.waits += 1;
        true
    }
}
