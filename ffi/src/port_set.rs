//! `coop_port_set`: named UDP sockets, each with a handler that is a table of C functions.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
    ptr,
    sync::Arc,
};

use coop_core::{
    Error, Result,
    port::{Mode, Port, PortSet, PortSetOptions},
};

use crate::{
    address::coop_address,
    event_loop::coop_event_loop,
    guard::{guard, guard_stop, guard_wait},
    handle::{borrow, give, take, wanted},
    options::{self, Options, array},
    port_context::message,
    port_handler::{Checked, coop_port_handler},
    status::coop_status,
};

/// All ports of the set run on the loop that its options name.
pub const COOP_MODE_SINGLE: i32 = 0;
/// Each port has a thread for its handler, and another one that only receives.
pub const COOP_MODE_THREAD: i32 = 1;

/// Bytes that a port may hold unless it is told.
const BUFFER_BYTES: usize = 64 << 20;

/// Named UDP sockets, each with a handler of its own, served in a mode.
#[derive(Debug)]
pub struct coop_port_set {
    set: Arc<PortSet>,
}

impl coop_port_set {
    /// A hold of its own for each call: a handler may free the set before the call is over.
    ///
    /// # Safety
    /// `pointer` is NULL or a set that is not freed yet.
    unsafe fn behind(pointer: *const Self) -> Result<Arc<PortSet>> {
        // SAFETY: the caller's promise.
        Ok(unsafe { borrow(pointer, "set") }?.set.clone())
    }
}

/// A port to be.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port {
    /// sizeof(coop_port), in each of an array.
    pub size: usize,
    /// Unique in its set: UTF-8, copied.
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// What it runs: copied. Must not be NULL.
    pub handler: *const coop_port_handler,
    /// Where the socket is bound: coop_address_parse makes one. No address: any free port of 127.0.0.1.
    pub bind: coop_address,
    /// The only peer, or no address: then everybody is heard, and datagrams need an address.
    pub connect: coop_address,
}

// SAFETY: words and addresses, which are numbers, without padding (tests/c/layout.c); any bytes are a value.
unsafe impl Options for coop_port {
    const NAME: &'static str = "coop_port";
    const FIRST: usize = size_of::<Self>();
}

/// How a set is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port_set_options {
    /// sizeof(coop_port_set_options).
    pub size: usize,
    /// COOP_MODE_SINGLE, which needs event_loop, or COOP_MODE_THREAD.
    pub mode: i32,
    /// Must be 0.
    pub reserved: i32,
    /// The loop that a SINGLE set is served on. It stays the caller's, who frees it after the set.
    pub event_loop: *mut coop_event_loop,
    /// Bytes that each port may hold of what came, and of what is to be sent; what comes above is dropped and counted. 0: 64 MiB.
    pub buffer_bytes: usize,
}

// SAFETY: five fields that fill 32 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_port_set_options {
    const NAME: &'static str = "coop_port_set_options";
    const FIRST: usize = size_of::<Self>();
}

/// What a port has counted since its start.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port_stats {
    /// sizeof(coop_port_stats), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// Datagrams taken from the socket and kept.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams taken from the socket and dropped, because the buffer was full.
    pub dropped: u64,
    /// What the kernel dropped before, because its own buffer was full; in its units, a coalesced run may be one.
    pub kernel_dropped: u64,
    /// Of those received: longer than the library takes, and cut.
    pub truncated: u64,
    /// Datagrams that the system took.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that the system refused, or that were still queued at the end.
    pub send_dropped: u64,
    /// Errors that the system told of earlier datagrams (a peer that is gone).
    pub peer_errors: u64,
    /// Faults of the handler.
    pub errors: u64,
    /// Messages given to the handler.
    pub messages: u64,
}

/// Makes a set of count ports. Nothing is bound before coop_port_set_start.
///
/// options: copied; NULL is SINGLE without a loop, which is refused. ports: copied, with their handlers; the set owns the
/// handlers' arguments if this answers COOP_OK, and none of them otherwise. out: set to the set, which the caller frees
/// with coop_port_set_free.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for no port, no name, a mode out of range, SINGLE without a loop or a buffer too
/// small for a datagram, COOP_E_EXISTS for a name used twice, COOP_E_UNSUPPORTED, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_new(
    options: *const coop_port_set_options,
    ports: *const coop_port,
    count: usize,
    out: *mut *mut coop_port_set,
) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { set_options(options) }?;
        // SAFETY: as many as counted, and each is as long as the first says.
        let parts = unsafe { Part::read_all(ports, count) }?;
        // Refused before anything is owned.
        options.check(parts.iter().map(|part| part.name.as_str()))?;
        let ports = parts.into_iter().map(Part::own).collect();
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(coop_port_set { set: Arc::new(PortSet::new(options, ports)?) }, out) };
        Ok(())
    })
}

