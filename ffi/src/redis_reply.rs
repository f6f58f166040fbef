//! `coop_redis_reply`: what a server has answered, as a tree that is read in place.

use std::{ffi::c_char, ptr};

use coop_core::{Error, Result, net::redis::Reply};

use crate::{
    guard::{answer, guard},
    handle::{borrow, give, take, wanted},
    status::{COOP_E_NULL, coop_status},
};

/// A reply is nothing: no such key, or a transaction whose watched keys had changed.
pub const COOP_REDIS_NULL: i32 = 0;
/// A reply is an integer: coop_redis_reply_integer.
pub const COOP_REDIS_INTEGER: i32 = 1;
/// A reply is bytes, with whatever in them: coop_redis_reply_string.
pub const COOP_REDIS_STRING: i32 = 2;
/// A reply is one line, such as OK: coop_redis_reply_string.
pub const COOP_REDIS_STATUS: i32 = 3;
/// The server refused, or failed; coop_redis_reply_string has its line, and coop_redis_reply_error_code its first word.
pub const COOP_REDIS_ERROR: i32 = 4;
/// A reply is a row of replies: coop_redis_reply_length, coop_redis_reply_at.
pub const COOP_REDIS_ARRAY: i32 = 5;
/// A reply is pairs (RESP3; an array in RESP2): coop_redis_reply_pairs, coop_redis_reply_key, coop_redis_reply_value.
pub const COOP_REDIS_MAP: i32 = 6;
/// A reply is replies without an order (RESP3; an array in RESP2), read like an array.
pub const COOP_REDIS_SET: i32 = 7;
/// A reply is a number (RESP3; a string in RESP2): coop_redis_reply_double.
pub const COOP_REDIS_DOUBLE: i32 = 8;
/// A reply is yes or no (RESP3; an integer in RESP2): coop_redis_reply_integer has 1 or 0.
pub const COOP_REDIS_BOOLEAN: i32 = 9;
/// A reply is a text for people (RESP3; a string in RESP2): coop_redis_reply_string.
pub const COOP_REDIS_VERBATIM: i32 = 10;
/// A reply is an integer of any length (RESP3; a string in RESP2): coop_redis_reply_string has its digits.
pub const COOP_REDIS_BIG_NUMBER: i32 = 11;
/// What no call has asked for, inside a reply (RESP3): read like an array.
pub const COOP_REDIS_PUSH: i32 = 12;

/// A reply of a server, or a part of one. It does not change: any number of threads may read it.
#[derive(Debug)]
pub struct coop_redis_reply {
    /// Never made: a pointer to one is a pointer to a [`Reply`].
    _opaque: (),
}

/// What a reply is: one of COOP_REDIS_NULL to COOP_REDIS_PUSH; COOP_E_NULL for NULL. What a server says about a reply (attributes of RESP3) is left out:
/// it is what the reply is.
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_type(reply: *const coop_redis_reply) -> i32 {
    answer(COOP_E_NULL, || {
        // SAFETY: a reply that is there.
        Ok(kind(unsafe { coop_redis_reply::read(reply) }?))
    })
}

/// An integer, also of a boolean and of digits.
///
/// out: set to it. Any thread. COOP_E_INVALID for a reply that is none, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_integer(reply: *const coop_redis_reply, out: *mut i64) -> coop_status {
    guard!({
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        wanted(out, "out")?;
        let number = reply.as_int().ok_or_else(|| unexpected(reply, "an integer"))?;
        // SAFETY: a place for a number.
        unsafe { out.write(number) };
        Ok(())
    })
}

/// A number, also of an integer and of digits.
///
/// out: set to it. Any thread. COOP_E_INVALID for a reply that is none, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_double(reply: *const coop_redis_reply, out: *mut f64) -> coop_status {
    guard!({
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        wanted(out, "out")?;
        let number = reply.as_double().ok_or_else(|| unexpected(reply, "a number"))?;
        // SAFETY: a place for a number.
        unsafe { out.write(number) };
        Ok(())
    })
}

