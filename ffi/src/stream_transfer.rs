//! Reads and writes of a stream: those that end in a callback, those that do not wait, and those with descriptors.

use std::{
    ffi::c_void,
    os::fd::{BorrowedFd, OwnedFd},
};

use coop_core::{Error, Result, event_loop::Direction};

use crate::{
    foreign::foreign,
    guard::guard,
    handle::{null, wanted},
    options::array,
    status::coop_status,
    stream::coop_stream,
    stream_io::{Io, What, coop_io_callback, order_of},
};

/// How many descriptors go with one coop_stream_send_descriptors.
pub const COOP_STREAM_DESCRIPTORS: usize = 253;

/// Reads what is there, once there is something.
///
/// buffer, length: where to, and its bytes, from 1; they stay where they are, and are not touched by the caller, until the callback is told.
/// callback: told how many bytes came; 0 without an error is the end: the peer has closed, or shut down its writing half. The stream owns
/// callback.arg if this answers COOP_OK; then the callback is told once, whatever happens, after this call and at the stream's place,
/// and no two callbacks of one stream overlap.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for no length, COOP_E_EXISTS while a read is under way (until its callback begins),
/// COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED. The callback is told COOP_E_OS (ECONNRESET, ...), COOP_E_CANCELLED by
/// coop_stream_cancel and coop_stream_free, and COOP_E_CLOSED if the loop ends before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_read(
    stream: *mut coop_stream,
    buffer: *mut c_void,
    length: usize,
    callback: coop_io_callback,
) -> coop_status {
    // SAFETY: the caller's promises are those of `start`.
    guard!(unsafe { start(stream, What::Read, buffer.cast(), length, callback) })
}

/// Reads until the buffer is full. As coop_stream_read, but that the callback is told when all of length has come, or when the peer has
/// ended before: then count is less, without an error. Beside an error count says how many bytes came before it.
///
/// Any thread. As coop_stream_read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_read_exactly(
    stream: *mut coop_stream,
    buffer: *mut c_void,
    length: usize,
    callback: coop_io_callback,
) -> coop_status {
    // SAFETY: the caller's promises are those of `start`.
    guard!(unsafe { start(stream, What::ReadExactly, buffer.cast(), length, callback) })
}

/// Writes all of it. What the system takes at once is taken in this call.
///
/// data, length: what to write; it stays where it is, unchanged, until the callback is told. callback: told when the system has taken all
/// of it, or with the error, and then count says how many bytes were taken before. As in coop_stream_read otherwise.
///
/// Any thread. COOP_E_NULL, COOP_E_EXISTS while a write is under way (until its callback begins), COOP_E_CLOSED once the loop was
/// stopped, COOP_E_FORKED. The callback is told COOP_E_OS (EPIPE and ECONNRESET if the peer is gone; there is no SIGPIPE),
/// COOP_E_CANCELLED, COOP_E_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_write(
    stream: *mut coop_stream,
    data: *const c_void,
    length: usize,
    callback: coop_io_callback,
) -> coop_status {
    // SAFETY: the caller's promises are those of `start`.
    guard!(unsafe { start(stream, What::Write, data.cast_mut().cast(), length, callback) })
}

/// Reads what is there now, without waiting and without a callback.
///
/// buffer, length: where to, and its bytes, from 1. count: set to how many came; 0 is the end.
///
/// Any thread. COOP_E_WOULD_BLOCK if nothing is there, COOP_E_EXISTS while a read is under way, COOP_E_NULL, COOP_E_INVALID for no length,
/// COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_try_read(
    stream: *mut coop_stream,
    buffer: *mut c_void,
    length: usize,
    count: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        let operations = unsafe { coop_stream::behind(stream) }?;
        wanted(count, "count")?;
        // SAFETY: the buffer has that many bytes, which the caller leaves to this call.
        let room = unsafe { room(buffer, length) }?;
        operations.check_idle(Direction::Read)?;
        let came = operations.source().try_read(room)?;
        // SAFETY: `count` is there, and is a place for a number.
        unsafe { count.write(came) };
        Ok(())
    })
}

/// Writes what the system takes now, without waiting and without a callback.
///
/// data, length: what to write. count: set to how many bytes were taken, perhaps fewer than length.
///
/// Any thread. COOP_E_WOULD_BLOCK if the system takes nothing now, COOP_E_EXISTS while a write is under way, COOP_E_NULL, COOP_E_OS,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_try_write(
    stream: *mut coop_stream,
    data: *const c_void,
    length: usize,
    count: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        let operations = unsafe { coop_stream::behind(stream) }?;
        wanted(count, "count")?;
        // SAFETY: as long as told.
        let data = unsafe { array(data.cast::<u8>(), length, "data") }?;
        operations.check_idle(Direction::Write)?;
        let taken = if data.is_empty() { 0 } else { operations.source().try_write(data)? };
        // SAFETY: `count` is there, and is a place for a number.
        unsafe { count.write(taken) };
        Ok(())
    })
}

