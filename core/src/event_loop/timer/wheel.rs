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
//!
//! # Memory
//!
//! A million entries are larger than any cache, so what counts is how many of them are touched, and that the next touch does not
//! wait for the last. A slot is a vector of indices, and not a list through the entries: a cancel touches the entry and its place
//! in the vector, which it leaves empty; a walk reads many entries at once. A vector of mostly empty places is packed.

#![forbid(unsafe_code)]

use std::num::NonZeroU16;

use crate::slots::Slots;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 7;
/// The furthest that an entry is linked ahead: what is later waits there and cascades again. It is one top slot short of a
/// full turn, so that nothing is ever linked in the slot that `now` itself stands in.
const HORIZON: u64 = ((SLOTS as u64 - 1) << (BITS as usize * (LEVELS - 1))) - 1;
/// A place of a vector that its entry has left.
const EMPTY: u32 = u32::MAX;
const LISTS: usize = LEVELS * SLOTS + 1;
/// The list number of the due list.
const DUE: usize = LEVELS * SLOTS;
/// A vector of more places than this is not kept for the next turn of its slot.
const KEPT: usize = 4096;

#[derive(Debug)]
struct Node<T> {
    tick: u64,
    /// The place in the list.
    at: u32,
    /// One more than the list's number, or [`UNLINKED`].
    list: NonZeroU16,
    value: T,
}

const UNLINKED: NonZeroU16 = NonZeroU16::MAX;

#[derive(Debug, Default)]
struct List {
    /// Indices of entries, in order, and [`EMPTY`] places.
    places: Vec<u32>,
    live: usize,
}

#[derive(Debug)]
pub(crate) struct Wheel<T> {
    nodes: Slots<Node<T>>,
    lists: Box<[List]>,
    occupied: [u64; LEVELS],
    now: u64,
    /// Of a slot that expires whole: ticks and ids.
    sorted: Vec<(u64, u64)>,
}

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        let lists = std::iter::repeat_with(List::default).take(LISTS).collect();
        Self { nodes: Slots::new(), lists, occupied: [0; LEVELS], now: 0, sorted: Vec::new() }
    }

    /// How many entries there are, linked or not.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds an entry that expires at `tick`.
    pub(crate) fn insert(&mut self, tick: u64, value: T) -> u64 {
        let number = self.list_for(tick);
        let at = self.lists[number].places.len() as u32;
        let id = self.nodes.insert(Node { tick, at, list: stored(number), value });
        self.put(number, crate::slots::index_of(id).unwrap_or(EMPTY));
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
        let node = self.nodes.remove(id)?;
        if node.list != UNLINKED {
            self.unlink(node.list.get() as usize - 1, node.at as usize);
        }
        Some(node.value)
    }

    /// Has the processor fetch entries that are about to be used, all at once.
    pub(crate) fn warm(&self, ids: impl Iterator<Item = u64>) {
        std::hint::black_box(ids.map(|id| self.nodes.glance(id)).fold(0, u32::wrapping_add));
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
        if self.lists[DUE].live > 0 {
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
            let last = tick + ((1 << (BITS as usize * level)) - 1);
            if level <= 1 && last <= now {
                self.now = self.now.max(last);
                self.expire_slot(level, slot, expired);
            } else {
                self.now = self.now.max(tick);
                self.empty_slot(level, slot);
                self.drain_due(expired);
            }
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
        let places = self.take_list(number);
        for index in places.iter().copied().filter(|index| *index != EMPTY) {
            self.link(index);
        }
        self.keep(number, places);
    }

    /// Expires what is in a slot whose time is all over, in the order of the ticks.
    fn expire_slot(&mut self, level: usize, slot: usize, expired: &mut Vec<u64>) {
        let number = level * SLOTS + slot;
        let places = self.take_list(number);
        let mut sorted = std::mem::take(&mut self.sorted);
        for index in places.iter().copied().filter(|index| *index != EMPTY) {
            let node = self.nodes.at_mut(index);
            node.list = UNLINKED;
            sorted.push((node.tick, self.nodes.id_at(index)));
        }
        // Stable: within a tick it is the order of insertion.
        sorted.sort_by_key(|(tick, _)| *tick);
        expired.extend(sorted.drain(..).map(|(_, id)| id));
        sorted.shrink_to(KEPT);
        self.sorted = sorted;
        self.keep(number, places);
    }

    fn drain_due(&mut self, expired: &mut Vec<u64>) {
        if self.lists[DUE].live == 0 {
            return;
        }
        let places = self.take_list(DUE);
        for index in places.iter().copied().filter(|index| *index != EMPTY) {
            self.nodes.at_mut(index).list = UNLINKED;
            expired.push(self.nodes.id_at(index));
        }
        self.keep(DUE, places);
    }

    /// Makes a list empty.
    fn take_list(&mut self, number: usize) -> Vec<u32> {
        self.lists[number].live = 0;
        self.mark(number, false);
        std::mem::take(&mut self.lists[number].places)
    }

    /// Gives an empty list its memory back.
    fn keep(&mut self, number: usize, mut places: Vec<u32>) {
        if places.capacity() <= KEPT {
            places.clear();
            self.lists[number].places = places;
        }
    }

    /// Where an entry of this tick belongs now.
    fn list_for(&self, tick: u64) -> usize {
        if tick <= self.now {
            return DUE;
        }
        let tick = tick.min(self.now.saturating_add(HORIZON));
        let level = ((63 - (tick ^ self.now).leading_zeros()) / BITS).min(LEVELS as u32 - 1);
        let slot = (tick >> (BITS * level)) as usize % SLOTS;
        level as usize * SLOTS + slot
    }

    fn mark(&mut self, number: usize, occupied: bool) {
        if number != DUE {
            let bit = 1 << (number % SLOTS);
            let level = &mut self.occupied[number / SLOTS];
            *level = if occupied { *level | bit } else { *level & !bit };
        }
    }

    fn link(&mut self, index: u32) {
        let number = self.list_for(self.nodes.at(index).tick);
        let node = self.nodes.at_mut(index);
        (node.list, node.at) = (stored(number), self.lists[number].places.len() as u32);
        self.put(number, index);
    }

    fn put(&mut self, number: usize, index: u32) {
        let list = &mut self.lists[number];
        list.places.push(index);
        list.live += 1;
        if list.live == 1 {
            self.mark(number, true);
        }
    }

    /// Empties a place.
    fn unlink(&mut self, number: usize, at: usize) {
        let list = &mut self.lists[number];
        list.places[at] = EMPTY;
        list.live -= 1;
        if list.live == 0 {
            let places = self.take_list(number);
            self.keep(number, places);
        } else if list.places.len() > 4 * list.live + SLOTS {
            self.pack(number);
        }
    }

    /// Closes the gaps. Each pass is paid for by three times as many cancels as it finds entries.
    #[cold]
    fn pack(&mut self, number: usize) {
        let places = &mut self.lists[number].places;
        places.retain(|index| *index != EMPTY);
        for (at, index) in places.iter().enumerate() {
            self.nodes.at_mut(*index).at = at as u32;
        }
        places.shrink_to(KEPT.max(2 * places.len()));
    }
}

