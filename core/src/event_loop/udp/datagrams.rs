//! Datagrams that came, back to back in one buffer.
//!
//! `offsets[i]..offsets[i + 1]` are the bytes of datagram `i`, so the first offset is 0 and there is one more than datagrams.
//! Senders are kept as runs: traffic from one peer costs 4 bytes per datagram beyond its own.

#![forbid(unsafe_code)]

use std::{mem::size_of, net::SocketAddr, time::Duration};

use super::{Received, receiver::Message};

#[derive(Debug, Clone, Copy)]
struct Run {
    /// The first datagram that this address sent; the next run's first ends it.
    first: u32,
    from: SocketAddr,
}

/// Datagrams in a row that came at one time, or (0) at an unknown one.
#[derive(Debug, Clone, Copy)]
struct Moment {
    first: u32,
    at_ns: u64,
}

/// A dense buffer of received datagrams.
#[derive(Debug, Clone)]
pub struct Datagrams {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
    runs: Vec<Run>,
    /// The cut ones, ascending.
    truncated: Vec<u32>,
    /// When they came; nothing is kept of datagrams whose time nobody asked for.
    moments: Vec<Moment>,
}

impl Default for Datagrams {
    fn default() -> Self {
        Self::new()
    }
}

impl Datagrams {
    /// The most bytes that one buffer holds: its offsets are 32 bits wide.
    pub const MAX_BYTES: usize = u32::MAX as usize;

    /// An empty one.
    pub fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], runs: Vec::new(), truncated: Vec::new(), moments: Vec::new() }
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in use, bookkeeping included, so that a flood of empty datagrams ends at a limit too.
    #[inline]
    pub fn held(&self) -> usize {
        self.bytes.len()
            + size_of::<u32>() * (self.len() + self.truncated.len())
            + size_of::<Run>() * self.runs.len()
            + size_of::<Moment>() * self.moments.len()
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.truncate(1);
        self.runs.clear();
        self.truncated.clear();
        self.moments.clear();
    }

    /// Appends one; false, and nothing is changed, if the buffer would grow past [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn push(&mut self, data: &[u8], from: SocketAddr, truncated: bool) -> bool {
        let message = Message { length: data.len(), segment: 0, from, truncated, at_ns: 0 };
        let mut received = Received::default();
        self.append(data, &message, Self::MAX_BYTES, &mut received);
        received.dropped == 0
    }

    /// The bytes of datagram `index` and who sent it. Panics past the end, as indexing does.
    pub fn get(&self, index: usize) -> (&[u8], SocketAddr) {
        (self.bytes_of(index), self.address(index))
    }

    /// Who sent datagram `index`. Panics past the end.
    pub fn address(&self, index: usize) -> SocketAddr {
        assert!(index < self.len(), "datagram {index} of {}", self.len());
        self.runs[self.runs.partition_point(|run| run.first as usize <= index) - 1].from
    }

    /// The senders in turn: each with the indices `first..end` of the datagrams that came from it in a row.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize, SocketAddr)> + '_ {
        let ends = self.runs.iter().skip(1).map(|run| run.first as usize).chain([self.len()]);
        self.runs.iter().zip(ends).map(|(run, end)| (run.first as usize, end, run.from))
    }

    /// Whether datagram `index` was longer than its slot and is cut.
    pub fn truncated(&self, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| self.truncated.binary_search(&index).is_ok())
    }

    /// When datagram `index` reached this machine, on the system's clock: since 1970-01-01 UTC. `None` if that was not
    /// [asked for](super::UdpOptions::receive_times). Datagrams that the kernel has joined share the time of the first.
    pub fn received_at(&self, index: usize) -> Option<Duration> {
        let after = self.moments.partition_point(|moment| moment.first as usize <= index);
        let moment = self.moments.get(after.checked_sub(1)?)?;
        (index < self.len() && moment.at_ns > 0).then(|| Duration::from_nanos(moment.at_ns))
    }

    /// All bytes, back to back.
    pub fn data(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each begins, and after the last where it ends.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// All in their order; cheaper than [`get`](Self::get) one by one when senders take turns.
    pub fn iter(&self) -> Iter<'_> {
        Iter { of: self, index: 0, run: 0 }
    }

    #[inline]
    fn bytes_of(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// Appends the datagrams of one message with one copy; those past `limit` are dropped.
    #[inline]
    pub(super) fn append(&mut self, data: &[u8], message: &Message, limit: usize, received: &mut Received) {
        let segment = if message.segment == 0 { data.len().max(1) } else { message.segment };
        let count = data.len().div_ceil(segment).max(1);
        let new_run = self.runs.last().is_none_or(|run| run.from != message.from);
        let new_moment = self.moments.last().map_or(0, |moment| moment.at_ns) != message.at_ns;
        // Above the data: what every datagram costs, and what this message may add once.
        let each = size_of::<u32>();
        let once = usize::from(new_run) * size_of::<Run>()
            + usize::from(new_moment) * size_of::<Moment>()
            + usize::from(message.truncated) * size_of::<u32>();
        let room = limit.min(Self::MAX_BYTES).saturating_sub(self.held()).saturating_sub(once);
        let (kept, bytes) = if data.len() + count * each <= room {
            (count, data.len())
        } else {
            // Not all of it: the leading datagrams, which are all of full length.
            let kept = (room / (segment + each)).min(count - 1);
            (kept, kept * segment)
        };
        received.dropped += count - kept;
        if kept == 0 {
            return;
        }
        let (first, start) = (self.len(), self.bytes.len());
        self.bytes.extend_from_slice(&data[..bytes]);
        if new_run {
            self.runs.push(Run { first: narrow(first), from: message.from });
        }
        if new_moment {
            self.moments.push(Moment { first: narrow(first), at_ns: message.at_ns });
        }
        self.offsets.extend((1..kept).map(|nth| narrow(start + nth * segment)));
        self.offsets.push(narrow(start + bytes));
        received.datagrams += kept;
        received.bytes += bytes;
        if message.truncated && kept == count {
            self.truncated.push(narrow(first + kept - 1));
            received.truncated += 1;
        }
    }
}

