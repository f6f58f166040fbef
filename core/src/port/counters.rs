//! What a port counts, readable from any thread while it works; in mode PROCESS also from the set's process, and by the next worker
//! where the last one left it.

#![forbid(unsafe_code)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

#[cfg(target_os = "linux")]
use crate::shm::Words;

macro_rules! counters {
    ($($(#[$text:meta])* $name:ident),* $(,)?) => {
        /// The counts of one port since its start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct PortStats {
            $($(#[$text])* pub $name: u64,)*
            /// How often its process was started again.
            pub restarts: u64,
        }

        /// Which count.
        #[derive(Clone, Copy)]
        #[allow(non_camel_case_types, reason = "the names of the counts themselves")]
        enum Index { $($name,)* Length }

        impl Counters {
            $(pub(super) fn $name(&self) -> Count<'_> {
                Count(&self.cells()[Index::$name as usize])
            })*

            /// Restarts are known to the set only.
            pub(super) fn snapshot(&self) -> PortStats {
                PortStats { $($name: self.$name().0.load(Ordering::Relaxed),)* restarts: 0 }
            }
        }
    };
}

counters!(
    /// Datagrams taken from the socket and kept.
    received,
    /// Their bytes, or those of connections.
    received_bytes,
    /// Datagrams taken from the socket and dropped, because the buffer was full.
    dropped,
    /// What the kernel dropped before, because its own buffer was full; in its units, a coalesced run may be one.
    kernel_dropped,
    /// Of those received: longer than a slot, and cut.
    truncated,
    /// Datagrams that the system took.
    sent,
    /// Their bytes, or those of connections.
    sent_bytes,
    /// Datagrams that the system refused, or that were still queued at the end.
    send_dropped,
    /// Errors the system told of earlier datagrams (a peer that is gone).
    peer_errors,
    /// Messages delivered.
    messages,
    /// Faults of the handler.
    errors,
    /// Connections accepted.
    accepted,
    /// Connections that are open now; of a port that was reloaded, those of its newest worker.
    open,
    /// Of those accepted: closed at once, because `on_connect` was a fault.
    refused,
);

/// How many counts a port has.
pub(super) const COUNTS: usize = Index::Length as usize;

/// Where counts lie.
#[derive(Debug, Clone)]
enum Cells {
    Own(Arc<[AtomicU64]>),
    #[cfg(target_os = "linux")]
    Shared(Words),
}

/// The counts of one port.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    cells: Cells,
}

impl Default for Counters {
    /// Of this process.
    fn default() -> Self {
        Self { cells: Cells::Own((0..COUNTS).map(|_| AtomicU64::new(0)).collect()) }
    }
}

impl Counters {
    /// In memory that other processes see too: [`COUNTS`] words.
    #[cfg(target_os = "linux")]
    pub(super) fn shared(words: Words) -> Self {
        Self { cells: Cells::Shared(words) }
    }

    fn cells(&self) -> &[AtomicU64] {
        match &self.cells {
            Cells::Own(cells) => cells,
            #[cfg(target_os = "linux")]
            Cells::Shared(words) => words,
        }
    }
}

/// A count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count<'a>(&'a AtomicU64);

impl Count<'_> {
    pub(super) fn set(self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(super) fn add(self, number: usize) {
        if number > 0 {
            self.0.fetch_add(number as u64, Ordering::Relaxed);
        }
    }
}