/// The bytes of a string, a status, a verbatim text, a big number, or an error.
///
/// data, length: set to them, as the server has sent them: perhaps no UTF-8, and no NUL behind them. There as long as the reply is. Any thread.
/// COOP_E_INVALID for another reply, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_string(
    reply: *const coop_redis_reply,
    data: *mut *const c_char,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        let bytes = reply.as_bytes().ok_or_else(|| unexpected(reply, "a string"))?;
        // SAFETY: places, if they are there.
        unsafe { view(bytes, data, length) }
    })
}

/// The first word of an error, in capitals: ERR, WRONGTYPE, MOVED, OOM.
///
/// data, length: set to it; no bytes if the line has no such word, and no NUL behind it. There as long as the reply is. Any thread. COOP_E_INVALID for a
/// reply that is no error, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_error_code(
    reply: *const coop_redis_reply,
    data: *mut *const c_char,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        let error = reply.as_error().ok_or_else(|| unexpected(reply, "an error"))?;
        // SAFETY: places, if they are there.
        unsafe { view(error.code().as_bytes(), data, length) }
    })
}

/// How many parts an array, a set or a push has; a map has a key and a value in turns, so twice its pairs. 0 for other replies, and for NULL.
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_length(reply: *const coop_redis_reply) -> usize {
    answer(0, || {
        // SAFETY: a reply that is there.
        Ok(match unsafe { coop_redis_reply::read(reply) }? {
            Reply::Map(pairs) => 2 * pairs.len(),
            other => other.as_array().map_or(0, <[_]>::len),
        })
    })
}

/// A part of an array, a set or a push, or of a map in turns.
///
/// index: from 0. Answers NULL where there is none. The part is there as long as the reply is, and must not be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_at(reply: *const coop_redis_reply, index: usize) -> *const coop_redis_reply {
    answer(ptr::null(), || {
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        Ok(coop_redis_reply::part(at(reply, index)))
    })
}

/// How many pairs a map has, or an array that is one in RESP2. 0 for other replies, and for NULL.
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_pairs(reply: *const coop_redis_reply) -> usize {
    answer(0, || {
        // SAFETY: a reply that is there.
        Ok(pairs(unsafe { coop_redis_reply::read(reply) }?))
    })
}

/// The key of a pair of a map, or of an array that is one in RESP2.
///
/// index: of the pair, from 0. Answers NULL where there is none. The key is there as long as the reply is. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_key(reply: *const coop_redis_reply, index: usize) -> *const coop_redis_reply {
    answer(ptr::null(), || {
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        Ok(coop_redis_reply::part(if index < pairs(reply) { at(reply, 2 * index) } else { None }))
    })
}

/// The value of a pair, as coop_redis_reply_key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_value(
    reply: *const coop_redis_reply,
    index: usize,
) -> *const coop_redis_reply {
    answer(ptr::null(), || {
        // SAFETY: a reply that is there.
        let reply = unsafe { coop_redis_reply::read(reply) }?;
        Ok(coop_redis_reply::part(if index < pairs(reply) { at(reply, 2 * index + 1) } else { None }))
    })
}

/// Keeps a reply beyond the callback that was told it. What it is made of stays where it is; the callback's reply is nothing from then on.
///
/// reply: the one that the callback was given, not a part of it. out: set to the reply, which the caller frees with coop_redis_reply_free.
///
/// In the callback. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_keep(
    reply: *mut coop_redis_reply,
    out: *mut *mut coop_redis_reply,
) -> coop_status {
    guard!({
        wanted(reply, "reply")?;
        wanted(out, "out")?;
        // SAFETY: the callback's own, which nobody else has.
        let kept = unsafe { reply.cast::<Reply>().replace(Reply::Null) };
        // SAFETY: a place for a pointer.
        unsafe { coop_redis_reply::give(kept, out) };
        Ok(())
    })
}

