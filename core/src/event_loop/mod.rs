//! One thread that waits for many things.

pub mod udp;
