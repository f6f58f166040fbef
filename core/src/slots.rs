//! Small things behind ids of slot and generation: a stale id is answered, never mistaken for its successor.
//!
//! # Invariant
//!
//! A slot's generation is raised when its value leaves, so an id names at most one value for ever (until one slot has been
//! used 2^32 times). Ids are `generation << 32 | index + 1`: never 0, which is "none".

#![forbid(unsafe_code)]

/// A growing table of values with ids.
#[derive(Debug)]
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// The index part of an id: which slot.
pub(crate) fn index_of(id: u64) -> Option<u32> {
    (id as u32).checked_sub(1)
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slots<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Stores a value and names it.
    pub fn insert(&mut self, value: T) -> u64 {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).ok().filter(|index| *index < u32::MAX);
                self.slots.push(Slot { generation: 0, value: None });
                index.expect("fewer than 2^32 - 1 at once")
            }
        };
        self.slots[index as usize].value = Some(value);
        self.id_at(index)
    }

    /// The id of what is in this slot now.
    pub(crate) fn id_at(&self, index: u32) -> u64 {
        u64::from(self.slots[index as usize].generation) << 32 | (u64::from(index) + 1)
    }

    fn find(&self, id: u64) -> Option<usize> {
        let index = index_of(id)? as usize;
        let slot = self.slots.get(index)?;
        (slot.generation == (id >> 32) as u32 && slot.value.is_some()).then_some(index)
    }

    /// The value behind an id that is not stale.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let index = self.find(id)?;
        self.slots[index].value.as_mut()
    }

    /// Reads something of what an id names, so that it is in the cache.
    pub(crate) fn glance(&self, id: u64) -> u32 {
        index_of(id).and_then(|index| self.slots.get(index as usize)).map_or(0, |slot| slot.generation)
    }

    /// The value in a slot that is known to be in use.
    pub(crate) fn at(&self, index: u32) -> &T {
        self.slots[index as usize].value.as_ref().expect("a linked slot is in use")
    }

    /// The value in a slot that is known to be in use.
    pub(crate) fn at_mut(&mut self, index: u32) -> &mut T {
        self.slots[index as usize].value.as_mut().expect("a linked slot is in use")
    }

    /// Takes the value out; its id is stale from here on.
    pub fn remove(&mut self, id: u64) -> Option<T> {
        let index = self.find(id)?;
        let slot = &mut self.slots[index];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index_of(id)?);
        slot.value.take()
    }

    /// Every value, with its id.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &T)> {
        (0u32..).zip(&self.slots).filter_map(|(index, slot)| Some((self.id_at(index), slot.value.as_ref()?)))
    }

    /// Takes every value out, with the id that it had.
    pub fn take_all(&mut self) -> Vec<(u64, T)> {
        let in_use = (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
            .filter(|index| self.slots[*index as usize].value.is_some());
        let ids: Vec<u64> = in_use.map(|index| self.id_at(index)).collect();
        ids.into_iter().filter_map(|id| Some((id, self.remove(id)?))).collect()
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_stale_id_is_not_its_successor() {
        let mut slots = Slots::new();
        let first = slots.insert("first");
        assert_ne!(first, 0);
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(index_of(first), index_of(second), "the slot is used again");
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
        for nonsense in [0, 7, u64::MAX, 1 << 32] {
            assert_eq!(slots.get_mut(nonsense), None);
        }
        assert_eq!((slots.len(), slots.take_all(), slots.len()), (1, vec![(second, "second")], 0));
    }
}
