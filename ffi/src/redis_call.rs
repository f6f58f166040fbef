//! Calls of a client of redis: commands, pipelines, transactions and scripts, each with a callback at its end.

use std::{
    ffi::{CStr, c_char, c_void},
    time::Duration,
};

use coop_core::{
    Error, Result,
    net::redis::{CallId, Client, Reply, Script},
};

use crate::{
    error::{coop_error, told},
    foreign::{Foreign, foreign, refused},
    guard::{guard, guard_wait},
    handle::{null, wanted},
    options::{self, Options, array, timeout},
    redis::coop_redis,
    redis_reply::coop_redis_reply,
    status::coop_status,
    tsan,
};

/// Makes a call with a callback of C's, and writes its id where C wants it.
macro_rules! begin {
    ($callback:expr, $id:expr, |$told:ident| $call:expr) => {{
        let foreign = foreign!($callback)?;
        let $told = move |outcome| tell(&foreign, outcome);
        let made = $call.map_err(refused)?;
        if !$id.is_null() {
            // SAFETY: C gave a place for a number.
            unsafe { $id.write(made.0) };
        }
        Ok(())
    }};
}

/// Names a call of one client; never 0. It is stale when the call has ended.
pub type coop_redis_call_id = u64;

/// A function that is told once how a call ended, on the loop's thread; then drop(arg) is called. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_callback {
    /// error: NULL if there is a reply, which may be an error of the server's (COOP_REDIS_ERROR); there until fn returns. reply: there until fn returns,
    /// unless coop_redis_reply_keep takes it; NULL beside an error. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, reply: *mut coop_redis_reply)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

pub(crate) type Told = unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, reply: *mut coop_redis_reply);

/// Words of a command, or what belongs to one: keys, arguments, channels.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_words {
    /// The words, which are bytes with whatever in them.
    pub words: *const *const c_char,
    /// How long each is; NULL: up to its NUL.
    pub lengths: *const usize,
    /// How many there are.
    pub count: usize,
}

/// How a call is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_redis_call_options {
    /// sizeof(coop_redis_call_options).
    pub size: usize,
    /// Nanoseconds after which the call ends with COOP_E_TIMEOUT. 0: the client's default. COOP_FOREVER: as long as it takes.
    pub timeout_ns: i64,
}

// SAFETY: two words that fill 16 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_redis_call_options {
    const NAME: &'static str = "coop_redis_call_options";
    const FIRST: usize = size_of::<Self>();
}

/// Makes a call. It goes out with the others of this turn of the loop, and does not wait for their replies; one thread has any number of them in flight.
///
/// options: copied; NULL is all defaults. words: the command and its arguments, each of any bytes: "SET", "key", "value"; copied. lengths: how long
/// each is; NULL: up to its NUL. count: how many. callback: told the end, once, on the loop's thread; the client owns callback.arg if this answers COOP_OK.
/// id: set to the call's id, perhaps after the callback has run; NULL if nobody wants it.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a command that changes the connection for others (SELECT, MULTI, WATCH: see coop_redis_own) or has no reply
/// to wait for (SUBSCRIBE: see coop_redis_subscriber_new), for no words, and for another time; COOP_E_QUEUE_FULL, COOP_E_CLOSED, COOP_E_UNSUPPORTED for
/// options, COOP_E_FORKED. The callback is told COOP_E_TIMEOUT at the deadline, COOP_E_CANCELLED by coop_redis_cancel, COOP_E_OS if the connection was
/// lost before the reply (the server may have done what was asked), what has kept the client from connecting, COOP_E_FAILED for what is no reply, and
/// COOP_E_CLOSED if the client or its loop ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_command(
    redis: *mut coop_redis,
    options: *const coop_redis_call_options,
    words: *const *const c_char,
    lengths: *const usize,
    count: usize,
    callback: coop_redis_callback,
    id: *mut coop_redis_call_id,
) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet; the callback may free it.
        let client = unsafe { coop_redis::client(redis) }?;
        // SAFETY: options are NULL or as long as they say.
        let limit = unsafe { limit(options) }?;
        // SAFETY: as long as told.
        let command = unsafe { coop_redis_words { words, lengths, count }.read("words") }?;
        begin!(callback, id, |f| client.command_with(&command, limit, f))
    })
}

