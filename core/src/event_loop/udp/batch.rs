//! The raw-socket batch file: `recvmmsg` and `sendmmsg`, with the control messages of GRO and GSO. Linux.
//!
//! # Invariant
//!
//! Every pointer in a header points into an array of the same call or into a slice that the call borrows, with that array's or
//! slice's own length beside it; no header outlives its call. The kernel writes only where a receive's headers point.

use std::{
    ffi::{c_int, c_void},
    io,
    mem::{self, MaybeUninit, size_of},
    net::UdpSocket,
    os::fd::AsRawFd,
    ptr,
};

use super::{
    BATCH,
    address::{self, Name},
    outgoing,
    receiver::{Message, Receiver},
};

/// Room for the one control message of a header that is sent, aligned as its head is.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 32]);

/// Room for the control messages of one that is received: a segment size and a time.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Controls([u8; 64]);

const _: () = {
    assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());
    assert!(control_space(size_of::<c_int>()) <= size_of::<Control>());
    assert!(align_of::<Controls>() >= align_of::<libc::cmsghdr>());
    assert!(control_space(size_of::<c_int>()) + control_space(size_of::<libc::timespec>()) <= size_of::<Controls>());
    assert!(BATCH <= u32::MAX as usize);
};

#[allow(clippy::cast_possible_truncation, reason = "a few bytes")]
const fn control_space(bytes: usize) -> usize {
    // SAFETY: arithmetic on its argument.
    (unsafe { libc::CMSG_SPACE(bytes as u32) }) as usize
}

#[allow(clippy::cast_possible_truncation, reason = "a few bytes")]
const fn control_len(bytes: usize) -> usize {
    // SAFETY: arithmetic on its argument.
    (unsafe { libc::CMSG_LEN(bytes as u32) }) as usize
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: a plain C structure of numbers and pointers, for which zero bytes are a value (some C libraries have private
    // padding fields, so it cannot be written out).
    unsafe { mem::zeroed() }
}

/// Whether the kernel knows UDP_SEGMENT.
pub(super) fn has_gso(socket: &UdpSocket) -> bool {
    let mut value: c_int = 0;
    #[allow(clippy::cast_possible_truncation, reason = "4")]
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: both pointers are to locals, and `length` is the size of the one that is written to.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut value).cast::<c_void>(),
            &raw mut length,
        )
    };
    failed == 0
}

/// Messages that the kernel has dropped because its buffer for this socket was full, modulo 2^32.
pub(super) fn kernel_dropped(socket: &UdpSocket) -> io::Result<u32> {
    // The places of `struct sk_meminfo` (linux/sock_diag.h): the last one counts drops.
    const VARS: usize = 9;
    let mut memory = [0u32; VARS];
    #[allow(clippy::cast_possible_truncation, reason = "36")]
    let mut length = size_of_val(&memory) as libc::socklen_t;
    // SAFETY: both pointers are to locals, and `length` is the size of the one that is written to.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            memory.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        )
    };
    if failed == 0 { Ok(memory[VARS - 1]) } else { Err(io::Error::last_os_error()) }
}

/// From now on the kernel may coalesce what it receives.
pub(super) fn enable_gro(socket: &UdpSocket) -> io::Result<()> {
    turn_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// From now on the kernel says when each message came.
pub(super) fn enable_times(socket: &UdpSocket) -> io::Result<()> {
    turn_on(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)
}

fn turn_on(socket: &UdpSocket, level: c_int, option: c_int) -> io::Result<()> {
    let on: c_int = 1;
    #[allow(clippy::cast_possible_truncation, reason = "4")]
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to a local of the length beside it.
    let failed =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast::<c_void>(), length) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One `recvmmsg` into the receiver's slots.
#[allow(clippy::cast_possible_truncation, reason = "BATCH and the size of a name are small")]
pub(super) fn receive(socket: &UdpSocket, receiver: &mut Receiver, times: bool) -> io::Result<()> {
    let mut names: [Name; BATCH] = [[0; 28]; BATCH];
    let mut controls = [const { MaybeUninit::<Controls>::uninit() }; BATCH];
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let (slots, messages) = receiver.slots();
    let mut prepared = 0;
    for (index, slot) in slots.enumerate().take(BATCH) {
        let vector = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
        let mut header = empty_header();
        header.msg_hdr.msg_name = names[index].as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
        header.msg_hdr.msg_iov = vectors[index].write(vector);
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = controls[index].as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = size_of::<Controls>() as _;
        headers[index].write(header);
        prepared = index + 1;
    }
    // SAFETY: the first `prepared` headers are written, and by the module's invariant each points to a name, a vector, a control
    // buffer and a slot of its own, which live through this call and have the lengths beside them.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            prepared as u32,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(io::Error::last_os_error());
    };
    for (header, name) in headers[..count].iter().zip(&names) {
        // SAFETY: `count` is at most `prepared`, and those headers are written.
        let header = unsafe { header.assume_init_ref() };
        let (segment, at_ns) = told(&header.msg_hdr, times);
        messages.push(Message {
            length: header.msg_len as usize,
            segment,
            from: address::decode(name),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            at_ns,
        });
    }
    Ok(())
}

