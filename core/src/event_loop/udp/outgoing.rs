//! Datagrams to send, back to back in one buffer.
//!
//! Neighbours of one size to one address are one run, however they were queued, so what was pushed one by one leaves with
//! GSO as well. A run knows its segment size and its bytes; it is cut into messages only when it is sent, in the size that
//! the socket can send at that time.

#![forbid(unsafe_code)]

use std::{collections::VecDeque, net::SocketAddr};

use super::MAX_DATAGRAM;
use crate::error::{Error, Result};

/// The kernel's limits for one GSO message.
const MAX_SEGMENTS: usize = 64;
const MAX_GSO_BYTES: usize = 65_507;

/// Sent bytes that may stay in front of the buffer before what is left is moved over them.
const SLACK: usize = 64 << 10;

#[derive(Debug)]
struct Run {
    /// The size of each datagram but the last, which may be shorter. 0: this is one empty datagram.
    segment: usize,
    bytes: usize,
    to: Option<SocketAddr>,
    /// Its last datagram is shorter, so nothing can follow in this run.
    closed: bool,
}

/// One message for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) data: &'a [u8],
    /// The segment size, if `data` is several datagrams; else 0.
    pub(super) segment: usize,
    pub(super) to: Option<SocketAddr>,
}

/// A queue of datagrams to send. Its owner bounds it: see [`bytes`](Self::bytes).
#[derive(Debug, Default)]
pub struct Outgoing {
    /// `data[start..]` are the bytes of the runs, in their order.
    data: Vec<u8>,
    start: usize,
    runs: VecDeque<Run>,
    datagrams: usize,
}

impl Outgoing {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Datagrams not yet sent.
    pub fn len(&self) -> usize {
        self.datagrams
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.datagrams == 0
    }

    /// Bytes not yet sent.
    pub fn bytes(&self) -> usize {
        self.data.len() - self.start
    }

    /// Forgets what is queued and keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.runs.clear();
        (self.start, self.datagrams) = (0, 0);
    }

    /// Queues one datagram, for `to` or for the connected peer. One that no network carries is refused.
    #[inline]
    pub fn push(&mut self, data: &[u8], to: Option<SocketAddr>) -> Result<()> {
        if data.len() > MAX_DATAGRAM {
            return Err(Error::Invalid(format!(
                "a datagram of {} bytes is too long: at most {MAX_DATAGRAM} (65507 over IPv4)",
                data.len()
            )));
        }
        self.append(data, data.len(), to);
        self.datagrams += 1;
        Ok(())
    }

    /// Queues the datagrams that `data` holds back to back, each of `segment_size` bytes and the last perhaps shorter;
    /// answers how many they are. No data is no datagram.
    pub fn push_segments(&mut self, data: &[u8], segment_size: usize, to: Option<SocketAddr>) -> Result<usize> {
        if !(1..=MAX_DATAGRAM).contains(&segment_size) {
            return Err(Error::Invalid(format!(
                "segment_size of {segment_size} bytes: allowed are 1 to {MAX_DATAGRAM}"
            )));
        }
        let count = data.len().div_ceil(segment_size);
        if count > 0 {
            self.append(data, segment_size.min(data.len()), to);
            self.datagrams += count;
        }
        Ok(count)
    }

    #[inline]
    fn append(&mut self, data: &[u8], segment: usize, to: Option<SocketAddr>) {
        // Moving at most as much as lies sent in front of it: each byte is moved once on average, whatever is sent.
        if self.start > SLACK && self.start >= self.bytes() {
            self.data.copy_within(self.start.., 0);
            self.data.truncate(self.data.len() - self.start);
            self.start = 0;
        }
        self.data.extend_from_slice(data);
        match self.runs.back_mut() {
            // Joins the last run: of the same size, or a shorter one to end it.
            Some(last)
                if !last.closed
                    && (segment == last.segment || (segment < last.segment && segment == data.len()))
                    && segment > 0
                    && last.to == to =>
            {
                last.bytes += data.len();
                last.closed = !last.bytes.is_multiple_of(last.segment);
            }
            _ => {
                let closed = segment == 0 || !data.len().is_multiple_of(segment);
                self.runs.push_back(Run { segment, bytes: data.len(), to, closed });
            }
        }
    }

    /// What is queued as messages; runs whose segments are no longer than `gso_limit` are sent many datagrams at once.
    pub(super) fn messages(&self, gso_limit: usize) -> impl Iterator<Item = Message<'_>> {
        let (mut at, mut runs) = (self.start, self.runs.iter());
        let (mut run, mut left) = (None, 0);
        std::iter::from_fn(move || {
            if left == 0 {
                run = Some(runs.next()?);
            }
            let run: &Run = run?;
            if left == 0 {
                left = run.bytes;
            }
            let length = message_bytes(run.segment, left, gso_limit);
            let data = &self.data[at..at + length];
            at += length;
            left -= length;
            Some(Message { data, segment: if length > run.segment { run.segment } else { 0 }, to: run.to })
        })
    }

    /// Takes the first `count` of [`messages`](Self::messages) off the queue: the kernel has them. How many datagrams and
    /// bytes they were.
    pub(super) fn advance(&mut self, count: usize, gso_limit: usize) -> (usize, usize) {
        let (mut datagrams, mut bytes) = (0, 0);
        for _ in 0..count {
            let Some(run) = self.runs.front_mut() else { break };
            let length = message_bytes(run.segment, run.bytes, gso_limit);
            datagrams += if length > run.segment { length.div_ceil(run.segment) } else { 1 };
            bytes += length;
            run.bytes -= length;
            if run.bytes == 0 {
                self.runs.pop_front();
            }
        }
        self.datagrams -= datagrams;
        self.start += bytes;
        if self.runs.is_empty() {
            self.clear();
        }
        (datagrams, bytes)
    }
}

