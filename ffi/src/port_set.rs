//! `coop_port_set`: named sockets, each with a handler that is a table of C functions.

use std::{
    ffi::{c_char, c_void},
    ptr,
    sync::Arc,
};

use coop_core::{
    Error, Result,
    port::{Mode, PortSet, PortSetOptions},
};

use crate::{
    address::coop_address,
    command::{self, coop_command},
    event_loop::coop_event_loop,
    guard::{guard, guard_stop, guard_wait},
    handle::{borrow, give, take, wanted},
    host::coop_host,
    options::{self, Options},
    port::{Part, coop_port},
    port_context::message,
    port_place,
    port_process::{self, coop_named_handler},
    status::coop_status,
    supervisor::coop_service_id,
};

/// All ports of the set run on the loop that its options name.
pub const COOP_MODE_SINGLE: i32 = 0;
/// Each port has a thread for its handler, and another one that only receives.
pub const COOP_MODE_THREAD: i32 = 1;

/// Each port has a process of its own, which is started again when it ends. Handlers have names: coop_port.handler_name.
pub const COOP_MODE_PROCESS: i32 = 2;

/// Named sockets, of datagrams or of connections, each with a handler of its own, served in a mode.
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

/// How a set is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port_set_options {
    /// sizeof(coop_port_set_options).
    pub size: usize,
    /// COOP_MODE_SINGLE, which needs event_loop, COOP_MODE_THREAD, or COOP_MODE_PROCESS.
    pub mode: i32,
    /// Must be 0.
    pub reserved: i32,
    /// The loop that a SINGLE set is served on. It stays the caller's, who frees it after the set.
    pub event_loop: *mut coop_event_loop,
    /// Bytes that each port may hold of what came, and of what is to be sent; what comes above is dropped and counted. 0: 64 MiB.
    pub buffer_bytes: usize,
    /// The program's handlers: what coop_port.handler_name names. In mode PROCESS those that the workers' program hands to
    /// coop_port_worker_main are used.
    pub handlers: *const coop_named_handler,
    /// How many.
    pub handler_count: usize,
    /// In mode PROCESS the workers' program, environment, limits and output; without argv it is this program, entered again. NULL: this program. It
    /// must call coop_port_worker_main. on_line is not for these.
    pub command: *const coop_command,
    /// In mode PROCESS a host that supervises the workers, below supervisor; events of them are its. It must outlive the set. NULL: the
    /// set has one of its own.
    pub host: *const coop_host,
    /// Beside host: which of its supervisors. 0: the root.
    pub supervisor: coop_service_id,
    /// In mode PROCESS what the set is called below that supervisor, and in the workers' output: UTF-8, copied; NULL is "ports".
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
    /// Bytes that each handler may save. 0: 1 MiB.
    pub saved_bytes: usize,
    /// What messages that wait may take, from each port to each and from outside to each, in every mode: a power of two, 64 to 2^31. A message takes 8
    /// bytes and its own, up to the next multiple of 8. 0: 1 MiB.
    pub ring_bytes: usize,
    /// In mode PROCESS how long a worker may take to start, in nanoseconds. 0: 60 s.
    pub ready_ns: i64,
    /// In mode PROCESS: a worker whose process did not run for so long is replaced, in nanoseconds. 0: 2 s. COOP_NONE: none is.
    pub liveness_ns: i64,
    /// In mode PROCESS how long a worker may take to stop where nobody says anything else, in nanoseconds. 0: 1 s.
    pub shutdown_ns: i64,
    /// How many connections a port may have at once: more of them wait in the system until one has gone. 0: 10,000.
    pub connections: usize,
}

// SAFETY: fields that fill 136 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_port_set_options {
    const NAME: &'static str = "coop_port_set_options";
    const FIRST: usize = 32;
}