/// Releases a reply that was kept, or that coop_redis_call has answered, with all its parts. NULL does nothing.
///
/// Any thread; once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_redis_reply_free(reply: *mut coop_redis_reply) {
    guard!({
        if !reply.is_null() {
            // SAFETY: made by the library for the caller, and freed once.
            drop(unsafe { take(reply.cast::<Reply>()) });
        }
        Ok(())
    });
}

impl coop_redis_reply {
    /// C's view of a callback's reply, which may be [kept](coop_redis_reply_keep).
    pub(crate) fn shown(reply: &mut Reply) -> *mut Self {
        ptr::from_mut(reply).cast()
    }

    /// Hands a reply to C.
    ///
    /// # Safety
    /// `out` points to a place for a pointer.
    pub(crate) unsafe fn give(reply: Reply, out: *mut *mut Self) {
        // SAFETY: the caller's promise: pointers are alike.
        unsafe { give(reply, out.cast::<*mut Reply>()) };
    }

    /// The reply without what is said about it.
    ///
    /// # Safety
    /// `pointer` is NULL or a reply that is there as long as it is looked at.
    unsafe fn read<'a>(pointer: *const Self) -> Result<&'a Reply> {
        // SAFETY: the caller's promise.
        let mut reply = unsafe { borrow(pointer.cast::<Reply>(), "reply") }?;
        while let Reply::Attribute { reply: inner, .. } = reply {
            reply = inner;
        }
        Ok(reply)
    }

    /// C's view of a part: a reply, and nothing else.
    fn part(reply: Option<&Reply>) -> *const Self {
        reply.map_or(ptr::null(), |reply| ptr::from_ref(reply).cast())
    }
}

fn pairs(reply: &Reply) -> usize {
    match reply {
        Reply::Map(pairs) => pairs.len(),
        Reply::Array(parts) if parts.len().is_multiple_of(2) => parts.len() / 2,
        _ => 0,
    }
}

fn at(reply: &Reply, index: usize) -> Option<&Reply> {
    match reply {
        Reply::Map(pairs) => pairs.get(index / 2).map(|(key, value)| if index.is_multiple_of(2) { key } else { value }),
        other => other.as_array()?.get(index),
    }
}

fn kind(reply: &Reply) -> i32 {
    match reply {
        Reply::Int(_) => COOP_REDIS_INTEGER,
        Reply::Bulk(_) => COOP_REDIS_STRING,
        Reply::Status(_) => COOP_REDIS_STATUS,
        Reply::Error(_) => COOP_REDIS_ERROR,
        Reply::Array(_) => COOP_REDIS_ARRAY,
        Reply::Map(_) => COOP_REDIS_MAP,
        Reply::Set(_) => COOP_REDIS_SET,
        Reply::Double(_) => COOP_REDIS_DOUBLE,
        Reply::Bool(_) => COOP_REDIS_BOOLEAN,
        Reply::Verbatim { .. } => COOP_REDIS_VERBATIM,
        Reply::BigNumber(_) => COOP_REDIS_BIG_NUMBER,
        Reply::Push(_) => COOP_REDIS_PUSH,
        _ => COOP_REDIS_NULL,
    }
}

fn unexpected(reply: &Reply, wanted: &str) -> Error {
    Error::Invalid(format!("the reply is a {} where {wanted} was expected", reply.kind()))
}

/// # Safety
/// `data` and `length` are NULL or places.
unsafe fn view(bytes: &[u8], data: *mut *const c_char, length: *mut usize) -> Result<()> {
    wanted(data, "data")?;
    wanted(length, "length")?;
    // SAFETY: a place for a pointer.
    unsafe { data.write(bytes.as_ptr().cast()) };
    // SAFETY: a place for a number.
    unsafe { length.write(bytes.len()) };
    Ok(())
}
