//! What a worker is told of its pool: a sealed file, whose number `COOP_PROCESS_POOL` says: the length of what follows, as 8 bytes; that, as JSON;
//! and the pool's arguments, to the end.

#![forbid(unsafe_code)]

use std::{
    fs::File,
    os::fd::{OwnedFd, RawFd},
};

use serde::{Deserialize, Serialize};

use super::{layout::Layout, options::VARIABLE};
use crate::{error::Result, supervisor::told::Told};

/// The manifest's number.
pub(super) const NUMBER: RawFd = 3;
/// That of the memory that the pool shares.
pub(super) const MEMORY: RawFd = 4;
/// That of the worker's end of the sockets.
pub(super) const SOCKET: RawFd = 5;

/// Of this library's workers; another one's are refused.
const VERSION: u32 = 1;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    pub(super) layout: Layout,
    /// Which worker this is, and which run of it.
    pub(super) index: usize,
    pub(super) run: u64,
    /// It ends after so many calls.
    pub(super) calls: Option<u64>,
    /// It is kept on this CPU.
    pub(super) cpu: Option<usize>,
    pub(super) kept_bytes: usize,
}

const TOLD: Told = Told { file: "coop-process-pool", whose: "pool's", variable: VARIABLE, number: NUMBER };

impl Manifest {
    pub(super) fn new(layout: Layout, index: usize, run: u64) -> Self {
        Self { version: VERSION, layout, index, run, calls: None, cpu: None, kept_bytes: 0 }
    }

    /// As a file, with the pool's arguments.
    pub(super) fn write(&self, args: &[u8]) -> Result<OwnedFd> {
        TOLD.write(self, args)
    }

    /// What was written so, and the arguments.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    pub(super) fn read(file: &File) -> Result<(Self, Vec<u8>)> {
        TOLD.read(file, |told: &Self| told.version == VERSION && told.index < told.layout.workers)
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_worker_that_is_none_is_not() {
        let layout = Layout { workers: 2, slots: 16, inline_bytes: 64, ring_bytes: 4096, pinned: false };
        let manifest = Manifest { calls: Some(3), cpu: Some(1), kept_bytes: 7, ..Manifest::new(layout, 1, u64::MAX) };
        let file = File::from(manifest.write(b"args\0\xff").unwrap());
        assert_eq!(Manifest::read(&file).unwrap(), (manifest.clone(), b"args\0\xff".to_vec()));
        let outside = Manifest { index: 2, ..manifest };
        assert!(Manifest::read(&File::from(outside.write(&[]).unwrap())).is_err());
    }
}
