//! What a worker is told of its port: a sealed file, whose number `COOP_PORT` says: the length of what follows, as 8 bytes; that, as JSON;
//! and the handler's arguments, to the end.

#![forbid(unsafe_code)]

use std::{
    fs::File,
    os::fd::{OwnedFd, RawFd},
};

use serde::{Deserialize, Serialize};

use super::memory::Layout;
use crate::{error::Result, supervisor::told::Told};

/// Names the manifest's descriptor.
pub(super) const VARIABLE: &str = "COOP_PORT";
/// Its number.
pub(super) const NUMBER: RawFd = 3;
/// The number of the port's socket.
pub(super) const SOCKET: RawFd = 4;
/// The number of the memory that the set shares.
pub(super) const MEMORY: RawFd = 5;
/// The number of what is rung to have the whole set stopped.
pub(super) const STOP: RawFd = 6;
/// The number of what is rung when a worker that has left is done.
pub(super) const DONE: RawFd = 7;
/// The number of what tells the port's workers that something is wanted of them.
pub(super) const ORDERS: RawFd = 8;
/// The number of the first port's bell; the others follow.
pub(super) const BELLS: RawFd = 9;
/// More cannot be handed over with the rest: a zygote's worker is sent them at once.
pub(super) const MOST: usize = 200;

/// Of this library's workers; another one's are refused.
const VERSION: u32 = 2;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// The ports of the set.
    pub(super) ports: Vec<String>,
    /// Which of them this is.
    pub(super) index: usize,
    pub(super) connected: bool,
    /// Its socket listens, and this many connections may be open.
    pub(super) listening: Option<usize>,
    pub(super) buffer_bytes: usize,
    /// How long it may wait for its predecessor, in microseconds.
    pub(super) patience: u64,
    saved_bytes: usize,
    ring_bytes: usize,
    /// The name of what makes its handler.
    pub(super) handler: String,
}

const TOLD: Told = Told { file: "coop-port", whose: "port's", variable: VARIABLE, number: NUMBER };

impl Manifest {
    pub(super) fn new(ports: Vec<String>, index: usize, layout: Layout) -> Self {
        let Layout { saved_bytes, ring_bytes, .. } = layout;
        let handler = String::new();
        Self {
            version: VERSION,
            ports,
            index,
            connected: false,
            listening: None,
            buffer_bytes: 0,
            patience: 0,
            saved_bytes,
            ring_bytes,
            handler,
        }
    }

    /// That of the memory that the set shares.
    pub(super) fn layout(&self) -> Layout {
        Layout { ports: self.ports.len(), saved_bytes: self.saved_bytes, ring_bytes: self.ring_bytes }
    }

    /// As a file, with the handler's arguments.
    pub(super) fn write(&self, args: &[u8]) -> Result<OwnedFd> {
        TOLD.write(self, args)
    }

    /// What was written so, and the arguments.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    pub(super) fn read(file: &File) -> Result<(Self, Vec<u8>)> {
        TOLD.read(file, |told: &Self| told.version == VERSION && told.index < told.ports.len())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_port_that_is_none_is_not() {
        let layout = Layout { ports: 2, saved_bytes: 0, ring_bytes: 64 };
        let manifest = Manifest::new(vec!["A".into(), "ä \"".into()], 1, layout);
        let manifest = Manifest { connected: true, buffer_bytes: 65_536, handler: "echo".into(), ..manifest };
        assert_eq!(manifest.layout(), layout);
        let file = File::from(manifest.write(b"args\0\xff").unwrap());
        assert_eq!(Manifest::read(&file).unwrap(), (manifest.clone(), b"args\0\xff".to_vec()));
        let outside = Manifest { index: 2, ..manifest };
        assert!(Manifest::read(&File::from(outside.write(&[]).unwrap())).is_err());
    }
}
