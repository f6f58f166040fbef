//! What a client has done so far.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::link::Link;

/// Figures of a client, over all of its connections, also those of one's own and for messages, since it was made. Every call that was accepted is, when it has ended, one of
/// `answered`, `timed_out`, `cancelled` and `lost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls that were accepted.
    pub calls: u64,
    /// Calls that were refused: no room, or closed.
    pub refused: u64,
    /// Calls that ended with a reply, the server's errors included.
    pub answered: u64,
    /// Those of them that ended with an error of the server's.
    pub server_errors: u64,
    /// Calls that ended at their deadline.
    pub timed_out: u64,
    /// Calls that were cancelled.
    pub cancelled: u64,
    /// Calls that ended with a connection, with the wait for one, or with the client.
    pub lost: u64,
    /// Messages and other things that the server said unasked.
    pub pushes: u64,
    /// Connections that were made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub connect_failures: u64,
    /// Connections that ended otherwise than by a close.
    pub disconnects: u64,
    /// System calls that wrote.
    pub writes: u64,
    /// System calls that read.
    pub reads: u64,
    /// Bytes that were written.
    pub bytes_out: u64,
    /// Bytes that were read.
    pub bytes_in: u64,
    /// Calls that wait to be sent, now.
    pub queued: u64,
    /// Calls that were sent and wait for their replies, now; cancelled ones included.
    pub in_flight: u64,
    /// Connections that are there, now.
    pub connected: u64,
}

impl Stats {
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            calls,
            refused,
            answered,
            server_errors,
            timed_out,
            cancelled,
            lost,
            pushes,
            connects,
            connect_failures,
            disconnects,
            writes,
            reads,
            bytes_out,
            bytes_in,
            queued,
            in_flight,
            connected,
        } = self;
        for (mine, others) in [
            (calls, other.calls),
            (refused, other.refused),
            (answered, other.answered),
            (server_errors, other.server_errors),
            (timed_out, other.timed_out),
            (cancelled, other.cancelled),
            (lost, other.lost),
            (pushes, other.pushes),
            (connects, other.connects),
            (connect_failures, other.connect_failures),
            (disconnects, other.disconnects),
            (writes, other.writes),
            (reads, other.reads),
            (bytes_out, other.bytes_out),
            (bytes_in, other.bytes_in),
            (queued, other.queued),
            (in_flight, other.in_flight),
            (connected, other.connected),
        ] {
            *mine += others;
        }
    }
}

/// The figures of a client's links, those included that are gone.
///
/// A link's figures are counted once: in `past` when it has ended, before that where they are. Its own lock is taken under this one.
#[derive(Default)]
pub(super) struct Tally {
    tallied: Mutex<Tallied>,
}

#[derive(Default)]
struct Tallied {
    past: Stats,
    links: Vec<Weak<Link>>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Tallied> {
        self.tallied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a link from now on.
    pub(super) fn add(&self, link: &Arc<Link>) {
        let mut tallied = self.lock();
        if link.untallied().is_some() {
            tallied.links.push(Arc::downgrade(link));
        }
    }

    /// A link has ended.
    pub(super) fn left(&self, link: &Link) {
        let mut tallied = self.lock();
        tallied.links.retain(|known| !std::ptr::eq(known.as_ptr(), link));
        tallied.past.add(&link.tallied());
    }

    /// A link that has ended has refused a call.
    pub(super) fn refused(&self) {
        self.lock().past.refused += 1;
    }

    /// The links that have not ended.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().links.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn sum(&self) -> Stats {
        let tallied = self.lock();
        let mut sum = tallied.past;
        // Dropped with no lock held: they may be the last ones.
        let links: Vec<_> = tallied.links.iter().filter_map(Weak::upgrade).collect();
        links.iter().filter_map(|link| link.untallied()).for_each(|stats| sum.add(&stats));
        drop(tallied);
        sum
    }
}