/// What the kernel says of a message: the segment size, 0 if it has not coalesced it; and, if it was asked to, when it came, else 0.
#[inline]
fn told(header: &libc::msghdr, times: bool) -> (usize, u64) {
    let (mut segment, mut at_ns) = (0, 0);
    // SAFETY: after the receive `msg_controllen` bytes at `msg_control` are control messages that the kernel wrote, aligned by
    // `Controls`; the macro answers the first or null.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: not null, so a head that the kernel wrote, whole and aligned.
        let head = unsafe { &*control };
        // SAFETY: the data follows the head in the same buffer.
        let data = unsafe { libc::CMSG_DATA(control) };
        let holds = |bytes| head.cmsg_len as usize >= control_len(bytes);
        match (head.cmsg_level, head.cmsg_type) {
            (libc::SOL_UDP, libc::UDP_GRO) if holds(size_of::<c_int>()) => {
                // SAFETY: `cmsg_len` says that an int is there; it may be unaligned.
                let size = unsafe { data.cast::<c_int>().read_unaligned() };
                segment = usize::try_from(size).unwrap_or(0);
                if !times {
                    break;
                }
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if holds(size_of::<libc::timespec>()) => {
                // SAFETY: `cmsg_len` says that a timespec is there; it may be unaligned.
                let at = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                at_ns = u64::try_from(at.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(at.tv_nsec).unwrap_or(0);
            }
            _ => {}
        }
        // SAFETY: `control` is one of this header's messages; the macro stays inside the buffer or answers null.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    (segment, at_ns)
}

/// One `sendmmsg` of the first messages, at most [`BATCH`]. How many the kernel took; an error is about the first.
#[allow(clippy::cast_possible_truncation, reason = "BATCH and a segment size are small")]
pub(super) fn send<'a>(socket: &UdpSocket, messages: impl Iterator<Item = outgoing::Message<'a>>) -> io::Result<usize> {
    let mut names = [const { MaybeUninit::<Name>::uninit() }; BATCH];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let mut prepared = 0;
    for (index, message) in messages.enumerate().take(BATCH) {
        // The kernel only reads what a sending vector points to.
        let vector = libc::iovec { iov_base: message.data.as_ptr().cast_mut().cast(), iov_len: message.data.len() };
        let mut header = empty_header();
        header.msg_hdr.msg_iov = vectors[index].write(vector);
        header.msg_hdr.msg_iovlen = 1;
        if let Some(to) = &message.to {
            let (name, length) = address::encode(to);
            header.msg_hdr.msg_name = ptr::from_mut(names[index].write(name)).cast();
            header.msg_hdr.msg_namelen = length;
        }
        if message.segment > 0 {
            let control = controls[index].write(Control([0; 32]));
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = control_space(size_of::<u16>()) as _;
            write_segment(&header.msg_hdr, message.segment as u16);
        }
        headers[index].write(header);
        prepared = index + 1;
    }
    // SAFETY: the first `prepared` headers are written, and by the module's invariant what they point to lives through this call and
    // has the lengths beside it. The kernel writes only `msg_len`.
    let count = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            prepared as u32,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes the control message that asks for segments of this size.
fn write_segment(header: &libc::msghdr, segment: u16) {
    // SAFETY: the header's control buffer is a zeroed `Control`, long enough for one head (asserted above).
    let control = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: the buffer is longer than a head, so it is not null; aligned by `Control`, and nothing else refers to it now.
    let head = unsafe { &mut *control };
    head.cmsg_level = libc::SOL_UDP;
    head.cmsg_type = libc::UDP_SEGMENT;
    head.cmsg_len = control_len(size_of::<u16>()) as _;
    // SAFETY: the data follows the head in the same buffer.
    let data = unsafe { libc::CMSG_DATA(control) };
    // SAFETY: `control_space` of a u16 is inside the buffer (asserted for an int, which is longer).
    unsafe { data.cast::<u16>().write_unaligned(segment) };
}

/// Makes the kernel refuse GSO on this socket, as it does for whatever takes no checksum offload.
#[cfg(test)]
pub(super) fn refuse_gso(socket: &UdpSocket) {
    let on: c_int = 1;
    // SAFETY: the pointer is to a local of the length beside it.
    let failed = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast::<c_void>(), 4)
    };
    assert_eq!(failed, 0);
}