/// What a port has counted since its start.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_port_stats {
    /// sizeof(coop_port_stats), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// Datagrams taken from the socket and kept.
    pub received: u64,
    /// Their bytes, or those of connections.
    pub received_bytes: u64,
    /// Datagrams taken from the socket and dropped, because the buffer was full.
    pub dropped: u64,
    /// What the kernel dropped before, because its own buffer was full; in its units, a coalesced run may be one.
    pub kernel_dropped: u64,
    /// Of those received: longer than the library takes, and cut.
    pub truncated: u64,
    /// Datagrams that the system took.
    pub sent: u64,
    /// Their bytes, or those of connections.
    pub sent_bytes: u64,
    /// Datagrams that the system refused, or that were still queued at the end.
    pub send_dropped: u64,
    /// Errors that the system told of earlier datagrams (a peer that is gone).
    pub peer_errors: u64,
    /// Faults of the handler.
    pub errors: u64,
    /// Messages given to the handler.
    pub messages: u64,
    /// How often its process was started again.
    pub restarts: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that are open now; of a port that was reloaded, those of its newest worker.
    pub open: u64,
    /// Of those accepted: closed at once, because on_connect was not well.
    pub refused: u64,
}

/// Makes a set of count ports. Nothing is bound before coop_port_set_start.
///
/// options: copied; NULL is SINGLE without a loop, which is refused. ports: copied, with their handlers; the set owns the
/// handlers' arguments if this answers COOP_OK, and none of them otherwise. out: set to the set, which the caller frees
/// with coop_port_set_free.
///
/// Any thread. COOP_E_NULL, also for a port of datagrams without on_batch, and one that takes connections without on_data; COOP_E_INVALID for no
/// port, no name, a mode or kind out of range, a field that goes with another kind, SINGLE without a loop, a buffer too small for a datagram, a
/// handler_name that is not there, and in mode PROCESS a port without one; COOP_E_EXISTS for a name used twice, COOP_E_OS for an fd that is not
/// open, COOP_E_UNSUPPORTED, COOP_E_FORKED.
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
        parts.iter().try_for_each(|part| part.check(&options))?;
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
/// Any thread. COOP_E_QUEUE_FULL while as many messages wait there as ring_bytes of the set's options let; COOP_E_INVALID for a message that is longer than
/// that, for an unknown name or before the start, COOP_E_CLOSED if that port has ended, COOP_E_FORKED, COOP_E_NULL.
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

/// Has a new worker take over a port of a set in mode COOP_MODE_PROCESS, without a moment in which nobody serves, and returns when the new one does.
///
/// The new one is started beside the old one, whose handler is told by on_hand_over. The old one takes nothing new from then on and serves the connections
/// that are open; then, or when its time is over, it ends as at a stop. If the new one does not start, the old one goes on as before. Reloads of one port come
/// one after the other.
///
/// port, port_length: which port, UTF-8; NULL and 0: each of them. A name that is there and empty is an unknown one. drain_ns: nanoseconds that the old one has for its connections; 0 closes them at
/// once, COOP_FOREVER waits as long as they are open.
///
/// Any thread. COOP_E_FAILED in the words of the worker that cannot start, COOP_E_UNSUPPORTED in another mode, COOP_E_INVALID for an unknown name, for
/// another time, before the start and while the worker is being restarted; COOP_E_CLOSED, COOP_E_WOULD_DEADLOCK on the thread of a host that the set is
/// below, COOP_E_FORKED, COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_reload(
    set: *mut coop_port_set,
    port: *const c_char,
    port_length: usize,
    drain_ns: i64,
) -> coop_status {
    guard_wait!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        let drain = options::timeout(drain_ns, "drain_ns")?;
        // SAFETY: as long as told.
        let text = unsafe { options::text(port, port_length, "port") }?;
        set.reload(if port.is_null() { None } else { Some(text.as_deref().unwrap_or_default()) }, drain)
    })
}

/// The address that a port is bound to.
///
/// name, name_length: which port. out: set to the address.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name or before the start, COOP_E_CLOSED if that failed, COOP_E_UNSUPPORTED for a
/// Unix socket, which has a path: coop_port_set_path; COOP_E_FORKED.
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
        let (name, address) = find(set.bound()?, name)?;
        let address = port_place::ip(&name, &address)?;
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(coop_address::of(&address)) };
        Ok(())
    })
}