/// Stops the set if it runs, waiting up to a second for its handlers, and releases it. NULL does nothing.
///
/// Any thread; once, with no call under way. From inside a handler it returns at once, and the rest happens when that
/// has returned. In a forked child it touches no thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_free(set: *mut coop_port_set) {
    guard_stop!({
        if !set.is_null() {
            // SAFETY: made by coop_port_set_new and freed once.
            drop(unsafe { take(set) });
        }
        Ok(())
    });
}

/// Binds every socket, starts the handlers and waits until each has started.
///
/// A SINGLE set starts on its loop's thread, or on this one while nobody runs the loop.
///
/// Any thread; once. COOP_E_NULL, COOP_E_OS with the port and its address, COOP_E_FAILED if an on_start was not well,
/// COOP_E_CLOSED if one has stopped the set,
/// COOP_E_EXISTS if it was started before, COOP_E_FORKED. After an error nothing is left bound or running.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_start(set: *mut coop_port_set) -> coop_status {
    // SAFETY: a set that is not freed yet.
    guard_wait!(unsafe { coop_port_set::behind(set) }?.start())
}

/// Ends every port (on_stop, then its socket closes) and waits for them.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.
///
/// Any thread, any number of times. COOP_E_TIMEOUT names the ports whose handlers ignore the deadline: they end when their
/// function returns. COOP_E_WOULD_DEADLOCK from inside a handler, which has coop_port_context_stop. COOP_E_NULL,
/// COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_stop(set: *mut coop_port_set, timeout_ns: i64) -> coop_status {
    guard_stop!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        set.stop(options::timeout(timeout_ns, "timeout_ns")?)
    })
}

/// Waits until the set has ended: by coop_port_set_stop, or because a handler asked for it.
///
/// timeout_ns and errors: as coop_port_set_stop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_join(set: *mut coop_port_set, timeout_ns: i64) -> coop_status {
    guard_wait!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        set.join(options::timeout(timeout_ns, "timeout_ns")?)
    })
}

/// Sends a message to a port from outside the set: on_message there without a sender, in the order of sending.
///
/// port, port_length: which port, UTF-8. data, length: copied; NULL if there are none.
///
/// Any thread. COOP_E_INVALID for an unknown name or before the start, COOP_E_CLOSED if that port has ended, COOP_E_FORKED,
/// COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_send_message(
    set: *mut coop_port_set,
    port: *const c_char,
    port_length: usize,
    data: *const c_void,
    length: usize,
) -> coop_status {
    guard!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        // SAFETY: both are as long as told.
        let (port, message) = unsafe { message(port, port_length, data, length) }?;
        Ok(set.send(&port, message)?)
    })
}

/// The address that a port is bound to.
///
/// name, name_length: which port. out: set to the address.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name or before the start, COOP_E_CLOSED if that failed,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_address(
    set: *const coop_port_set,
    name: *const c_char,
    name_length: usize,
    out: *mut coop_address,
) -> coop_status {
    guard!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        wanted(out, "out")?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(name, name_length, "name") }?;
        let address = find(set.addresses()?, name)?;
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(coop_address::of(&address)) };
        Ok(())
    })
}

/// What a port has counted since its start, also after its end.
///
/// name, name_length: which port. out: its size says how much of it is filled.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name, a size of less than two fields, or before the start,
/// COOP_E_CLOSED if that failed, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_stats(
    set: *const coop_port_set,
    name: *const c_char,
    name_length: usize,
    out: *mut coop_port_stats,
) -> coop_status {
    guard!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        wanted(out, "out")?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(name, name_length, "name") }?;
        let stats = find(set.stats()?, name)?;
        // SAFETY: every output struct begins with its size.
        let size = unsafe { out.cast::<usize>().read() };
        if size < 2 * size_of::<u64>() {
            let known = size_of::<coop_port_stats>();
            return Err(Error::Invalid(format!(
                "coop_port_stats.size is {size}: set it to sizeof(coop_port_stats), which is {known}"
            )));
        }
        let filled = coop_port_stats {
            size,
            received: stats.received,
            received_bytes: stats.received_bytes,
            dropped: stats.dropped,
            kernel_dropped: stats.kernel_dropped,
            truncated: stats.truncated,
            sent: stats.sent,
            sent_bytes: stats.sent_bytes,
            send_dropped: stats.send_dropped,
            peer_errors: stats.peer_errors,
            errors: stats.errors,
            messages: stats.messages,
        };
        let bytes = size.min(size_of::<coop_port_stats>());
        // SAFETY: the caller has room for `size` bytes.
        unsafe { ptr::copy_nonoverlapping((&raw const filled).cast::<u8>(), out.cast::<u8>(), bytes) };
        Ok(())
    })
}

