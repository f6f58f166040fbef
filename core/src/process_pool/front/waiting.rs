//! Calls of one level that wait for room: for a slot, or those that are too long for one for memory as well. What waits for memory is in nobody's way who needs none.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// Each line in the order in which its calls came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    short: VecDeque<(u64, u64)>,
    long: VecDeque<(u64, u64)>,
    /// The first of the long ones has found no memory.
    pub(super) is_stuck: bool,
}

impl Waiting {
    fn line(&mut self, is_long: bool) -> &mut VecDeque<(u64, u64)> {
        if is_long { &mut self.long } else { &mut self.short }
    }

    /// The number of its arrival, and its id.
    pub(super) fn add(&mut self, is_long: bool, arrival: u64, id: u64) {
        self.line(is_long).push_back((arrival, id));
    }

    /// One that has been further, and came before all that are here.
    pub(super) fn add_first(&mut self, is_long: bool, arrival: u64, id: u64) {
        self.line(is_long).push_front((arrival, id));
    }

    /// The next one, and whether it is long.
    pub(super) fn first(&self) -> Option<(u64, bool)> {
        let long = self.long.front().filter(|_| !self.is_stuck);
        match (self.short.front(), long) {
            (Some((arrival, id)), Some((others, _))) if arrival < others => Some((*id, false)),
            (_, Some((_, id))) => Some((*id, true)),
            (Some((_, id)), None) => Some((*id, false)),
            (None, None) => None,
        }
    }

    pub(super) fn remove_first(&mut self, is_long: bool) {
        self.line(is_long).pop_front();
    }

    /// Whether it would overtake somebody who could go as soon as there is a slot.
    pub(super) fn is_ahead_of(&self, is_long: bool) -> bool {
        !self.short.is_empty() || (!self.long.is_empty() && (is_long || !self.is_stuck))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