/// The path of a port's Unix socket; that of the abstract kind begins with a NUL, and one that has none is empty.
///
/// name, name_length: which port. buffer, capacity: where the path's first bytes are copied to, without a NUL at their end; NULL if none are
/// wanted. length: set to how many bytes it has, which may be more than capacity.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name or before the start, COOP_E_CLOSED if that failed, COOP_E_UNSUPPORTED for a port with
/// an IP address, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_set_path(
    set: *const coop_port_set,
    name: *const c_char,
    name_length: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a set that is not freed yet.
        let set = unsafe { coop_port_set::behind(set) }?;
        // SAFETY: the text is as long as told.
        let name = unsafe { options::text(name, name_length, "name") }?;
        let (name, address) = find(set.bound()?, name)?;
        // SAFETY: there is room for as much as told.
        unsafe { port_place::give_path(&name, &address, buffer, capacity, length) }
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
        let (_, stats) = find(set.stats()?, name)?;
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
            restarts: stats.restarts,
            accepted: stats.accepted,
            open: stats.open,
            refused: stats.refused,
        };
        let bytes = size.min(size_of::<coop_port_stats>());
        // SAFETY: the caller has room for `size` bytes.
        unsafe { ptr::copy_nonoverlapping((&raw const filled).cast::<u8>(), out.cast::<u8>(), bytes) };
        Ok(())
    })
}

fn find<T>(all: Vec<(String, T)>, name: Option<String>) -> Result<(String, T)> {
    let name = name.unwrap_or_default();
    let names = || all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = Error::Invalid(format!("no port {name:?} in this set: its ports are {}", names()));
    all.into_iter().find(|(known, _)| *known == name).ok_or(unknown)
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
        COOP_MODE_PROCESS => Mode::Process,
        other => {
            let allowed = "COOP_MODE_SINGLE is 0, COOP_MODE_THREAD is 1, COOP_MODE_PROCESS is 2";
            return Err(Error::Invalid(format!("mode {other} is out of range: {allowed}")));
        }
    };
    let event_loop = if read.event_loop.is_null() {
        None
    } else {
        // SAFETY: a loop that is not freed yet.
        Some(unsafe { coop_event_loop::handle(read.event_loop) }?)
    };
    let mut made = PortSetOptions { mode, event_loop, ..PortSetOptions::threads() };
    let set = |field: &mut usize, given| {
        if given != 0 {
            *field = given;
        }
    };
    set(&mut made.buffer_bytes, read.buffer_bytes);
    set(&mut made.saved_bytes, read.saved_bytes);
    set(&mut made.connections, read.connections);
    set(&mut made.message_bytes, read.ring_bytes);
    // SAFETY: as many as counted, and each is as long as the first says.
    made.handlers = unsafe { port_process::handlers(read.handlers, read.handler_count) }?;
    let process = &mut made.process;
    // SAFETY: the text is as long as told.
    process.name =
        unsafe { options::text(read.name, read.name_length, "coop_port_set_options.name") }?.unwrap_or_default();
    if read.ready_ns != 0 {
        process.ready = options::duration(read.ready_ns, "coop_port_set_options.ready_ns")?;
    }
    if read.liveness_ns != 0 {
        process.liveness = options::timeout(read.liveness_ns, "coop_port_set_options.liveness_ns")?;
    }
    if read.shutdown_ns != 0 {
        process.shutdown = options::duration(read.shutdown_ns, "coop_port_set_options.shutdown_ns")?;
    }
    if !read.command.is_null() {
        // SAFETY: not NULL, and as long as it says.
        let (command, output) = unsafe { command::port_workers(read.command) }?;
        (process.command, process.output) = (Some(command), Some(output));
    }
    if !read.host.is_null() {
        // SAFETY: a host that is not freed yet.
        process.supervisor = Some(unsafe { coop_host::supervisor(read.host, read.supervisor) }?);
    } else if read.supervisor != 0 {
        let given = read.supervisor;
        return Err(Error::Invalid(format!("coop_port_set_options.supervisor is {given}, and host is NULL")));
    }
    Ok(made)
}