/// Everything counted here is below [`Datagrams::MAX_BYTES`]: each datagram holds at least the 4 bytes of its offset.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "bounded by MAX_BYTES")]
fn narrow(number: usize) -> u32 {
    number as u32
}

/// [`Datagrams::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    of: &'a Datagrams,
    index: usize,
    run: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], SocketAddr);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.of.len() {
            return None;
        }
        if self.of.runs.get(self.run + 1).is_some_and(|next| next.first as usize == self.index) {
            self.run += 1;
        }
        let item = (self.of.bytes_of(self.index), self.of.runs[self.run].from);
        self.index += 1;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.of.len() - self.index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Datagrams {
    type Item = (&'a [u8], SocketAddr);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn datagrams_lie_back_to_back_with_their_senders() {
        let mut datagrams = Datagrams::new();
        let ports = [1, 1, 2, 1, 3, 3];
        for (index, port) in ports.iter().enumerate() {
            assert!(datagrams.push(&vec![b'a'; index], from(*port), index == 4));
        }
        assert_eq!(datagrams.offsets(), [0, 0, 1, 3, 6, 10, 15]);
        assert_eq!(datagrams.data().len(), 15);
        for (index, (item, port)) in datagrams.iter().zip(ports).enumerate() {
            assert_eq!(item, (&vec![b'a'; index][..], from(port)));
            assert_eq!(item, datagrams.get(index));
            assert_eq!(datagrams.truncated(index), index == 4);
        }
        datagrams.clear();
        assert!(datagrams.is_empty() && datagrams.iter().next().is_none() && !datagrams.truncated(4));
        assert_eq!((datagrams.held(), datagrams.offsets()), (0, &[0][..]));
    }

    #[test]
    fn a_limit_keeps_the_leading_segments() {
        let data: Vec<u8> = (0..95).collect();
        let message = Message { length: 95, segment: 10, from: from(1), truncated: true, at_ns: 0 };
        for limit in 0..200 {
            let (mut datagrams, mut received) = (Datagrams::new(), Received::default());
            datagrams.append(&data, &message, limit, &mut received);
            assert!(datagrams.held() <= limit, "{limit}");
            assert_eq!((received.datagrams + received.dropped, received.datagrams), (10, datagrams.len()));
            assert_eq!(datagrams.data(), &data[..received.bytes]);
            assert_eq!(received.truncated, usize::from(datagrams.len() == 10));
        }
        let (mut datagrams, mut received) = (Datagrams::new(), Received::default());
        datagrams.append(&data, &message, 200, &mut received);
        assert_eq!((datagrams.len(), datagrams.get(9).0.len(), datagrams.truncated(9)), (10, 5, true));
    }

    #[test]
    fn a_time_is_that_of_its_message() {
        let (mut datagrams, mut received) = (Datagrams::new(), Received::default());
        let message = |at_ns| Message { length: 4, segment: 2, from: from(1), truncated: false, at_ns };
        for at_ns in [0, 0, 5, 5, 0, 7] {
            datagrams.append(b"abcd", &message(at_ns), 1000, &mut received);
        }
        let times: Vec<_> = (0..13).map(|index| datagrams.received_at(index).map(|at| at.as_nanos())).collect();
        let told = |at| [Some(at); 2];
        assert_eq!(times[..4], [None; 4]);
        assert_eq!((&times[4..6], &times[6..8]), (&told(5)[..], &told(5)[..]));
        assert_eq!((&times[8..10], &times[10..12]), (&[None; 2][..], &told(7)[..]));
        assert_eq!(times[12], None, "past the end");
        datagrams.clear();
        assert_eq!((datagrams.held(), datagrams.received_at(0)), (0, None));
    }

    #[test]
    fn empty_datagrams_end_at_the_limit_too() {
        let (mut datagrams, mut received) = (Datagrams::new(), Received::default());
        let message = Message { length: 0, segment: 0, from: from(1), truncated: false, at_ns: 0 };
        for _ in 0..1000 {
            datagrams.append(&[], &message, 440, &mut received);
        }
        assert_eq!(received.datagrams + received.dropped, 1000);
        assert!(received.datagrams >= 90 && datagrams.held() <= 440, "{received:?}");
    }
}
