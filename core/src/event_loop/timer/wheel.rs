//! A hierarchical timing wheel: insert and cancel in O(1), the next expiry in O(levels).
//!
//! After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987), with 64 slots a level and a bit mask of
//! the occupied ones. Pure: ticks come in as numbers, nothing here reads a clock.
//!
//! # Invariant
//!
//! An entry whose tick first differs from `now` in the 6-bit group `g` (counted from the low end) is linked at level `g`, in
//! the slot that this group of its tick names. So every entry of a lower level is due before every entry of a higher one,
//! and the first occupied slot of the lowest occupied level is where the next thing happens: at level 0 an expiry, above
//! it a cascade into lower levels. Entries not later than `now` are in the due list. Order within a slot is that
//! of insertion.

#![forbid(unsafe_code)]

use crate::slots::Slots;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 7;
/// The furthest that an entry is linked ahead: what is later waits there and cascades again. It is one top slot short of a
/// full turn, so that nothing is ever linked in the slot that `now` itself stands in.
const HORIZON: u64 = ((SLOTS as u64 - 1) << (BITS as usize * (LEVELS - 1))) - 1;
const NIL: u32 = u32::MAX;
/// The list number of the due list.
const DUE: u16 = (LEVELS * SLOTS) as u16;
const UNLINKED: u16 = u16::MAX;

#[derive(Debug)]
struct Node<T> {
    tick: u64,
    list: u16,
    before: u32,
    after: u32,
    value: T,
}

#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

