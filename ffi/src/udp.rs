//! `coop_udp`: datagrams in batches. The socket is the caller's to watch: coop_udp_fd and coop_event_loop_watch.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use coop_core::{
    Error, Result,
    event_loop::udp::{Outgoing, UdpOptions, UdpSocket},
    fork::ForkGuard,
};

use crate::{
    address::{coop_address, parse},
    guard::guard,
    handle::{borrow, give, take, wanted},
    options::{self, Options, array},
    status::{COOP_OK, coop_status},
    udp_batch::{Receiving, send},
};

/// In coop_datagram.flags, of one that came: it was longer than the library takes and is cut.
pub const COOP_DATAGRAM_TRUNCATED: u32 = 1;

/// A UDP socket that receives and sends in batches: up to 64 messages per system call, and many datagrams per
/// message where the kernel has GRO and GSO. It never blocks; its descriptor is closed on exec.
#[derive(Debug)]
pub struct coop_udp {
    fork: ForkGuard,
    socket: UdpSocket,
    times: bool,
    receiving: Mutex<Receiving>,
    /// The rest of a run that the kernel took a part of.
    sending: Mutex<Outgoing>,
}

/// How a socket is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_udp_options {
    /// sizeof(coop_udp_options).
    pub size: usize,
    /// Where to bind: "127.0.0.1:7000", "[::1]:7000"; port 0 takes a free one. NULL: "0.0.0.0:0".
    pub address: *const c_char,
    /// The bytes of address.
    pub address_length: usize,
    /// Bytes that the kernel may hold until they are received; it may allow less. 0 is the system's default.
    pub recv_buffer: usize,
    /// Bytes that the kernel may hold of what is sent; it may allow less. 0 is the system's default.
    pub send_buffer: usize,
    /// 1: several sockets may bind this address, and the kernel spreads the senders over them.
    pub reuse_port: i32,
    /// 1: the kernel never joins datagrams that it received.
    pub no_gro: i32,
    /// 1: the kernel is never asked to cut what is sent.
    pub no_gso: i32,
    /// Must be 0.
    pub reserved: i32,
    /// 1: the kernel tells of each datagram when it came: coop_udp_receive_times.
    pub receive_times: i32,
    /// Must be 0.
    pub reserved_too: i32,
}

// SAFETY: numbers and a pointer, eleven fields that fill 64 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_udp_options {
    const NAME: &'static str = "coop_udp_options";
    const FIRST: usize = 56;
}

/// A datagram that came or is to be sent. This struct does not grow.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_datagram {
    /// Its bytes; may be NULL if there are none. Of one that came: the library's, valid until the next
    /// coop_udp_receive on this socket.
    pub data: *const c_void,
    /// How many bytes, 0 to 65507 over IPv4.
    pub length: usize,
    /// Who sent it, or who it is for; no address is the peer of coop_udp_connect.
    pub address: coop_address,
    /// When sending: if not 0, data holds datagrams of this size back to back, the last one perhaps shorter, as
    /// many as one likes. 0 in one that came.
    pub segment_size: u32,
    /// COOP_DATAGRAM_* in one that came; 0 when sending.
    pub flags: u32,
}

/// Makes a socket and binds it.
///
/// options: copied; NULL is all defaults. out: set to the socket, which the caller frees with coop_udp_free.
///
/// Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_OS if the address
/// is taken, is not this machine's, or the process has no file descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_new(options: *const coop_udp_options, out: *mut *mut coop_udp) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let read = unsafe { options::read(options) }?;
        // SAFETY: the text is as long as told.
        let address = unsafe { parse(read.address, read.address_length, "coop_udp_options.address") }?;
        options::reserved(read.reserved, "coop_udp_options.reserved")?;
        options::reserved(read.reserved_too, "coop_udp_options.reserved_too")?;
        let options = UdpOptions {
            recv_buffer: (read.recv_buffer > 0).then_some(read.recv_buffer),
            send_buffer: (read.send_buffer > 0).then_some(read.send_buffer),
            reuse_port: options::flag(read.reuse_port, "coop_udp_options.reuse_port")?,
            no_gro: options::flag(read.no_gro, "coop_udp_options.no_gro")?,
            no_gso: options::flag(read.no_gso, "coop_udp_options.no_gso")?,
            receive_times: options::flag(read.receive_times, "coop_udp_options.receive_times")?,
        };
        let object = coop_udp {
            fork: ForkGuard::new("udp socket"),
            socket: UdpSocket::bind(address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))), &options)?,
            times: options.receive_times,
            receiving: Mutex::default(),
            sending: Mutex::default(),
        };
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(object, out) };
        Ok(())
    })
}

/// Closes the socket and releases it, with the data of the last receive. Cancel its watch first. NULL does nothing.
///
/// Any thread; once, with no call under way. In a forked child it closes the child's copy of the descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_free(udp: *mut coop_udp) {
    guard!({
        if !udp.is_null() {
            // SAFETY: made by coop_udp_new and freed once.
            drop(unsafe { take(udp) });
        }
        Ok(())
    });
}

/// Sets the peer: what has no address of its own is sent to it, and only what it sends is received.
///
/// peer: copied. Any thread. COOP_E_NULL, COOP_E_INVALID for no address, COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_connect(udp: *mut coop_udp, peer: *const coop_address) -> coop_status {
    guard!({
        // SAFETY: a socket that is not freed yet.
        let object = unsafe { coop_udp::behind(udp) }?;
        // SAFETY: NULL or an address.
        let peer = unsafe { coop_address::behind(peer, "peer") }?;
        object.socket.connect(peer)
    })
}

