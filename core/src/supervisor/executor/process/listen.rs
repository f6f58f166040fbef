//! Sockets that a child is to serve, told as systemd tells them: from number 3, with their count and names in its environment.
//!
//! `LISTEN_PID`, by which a process knows that they are meant for it and not for its parent, is written by the child itself.

#![forbid(unsafe_code)]

use std::{ffi::OsString, os::fd::RawFd};

use super::command::Descriptor;

/// The first of them: `SD_LISTEN_FDS_START`.
pub(super) const START: RawFd = 3;

/// `LISTEN_FDS` and `LISTEN_FDNAMES`; nothing without sockets.
pub(super) fn variables(sockets: &[(String, Descriptor)]) -> Vec<(&'static str, OsString)> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
    vec![("LISTEN_FDS", sockets.len().to_string().into()), ("LISTEN_FDNAMES", names.join(":").into())]
}