/// Makes a call and waits for its reply on this thread.
///
/// options, words, lengths, count: as of coop_redis_command. out: set to the reply, which the caller frees with coop_redis_reply_free; it may be an error of
/// the server's (COOP_REDIS_ERROR).
///
/// Any thread but the loop's: COOP_E_WOULD_DEADLOCK. Else the errors of coop_redis_command, and those that its callback is told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_call(
    redis: *mut coop_redis,
    options: *const coop_redis_call_options,
    words: *const *const c_char,
    lengths: *const usize,
    count: usize,
    out: *mut *mut coop_redis_reply,
) -> coop_status {
    guard_wait!({
        // SAFETY: a client that is not freed yet; a callback may free it.
        let client = unsafe { coop_redis::client(redis) }?;
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let limit = unsafe { limit(options) }?;
        // SAFETY: as long as told.
        let command = unsafe { coop_redis_words { words, lengths, count }.read("words") }?;
        if client.event_loop().is_loop_thread() {
            let text = "a loop's own callback cannot wait for a reply that the loop reads: give a callback";
            return Err(Error::WouldDeadlock(text));
        }
        let mut call = match limit {
            Some(limit) => client.command_within(&command, limit),
            None => client.command(&command),
        };
        let reply = call.wait(None)?;
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { coop_redis_reply::give(reply, out) };
        Ok(())
    })
}

/// Makes a call of several commands, one after another in one piece: nothing of this client comes between them.
///
/// commands, count: each as of coop_redis_command; copied. callback: told an array of their replies, in which the server's errors are replies, too.
///
/// As coop_redis_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_pipeline(
    redis: *mut coop_redis,
    options: *const coop_redis_call_options,
    commands: *const coop_redis_words,
    count: usize,
    callback: coop_redis_callback,
    id: *mut coop_redis_call_id,
) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet; the callback may free it.
        let client = unsafe { coop_redis::client(redis) }?;
        // SAFETY: options are NULL or as long as they say.
        let limit = unsafe { limit(options) }?;
        // SAFETY: as long as told.
        let commands = unsafe { read_all(commands, count) }?;
        begin!(callback, id, |f| client.pipeline_with(&commands, limit, f))
    })
}

/// Makes a call of several commands that the server does in one piece, or not at all: MULTI, the commands, EXEC.
///
/// commands, count: each as of coop_redis_command; copied. callback: told the reply of EXEC: an array of their replies; nothing (COOP_REDIS_NULL) if a
/// watched key had changed; an error of the server's if one of them was refused, and then none was done.
///
/// As coop_redis_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_transaction(
    redis: *mut coop_redis,
    options: *const coop_redis_call_options,
    commands: *const coop_redis_words,
    count: usize,
    callback: coop_redis_callback,
    id: *mut coop_redis_call_id,
) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet; the callback may free it.
        let client = unsafe { coop_redis::client(redis) }?;
        // SAFETY: options are NULL or as long as they say.
        let limit = unsafe { limit(options) }?;
        // SAFETY: as long as told.
        let commands = unsafe { read_all(commands, count) }?;
        begin!(callback, id, |f| client.transaction_with(&commands, limit, f))
    })
}