fn find<T>(all: Vec<(String, T)>, name: Option<String>) -> Result<T> {
    let name = name.unwrap_or_default();
    let names = || all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = Error::Invalid(format!("no port {name:?} in this set: its ports are {}", names()));
    all.into_iter().find(|(known, _)| *known == name).map(|(_, found)| found).ok_or(unknown)
}

/// # Safety
/// As [`options::read`].
unsafe fn set_options(options: *const coop_port_set_options) -> Result<PortSetOptions> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    options::reserved(read.reserved, "coop_port_set_options.reserved")?;
    let mode = match read.mode {
        COOP_MODE_SINGLE => Mode::Single,
        COOP_MODE_THREAD => Mode::Thread,
        other => {
            let allowed = "COOP_MODE_SINGLE is 0, COOP_MODE_THREAD is 1";
            return Err(Error::Invalid(format!("mode {other} is out of range: {allowed}")));
        }
    };
    let event_loop = if read.event_loop.is_null() {
        None
    } else {
        // SAFETY: a loop that is not freed yet.
        Some(unsafe { coop_event_loop::handle(read.event_loop) }?)
    };
    let buffer_bytes = if read.buffer_bytes == 0 { BUFFER_BYTES } else { read.buffer_bytes };
    Ok(PortSetOptions { mode, event_loop, buffer_bytes, ..PortSetOptions::threads() })
}

/// A port's options in the core's terms; owns nothing of C's.
struct Part {
    name: String,
    bind: SocketAddr,
    connect: Option<SocketAddr>,
    handler: Checked,
}

impl Part {
    /// The caller's structs may be longer than the one that is known here, and then lie further apart.
    ///
    /// # Safety
    /// `ports` is NULL or points to `count` ports, each as long as the size of the first, and their handlers are as long as they say.
    unsafe fn read_all(ports: *const coop_port, count: usize) -> Result<Vec<Self>> {
        if count == 0 || ports.is_null() {
            // SAFETY: nothing is read.
            return unsafe { array(ports, count, "ports") }.map(|_| Vec::new());
        }
        // SAFETY: each begins with its size.
        let size = |port: *const coop_port| unsafe { port.cast::<usize>().read() };
        let step = size(ports);
        if step % align_of::<coop_port>() != 0 {
            let known = size_of::<coop_port>();
            return Err(Error::Invalid(format!(
                "coop_port.size is {step}: set it to sizeof(coop_port), which is {known}"
            )));
        }
        let bytes = step.checked_mul(count).filter(|bytes| isize::try_from(*bytes).is_ok());
        bytes.ok_or_else(|| Error::Invalid(format!("{count} of ports do not fit into memory")))?;
        let read_one = |index: usize| {
            let port = ports.wrapping_byte_add(index * step);
            if size(port) != step {
                let text = format!(
                    "ports[{index}].size is {}, and ports[0].size is {step}: set each to sizeof(coop_port)",
                    size(port)
                );
                return Err(Error::Invalid(text));
            }
            // SAFETY: it and its handler are as long as they say.
            unsafe { Self::read(port) }
        };
        (0..count).map(read_one).collect()
    }

    /// # Safety
    /// The port and its handler are as long as they say.
    unsafe fn read(port: *const coop_port) -> Result<Self> {
        // SAFETY: the caller's promise.
        let read = unsafe { options::read(port) }?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(read.name, read.name_length, "coop_port.name") }?;
        // SAFETY: the caller's promise.
        let handler = unsafe { Checked::read(read.handler) }?;
        let bind = read.bind.read()?.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        Ok(Self { name: name.unwrap_or_default(), bind, connect: read.connect.read()?, handler })
    }

    fn own(self) -> Port {
        Port { name: self.name, bind: self.bind.into(), connect: self.connect, making: self.handler.own().into() }
    }
}
