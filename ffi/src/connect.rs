//! Connections that are made, and names that are looked up, with a callback at the end.

use std::{
    ffi::{c_char, c_void},
    future::Future,
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use coop_core::{
    Error, Result,
    event_loop::{
        Ending, Handle, On, Strand,
        stream::{ConnectOptions, Operations, Stream},
    },
};

use crate::{
    address::{coop_address, parse},
    error::{coop_error, told},
    event_loop::coop_event_loop,
    foreign::{Foreign, foreign},
    guard::guard,
    handle::null,
    options::{self, Options},
    source::{self, coop_source_options},
    status::coop_status,
    stream::coop_stream,
    stream_io::{Io, order_of},
    stream_settings::{Made, coop_stream_options, stream_options},
    tsan::Inside,
};

/// A function that is handed a stream. drop(arg) is called once: after the only run when one connects, and when the listener is freed. See
/// coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_stream_callback {
    /// error: NULL if there is a stream. stream: the callback's, who frees it; NULL beside an error. Callbacks of the stream are not told
    /// before this one has returned. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, stream: *mut coop_stream)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// A function that is told once where a name is; then drop(arg) is called. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_resolve_callback {
    /// error: NULL if there are addresses. addresses, count: in the order in which to try them, until the callback returns; NULL and 0 beside
    /// an error. Must not be NULL.
    pub r#fn: Option<
        unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, addresses: *const coop_address, count: usize),
    >,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

pub(crate) type Connected = unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, stream: *mut coop_stream);
type Resolved =
    unsafe extern "C" fn(arg: *mut c_void, error: *const coop_error, addresses: *const coop_address, count: usize);

/// How to connect. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_connect_options {
    /// sizeof(coop_connect_options).
    pub size: usize,
    /// Nanoseconds for all of it, the look-up of the name too; then it is COOP_E_TIMEOUT. 0: as long as the system tries.
    pub timeout_ns: i64,
    /// The address to connect from: "192.0.2.1:0"; port 0 is any. NULL: any.
    pub local: *const c_char,
    /// The bytes of local.
    pub local_length: usize,
    /// How the stream is, and where its callbacks run; the one that is handed the stream, too. NULL is all defaults.
    pub stream: *const coop_stream_options,
}

// SAFETY: numbers and pointers, five fields that fill 40 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_connect_options {
    const NAME: &'static str = "coop_connect_options";
    const FIRST: usize = size_of::<Self>();
}

/// Connects to a host over TCP. A name is looked up beside the loop, and its addresses are tried in turn, IPv6 and IPv4 in overlap.
///
/// options: copied; NULL is all defaults. host, host_length: a name, "127.0.0.1" or "::1"; UTF-8, copied. port: from 1. callback: told once,
/// after this call, with the stream or the error; the loop owns callback.arg if this answers COOP_OK.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for a text, a time, a place or a priority, COOP_E_AFFINITY for a CPU set without a worker,
/// COOP_E_UNSUPPORTED for options, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED. The callback is told COOP_E_RESOLVE for a name
/// that has no address, COOP_E_OS (ECONNREFUSED, ...) of the last address tried, COOP_E_TIMEOUT, and COOP_E_CLOSED if the loop ends before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_connect(
    event_loop: *mut coop_event_loop,
    options: *const coop_connect_options,
    host: *const c_char,
    host_length: usize,
    port: u16,
    callback: coop_stream_callback,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: the text is as long as told.
        let host = unsafe { options::text(host, host_length, "host") }?.ok_or_else(|| null("host"))?;
        // SAFETY: options are NULL or as long as they say, and so is what they point to.
        let (options, made) = unsafe { connect_options(options) }?;
        let connecting = handle.connect(&host, port, &options);
        begin_connecting(&handle, made, connecting, callback)
    })
}

/// Connects to a Unix socket.
///
/// path, path_length: a path; on Linux a name that begins with a NUL is one of the abstract kind, which is no file. Copied. Otherwise as
/// coop_event_loop_connect; options.local must not be there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_connect_unix(
    event_loop: *mut coop_event_loop,
    options: *const coop_connect_options,
    path: *const c_char,
    path_length: usize,
    callback: coop_stream_callback,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: the text is as long as told.
        let path = unsafe { options::path(path, path_length, "path") }?.ok_or_else(|| null("path"))?;
        // SAFETY: options are NULL or as long as they say, and so is what they point to.
        let (options, made) = unsafe { connect_options(options) }?;
        if options.local.is_some() {
            return Err(Error::Invalid(
                "coop_connect_options.local beside a Unix socket: it has no address to connect from".into(),
            ));
        }
        let connecting = handle.connect_unix(&path, &options);
        begin_connecting(&handle, made, connecting, callback)
    })
}

/// Looks up the addresses of a host, beside the loop.
///
/// options: copied; NULL is all defaults. host, host_length: a name, "127.0.0.1" or "::1"; UTF-8, copied. port: the one in the addresses.
/// callback: told once, after this call; the loop owns callback.arg if this answers COOP_OK.
///
/// Any thread. As coop_event_loop_connect. The callback is told COOP_E_RESOLVE for a name that has no address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_resolve(
    event_loop: *mut coop_event_loop,
    options: *const coop_source_options,
    host: *const c_char,
    host_length: usize,
    port: u16,
    callback: coop_resolve_callback,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; the callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        // SAFETY: the text is as long as told.
        let host = unsafe { options::text(host, host_length, "host") }?.ok_or_else(|| null("host"))?;
        // SAFETY: options are NULL or as long as they say, and so is their CPU set.
        let on = unsafe { source::read(options) }?;
        let resolving = handle.resolve(&host, port);
        let tell = foreign!(callback)?;
        begin(&handle, &on, resolving, ToldAddresses(tell))
    })
}

