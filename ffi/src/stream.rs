//! `coop_stream`: a connection, TCP or Unix, from its beginning to its end. What is read and written is in `stream_transfer.rs`, how it is
//! set in `stream_settings.rs`.

use std::{
    net::{Shutdown, SocketAddr},
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd},
    sync::Arc,
};

use coop_core::{
    Error, Result,
    event_loop::{
        Direction, Strand,
        stream::{Operations, Stream},
    },
    fork::ForkGuard,
};

use crate::{
    address::coop_address,
    event_loop::coop_event_loop,
    guard::guard,
    handle::{borrow, give, take, wanted},
    io_watch::{COOP_IO_READ, COOP_IO_WRITE},
    status::{COOP_OK, coop_status},
    stream_io::Io,
    stream_settings::{coop_stream_options, stream_options},
};

/// A connected stream socket, TCP or Unix. It never blocks; its descriptor is closed on exec.
///
/// What waits ends in a callback: one read and one write may be under way at a time, each with a buffer of the caller's that stays where
/// it is until the callback is told. What is not read stays in the system, so a fast sender waits for a slow reader.
#[derive(Debug)]
pub struct coop_stream {
    fork: ForkGuard,
    operations: Arc<Operations<Stream, Io>>,
}

/// Makes a stream of a connected socket that the caller has: of socketpair, of an inherited descriptor, of one that came through
/// coop_stream_receive_descriptors.
///
/// options: copied; NULL is all defaults. fd: the stream's if this answers COOP_OK, who makes it non-blocking and closes it; else the
/// caller's, unchanged but for that. out: set to the stream, which the caller frees with coop_stream_free.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for an fd that is negative or no stream socket, a place or a priority, COOP_E_AFFINITY for a
/// CPU set without a worker, COOP_E_UNSUPPORTED for options, COOP_E_EXISTS if the loop watches fd, COOP_E_OS, COOP_E_CLOSED once the loop
/// was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_new(
    event_loop: *mut coop_event_loop,
    options: *const coop_stream_options,
    fd: i32,
    out: *mut *mut coop_stream,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say, and so is their CPU set.
        let made = unsafe { stream_options(options) }?;
        if fd < 0 {
            return Err(Error::Invalid(format!("file descriptor {fd} is negative")));
        }
        // SAFETY: the caller gives the descriptor away, and takes it back below if it is refused.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        let stream = match Stream::from_fd(&handle, owned) {
            Ok(stream) => stream,
            Err(refused) => {
                let _still_the_callers = refused.value.into_raw_fd();
                return Err(refused.error);
            }
        };
        match made.set(&stream).and_then(|()| Strand::new(&handle, &made.on)) {
            Ok(strand) => {
                let operations = Operations::with(stream, strand);
                // SAFETY: `out` is there, and is a place for a pointer.
                unsafe { give(coop_stream::new(operations), out) };
                Ok(())
            }
            Err(error) => {
                let _still_the_callers = stream.into_fd().into_raw_fd();
                Err(error)
            }
        }
    })
}

/// Closes the stream and releases it. What is under way ends with COOP_E_CANCELLED, at the stream's place, as after coop_stream_cancel;
/// the buffers are the caller's again when this returns, and so is what the system has not sent yet the system's: it goes on sending,
/// unless coop_stream_set_linger says otherwise. NULL does nothing.
///
/// Any thread, also the stream's own callbacks; once, with no call begun after it. In a forked child it closes the child's copy of the
/// descriptor, and no callback is told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_free(stream: *mut coop_stream) {
    guard!({
        if !stream.is_null() {
            // SAFETY: made by the library for the caller, and freed once.
            drop(unsafe { take(stream) });
        }
        Ok(())
    });
}

