//! `coop_listener`: accepts connections and hands each to a callback.

use std::{ffi::c_char, mem, os::fd::AsRawFd, sync::Arc};

use coop_core::{
    Error, Result,
    event_loop::{
        Direction, On, Strand,
        stream::{Accept, Accepting, ListenOptions, Listener, Operation, Operations, Stream},
    },
    fork::ForkGuard,
};

use crate::{
    address::{coop_address, parse},
    connect::{Connected, coop_stream_callback, hand_over},
    event_loop::coop_event_loop,
    foreign::{Foreign, foreign},
    guard::guard,
    handle::{borrow, give, take, wanted},
    options::{self, Options},
    status::{COOP_OK, coop_status},
    stream_settings::{coop_stream_options, stream_options},
};

/// A listening socket, TCP or Unix, that accepts what comes.
#[derive(Debug)]
pub struct coop_listener {
    fork: ForkGuard,
    accepts: Accepts,
}

/// Who asks for connections.
#[derive(Debug)]
enum Accepts {
    /// Nobody has to: the callback takes each.
    Each(Arc<Accepting<OnAccept>>),
    /// coop_listener_accept, one at a time.
    Asked(Arc<Operations<Listener, Asked>>, On),
}

/// Where to listen, and how. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_listener_options {
    /// sizeof(coop_listener_options).
    pub size: usize,
    /// Where: "127.0.0.1:7000", "[::1]:7000"; port 0 takes a free one. One of address and path must be there.
    pub address: *const c_char,
    /// The bytes of address.
    pub address_length: usize,
    /// Or a Unix socket: a path, whose file is removed when the listener is freed; on Linux a name that begins with a NUL is one of the
    /// abstract kind, which is no file.
    pub path: *const c_char,
    /// The bytes of path.
    pub path_length: usize,
    /// How many connections may wait in the system; it may allow fewer. 0: 4096.
    pub backlog: u32,
    /// 1: several sockets may listen at this address, and the kernel spreads the connections over them.
    pub reuse_port: i32,
    /// 1: the address is refused while connections of an earlier listener linger there.
    pub no_reuse_address: i32,
    /// 1: a Unix socket's file that nobody listens at any more is replaced, instead of refused.
    pub replace: i32,
    /// How the streams are, and where their callbacks run; that of the listener, too. NULL is all defaults.
    pub stream: *const coop_stream_options,
}

// SAFETY: numbers and pointers, ten fields that fill 64 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_listener_options {
    const NAME: &'static str = "coop_listener_options";
    const FIRST: usize = size_of::<Self>();
}

/// Listens, and hands each connection to the callback.
///
/// options: copied. callback: called for each connection, one call after another; the listener owns callback.arg if this answers COOP_OK. It
/// may be called before out is set. With fn NULL there is none (arg and drop are not looked at): connections wait for coop_listener_accept.
/// out: set to the listener, which the caller frees with coop_listener_free.
///
/// When the process has no file descriptor left, the callback is told so once (COOP_E_OS, EMFILE); connections wait, and it tries again every
/// 100 ms. When the loop ends, the callback is told COOP_E_CLOSED, the last time. While a callback in the pool is slow, what comes waits in
/// the system.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for an address, a path, a place or a priority, COOP_E_AFFINITY for a CPU set without a worker,
/// COOP_E_UNSUPPORTED for options, COOP_E_EXISTS for a path where there is a file, COOP_E_OS (EADDRINUSE, ...), COOP_E_CLOSED once the loop was
/// stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_listener_new(
    event_loop: *mut coop_event_loop,
    options: *const coop_listener_options,
    callback: coop_stream_callback,
    out: *mut *mut coop_listener,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let read = unsafe { options::read(options) }?;
        // SAFETY: the text is as long as told.
        let address = unsafe { parse(read.address, read.address_length, "coop_listener_options.address") }?;
        // SAFETY: as above.
        let path = unsafe { options::path(read.path, read.path_length, "coop_listener_options.path") }?;
        // SAFETY: NULL, or as long as they say.
        let made = unsafe { stream_options(read.stream) }?;
        let mut how = ListenOptions {
            reuse_port: options::flag(read.reuse_port, "coop_listener_options.reuse_port")?,
            no_reuse_address: options::flag(read.no_reuse_address, "coop_listener_options.no_reuse_address")?,
            replace: options::flag(read.replace, "coop_listener_options.replace")?,
            stream: made.options,
            ..ListenOptions::default()
        };
        if read.backlog > 0 {
            how.backlog = read.backlog;
        }
        let listener = match (address, path) {
            (Some(address), None) => handle.listen(address, &how)?,
            (None, Some(path)) => handle.listen_unix(&path, &how)?,
            _ => {
                return Err(Error::Invalid(
                    "coop_listener_options: one of address and path says where to listen".into(),
                ));
            }
        };
        let accepts = match callback.r#fn {
            None => Accepts::Asked(Operations::with(listener, Strand::new(&handle, &made.on)?), made.on),
            Some(run) => {
                // Refuses what the callback would be refused, before anything is owned.
                let strand = Strand::new(&handle, &made.on)?;
                let callback = Foreign::own(run, callback.arg, callback.drop);
                let accept = Arc::new(OnAccept { callback, on: made.on });
                match Accepting::new(listener, strand, &accept) {
                    Ok(accepting) => Accepts::Each(accepting),
                    Err(error) => {
                        // Nothing was called: the argument is still C's.
                        if let Some(accept) = Arc::into_inner(accept) {
                            mem::forget(accept.callback);
                        }
                        return Err(error);
                    }
                }
            }
        };
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_listener { fork: ForkGuard::new("listener"), accepts }, out) };
        Ok(())
    })
}

