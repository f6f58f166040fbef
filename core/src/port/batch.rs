//! The datagrams that a handler is given: all that came since its last turn.

#![forbid(unsafe_code)]

use std::{net::SocketAddr, sync::Arc};

use crate::event_loop::udp::Datagrams;

/// Datagrams in the order they came. Cloning it, or keeping [`Batch::datagrams`], keeps the bytes and costs no copy.
#[derive(Debug, Clone)]
pub struct Batch {
    datagrams: Arc<Datagrams>,
    /// Those before it were handled, or skipped by a fault, in an earlier batch.
    first: usize,
    /// The datagram at hand: the one that a fault skips. The handler sets it while it goes through the batch.
    pub index: usize,
}

impl Batch {
    pub(super) fn new(datagrams: Datagrams) -> Self {
        Self { datagrams: Arc::new(datagrams), first: 0, index: 0 }
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.datagrams.len() - self.first
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Datagram `index` and its sender. Panics past the end.
    pub fn get(&self, index: usize) -> (&[u8], SocketAddr) {
        self.datagrams.get(self.first + index)
    }

    /// The sender of datagram `index`. Panics past the end.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.datagrams.address(self.first + index)
    }

    /// The senders in turn: each with the indices `first..end` of the datagrams that came from it in a row.
    pub fn senders(&self) -> impl Iterator<Item = (usize, usize, SocketAddr)> + '_ {
        let runs = self.datagrams.runs().filter(|(_, end, _)| *end > self.first);
        runs.map(|(first, end, from)| (first.saturating_sub(self.first), end - self.first, from))
    }

    /// Whether datagram `index` was cut by a slot that was too short for it.
    pub fn truncated(&self, index: usize) -> bool {
        self.datagrams.truncated(self.first + index)
    }

    /// The buffer that [`Batch::offsets`] point into.
    pub fn data(&self) -> &[u8] {
        self.datagrams.data()
    }

    /// Where in [`Batch::data`] each datagram begins, and after the last where it ends.
    pub fn offsets(&self) -> &[u32] {
        &self.datagrams.offsets()[self.first..]
    }

    /// The buffer itself, to keep.
    pub fn datagrams(&self) -> &Arc<Datagrams> {
        &self.datagrams
    }

    /// What comes after the datagram at hand, as a batch of its own.
    pub(super) fn after_fault(self) -> Self {
        let skipped = self.index.min(self.len().saturating_sub(1)) + 1;
        let first = (self.first + skipped).min(self.datagrams.len());
        Self { datagrams: self.datagrams, first, index: 0 }
    }

    /// The buffer, emptied, if nobody kept it.
    pub(super) fn recycle(self) -> Option<Datagrams> {
        let mut datagrams = Arc::into_inner(self.datagrams)?;
        datagrams.clear();
        Some(datagrams)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_fault_skips_the_datagram_at_hand() {
        let mut datagrams = Datagrams::new();
        let from = "127.0.0.1:9".parse().unwrap();
        for data in [&b"one"[..], b"two", b"three"] {
            assert!(datagrams.push(data, from, false));
        }
        let mut batch = Batch::new(datagrams);
        batch.index = 1;
        let rest = batch.after_fault();
        assert_eq!((rest.len(), rest.index, rest.get(0)), (1, 0, (&b"three"[..], from)));
        assert_eq!(&rest.data()[rest.offsets()[0] as usize..rest.offsets()[1] as usize], b"three");
        let mut rest = rest;
        rest.index = usize::MAX;
        assert!(rest.after_fault().is_empty(), "an index past the end skips the last one");
    }

    #[test]
    fn senders_are_told_in_turn() {
        let mut datagrams = Datagrams::new();
        let [a, b] = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
        for from in [a, a, b, a] {
            assert!(datagrams.push(b"x", from, false));
        }
        let mut batch = Batch::new(datagrams);
        assert_eq!(batch.senders().collect::<Vec<_>>(), [(0, 2, a), (2, 3, b), (3, 4, a)]);
        batch.index = 0;
        assert_eq!(batch.after_fault().senders().collect::<Vec<_>>(), [(0, 1, a), (1, 2, b), (2, 3, a)]);
        assert_eq!(Batch::new(Datagrams::new()).senders().count(), 0);
    }

    #[test]
    fn a_buffer_that_somebody_keeps_is_not_reused() {
        let batch = Batch::new(Datagrams::new());
        let kept = batch.datagrams().clone();
        assert!(batch.recycle().is_none());
        drop(kept);
        assert!(Batch::new(Datagrams::new()).recycle().is_some());
    }
}
