//! What a client of redis has done so far.

use crate::{
    guard::guard,
    handle::wanted,
    options::{self, Options},
    redis::coop_redis,
    status::coop_status,
};

/// What a client has done so far, over all of its connections but those of one's own and for messages. Every call that was accepted is, when it has ended, one
/// of answered, timed_out, cancelled and lost.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_statistics {
    /// sizeof(coop_redis_statistics), set by the caller: at most that many bytes are written.
    pub size: usize,
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

// SAFETY: numbers, 19 fields that fill 152 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_redis_statistics {
    const NAME: &'static str = "coop_redis_statistics";
    const FIRST: usize = size_of::<Self>();
}

/// Says what a client did so far, over all of its connections: also those of one's own (coop_redis_own) and of its subscribers. Of a connection of one's own: what
/// that one did.
///
/// out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL, COOP_E_INVALID for the size, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_stats(redis: *mut coop_redis, out: *mut coop_redis_statistics) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet.
        let client = unsafe { coop_redis::client(redis) }?;
        wanted(out, "out")?;
        let stats = client.stats()?;
        let filled = coop_redis_statistics {
            size: 0,
            calls: stats.calls,
            refused: stats.refused,
            answered: stats.answered,
            server_errors: stats.server_errors,
            timed_out: stats.timed_out,
            cancelled: stats.cancelled,
            lost: stats.lost,
            pushes: stats.pushes,
            connects: stats.connects,
            connect_failures: stats.connect_failures,
            disconnects: stats.disconnects,
            writes: stats.writes,
            reads: stats.reads,
            bytes_out: stats.bytes_out,
            bytes_in: stats.bytes_in,
            queued: stats.queued,
            in_flight: stats.in_flight,
            connected: stats.connected,
        };
        // SAFETY: as long as it says.
        unsafe { options::write(&filled, out) }
    })
}
