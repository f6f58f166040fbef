//! `coop_udp`: datagrams in batches. The socket is the caller's to watch: coop_udp_fd and coop_event_loop_watch.

use std::{
    ffi::{c_char, c_void},
    net::SocketAddr,
    os::fd::AsRawFd,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use coop_core::{
    Error, Result,
    event_loop::udp::{Datagrams, Outgoing, Receiver, Sent, UdpOptions, UdpSocket},
    fork::ForkGuard,
};

use crate::{
    address::{coop_address, parse},
    guard::guard,
    handle::{borrow, give, take, wanted},
    options::{self, Options, array},
    status::{COOP_OK, coop_status},
};

/// In coop_datagram.flags, of one that came: it was longer than the library takes and is cut.
pub const COOP_DATAGRAM_TRUNCATED: u32 = 1;

/// What is handed to the kernel at once.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK: usize = 1024;

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
        receiving.refill(&object.socket)?;
        receiving.first = receiving.next;
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
        let last = receiving.next - receiving.first;
        if count > last {
            return Err(Error::Invalid(format!("count is {count}: the last receive gave {last}")));
        }
        for index in 0..count {
            let at = receiving.datagrams.received_at(receiving.first + index);
            let ns = at.map_or(0, |at| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX));
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
        let (taken, lost) = unsafe { send(|out| object.socket.send(out), &mut lock(&object.sending), datagrams) }?;
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

/// What has come and was not handed out yet.
#[derive(Debug, Default)]
struct Receiving {
    scratch: Receiver,
    datagrams: Datagrams,
    /// What the last receive has handed out: from here to the next.
    first: usize,
    /// The next to hand out.
    next: usize,
    /// The last sender, as C sees it: most datagrams come in runs.
    sender: Option<(SocketAddr, coop_address)>,
}

impl Receiving {
    /// Asks the kernel if nothing is left.
    fn refill(&mut self, socket: &UdpSocket) -> Result<()> {
        if self.next < self.datagrams.len() {
            return Ok(());
        }
        self.datagrams.clear();
        (self.first, self.next) = (0, 0);
        loop {
            let received = socket.receive(&mut self.scratch, &mut self.datagrams, Datagrams::MAX_BYTES)?;
            // Pending errors alone are not the end: none may be told as "nothing there".
            if received.would_block || received.datagrams > 0 {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Option<coop_datagram> {
        if self.next == self.datagrams.len() {
            return None;
        }
        let (data, from) = self.datagrams.get(self.next);
        let address = match self.sender {
            Some((last, address)) if last == from => address,
            _ => coop_address::of(&from),
        };
        self.sender = Some((from, address));
        let flags = if self.datagrams.truncated(self.next) { COOP_DATAGRAM_TRUNCATED } else { 0 };
        let data = ptr::from_ref(data);
        self.next += 1;
        Some(coop_datagram { data: data.cast(), length: data.len(), address, segment_size: 0, flags })
    }
}

/// How many of `datagrams` were taken, and how many single datagrams were refused by the network.
///
/// # Safety
/// The data of each points to as many readable bytes as it says.
unsafe fn send(
    mut kernel: impl FnMut(&mut Outgoing) -> Result<Sent>,
    out: &mut Outgoing,
    datagrams: &[coop_datagram],
) -> Result<(usize, usize)> {
    let (mut taken, mut lost) = (0, 0);
    if !out.is_empty() {
        let rest = kernel(out)?;
        lost += rest.errors;
        if rest.would_block {
            return Ok((0, lost));
        }
    }
    while taken < datagrams.len() {
        let mut counts = Vec::with_capacity(CHUNK.min(datagrams.len() - taken));
        let mut wrong = None;
        for datagram in &datagrams[taken..] {
            // SAFETY: the caller's promise.
            match unsafe { push(out, datagram, 0) } {
                Ok(count) => counts.push(count),
                Err(error) => wrong = Some(error),
            }
            if wrong.is_some() || counts.len() == CHUNK || out.bytes() >= CHUNK_BYTES {
                break;
            }
        }
        match wrong {
            Some(error) if taken + counts.len() == 0 => return Err(error),
            _ => {}
        }
        let sent = match kernel(out) {
            Ok(sent) => sent,
            Err(error) => {
                out.clear();
                return if taken > 0 { Ok((taken, lost)) } else { Err(error) };
            }
        };
        lost += sent.errors;
        if sent.would_block {
            // The rest goes back to the caller, but for that of a run that has begun.
            out.clear();
            let mut gone = sent.datagrams + sent.errors;
            for count in counts {
                if gone < count {
                    break;
                }
                gone -= count;
                taken += 1;
            }
            if gone > 0 {
                // SAFETY: the caller's promise.
                unsafe { push(out, &datagrams[taken], gone) }?;
                taken += 1;
            }
            break;
        }
        taken += counts.len();
        if wrong.is_some() {
            break;
        }
    }
    Ok((taken, lost))
}

/// Queues one, but for its first `skip` segments; answers how many datagrams it is.
///
/// # Safety
/// Its data points to as many readable bytes as it says.
unsafe fn push(out: &mut Outgoing, datagram: &coop_datagram, skip: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    let data = unsafe { array(datagram.data.cast::<u8>(), datagram.length, "datagram.data") }?;
    if datagram.flags != 0 {
        return Err(Error::Unsupported(format!("datagram.flags is {}: it must be 0 when sending", datagram.flags)));
    }
    let to = datagram.address.read()?;
    match datagram.segment_size as usize {
        0 => out.push(data, to).map(|()| 1),
        segment => out.push_segments(&data[(skip * segment).min(data.len())..], segment, to),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn datagram(data: &[u8], segment_size: u32) -> coop_datagram {
        let address = coop_address::of(&SocketAddr::from(([127, 0, 0, 1], 9)));
        coop_datagram { data: data.as_ptr().cast(), length: data.len(), address, segment_size, flags: 0 }
    }

    /// A kernel that takes up to `room` datagrams; `refused` of them it refuses.
    fn kernel(room: usize, refused: usize) -> impl FnMut(&mut Outgoing) -> Result<Sent> {
        move |out| {
            let gone = room.min(out.len());
            let would_block = gone < out.len();
            if !would_block {
                out.clear();
            }
            Ok(Sent { datagrams: gone - refused, bytes: 0, errors: refused, would_block })
        }
    }

    #[test]
    fn what_a_full_kernel_leaves_is_the_callers_but_for_a_run_that_has_begun() {
        let bytes = [7; 100];
        let batch = [datagram(&bytes[..5], 0), datagram(&bytes, 30), datagram(&[], 10), datagram(&bytes[..6], 0)];
        // One, four segments, none, one.
        for (room, taken, left) in [
            (0, 0, (0, 0)),
            (1, 1, (0, 0)),
            (2, 2, (3, 70)),
            (3, 2, (2, 40)),
            (4, 2, (1, 10)),
            (5, 3, (0, 0)),
            (6, 4, (0, 0)),
        ] {
            let mut out = Outgoing::new();
            // SAFETY: the data are slices that live on.
            let answer = unsafe { send(kernel(room, room.min(1)), &mut out, &batch) };
            assert_eq!((answer, (out.len(), out.bytes())), (Ok((taken, room.min(1))), left), "room for {room}");
            // The rest goes first, and nothing else until it is gone.
            let rest = out.len();
            if rest > 0 {
                // SAFETY: as above.
                let answer = unsafe { send(kernel(0, 0), &mut out, &batch[taken..]) };
                assert_eq!((answer, out.len()), (Ok((0, 0)), rest));
                // SAFETY: as above.
                let answer = unsafe { send(kernel(rest, 0), &mut out, &[]) };
                assert_eq!((answer, out.len()), (Ok((0, 0)), 0));
            }
        }
    }

    #[test]
    fn a_large_batch_goes_in_chunks_and_ends_before_a_wrong_one() {
        let bytes = [7; 1000];
        let mut batch = vec![datagram(&bytes, 0); 3 * CHUNK + 5];
        let (mut calls, mut out) = (0, Outgoing::new());
        let mut count = |out: &mut Outgoing| {
            calls += 1;
            kernel(usize::MAX, 0)(out)
        };
        // SAFETY: the data are slices that live on.
        assert_eq!(unsafe { send(&mut count, &mut out, &batch) }, Ok((batch.len(), 0)));
        assert_eq!(calls, 4);
        batch[CHUNK + 3].flags = 1;
        // SAFETY: as above.
        assert_eq!(unsafe { send(kernel(usize::MAX, 0), &mut out, &batch) }, Ok((CHUNK + 3, 0)));
        // SAFETY: as above.
        let error = unsafe { send(kernel(usize::MAX, 0), &mut out, &batch[CHUNK + 3..]) }.unwrap_err();
        assert!(error.to_string().contains("flags is 1"), "{error}");
        assert!(out.is_empty());
    }
}
