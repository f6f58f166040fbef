//! `coop_stream`: a connection, TCP or Unix, whose reads and writes end in callbacks.

use std::{
    ffi::c_void,
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use coop_core::{
    Error, Result,
    event_loop::{
        Direction, On, Strand,
        stream::{KeepAlive, Operations, Stream, StreamOptions},
    },
    fork::ForkGuard,
};
use socket2::SockRef;

use crate::{
    address::coop_address,
    cpu_set::coop_cpu_set,
    event_loop::{coop_event_loop, place},
    foreign::Foreign,
    guard::guard,
    handle::{borrow, give, null, take, wanted},
    io_watch::{COOP_IO_READ, COOP_IO_WRITE},
    options::{self, Options, array},
    status::{COOP_OK, coop_status},
    stream_io::{Io, What, coop_io_callback, order_of},
};

/// How many descriptors go with one coop_stream_send_descriptors.
pub const COOP_STREAM_DESCRIPTORS: usize = 253;

/// A connected stream socket, TCP or Unix. It never blocks; its descriptor is closed on exec.
///
/// What waits ends in a callback: one read and one write may be under way at a time, each with a buffer of the caller's that stays where
/// it is until the callback is told. What is not read stays in the system, so a fast sender waits for a slow reader.
#[derive(Debug)]
pub struct coop_stream {
    fork: ForkGuard,
    operations: Arc<Operations<Stream, Io>>,
}

/// How a stream is, and where its callbacks run. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_stream_options {
    /// sizeof(coop_stream_options).
    pub size: usize,
    /// One of COOP_ON_*.
    pub on: i32,
    /// One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
    pub priority: i32,
    /// On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
    pub cpus: coop_cpu_set,
    /// 1: what is written goes out at once, instead of waiting a little for more (TCP_NODELAY). Of no meaning for Unix sockets.
    pub nodelay: i32,
    /// Must be 0.
    pub reserved: i32,
    /// Nanoseconds of silence after which the system asks whether the peer is still there; it counts seconds, rounded up. 0 never
    /// asks. Of no meaning for Unix sockets.
    pub keepalive_ns: i64,
    /// Bytes that the system may hold of what has come; it may allow less. 0 is the system's default, which grows by itself.
    pub recv_buffer: usize,
    /// Bytes that the system may hold of what is to go; it may allow less. 0 is the system's default, which grows by itself.
    pub send_buffer: usize,
}

// SAFETY: numbers and a set of them, nine fields that fill 64 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_stream_options {
    const NAME: &'static str = "coop_stream_options";
    const FIRST: usize = size_of::<Self>();
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

/// Says whether what is written goes out at once (1, TCP_NODELAY), or may wait a little for more (0, the default).
///
/// Any thread. COOP_E_INVALID for another number, COOP_E_OS for a Unix socket, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_set_nodelay(stream: *mut coop_stream, nodelay: i32) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        let operations = unsafe { coop_stream::behind(stream) }?;
        operations.source().set_nodelay(options::flag(nodelay, "nodelay")?)
    })
}

/// Has the system ask after a peer that is silent: a connection whose other side has vanished ends with ETIMEDOUT.
///
/// idle_ns: nanoseconds of silence before the first question; the system counts seconds, rounded up. 0: never ask. Any thread. COOP_E_INVALID, COOP_E_OS, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_set_keepalive(stream: *mut coop_stream, idle_ns: i64) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        let operations = unsafe { coop_stream::behind(stream) }?;
        operations.source().set_keepalive(keepalive(options::duration(idle_ns, "idle_ns")?))
    })
}

/// Says what becomes of bytes that are not sent yet when the stream is closed.
///
/// linger_ns: 0: they are thrown away, and the peer sees a reset. COOP_FOREVER: the system sends them meanwhile, which is the default.
/// Another time makes coop_stream_free wait that long for them; seconds, rounded up. Any thread. COOP_E_INVALID, COOP_E_OS, COOP_E_NULL,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_set_linger(stream: *mut coop_stream, linger_ns: i64) -> coop_status {
    guard!({
        // SAFETY: a stream that is not freed yet.
        let operations = unsafe { coop_stream::behind(stream) }?;
        operations.source().set_linger(options::timeout(linger_ns, "linger_ns")?)
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
    let callback = Foreign::new(callback.r#fn, callback.arg, callback.drop)?;
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

/// The system counts seconds here.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

fn keepalive(idle: Duration) -> Option<KeepAlive> {
    (!idle.is_zero()).then(|| KeepAlive::after(whole_seconds(idle)))
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

/// What a stream is to be, in the core's terms.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) on: On,
    pub(crate) options: StreamOptions,
}

impl Made {
    /// On a socket that is connected already.
    fn set(&self, stream: &Stream) -> Result<()> {
        let socket = SockRef::from(stream);
        let buffers = || -> io::Result<()> {
            if let Some(bytes) = self.options.recv_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            if let Some(bytes) = self.options.send_buffer {
                socket.set_send_buffer_size(bytes)?;
            }
            Ok(())
        };
        buffers().map_err(|error| Error::os("set the buffers of a stream", &error))?;
        if stream.peer_addr().as_ip().is_some() {
            if self.options.nodelay {
                stream.set_nodelay(true)?;
            }
            if self.options.keepalive.is_some() {
                stream.set_keepalive(self.options.keepalive)?;
            }
        }
        Ok(())
    }
}

/// # Safety
/// `options` is NULL or as long as it says, and its CPU set too.
pub(crate) unsafe fn stream_options(options: *const coop_stream_options) -> Result<Made> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    // SAFETY: the caller's promise.
    let on = unsafe { place(read.on, read.priority, read.cpus) }?;
    options::reserved(read.reserved, "coop_stream_options.reserved")?;
    let options = StreamOptions {
        nodelay: options::flag(read.nodelay, "coop_stream_options.nodelay")?,
        keepalive: keepalive(options::duration(read.keepalive_ns, "coop_stream_options.keepalive_ns")?),
        recv_buffer: (read.recv_buffer > 0).then_some(read.recv_buffer),
        send_buffer: (read.send_buffer > 0).then_some(read.send_buffer),
        ..StreamOptions::default()
    };
    Ok(Made { on, options })
}

impl coop_stream {
    /// A stream for C.
    pub(crate) fn new(operations: Arc<Operations<Stream, Io>>) -> Self {
        Self { fork: ForkGuard::new("stream"), operations }
    }

    /// # Safety
    /// `pointer` is NULL or a stream that is not freed before the borrow ends.
    unsafe fn behind<'a>(pointer: *const Self) -> Result<&'a Operations<Stream, Io>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "stream") }?;
        object.fork.check()?;
        Ok(&object.operations)
    }

    /// For calls that let a callback start, which may free the stream.
    ///
    /// # Safety
    /// `pointer` is NULL or a stream that is not freed yet.
    unsafe fn operations(pointer: *const Self) -> Result<Arc<Operations<Stream, Io>>> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "stream") }?;
        object.fork.check()?;
        Ok(object.operations.clone())
    }
}