/// # Safety
/// `options` is NULL or as long as it says, and so is what it points to.
unsafe fn connect_options(options: *const coop_connect_options) -> Result<(ConnectOptions, Made)> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    // SAFETY: the caller's promise.
    let local = unsafe { parse(read.local, read.local_length, "coop_connect_options.local") }?;
    // SAFETY: the caller's promise.
    let made = unsafe { stream_options(read.stream) }?;
    let timeout = options::duration(read.timeout_ns, "coop_connect_options.timeout_ns")?;
    let timeout = (!timeout.is_zero()).then_some(timeout);
    Ok((ConnectOptions { timeout, local, stream: made.options.clone() }, made))
}

fn begin_connecting(
    handle: &Handle,
    made: Made,
    connecting: impl Future<Output = Result<Stream>> + Send + 'static,
    callback: coop_stream_callback,
) -> Result<()> {
    let tell = foreign!(callback)?;
    let on = made.on.clone();
    begin(handle, &on, connecting, ToldStream(tell, made.on))
}

/// Who is told what came of it.
trait Told<T>: Send + 'static {
    fn tell(self, result: Result<T>);
    /// It was not accepted: the argument is C's.
    fn forget(self);
}

struct ToldStream(Foreign<Connected>, On);

impl Told<Stream> for ToldStream {
    fn tell(self, result: Result<Stream>) {
        hand_over(&self.0, &self.1, result);
    }

    fn forget(self) {
        mem::forget(self.0);
    }
}

/// Has C's function take a stream, or the reason why there is none.
pub(crate) fn hand_over(callback: &Foreign<Connected>, on: &On, result: Result<Stream>) {
    let call = |error, stream| {
        let _inside = Inside::after_others(callback.arg);
        // SAFETY: C gave the function for this argument.
        unsafe { (callback.run)(callback.arg, error, stream) };
    };
    let error = match result {
        Err(error) => error,
        Ok(stream) => {
            let give = |operations: Arc<Operations<Stream, Io>>| {
                let _in_order = Inside::after_others(order_of(&operations));
                call(std::ptr::null(), Box::into_raw(Box::new(coop_stream::new(operations))));
            };
            match Operations::hand_over(stream, on, give) {
                Ok(()) => return,
                Err(refused) => refused.error,
            }
        }
    };
    told(Err(&error), |error| call(error, std::ptr::null_mut()));
}

struct ToldAddresses(Foreign<Resolved>);

impl Told<Vec<SocketAddr>> for ToldAddresses {
    fn tell(self, result: Result<Vec<SocketAddr>>) {
        let call = |error, addresses: &[coop_address]| {
            let _inside = Inside::once(self.0.arg);
            let first = if addresses.is_empty() { std::ptr::null() } else { addresses.as_ptr() };
            // SAFETY: C gave the function for this argument.
            unsafe { (self.0.run)(self.0.arg, error, first, addresses.len()) };
        };
        match result {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(coop_address::of).collect();
                call(std::ptr::null(), &addresses);
            }
            Err(error) => told(Err(&error), |error| call(error, &[])),
        }
    }

    fn forget(self) {
        mem::forget(self.0);
    }
}

/// Runs `future` on the loop; what comes of it is told once, at the place, and also if the loop ends before it does.
fn begin<T, F, W>(handle: &Handle, on: &On, future: F, who: W) -> Result<()>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
    W: Told<T>,
{
    let strand = match Strand::new(handle, on) {
        Ok(strand) => strand,
        Err(error) => {
            who.forget();
            return Err(error);
        }
    };
    let who = Arc::new(Mutex::new(Some(who)));
    let owed = Owed { who: who.clone(), strand };
    let spawned = handle.spawn(async move {
        let result = future.await;
        owed.pay(result);
    });
    match spawned {
        Ok(_goes_on_by_itself) => Ok(()),
        Err(refused) => {
            let who = who.lock().unwrap_or_else(PoisonError::into_inner).take();
            who.into_iter().for_each(Told::forget);
            Err(refused.error)
        }
    }
}

/// Somebody waits to be told.
struct Owed<T: Send + 'static, W: Told<T>> {
    who: Arc<Mutex<Option<W>>>,
    strand: Arc<Strand<Answer<T, W>>>,
}

impl<T: Send + 'static, W: Told<T>> Owed<T, W> {
    fn pay(&self, result: Result<T>) {
        let who = self.who.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(who) = who {
            self.strand.push_promised(Answer { who, result });
        }
    }
}

impl<T: Send + 'static, W: Told<T>> Drop for Owed<T, W> {
    fn drop(&mut self) {
        // Of a coroutine that the loop has dropped; one that has ended owes nothing.
        self.pay(Err(Error::Closed("event loop")));
    }
}

struct Answer<T, W> {
    who: W,
    result: Result<T>,
}

impl<T: Send + 'static, W: Told<T>> Ending for Answer<T, W> {
    fn tell(self) {
        self.who.tell(self.result);
    }
}
