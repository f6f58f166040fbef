//! Ports for servers that do not say which one the system has given them.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

/// A port that nobody listens at now, nor is given by the system to whoever connects meanwhile: those begin at 32768.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = (0..12_000).map(|_| std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.map(|number| u16::try_from(20_000 + number % 12_000).unwrap()).find(is_free).unwrap()
}
