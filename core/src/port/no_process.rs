//! Stands where there are no processes with descriptors that can be waited for.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};

/// Nothing can be said: PROCESS mode is of Linux.
#[derive(Debug, Clone, Default)]
pub struct ProcessOptions {}

impl ProcessOptions {
    pub(super) const fn new() -> Self {
        Self {}
    }

    pub(super) fn check(&self) -> Result<()> {
        Err(Error::Unsupported("ports in mode PROCESS are there on Linux only".into()))
    }

    pub(super) fn is_this_program(&self) -> bool {
        true
    }
}