/// The bytes of the next message of a run that has `left` bytes.
#[inline]
fn message_bytes(segment: usize, left: usize, gso_limit: usize) -> usize {
    if left > segment && segment <= gso_limit && 2 * segment <= MAX_GSO_BYTES {
        left.min(segment * MAX_SEGMENTS.min(MAX_GSO_BYTES / segment))
    } else {
        left.min(segment)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    const A: Option<SocketAddr> = Some(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1));

    fn shape(out: &Outgoing, gso_limit: usize) -> Vec<(usize, usize)> {
        out.messages(gso_limit).map(|message| (message.data.len(), message.segment)).collect()
    }

    #[test]
    fn neighbours_of_one_size_become_one_run() {
        let mut out = Outgoing::new();
        for size in [100, 100, 100, 40, 100, 100, 0, 0, 7] {
            out.push(&vec![1; size], A).unwrap();
        }
        assert_eq!(out.push_segments(&[2; 25], 7, A).unwrap(), 4);
        out.push(&[3; 4], A).unwrap();
        out.push(&[3; 4], None).unwrap();
        assert_eq!(
            shape(&out, 2000),
            [(340, 100), (200, 100), (0, 0), (0, 0), (32, 7), (4, 0), (4, 0)],
            "a shorter one ends a run; an empty one is alone; another address is another run"
        );
        assert_eq!(out.len(), 15);
        assert_eq!(shape(&out, 50)[..5], [(100, 0), (100, 0), (100, 0), (40, 0), (100, 0)]);
        assert_eq!(shape(&out, 0).len(), 15);
        assert!(shape(&out, 0).iter().all(|(_, segment)| *segment == 0));
    }

    #[test]
    fn a_run_is_cut_at_the_kernels_limits() {
        let mut out = Outgoing::new();
        out.push_segments(&[0; 10 * 64 * 100], 100, A).unwrap();
        assert_eq!(shape(&out, 9999), [(6400, 100); 10]);
        out.clear();
        out.push_segments(&[0; 200_000], 1000, A).unwrap();
        assert_eq!(shape(&out, 9999), [(64_000, 1000), (64_000, 1000), (64_000, 1000), (8000, 1000)]);
        out.clear();
        out.push_segments(&[0; 5 * 32_753], 32_753, A).unwrap();
        assert_eq!(shape(&out, MAX_DATAGRAM).len(), 3);
        out.clear();
        out.push_segments(&[0; 2 * 40_000], 40_000, A).unwrap();
        assert_eq!(shape(&out, MAX_DATAGRAM), [(40_000, 0); 2], "two do not fit one GSO message");
    }

    #[test]
    fn a_partial_send_goes_on_where_it_stopped() {
        let (mut out, mut expected, mut seen) = (Outgoing::new(), Vec::new(), Vec::new());
        let mut number = 0u32;
        // Always more queued than sent, so that it has to compact while it is in use.
        for round in 0..3000usize {
            for _ in 0..7 {
                let datagram = number.to_ne_bytes().repeat(1 + number as usize / 50 % 40);
                out.push(&datagram, A).unwrap();
                expected.push(datagram);
                number += 1;
            }
            // A socket may lose GSO between two sends, also in the middle of a run.
            let (limit, count) = (if round % 5 < 3 { 9999 } else { 0 }, 1 + round % 6);
            let before = (out.len(), out.bytes());
            for message in out.messages(limit).take(count) {
                let size = if message.segment == 0 { message.data.len() } else { message.segment };
                seen.extend(message.data.chunks(size).map(<[u8]>::to_vec));
            }
            let (datagrams, bytes) = out.advance(count, limit);
            assert_eq!((out.len() + datagrams, out.bytes() + bytes), before);
            assert_eq!(seen.len() + out.len(), expected.len());
            assert!(out.start <= SLACK + out.bytes().max(70_000), "sent bytes are not kept: {}", out.start);
        }
        seen.extend(out.messages(0).map(|message| message.data.to_vec()));
        assert_eq!(seen, expected);
        let left = out.len();
        assert_eq!(out.advance(usize::MAX, 0).0, left);
        assert!(out.is_empty() && out.bytes() == 0 && out.messages(0).next().is_none());
    }

    #[test]
    fn what_cannot_be_sent_is_refused_in_words() {
        let mut out = Outgoing::new();
        let long = vec![0; MAX_DATAGRAM + 1];
        assert!(out.push(&long, A).unwrap_err().to_string().contains("65528 bytes"));
        assert!(out.push_segments(&[1], 0, A).unwrap_err().to_string().contains("segment_size of 0 bytes"));
        assert!(out.push_segments(&long, MAX_DATAGRAM + 1, A).unwrap_err().to_string().contains("65528"));
        assert_eq!(out.push_segments(&[], 5, A), Ok(0));
        assert!(out.is_empty());
    }
}