/// Takes one connection, once there is one. For a listener without a callback of its own.
///
/// callback: told once, after this call, with the stream or the error; the listener owns callback.arg if this answers COOP_OK. While the
/// process has no file descriptor left it waits for one.
///
/// Any thread. COOP_E_EXISTS while one is being waited for (until its callback begins), and for a listener whose callback takes what comes;
/// COOP_E_NULL, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED. The callback is told COOP_E_CANCELLED by coop_listener_cancel and
/// coop_listener_free, COOP_E_CLOSED if the loop ends before, COOP_E_OS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_listener_accept(
    listener: *mut coop_listener,
    callback: coop_stream_callback,
) -> coop_status {
    guard!({
        // SAFETY: a listener that is not freed yet.
        let (operations, on) = match &unsafe { coop_listener::behind(listener) }?.accepts {
            // The callback may free the listener.
            Accepts::Asked(operations, on) => (operations.clone(), on.clone()),
            Accepts::Each(_) => {
                return Err(Error::Exists("the listener has a callback of its own, which takes what comes".into()));
            }
        };
        let callback = foreign!(callback)?;
        operations.start(Direction::Read, Asked { callback, on, stream: None }).map_err(|not_taken| {
            mem::forget(not_taken.value.callback);
            not_taken.error
        })
    })
}

/// Ends the wait of coop_listener_accept: its callback is told COOP_E_CANCELLED, not inside this call. The listener goes on.
///
/// Any thread. COOP_E_STALE if there is none, or it has ended already; COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_listener_cancel(listener: *mut coop_listener) -> coop_status {
    guard!({
        // SAFETY: a listener that is not freed yet.
        let ended = match &unsafe { coop_listener::behind(listener) }?.accepts {
            Accepts::Asked(operations, _) => operations.clone().cancel(Direction::Read),
            Accepts::Each(_) => false,
        };
        if ended { Ok(()) } else { Err(Error::Stale("accept")) }
    })
}

/// Stops listening and releases the listener: its callback does not begin any more, and its argument is dropped now; if it is running (it
/// may be the caller), when it returns. Streams that it handed over live on; those on their way are closed. NULL does nothing.
///
/// Any thread, also the listener's own callback; once, with no call begun after it. In a forked child it closes the child's copy of the
/// descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_listener_free(listener: *mut coop_listener) {
    guard!({
        if listener.is_null() {
            return Ok(());
        }
        // SAFETY: made by coop_listener_new and freed once.
        let object = unsafe { take(listener) };
        if let (Err(_), Accepts::Each(accepting)) = (object.fork.check(), &object.accepts) {
            // The parent's callback is not dropped here.
            mem::forget(accepting.accept().clone());
        }
        drop(object);
        Ok(())
    });
}

/// Says which address and port the listener has; coop_address_text makes words of it.
///
/// out: set to the address; to no address (length 0) for a Unix socket. Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_listener_address(listener: *const coop_listener, out: *mut coop_address) -> coop_status {
    guard!({
        // SAFETY: a listener that is not freed yet.
        let object = unsafe { coop_listener::behind(listener) }?;
        wanted(out, "out")?;
        let address = coop_address::maybe(object.listener().local_addr().as_ip().as_ref());
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(address) };
        Ok(())
    })
}

/// The listener's descriptor; it stays the listener's. Not to be watched: the listener does that. COOP_E_NULL or COOP_E_FORKED, which are
/// negative, if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_listener_fd(listener: *const coop_listener) -> i32 {
    let mut fd = COOP_OK;
    let status = guard!({
        // SAFETY: a listener that is not freed yet.
        fd = unsafe { coop_listener::behind(listener) }?.listener().as_raw_fd();
        Ok(())
    });
    if status == COOP_OK { fd } else { status }
}

impl coop_listener {
    /// # Safety
    /// `pointer` is NULL or a listener that is not freed before the borrow ends.
    unsafe fn behind<'a>(pointer: *const Self) -> Result<&'a Self> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "listener") }?;
        object.fork.check()?;
        Ok(object)
    }

    fn listener(&self) -> &Listener {
        match &self.accepts {
            Accepts::Each(accepting) => accepting.listener(),
            Accepts::Asked(operations, _) => operations.source(),
        }
    }
}

/// One connection that was asked for.
struct Asked {
    callback: Foreign<Connected>,
    on: On,
    stream: Option<Stream>,
}

impl Operation<Listener> for Asked {
    fn attempt(&mut self, listener: &Listener) -> Result<bool> {
        match listener.try_accept() {
            Ok(stream) => self.stream = Some(stream),
            // The listener tells when it is worth another attempt.
            Err(_) if listener.is_paused() => return Err(Error::WouldBlock("listener")),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn end(self, result: Result<()>) {
        let stream = result.and_then(|()| self.stream.ok_or(Error::Closed("listener")));
        hand_over(&self.callback, &self.on, stream);
    }
}

/// C's callback.
struct OnAccept {
    callback: Foreign<Connected>,
    on: On,
}

// SAFETY: the listener's strand makes one call at a time.
unsafe impl Sync for OnAccept {}

impl Accept for OnAccept {
    fn accepted(&self, result: Result<Stream>) {
        hand_over(&self.callback, &self.on, result);
    }
}
