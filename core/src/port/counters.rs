//! What a port counts, readable from any thread while it works.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one port since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortStats {
    /// Datagrams taken from the socket and kept.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams taken from the socket and dropped, because the buffer was full.
    pub dropped: u64,
    /// What the kernel dropped before, because its own buffer was full; in its units, a coalesced run may be one.
    pub kernel_dropped: u64,
    /// Of those received: longer than a slot, and cut.
    pub truncated: u64,
    /// Datagrams that the system took.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that the system refused, or that were still queued at the end.
    pub send_dropped: u64,
    /// Errors the system told of earlier datagrams (a peer that is gone).
    pub peer_errors: u64,
    /// Messages delivered.
    pub messages: u64,
    /// Faults of the handler.
    pub errors: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Count,)*
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> PortStats {
                PortStats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters!(
    received,
    received_bytes,
    dropped,
    kernel_dropped,
    truncated,
    sent,
    sent_bytes,
    send_dropped,
    peer_errors,
    messages,
    errors
);

/// A count.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(super) fn add(&self, number: usize) {
        if number > 0 {
            self.0.fetch_add(number as u64, Ordering::Relaxed);
        }
    }
}
