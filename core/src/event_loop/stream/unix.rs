//! The file of a listening Unix socket.

#![forbid(unsafe_code)]

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Address;
use crate::{
    error::{Error, Result},
    fork::Process,
};

/// A file that a listener has made; removed when dropped, if it is still the same: dropped before the socket is closed, which keeps the
/// number of its file from being given to another one.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    identity: (u64, u64),
    born: Process,
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl File {
    /// Binds the socket. Without a file if the address is no path.
    pub(super) fn bind(socket: &Socket, system: &SockAddr, address: &Address, replace: bool) -> Result<Option<Self>> {
        let mut bound = socket.bind(system);
        if let (Err(error), Address::Path(path), true) = (&bound, address, replace)
            && error.kind() == ErrorKind::AddrInUse
        {
            remove_stale(path, system)?;
            bound = socket.bind(system);
        }
        match bound {
            Ok(()) => Ok(match address {
                Address::Path(path) => {
                    // Wherever the process is by then.
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                    identity(&path).map(|identity| Self { path, identity, born: Process::current() })
                }
                _ => None,
            }),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Err(Error::Exists(match address {
                Address::Path(_) if !replace => {
                    format!(
                        "listen on {address}: the file exists; remove it, or ask to replace one that nobody listens at"
                    )
                }
                _ => format!("listen on {address}: somebody listens there already"),
            })),
            Err(error) => Err(Error::os(format!("listen on {address}"), &error)),
        }
    }
}

/// Removes the socket's file if nobody listens at it.
fn remove_stale(path: &Path, system: &SockAddr) -> Result<()> {
    let shown = path.display();
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Err(Error::Exists(format!("listen on {shown}: there is a file that is no socket; it is not replaced")));
    }
    let failed = |error: &std::io::Error| Error::os(format!("replace {shown}"), error);
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(|error| failed(&error))?;
    probe.set_nonblocking(true).map_err(|error| failed(&error))?;
    match probe.connect(system) {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&error)),
                _ => Ok(()),
            }
        }
        // Also when its backlog is full.
        _ => Err(Error::Exists(format!("listen on {shown}: somebody listens there already; it is not replaced"))),
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if !self.born.is_forked() && identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