/// Writes to a Unix socket, and sends descriptors with the first byte: the peer gets its own copies of them.
///
/// As coop_stream_write; it is the one write. data, length: from 1 byte. descriptors, count: at most COOP_STREAM_DESCRIPTORS; duplicated in
/// this call, so that the caller may close its own at once.
///
/// Any thread. As coop_stream_write; COOP_E_INVALID for no byte, no descriptor, too many or one that is not open; COOP_E_OS if the process
/// has no file descriptor left. The callback is told COOP_E_INVALID for what is no
/// Unix socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_send_descriptors(
    stream: *mut coop_stream,
    data: *const c_void,
    length: usize,
    descriptors: *const i32,
    count: usize,
    callback: coop_io_callback,
) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        unsafe { coop_stream::behind(stream) }?;
        if count == 0 || count > COOP_STREAM_DESCRIPTORS {
            return Err(Error::Invalid(format!(
                "{count} descriptors: from 1 to COOP_STREAM_DESCRIPTORS ({COOP_STREAM_DESCRIPTORS}) go at once"
            )));
        }
        if length == 0 {
            return Err(Error::Invalid("length is 0: descriptors go with a byte".into()));
        }
        // SAFETY: as many as told.
        let given = unsafe { array(descriptors, count, "descriptors") }?;
        let copies = given.iter().map(|fd| duplicate(*fd)).collect::<Result<Vec<_>>>()?;
        // SAFETY: the caller's promises are those of `start`.
        unsafe { start(stream, What::Send(copies), data.cast_mut().cast(), length, callback) }
    })
}

/// Reads from a Unix socket, with the descriptors that come.
///
/// As coop_stream_read; it is the one read. descriptors, capacity: where to, and room for how many. count: set to how many came,
/// before the callback is told; and to 0 until then, if this answers COOP_OK. All three stay where they are until the callback is told. What came is the caller's, who closes it; each is closed on exec. If more
/// come than there is room for, all are closed, and the callback is told COOP_E_QUEUE_FULL and how many bytes came.
///
/// Any thread. As coop_stream_read; COOP_E_INVALID for a capacity of 0 or more than COOP_STREAM_DESCRIPTORS. The callback is told
/// COOP_E_INVALID for what is no Unix socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_receive_descriptors(
    stream: *mut coop_stream,
    buffer: *mut c_void,
    length: usize,
    descriptors: *mut i32,
    capacity: usize,
    count: *mut usize,
    callback: coop_io_callback,
) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        unsafe { coop_stream::behind(stream) }?;
        wanted(descriptors, "descriptors")?;
        wanted(count, "count")?;
        if capacity == 0 || capacity > COOP_STREAM_DESCRIPTORS {
            return Err(Error::Invalid(format!(
                "room for {capacity} descriptors: allowed are 1 to COOP_STREAM_DESCRIPTORS ({COOP_STREAM_DESCRIPTORS})"
            )));
        }
        let what = What::Receive { to: descriptors, capacity, count };
        // SAFETY: the caller's promises are those of `start`; the places live as long as the buffer.
        unsafe { start(stream, what, buffer.cast(), length, callback) }
    })
}

/// # Safety
/// A stream that is not freed yet; `data` has `length` bytes that live until the callback is told.
unsafe fn start(
    stream: *mut coop_stream,
    what: What,
    data: *mut u8,
    length: usize,
    callback: coop_io_callback,
) -> Result<()> {
    // SAFETY: the caller's promise; a callback may free it.
    let operations = unsafe { coop_stream::operations(stream) }?;
    let direction = match what {
        What::Write | What::Send(_) => {
            // SAFETY: the caller's promise.
            unsafe { array(data.cast_const(), length, "data") }?;
            Direction::Write
        }
        What::Read | What::ReadExactly | What::Receive { .. } => {
            // SAFETY: the caller's promise.
            unsafe { room(data.cast(), length) }?;
            Direction::Read
        }
    };
    let callback = foreign!(callback)?;
    // SAFETY: the caller's promise.
    let operation = unsafe { Io::new(what, data, length, callback, order_of(&operations)) };
    operations.start(direction, operation).map_err(|not_taken| {
        let error = not_taken.error;
        not_taken.value.forget();
        error
    })
}

/// A buffer to read into.
///
/// # Safety
/// It has `length` bytes, and nobody else touches them while the slice is there.
unsafe fn room<'a>(buffer: *mut c_void, length: usize) -> Result<&'a mut [u8]> {
    if buffer.is_null() {
        return Err(null("buffer"));
    }
    if length == 0 || isize::try_from(length).is_err() {
        return Err(Error::Invalid(format!(
            "length is {length}: there must be room for a byte, and no more than memory has"
        )));
    }
    // SAFETY: not NULL, not too large, and writable by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) })
}

fn duplicate(fd: i32) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Error::Invalid(format!("file descriptor {fd} is negative")));
    }
    // SAFETY: borrowed for the call, which finds out whether it is open.
    let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    copy.map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => Error::Invalid(format!("file descriptor {fd} is not open")),
        _ => Error::os(format!("duplicate fd {fd}"), &error),
    })
}