/// The number of a list, as an entry has it.
fn stored(number: usize) -> NonZeroU16 {
    NonZeroU16::new(number as u16 + 1).unwrap_or(UNLINKED)
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
        assert!(expire(&mut wheel, 4999).is_empty());
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
        assert!(expire(&mut wheel, 3 * HORIZON).is_empty());
        assert_eq!(wheel.remove(id), Some(()));
        assert_eq!(wheel.next_tick(), None);
    }

    /// Cancelled entries leave gaps, which are closed; what is left keeps its order and its ids.
    #[test]
    fn gaps_are_closed() {
        let mut wheel = Wheel::new();
        let ids: Vec<_> = (0..10_000).map(|n| wheel.insert(5000 + n % 2, n)).collect();
        let (left, gone): (Vec<_>, Vec<_>) = ids.iter().partition(|id| *id % 97 == 0);
        assert!(gone.iter().all(|id| wheel.remove(*id).is_some() && wheel.remove(*id).is_none()));
        let places: usize = wheel.lists.iter().map(|list| list.places.len()).sum();
        assert!(places <= 4 * left.len() + 2 * SLOTS, "{places} places for {}", left.len());
        let expired = expire(&mut wheel, 6000);
        assert_eq!(expired.len(), left.len());
        let values: Vec<_> = expired.iter().map(|id| wheel.remove(*id).expect("it has expired")).collect();
        assert!(values.is_sorted_by_key(|value| (value % 2, *value)), "{values:?}");
        assert_eq!((wheel.len(), wheel.next_tick()), (0, None));
    }

    #[test]
    fn an_entry_is_no_larger_than_a_cache_line() {
        // With a callback of four words and a box, as the loop's timers are, and its generation.
        assert!(size_of::<Option<Node<[usize; 5]>>>() + 8 <= 64);
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