/// Says which address and port the socket is bound to; coop_address_text makes words of it.
///
/// out: set to the address. Any thread. COOP_E_NULL, COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_local_address(udp: *const coop_udp, out: *mut coop_address) -> coop_status {
    guard!({
        // SAFETY: a socket that is not freed yet.
        let object = unsafe { coop_udp::behind(udp) }?;
        wanted(out, "out")?;
        let address = coop_address::of(&object.socket.local_addr()?);
        // SAFETY: `out` is there, and is a place for an address.
        unsafe { out.write(address) };
        Ok(())
    })
}

/// The socket's descriptor, to watch it; it stays the socket's. COOP_E_NULL or COOP_E_FORKED, which are negative,
/// if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_fd(udp: *const coop_udp) -> i32 {
    let mut fd = COOP_OK;
    let status = guard!({
        // SAFETY: a socket that is not freed yet.
        let object = unsafe { coop_udp::behind(udp) }?;
        fd = object.socket.as_raw_fd();
        Ok(())
    });
    if status == COOP_OK { fd } else { status }
}

/// Takes datagrams that have come, in their order, without waiting.
///
/// out, capacity: where to put them, and how many there is room for; from 1. count: set to how many there were.
///
/// The kernel gives many at a time. What has no room in out is kept for the next call, and the descriptor does not
/// show it: call again until count is 0, and then wait until the descriptor is readable. The data is the library's
/// and lies where it is until the next coop_udp_receive on this socket, from whatever thread: so one thread at a
/// time receives. That the network refused something sent earlier is no error here.
///
/// COOP_E_NULL, COOP_E_INVALID for no capacity, COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_receive(
    udp: *mut coop_udp,
    out: *mut coop_datagram,
    capacity: usize,
    count: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a socket that is not freed yet.
        let object = unsafe { coop_udp::behind(udp) }?;
        wanted(out, "out")?;
        wanted(count, "count")?;
        if capacity == 0 {
            return Err(Error::Invalid("capacity is 0: there must be room for a datagram".into()));
        }
        let mut receiving = lock(&object.receiving);
        receiving.begin(&object.socket)?;
        let mut taken = 0;
        while taken < capacity {
            let Some(datagram) = receiving.next() else { break };
            // SAFETY: below `capacity`, for which the caller has room.
            let place = unsafe { out.add(taken) };
            // SAFETY: as above.
            unsafe { place.write(datagram) };
            taken += 1;
        }
        // SAFETY: `count` is there, and is a place for a number.
        unsafe { count.write(taken) };
        Ok(())
    })
}

/// Tells when the datagrams of the last coop_udp_receive came.
///
/// out_ns: set to nanoseconds since 1970-01-01 UTC, on the system's clock, one for each datagram in the order of coop_udp_receive;
/// those that the kernel had joined share the time of the first. count: how many, at most as many as the last
/// coop_udp_receive gave.
///
/// One thread at a time, as for coop_udp_receive. COOP_E_NULL, COOP_E_INVALID for a greater count, or if the socket was
/// made without receive_times, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_receive_times(udp: *mut coop_udp, out_ns: *mut i64, count: usize) -> coop_status {
    guard!({
        // SAFETY: a socket that is not freed yet.
        let object = unsafe { coop_udp::behind(udp) }?;
        wanted(out_ns, "out_ns")?;
        if !object.times {
            return Err(Error::Invalid("this socket was made without receive_times".into()));
        }
        let receiving = lock(&object.receiving);
        let last = receiving.handed_out();
        if count > last {
            return Err(Error::Invalid(format!("count is {count}: the last receive gave {last}")));
        }
        for index in 0..count {
            let ns = receiving.came_at(index);
            // SAFETY: below `count`, for which the caller has room.
            let place = unsafe { out_ns.add(index) };
            // SAFETY: as above.
            unsafe { place.write(ns) };
        }
        Ok(())
    })
}

/// Hands datagrams to the kernel, in their order, without waiting.
///
/// datagrams, count: what to send; not needed any more when this returns. sent: set to how many of the array were
/// taken. Fewer than count: the kernel's buffer is full; the rest is still the caller's, to be sent when the
/// descriptor is writable. One of many segments that the kernel took a part of counts as taken, and the library
/// sends its rest first in the next call (count may be 0). refused: set to how many datagrams, segments counted
/// singly, the network refused (no route, too long for it) among those that were taken; they are lost, as
/// datagrams may be. May be NULL.
///
/// Any thread; datagrams of calls at the same time do not mix. COOP_E_NULL, COOP_E_INVALID for an address, size or
/// flag of the first datagram (one further on ends the call before it), COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_udp_send(
    udp: *mut coop_udp,
    datagrams: *const coop_datagram,
    count: usize,
    sent: *mut usize,
    refused: *mut usize,
) -> coop_status {
    guard!({
        // SAFETY: a socket that is not freed yet.
        let object = unsafe { coop_udp::behind(udp) }?;
        wanted(sent, "sent")?;
        // SAFETY: as many as counted.
        let datagrams = unsafe { array(datagrams, count, "datagrams") }?;
        // SAFETY: each datagram's data is as long as it says.
        let sending = unsafe { send(|out| object.socket.send_quietly(out), &mut lock(&object.sending), datagrams) };
        object.socket.report();
        let (taken, lost) = sending?;
        // SAFETY: `sent` is there, and is a place for a number.
        unsafe { sent.write(taken) };
        if !refused.is_null() {
            // SAFETY: a place for a number.
            unsafe { refused.write(lost) };
        }
        Ok(())
    })
}

impl coop_udp {
    /// # Safety
    /// `pointer` is NULL or a socket that is not freed before the borrow ends.
    unsafe fn behind<'a>(pointer: *const Self) -> Result<&'a Self> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "udp") }?;
        object.fork.check()?;
        Ok(object)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing foreign runs under it; each half of a broken batch is still whole datagrams.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