/// Runs a Lua script: by its digest, and by its source if the server does not know that. The deadline is that of each of the two attempts, and after the
/// first one the id is stale.
///
/// source, length: the script; copied. keys, args: what it has as KEYS and ARGV; copied, and may be of no words.
///
/// As coop_redis_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_script(
    redis: *mut coop_redis,
    options: *const coop_redis_call_options,
    source: *const c_char,
    length: usize,
    keys: coop_redis_words,
    args: coop_redis_words,
    callback: coop_redis_callback,
    id: *mut coop_redis_call_id,
) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet; the callback may free it.
        let client = unsafe { coop_redis::client(redis) }?;
        // SAFETY: options are NULL or as long as they say.
        let limit = unsafe { limit(options) }?;
        if source.is_null() {
            return Err(null("source"));
        }
        // SAFETY: as long as told.
        let script = Script::new(unsafe { array(source.cast::<u8>(), length, "source") }?);
        // SAFETY: as long as told.
        let keys = unsafe { keys.read("keys") }?;
        // SAFETY: as long as told.
        let args = unsafe { args.read("args") }?;
        begin!(callback, id, |f| client.script_with(&script, &keys, &args, limit, f))
    })
}

/// Ends a call: its callback is told COOP_E_CANCELLED. The server may do what was asked all the same; a command that was not sent yet is not. The reply
/// is dropped when it comes, and goes to no other call.
///
/// Any thread. COOP_E_STALE if it has ended, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_cancel(redis: *mut coop_redis, id: coop_redis_call_id) -> coop_status {
    guard!({
        // SAFETY: a client that is not freed yet; the callback may free it.
        let client: Client = unsafe { coop_redis::client(redis) }?;
        client.cancel(CallId(id))
    })
}

/// Has C told how a call ended.
pub(crate) fn tell(callback: &Foreign<Told>, outcome: Result<Reply>) {
    let _inside = tsan::Inside::once(callback.arg);
    match outcome {
        Ok(mut reply) => {
            let shown = coop_redis_reply::shown(&mut reply);
            // SAFETY: C gave the function for this argument; the reply is there until it returns.
            unsafe { (callback.run)(callback.arg, std::ptr::null(), shown) };
        }
        Err(error) => told(Err(&error), |error| {
            // SAFETY: C gave the function for this argument.
            unsafe { (callback.run)(callback.arg, error, std::ptr::null_mut()) };
        }),
    }
}

/// # Safety
/// `options` is NULL or as long as it says.
unsafe fn limit(options: *const coop_redis_call_options) -> Result<Option<Duration>> {
    // SAFETY: the caller's promise.
    let ns = unsafe { options::read(options) }?.timeout_ns;
    match ns {
        0 => Ok(None),
        _ => Ok(Some(timeout(ns, "coop_redis_call_options.timeout_ns")?.unwrap_or(Duration::MAX))),
    }
}

/// # Safety
/// `commands` are as many as told, and what they point to is as long as they say.
unsafe fn read_all<'a>(commands: *const coop_redis_words, count: usize) -> Result<Vec<Vec<&'a [u8]>>> {
    // SAFETY: the caller's promise.
    let commands = unsafe { array(commands, count, "commands") }?;
    // SAFETY: the caller's promise.
    commands.iter().map(|command| unsafe { command.read("commands.words") }).collect()
}

impl coop_redis_words {
    /// # Safety
    /// They are as many, and as long, as told, for as long as they are looked at.
    pub(crate) unsafe fn read<'a>(&self, name: &str) -> Result<Vec<&'a [u8]>> {
        // SAFETY: the caller's promise.
        let words = unsafe { array(self.words, self.count, name) }?;
        let lengths = if self.lengths.is_null() {
            None
        } else {
            // SAFETY: the caller's promise.
            Some(unsafe { array(self.lengths, self.count, "lengths") }?)
        };
        let mut read = Vec::with_capacity(words.len());
        for (at, word) in words.iter().enumerate() {
            let word: &'a [u8] = match lengths {
                // SAFETY: the caller's promise.
                Some(lengths) => unsafe { array(word.cast::<u8>(), lengths[at], name) }?,
                None if word.is_null() => return Err(null(name)),
                // SAFETY: not NULL, and it ends with a NUL by the caller's promise.
                None => unsafe { CStr::from_ptr(*word) }.to_bytes(),
            };
            read.push(word);
        }
        Ok(read)
    }
}
