//! How a stream is: what it is made with, and what can be changed later.

use std::{io, time::Duration};

use coop_core::{
    Error, Result,
    event_loop::{
        On,
        stream::{KeepAlive, Stream, StreamOptions},
    },
};
use socket2::SockRef;

use crate::{
    cpu_set::coop_cpu_set,
    event_loop::place,
    guard::guard,
    options::{self, Options},
    status::coop_status,
    stream::coop_stream,
};

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

/// Says whether what is written goes out at once (1, TCP_NODELAY), or may wait a little for more (0, the default).
///
/// Any thread. COOP_E_INVALID for another number, COOP_E_OS for a Unix socket, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_set_nodelay(stream: *mut coop_stream, nodelay: i32) -> coop_status {
    // SAFETY: a stream that is not freed yet.
    guard!(unsafe { set(stream, |stream| stream.set_nodelay(options::flag(nodelay, "nodelay")?)) })
}

/// Has the system ask after a peer that is silent: a connection whose other side has vanished ends with ETIMEDOUT.
///
/// idle_ns: nanoseconds of silence before the first question; the system counts seconds, rounded up. 0: never ask. Any thread. COOP_E_INVALID, COOP_E_OS, COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_set_keepalive(stream: *mut coop_stream, idle_ns: i64) -> coop_status {
    // SAFETY: a stream that is not freed yet.
    guard!(unsafe { set(stream, |stream| stream.set_keepalive(keepalive(options::duration(idle_ns, "idle_ns")?))) })
}

/// Says what becomes of bytes that are not sent yet when the stream is closed.
///
/// linger_ns: 0: they are thrown away, and the peer sees a reset. COOP_FOREVER: the system sends them meanwhile, which is the default.
/// Another time makes coop_stream_free wait that long for them; seconds, rounded up. Any thread. COOP_E_INVALID, COOP_E_OS, COOP_E_NULL,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_stream_set_linger(stream: *mut coop_stream, linger_ns: i64) -> coop_status {
    // SAFETY: a stream that is not freed yet.
    guard!(unsafe { set(stream, |stream| stream.set_linger(options::timeout(linger_ns, "linger_ns")?)) })
}

/// # Safety
/// `stream` is NULL or not freed yet.
unsafe fn set(stream: *const coop_stream, how: impl FnOnce(&Stream) -> Result<()>) -> Result<()> {
    // SAFETY: the caller's promise.
    how(unsafe { coop_stream::behind(stream) }?.source())
}

/// The system counts seconds here.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

fn keepalive(idle: Duration) -> Option<KeepAlive> {
    (!idle.is_zero()).then(|| KeepAlive::after(whole_seconds(idle)))
}

/// What a stream is to be, in the core's terms.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) on: On,
    pub(crate) options: StreamOptions,
}

impl Made {
    /// On a socket that is connected already.
    pub(crate) fn set(&self, stream: &Stream) -> Result<()> {
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