#[derive(Debug)]
pub(crate) struct Wheel<T> {
    nodes: Slots<Node<T>>,
    lists: [List; LEVELS * SLOTS + 1],
    occupied: [u64; LEVELS],
    now: u64,
}

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        const EMPTY: List = List { first: NIL, last: NIL };
        Self { nodes: Slots::new(), lists: [EMPTY; LEVELS * SLOTS + 1], occupied: [0; LEVELS], now: 0 }
    }

    /// How many entries there are, linked or not.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds an entry that expires at `tick`.
    pub(crate) fn insert(&mut self, tick: u64, value: T) -> u64 {
        let id = self.nodes.insert(Node { tick, list: UNLINKED, before: NIL, after: NIL, value });
        self.link(crate::slots::index_of(id).unwrap_or(NIL));
        id
    }

    /// Links an expired entry again, for a later tick. False if the id is stale.
    pub(crate) fn reinsert(&mut self, id: u64, tick: u64) -> bool {
        let (Some(node), Some(index)) = (self.nodes.get_mut(id), crate::slots::index_of(id)) else { return false };
        debug_assert_eq!(node.list, UNLINKED);
        node.tick = tick;
        self.link(index);
        true
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        self.nodes.get_mut(id).map(|node| &mut node.value)
    }

    /// Takes an entry out, linked or not; its id is stale from here on.
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let linked = self.nodes.get_mut(id)?.list != UNLINKED;
        if linked {
            self.unlink(crate::slots::index_of(id)?);
        }
        self.nodes.remove(id).map(|node| node.value)
    }

    /// Takes everything out.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let values = self.nodes.take_all().into_iter().map(|(_, node)| node.value).collect();
        let now = self.now;
        *self = Self { nodes: std::mem::take(&mut self.nodes), now, ..Self::new() };
        values
    }

    /// The tick at which [`Wheel::advance`] has something to do next: an expiry, or a cascade on the way to one.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        if self.lists[DUE as usize].first != NIL {
            return Some(self.now);
        }
        self.next_slot().map(|(_, _, tick)| tick)
    }

    /// Moves time on to `now`; appends the ids that expired, in order of their ticks. They stay in the table, unlinked, until they
    /// are removed or reinserted.
    pub(crate) fn advance(&mut self, now: u64, expired: &mut Vec<u64>) {
        self.drain_due(expired);
        while let Some((level, slot, tick)) = self.next_slot() {
            if tick > now {
                break;
            }
            self.now = self.now.max(tick);
            self.empty_slot(level, slot);
            self.drain_due(expired);
        }
        self.now = self.now.max(now);
    }

    /// `(level, slot, first tick)` of the first occupied slot.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|occupied| *occupied != 0)?;
        let shift = BITS as usize * level;
        // By the invariant the slots in use are not behind the position of `now`, but at the top level they may wrap.
        let position = (self.now >> shift) as usize % SLOTS;
        let ahead = self.occupied[level].rotate_right(position as u32).trailing_zeros() as usize;
        let slot = (position + ahead) % SLOTS;
        let tick = ((self.now >> shift) + ahead as u64) << shift;
        Some((level, slot, tick))
    }

    /// Relinks what is in a slot whose time has come: into the due list, or lower down.
    fn empty_slot(&mut self, level: usize, slot: usize) {
        let number = level * SLOTS + slot;
        let mut index = self.lists[number].first;
        self.lists[number] = List { first: NIL, last: NIL };
        self.occupied[level] &= !(1 << slot);
        while index != NIL {
            let after = self.nodes.at(index).after;
            self.link(index);
            index = after;
        }
    }

    fn drain_due(&mut self, expired: &mut Vec<u64>) {
        let mut index = self.lists[DUE as usize].first;
        self.lists[DUE as usize] = List { first: NIL, last: NIL };
        while index != NIL {
            let node = self.nodes.at_mut(index);
            node.list = UNLINKED;
            let after = node.after;
            expired.push(self.nodes.id_at(index));
            index = after;
        }
    }

    /// Where an entry of this tick belongs now.
    fn list_for(&self, tick: u64) -> u16 {
        if tick <= self.now {
            return DUE;
        }
        let tick = tick.min(self.now.saturating_add(HORIZON));
        let level = ((63 - (tick ^ self.now).leading_zeros()) / BITS).min(LEVELS as u32 - 1);
        let slot = (tick >> (BITS * level)) as usize % SLOTS;
        (level as usize * SLOTS + slot) as u16
    }

    fn link(&mut self, index: u32) {
        let number = self.list_for(self.nodes.at(index).tick);
        let list = &mut self.lists[number as usize];
        let last = std::mem::replace(&mut list.last, index);
        if last == NIL {
            list.first = index;
            if number != DUE {
                self.occupied[number as usize / SLOTS] |= 1 << (number as usize % SLOTS);
            }
        } else {
            self.nodes.at_mut(last).after = index;
        }
        let node = self.nodes.at_mut(index);
        (node.list, node.before, node.after) = (number, last, NIL);
    }

    fn unlink(&mut self, index: u32) {
        let node = self.nodes.at_mut(index);
        let (number, before, after) = (std::mem::replace(&mut node.list, UNLINKED), node.before, node.after);
        match before {
            NIL => self.lists[number as usize].first = after,
            before => self.nodes.at_mut(before).after = after,
        }
        match after {
            NIL => self.lists[number as usize].last = before,
            after => self.nodes.at_mut(after).before = before,
        }
        if number != DUE && self.lists[number as usize].first == NIL {
            self.occupied[number as usize / SLOTS] &= !(1 << (number as usize % SLOTS));
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use proptest::prelude::*;

    fn expire<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<u64> {
        let mut expired = Vec::new();
        wheel.advance(now, &mut expired);
        expired
    }

    #[test]
    fn the_same_tick_keeps_its_order() {
        let mut wheel = Wheel::new();
        let ids: Vec<_> = (0..100).map(|n| wheel.insert(5000, n)).collect();
        assert_eq!(expire(&mut wheel, 4999), []);
        assert_eq!(expire(&mut wheel, 5000), ids);
    }

    #[test]
    fn the_past_and_now_are_due_at_once() {
        let mut wheel = Wheel::new();
        expire(&mut wheel, 100);
        let (past, now) = (wheel.insert(3, ()), wheel.insert(100, ()));
        assert_eq!(wheel.next_tick(), Some(100));
        assert_eq!(expire(&mut wheel, 100), [past, now]);
    }

    #[test]
    fn the_end_of_time_is_far_away_but_kept() {
        let mut wheel = Wheel::new();
        let id = wheel.insert(u64::MAX, ());
        assert_eq!(expire(&mut wheel, 3 * HORIZON), []);
        assert_eq!(wheel.remove(id), Some(()));
        assert_eq!(wheel.next_tick(), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64),
        Cancel(usize),
        Advance(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let delay = prop_oneof![0..200u64, 0..100_000u64, 0..(1u64 << 45)];
        let step = prop_oneof![
            4 => delay.clone().prop_map(Step::Insert),
            1 => (0..64usize).prop_map(Step::Cancel),
            2 => delay.prop_map(Step::Advance),
        ];
        prop::collection::vec(step, 1..120)
    }

    proptest! {
        /// Against a sorted list: what expires, when, and in which order.
        #[test]
        fn it_behaves_like_a_sorted_list(steps in steps()) {
            let (mut wheel, mut model, mut now) = (Wheel::new(), Vec::<(u64, u64)>::new(), 0u64);
            for step in steps {
                match step {
                    Step::Insert(delay) => {
                        let id = wheel.insert(now + delay, ());
                        model.push((now + delay, id));
                    }
                    Step::Cancel(at) if !model.is_empty() => {
                        let (_, id) = model.remove(at % model.len());
                        prop_assert_eq!(wheel.remove(id), Some(()));
                        prop_assert_eq!(wheel.remove(id), None);
                    }
                    Step::Cancel(_) => {}
                    Step::Advance(by) => {
                        now += by;
                        let mut due: Vec<_> = model.iter().copied().filter(|(tick, _)| *tick <= now).collect();
                        model.retain(|(tick, _)| *tick > now);
                        let mut expired = Vec::new();
                        wheel.advance(now, &mut expired);
                        for id in &expired {
                            wheel.remove(*id);
                        }
                        // The order of ticks is kept, but for what was due already when it was inserted.
                        let ticks: Vec<_> =
                            expired.iter().map(|id| due.iter().find(|(_, d)| d == id).map(|(tick, _)| *tick)).collect();
                        prop_assert!(ticks.is_sorted(), "{:?}", ticks);
                        expired.sort_unstable();
                        due.sort_unstable_by_key(|(_, id)| *id);
                        prop_assert_eq!(expired, due.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
                    }
                }
                // Sleeping until next_tick never sleeps past an expiry.
                let earliest = model.iter().map(|(tick, _)| *tick).min();
                prop_assert_eq!(wheel.next_tick().is_some(), earliest.is_some());
                if let (Some(next), Some(earliest)) = (wheel.next_tick(), earliest) {
                    prop_assert!(next <= earliest.max(now));
                }
                prop_assert_eq!(wheel.len(), model.len());
            }
        }
    }
}
