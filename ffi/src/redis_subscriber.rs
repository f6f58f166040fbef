//! `coop_redis_subscriber`: messages of channels, on a connection of their own.

use std::{
    ffi::{c_char, c_void},
    mem, ptr,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{
    Error, Result,
    fork::ForkGuard,
    net::redis::{Channel, Message, Subscriber},
};

use crate::{
    foreign::{Foreign, foreign},
    guard::guard,
    handle::{borrow, give, take, wanted},
    redis::coop_redis,
    redis_call::{Told, coop_redis_callback, coop_redis_words, tell},
    service::{GiveBack, Given},
    status::coop_status,
    tsan::Inside,
};

/// A channel of this name.
pub const COOP_REDIS_CHANNEL: i32 = 0;
/// All channels whose name fits a pattern, as news.*.
pub const COOP_REDIS_PATTERN: i32 = 1;
/// A channel of a shard of a cluster.
pub const COOP_REDIS_SHARD: i32 = 2;

/// What was published. Its bytes are there until the callback returns. Later versions may add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_message {
    /// The channel's name.
    pub channel: *const c_char,
    /// The bytes of channel.
    pub channel_length: usize,
    /// What was said.
    pub payload: *const c_char,
    /// The bytes of payload.
    pub payload_length: usize,
    /// The pattern that it came by; NULL for the others.
    pub pattern: *const c_char,
    /// The bytes of pattern.
    pub pattern_length: usize,
    /// What it came by: one of COOP_REDIS_CHANNEL, COOP_REDIS_PATTERN and COOP_REDIS_SHARD.
    pub by: i32,
    /// 0.
    pub reserved: i32,
}

/// A function that is told messages, one after another, on the loop's thread. drop(arg) is called once, when the connection has ended after
/// coop_redis_subscriber_free or with its loop. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_message_callback {
    /// message: there until fn returns. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, message: *const coop_redis_message)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

type Run = unsafe extern "C" fn(arg: *mut c_void, message: *const coop_redis_message);

/// A connection for messages of channels.
#[derive(Debug)]
pub struct coop_redis_subscriber {
    fork: ForkGuard,
    subscriber: Arc<Subscriber>,
}

/// Makes a connection for messages, to the server of a client. A lost one is made anew, and subscribed as before; messages that are published while there
/// is none are lost. One that says nothing is asked, and given up if it does not answer: coop_redis_options.stalled_after_ns.
///
/// callback: called with each message; the subscriber owns callback.arg if this answers COOP_OK. out: set to the subscriber, which the caller frees with
/// coop_redis_subscriber_free.
///
/// Any thread. COOP_E_NULL, COOP_E_CLOSED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_subscriber_new(
    redis: *mut coop_redis,
    callback: coop_redis_message_callback,
    out: *mut *mut coop_redis_subscriber,
) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet.
        let client = unsafe { coop_redis::client(redis) }?;
        wanted(out, "out")?;
        let run: Run = callback.r#fn.ok_or_else(|| crate::handle::null("callback.fn"))?;
        let given = Arc::new(Given::new(run, callback.arg, callback.drop));
        let called = given.clone();
        let made = client.subscriber_with(move |message| show(&called, &message));
        // The function may have gone with the closure; its argument is still the caller's.
        let subscriber = made.inspect_err(|_| given.give_back())?;
        let fork = ForkGuard::new("redis subscriber");
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_redis_subscriber { fork, subscriber: Arc::new(subscriber) }, out) };
        Ok(())
    })
}

/// Subscribes to channels. From now on, and for every connection that is made later, also if this call ends with the loss of one.
///
/// by: one of COOP_REDIS_CHANNEL, COOP_REDIS_PATTERN and COOP_REDIS_SHARD. names: the channels, or patterns; copied. callback: told once when the server has
/// confirmed the last of them, as of coop_redis_command; with fn NULL there is none, and callback.arg stays the caller's.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for no names and for another kind, COOP_E_QUEUE_FULL, COOP_E_CLOSED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_subscribe(
    subscriber: *mut coop_redis_subscriber,
    by: i32,
    names: coop_redis_words,
    callback: coop_redis_callback,
) -> coop_status {
    // SAFETY: as the caller's.
    guard!(unsafe { say(subscriber, by, true, names, callback) })
}

