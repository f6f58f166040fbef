//! Where messages land before they are appended to a [`Datagrams`]: 64 slots, made once.

#![forbid(unsafe_code)]

use std::{fmt, net::SocketAddr};

use super::{BATCH, Datagrams, Received};

/// The bytes between two slots beyond a slot's own. Slots a power of two apart would all fall on the same few sets of the
/// cache; an odd number of lines spreads their beginnings over all of it.
const STAGGER: usize = 17 * 64;

/// Scratch for [`UdpSocket::receive`](super::UdpSocket::receive), for one call at a time; any number of sockets may share it.
///
/// The pages of a slot exist once something has come into them: 4 MiB of slots cost what the traffic touches.
pub struct Receiver {
    bytes: Vec<u8>,
    slot_bytes: usize,
    messages: Vec<Message>,
}

/// One message in its slot: a datagram, or several back to back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// Its bytes in the slot.
    pub(super) length: usize,
    /// The size of each datagram but the last, which may be shorter; 0 if it is one datagram.
    pub(super) segment: usize,
    pub(super) from: SocketAddr,
    /// It was longer than the slot.
    pub(super) truncated: bool,
    /// When it came, since 1970-01-01 UTC; 0 if that is not known.
    pub(super) at_ns: u64,
}

impl Receiver {
    /// The smallest slot.
    pub const MIN_SLOT: usize = 2048;
    /// The largest slot, which no message is longer than.
    pub const MAX_SLOT: usize = 65_535;

    /// Slots of this many bytes, clamped to [`MIN_SLOT`](Self::MIN_SLOT) and [`MAX_SLOT`](Self::MAX_SLOT). A longer datagram is
    /// cut and marked. GRO takes the largest: with smaller slots it is off.
    pub fn new(slot_bytes: usize) -> Self {
        let slot_bytes = slot_bytes.clamp(Self::MIN_SLOT, Self::MAX_SLOT);
        let stride = stride(slot_bytes);
        // Zeroed by the system, page by page when touched.
        Self { bytes: vec![0; BATCH * stride], slot_bytes, messages: Vec::with_capacity(BATCH) }
    }

    /// The bytes of one slot.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    pub(super) fn takes_gro(&self) -> bool {
        self.slot_bytes == Self::MAX_SLOT
    }

    /// The slots to fill, [`BATCH`] of them, and where to say what came into each, in their order (emptied).
    pub(super) fn slots(&mut self) -> (impl Iterator<Item = &mut [u8]>, &mut Vec<Message>) {
        self.messages.clear();
        let slot_bytes = self.slot_bytes;
        (self.bytes.chunks_exact_mut(stride(slot_bytes)).map(move |slot| &mut slot[..slot_bytes]), &mut self.messages)
    }

    /// What the last receive brought.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Appends what the last receive brought to `sink`, which may hold `limit` bytes; adds to what `received` counts.
    pub fn append_to(&self, sink: &mut Datagrams, limit: usize, received: &mut Received) {
        for (slot, message) in self.bytes.chunks_exact(stride(self.slot_bytes)).zip(&self.messages) {
            sink.append(&slot[..message.length], message, limit, received);
        }
    }
}

fn stride(slot_bytes: usize) -> usize {
    slot_bytes.next_multiple_of(64) + STAGGER
}

/// Slots that no message is cut by.
impl Default for Receiver {
    fn default() -> Self {
        Self::new(Self::MAX_SLOT)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("slot_bytes", &self.slot_bytes).finish_non_exhaustive()
    }
}