/// Ends what is under way: its callback is told COOP_E_CANCELLED and how many bytes were moved before, at the stream's place and not
/// inside this call. When this returns its buffer is not touched any more. What has ended already is told as it ended. The stream
/// stays open.
///
/// which: COOP_IO_READ, COOP_IO_WRITE or both. Any thread, also the stream's own callbacks. COOP_E_STALE if nothing of that was under
/// way; COOP_E_NULL, COOP_E_INVALID for other bits, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_cancel(stream: *mut coop_stream, which: u32) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet; a callback may free it.
        let operations = unsafe { coop_stream::operations(stream) }?;
        if which == 0 || which & !(COOP_IO_READ | COOP_IO_WRITE) != 0 {
            return Err(Error::Invalid(format!("which is {which}: COOP_IO_READ is 1, COOP_IO_WRITE is 2, both is 3")));
        }
        let mut ended = false;
        if which & COOP_IO_READ != 0 {
            ended |= operations.cancel(Direction::Read);
        }
        if which & COOP_IO_WRITE != 0 {
            ended |= operations.cancel(Direction::Write);
        }
        if ended { Ok(()) } else { Err(Error::Stale("operation")) }
    })
}

/// Shuts down the writing half: when the peer has read what was written, it reads the end. Reading goes on.
///
/// Any thread. COOP_E_EXISTS while a write is under way: do it when that is told. COOP_E_NULL, COOP_E_OS, COOP_E_FORKED. A connection that
/// is gone is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_shutdown(stream: *mut coop_stream) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        let operations = unsafe { coop_stream::behind(stream) }?;
        operations.check_idle(Direction::Write)?;
        operations.source().shutdown(Shutdown::Write)
    })
}

/// Says which address and port the stream has here.
///
/// out: set to the address; to no address (length 0) for a Unix socket. Any thread. COOP_E_NULL, COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_local_address(stream: *const coop_stream, out: *mut coop_address) -> coop_status {
    // SAFETY: the caller's promises are those of `address_of`.
    guard!(unsafe { address_of(stream, out, |stream| Ok(stream.local_addr()?.as_ip())) })
}

/// Says which address and port the peer has, also when it is gone; as coop_stream_local_address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_peer_address(stream: *const coop_stream, out: *mut coop_address) -> coop_status {
    // SAFETY: the caller's promises are those of `address_of`.
    guard!(unsafe { address_of(stream, out, |stream| Ok(stream.peer_addr().as_ip())) })
}

/// The stream's descriptor; it stays the stream's. Not to be watched: the stream does that. COOP_E_NULL or COOP_E_FORKED, which are
/// negative, if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_fd(stream: *const coop_stream) -> i32 {
    let mut fd = COOP_OK;
    let status = guard!({
        // SAFETY: a stream that is not freed yet.
        fd = unsafe { coop_stream::behind(stream) }?.source().as_raw_fd();
        Ok(())
    });
    if status == COOP_OK { fd } else { status }
}

/// # Safety
/// `stream` is NULL or not freed yet, `out` NULL or a place for an address.
unsafe fn address_of(
    stream: *const coop_stream,
    out: *mut coop_address,
    ask: impl FnOnce(&Stream) -> Result<Option<SocketAddr>>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let operations = unsafe { coop_stream::behind(stream) }?;
    wanted(out, "out")?;
    let address = ask(operations.source())?;
    // SAFETY: `out` is there, and is a place for an address.
    unsafe { out.write(coop_address::maybe(address.as_ref())) };
    Ok(())
}

impl coop_stream {
    /// A stream for C.
    pub(crate) fn new(operations: Arc<Operations<Stream, Io>>) -> Self {
        Self { fork: ForkGuard::new("stream"), operations }
    }

    /// # Safety
    /// `pointer` is NULL or a stream that is not freed before the borrow ends.
    pub(crate) unsafe fn behind<'a>(pointer: *const Self) -> Result<&'a Operations<Stream, Io>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "stream") }?;
        object.fork.check()?;
        Ok(&object.operations)
    }

    /// For calls that let a callback start, which may free the stream.
    ///
    /// # Safety
    /// `pointer` is NULL or a stream that is not freed yet.
    pub(crate) unsafe fn operations(pointer: *const Self) -> Result<Arc<Operations<Stream, Io>>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "stream") }?;
        object.fork.check()?;
        Ok(object.operations.clone())
    }
}