/// Ends subscriptions: as coop_redis_subscribe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_unsubscribe(
    subscriber: *mut coop_redis_subscriber,
    by: i32,
    names: coop_redis_words,
    callback: coop_redis_callback,
) -> coop_status {
    // SAFETY: as the caller's.
    guard!(unsafe { say(subscriber, by, false, names, callback) })
}

/// Ends a subscriber, and with it its subscriptions: its function does not begin any more once the loop has seen this, and then its argument is dropped.
/// NULL does nothing.
///
/// Any thread, also its function; once, with no call begun after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_subscriber_free(subscriber: *mut coop_redis_subscriber) {
    guard!({
        if !subscriber.is_null() {
            // SAFETY: made by the library for the caller, and freed once.
            let subscriber = unsafe { take(subscriber) };
            if subscriber.fork.is_forked() {
                // What it holds is the parent's.
                mem::forget(subscriber);
            }
        }
        Ok(())
    });
}

/// # Safety
/// The subscriber is NULL or not freed yet, and the names are as long as told.
unsafe fn say(
    subscriber: *const coop_redis_subscriber,
    by: i32,
    subscribes: bool,
    names: coop_redis_words,
    callback: coop_redis_callback,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let subscriber = unsafe { coop_redis_subscriber::behind(subscriber) }?;
    let by = channel(by)?;
    // SAFETY: the caller's promise.
    let names = unsafe { names.read("names") }?;
    if callback.r#fn.is_none() {
        return Ok(subscriber.subscribe_with(by, subscribes, &names, drop)?);
    }
    // If it is refused, the closure goes, and what it would have told is the caller's again.
    let place = Arc::new(Mutex::new(Some(foreign!(callback)?)));
    let (kept, taken) = (place.clone(), |place: &Mutex<Option<Foreign<Told>>>| {
        place.lock().unwrap_or_else(PoisonError::into_inner).take()
    });
    let told = move |outcome| {
        if let Some(foreign) = taken(&kept) {
            tell(&foreign, outcome);
        }
    };
    Ok(subscriber.subscribe_with(by, subscribes, &names, told).inspect_err(|_| mem::forget(taken(&place)))?)
}

fn channel(by: i32) -> Result<Channel> {
    match by {
        COOP_REDIS_CHANNEL => Ok(Channel::Named),
        COOP_REDIS_PATTERN => Ok(Channel::Pattern),
        COOP_REDIS_SHARD => Ok(Channel::Shard),
        other => {
            let text = format!("by is {other}: allowed are COOP_REDIS_CHANNEL, _PATTERN and _SHARD (0 to 2)");
            Err(Error::Invalid(text))
        }
    }
}

fn show(given: &Given<Run>, message: &Message) {
    let (pattern, pattern_length) = match &message.pattern {
        Some(pattern) => (pattern.as_ptr().cast(), pattern.len()),
        None => (ptr::null(), 0),
    };
    let shown = coop_redis_message {
        channel: message.channel.as_ptr().cast(),
        channel_length: message.channel.len(),
        payload: message.payload.as_ptr().cast(),
        payload_length: message.payload.len(),
        pattern,
        pattern_length,
        by: match message.by {
            Channel::Named => COOP_REDIS_CHANNEL,
            Channel::Pattern => COOP_REDIS_PATTERN,
            Channel::Shard => COOP_REDIS_SHARD,
        },
        reserved: 0,
    };
    let _inside = Inside::after_others(given.arg);
    // SAFETY: C gave the function for this argument; what it is shown is there until it returns.
    unsafe { (given.functions)(given.arg, &raw const shown) };
}

impl coop_redis_subscriber {
    /// # Safety
    /// `pointer` is NULL or a subscriber that is not freed yet.
    unsafe fn behind(pointer: *const Self) -> Result<Arc<Subscriber>> {
        // SAFETY: the caller's promise.
        let subscriber = unsafe { borrow(pointer, "subscriber") }?;
        subscriber.fork.check()?;
        Ok(subscriber.subscriber.clone())
    }
}
