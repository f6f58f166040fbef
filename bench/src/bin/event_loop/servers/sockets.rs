//! The sockets that every side makes the same (loops/socket.c): non-blocking, on loopback, with their port.

use std::{
    net::{TcpListener, UdpSocket},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

unsafe extern "C" {
    fn bench_listen(port: *mut u16) -> i32;
    fn bench_bind_udp(port: *mut u16) -> i32;
    fn bench_grow_buffer(fd: i32);
}

fn owned(make: unsafe extern "C" fn(*mut u16) -> i32) -> (OwnedFd, u16) {
    let mut port = 0;
    // SAFETY: it writes the port, and answers an open descriptor or ends the process.
    let fd = unsafe { make(&raw mut port) };
    // SAFETY: just made, and nobody else's.
    (unsafe { OwnedFd::from_raw_fd(fd) }, port)
}

pub fn listen() -> (TcpListener, u16) {
    let (fd, port) = owned(bench_listen);
    (fd.into(), port)
}

pub fn bind_udp() -> (UdpSocket, u16) {
    let (fd, port) = owned(bench_bind_udp);
    (fd.into(), port)
}

/// Room for what has come to a UDP socket that was made elsewhere, as `bind_udp` gives it.
pub fn grow_buffer(socket: &impl AsRawFd) {
    // SAFETY: an open socket's descriptor.
    unsafe { bench_grow_buffer(socket.as_raw_fd()) };
}
