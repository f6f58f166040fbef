//! `coop_redis`: a way to a server of redis.
//!
//! # Invariant
//!
//! A callback may free the client that it is told by: every function clones the core's out of the box before it does anything that
//! lets one run.

use std::ffi::c_char;

use coop_core::{
    Error, Result,
    fork::ForkGuard,
    net::redis::{Client, Own},
};

use crate::{
    event_loop::coop_event_loop,
    guard::{guard, guard_wait},
    handle::{borrow, give, null, take, wanted},
    options::{text, timeout},
    redis_options::{coop_redis_options, redis_options},
    status::coop_status,
};

/// A way to a server of redis: calls of which thousands are in flight at once, on one connection or a few, all on the thread of one loop.
#[derive(Debug)]
pub struct coop_redis {
    fork: ForkGuard,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Shared(Client),
    Own(Own),
}

/// Makes a client. It begins to connect at once, and answers without waiting for that; calls wait for the connection. One that is lost is made anew, with
/// growing pauses: calls of whose commands nothing was written wait for it, and those that were written end with COOP_E_OS.
///
/// event_loop: whose thread does all of it. A loop that runs until it is idle runs for as long as the client is there. options: copied; NULL is all
/// defaults. url, length: redis://[user][:password@]host[:port][/database], rediss://... for the same over TLS, unix://[user][:password@]/path, each with
/// ?db=, ?protocol=2|3 and ?client_name=; user, password, path and values may be percent-encoded. UTF-8, copied. out: set to the client, which the caller frees with
/// coop_redis_free.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a URL, in words that name the part and never a password, and for options; COOP_E_OS for a file of TLS that cannot
/// be read, COOP_E_CLOSED once the loop was stopped, COOP_E_UNSUPPORTED, COOP_E_FORKED. That there is no server, or none that lets the client in, is told
/// to calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_new(
    event_loop: *mut coop_event_loop,
    options: *const coop_redis_options,
    url: *const c_char,
    length: usize,
    out: *mut *mut coop_redis,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out, "out")?;
        // SAFETY: the text is as long as told.
        let url = unsafe { text(url, length, "url") }?.ok_or_else(|| null("url"))?;
        // SAFETY: options are NULL or as long as they say, and so are their texts.
        let client = Client::new(&handle, unsafe { redis_options(&url, options) }?)?;
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_redis::new(Way::Shared(client)), out) };
        Ok(())
    })
}

/// Makes a connection of one's own beside a client's, for what others must not come between: WATCH, MULTI, SELECT, a command that blocks for long. All
/// functions of a client are there for it. One that is lost is not made anew: what was watched is forgotten then, and its calls end.
///
/// out: set to it; the caller frees it with coop_redis_free, which gives it back: the next who asks is given it, unless its state was changed, or calls
/// are left.
///
/// Any thread. COOP_E_QUEUE_FULL if coop_redis_options.max_own of them (128) are somebody's already; COOP_E_NULL, COOP_E_CLOSED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_own(redis: *mut coop_redis, out: *mut *mut coop_redis) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet.
        let client = unsafe { coop_redis::client(redis) }?;
        wanted(out, "out")?;
        let own = client.own()?;
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_redis::new(Way::Own(own)), out) };
        Ok(())
    })
}

/// Closes a client: from now on calls are refused, and those that have not ended do, with COOP_E_CLOSED. It does not wait. Any number of times.
///
/// Any thread, also its callbacks. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_close(redis: *mut coop_redis) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet; a callback may free it.
        unsafe { coop_redis::client(redis) }?.close()
    })
}

/// Closes a client when its calls have ended, and waits for that: from now on calls are refused. It waits for the calls of its coop_redis_own, too, until
/// each has had none for a moment: those go on, and at the timeout theirs are not ended. It does not wait for its subscribers, which go on as well.
///
/// timeout_ns: nanoseconds after which the calls that are left end with COOP_E_CLOSED; COOP_FOREVER: as long as they take.
///
/// Any thread but the loop's: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT if calls were left, COOP_E_CLOSED if the loop has ended, COOP_E_INVALID for another time,
/// COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_drain(redis: *mut coop_redis, timeout_ns: i64) -> coop_status {
    guard_wait!({
        // SAFETY: a client that is not freed yet; a callback may free it.
        let client = unsafe { coop_redis::client(redis) }?;
        let limit = timeout(timeout_ns, "timeout_ns")?;
        if client.event_loop().is_loop_thread() {
            return Err(Error::WouldDeadlock("a loop's own callback cannot wait for calls that the loop ends"));
        }
        let draining = client.drain(limit);
        let mut drained = client.event_loop().spawn(draining).map_err(|refused| refused.error)?;
        drained.join(None)?
    })
}

/// Releases a client. Calls that have not ended do, with COOP_E_CLOSED: their callbacks are told on the loop's thread, perhaps after this. What
/// coop_redis_own and coop_redis_subscriber_new have made of it goes on. NULL does nothing.
///
/// Any thread, also its callbacks; once, with no call begun after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_free(redis: *mut coop_redis) {
    guard!({
        if !redis.is_null() {
            // SAFETY: made by the library for the caller, and freed once.
            let redis = unsafe { take(redis) };
            if redis.fork.is_forked() {
                // What it holds is the parent's.
                std::mem::forget(redis);
                return Ok(());
            }
            let client = redis.way.client();
            let stats = client.stats()?;
            // A connection of one's own is given back, but not with calls in it.
            if matches!(redis.way, Way::Shared(_)) || stats.queued + stats.in_flight > 0 {
                client.close()?;
            }
        }
        Ok(())
    });
}

impl Way {
    fn client(&self) -> &Client {
        match self {
            Self::Shared(client) => client,
            Self::Own(own) => own,
        }
    }
}

impl coop_redis {
    fn new(way: Way) -> Self {
        Self { fork: ForkGuard::new("redis client"), way }
    }

    /// # Safety
    /// `pointer` is NULL or a client that is not freed yet.
    pub(crate) unsafe fn client(pointer: *const Self) -> Result<Client> {
        // SAFETY: the caller's promise.
        let redis = unsafe { borrow(pointer, "redis") }?;
        redis.fork.check()?;
        Ok(redis.way.client().clone())
    }
}
