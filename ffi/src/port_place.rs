//! Where a port is, as C says it: what kind of socket, at which address, path, descriptor or name; and the path of one that has it.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
    os::{fd::BorrowedFd, unix::ffi::OsStrExt},
    ptr,
};

use coop_core::{Error, Result, event_loop::stream::Address, port::Bind};

use crate::{
    guard::guard,
    handle::{borrow, wanted},
    options,
    port::coop_port,
    port_context::coop_port_context,
    status::coop_status,
};

/// A UDP socket, bound to coop_port.bind: on_batch.
pub const COOP_PORT_UDP: i32 = 0;
/// A TCP socket that listens at coop_port.bind: on_data.
pub const COOP_PORT_TCP: i32 = 1;
/// A Unix socket that listens at coop_port.path: on_data.
pub const COOP_PORT_UNIX: i32 = 2;
/// A socket that listens already, coop_port.fd, TCP or Unix: on_data.
pub const COOP_PORT_LISTENING: i32 = 3;
/// A listening socket that this process was started with (LISTEN_FDS), named by coop_port.path: on_data.
pub const COOP_PORT_PASSED: i32 = 4;

/// The kinds of port, for messages.
const KINDS: &str =
    "COOP_PORT_UDP is 0, COOP_PORT_TCP is 1, COOP_PORT_UNIX is 2, COOP_PORT_LISTENING is 3, COOP_PORT_PASSED is 4";

/// What a port says of its socket. A descriptor is copied: the caller's stays the caller's.
///
/// # Safety
/// The port's path is as long as it says.
pub(crate) unsafe fn read(port: &coop_port) -> Result<Bind> {
    let invalid = |text: &str| Err(Error::Invalid(text.into()));
    // SAFETY: the caller's promise.
    let path = unsafe { options::path(port.path, port.path_length, "coop_port.path") }?;
    if !(COOP_PORT_UDP..=COOP_PORT_PASSED).contains(&port.kind) {
        return Err(Error::Invalid(format!("coop_port.kind {} is out of range: {KINDS}", port.kind)));
    }
    if path.is_some() != matches!(port.kind, COOP_PORT_UNIX | COOP_PORT_PASSED) {
        return invalid(match path {
            Some(_) => "coop_port.path is there: it is for COOP_PORT_UNIX and COOP_PORT_PASSED only",
            None => "coop_port.path is missing: COOP_PORT_UNIX needs a path, COOP_PORT_PASSED a name",
        });
    }
    let address = port.bind.read()?;
    if address.is_some() && !matches!(port.kind, COOP_PORT_UDP | COOP_PORT_TCP) {
        return invalid("coop_port.bind has an address: it is for COOP_PORT_UDP and COOP_PORT_TCP only");
    }
    if port.fd != 0 && port.kind != COOP_PORT_LISTENING {
        return Err(Error::Invalid(format!("coop_port.fd is {}: it is for COOP_PORT_LISTENING only", port.fd)));
    }
    let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    Ok(match (port.kind, path) {
        (COOP_PORT_TCP, _) => Bind::Tcp(address),
        (COOP_PORT_UNIX, Some(path)) => Bind::Unix(path),
        (COOP_PORT_PASSED, Some(name)) => match name.into_os_string().into_string() {
            Ok(name) => Bind::Passed(name),
            Err(_) => return invalid("coop_port.path is not UTF-8: the name of a socket that was passed is"),
        },
        (COOP_PORT_LISTENING, _) => {
            if port.fd < 0 {
                return Err(Error::Invalid(format!("coop_port.fd {} is negative", port.fd)));
            }
            // SAFETY: a descriptor of the caller's, who keeps it open during this call; one that is not open is answered EBADF.
            let copy = unsafe { BorrowedFd::borrow_raw(port.fd) }.try_clone_to_owned();
            Bind::Listening(copy.map_err(|error| Error::os(format!("coop_port.fd {}: dup", port.fd), &error))?)
        }
        _ => Bind::Udp(address),
    })
}

/// The path of a port's Unix socket; that of the abstract kind begins with a NUL, and one that has none is empty.
///
/// buffer, capacity: where its first bytes are copied to, without a NUL at their end; NULL if none are wanted. length: set to how many bytes it has,
/// which may be more than capacity.
///
/// Any thread until the handler's drop. COOP_E_NULL, COOP_E_UNSUPPORTED for a port with an IP address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_port_context_path(
    context: *const coop_port_context,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a context whose handler was not dropped yet.
        let context = &unsafe { borrow(context, "context") }?.context;
        // SAFETY: there is room for as much as told.
        unsafe { give_path(context.name(), context.address(), buffer, capacity, length) }
    })
}

/// Writes the path of a port where C wants it.
///
/// # Safety
/// `buffer` has room for `capacity` bytes or is NULL, and `length` is NULL or a place for a number.
pub(crate) unsafe fn give_path(
    port: &str,
    address: &Address,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<()> {
    wanted(length, "length")?;
    let path = match address {
        Address::Path(path) => path.as_os_str().as_bytes().to_vec(),
        Address::Abstract(name) => [&[0], name.as_slice()].concat(),
        Address::Unnamed => Vec::new(),
        Address::Ip(address) => {
            return Err(Error::Unsupported(format!("port {port:?} has no path: its address is {address}")));
        }
    };
    // SAFETY: the caller's promise.
    unsafe { copy_out(&path, buffer.cast(), capacity, length) }
}

/// Writes as many bytes as there is room for, and how many they are.
///
/// # Safety
/// `buffer` has room for `capacity` bytes or is NULL, and `length` is a place for a number.
pub(crate) unsafe fn copy_out(bytes: &[u8], buffer: *mut c_void, capacity: usize, length: *mut usize) -> Result<()> {
    if capacity > 0 {
        wanted(buffer, "buffer")?;
    }
    let count = bytes.len().min(capacity);
    if count > 0 {
        // SAFETY: there is room for `capacity` bytes, and what the library made is not there.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>(), count) };
    }
    // SAFETY: the caller's promise.
    unsafe { length.write(bytes.len()) };
    Ok(())
}

/// The address, where a port must have one.
pub(crate) fn ip(port: &str, address: &Address) -> Result<SocketAddr> {
    let other = || Error::Unsupported(format!("port {port:?} is at a Unix socket: it has no IP address but a path"));
    address.as_ip().ok_or_else(other)
}
