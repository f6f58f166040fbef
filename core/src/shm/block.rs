//! Bytes that one process writes and another one looks at without a copy; and bytes of this process, for those that were copied.
//!
//! Unsafe, because both are looked at by their address: whoever is given one checks its length here, and what lies there is never
//! borrowed as a slice, since a peer that does not keep to the rules, or this process itself, may write it meanwhile.

#![allow(unsafe_code)]

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
};

use rustix::{
    fs::FallocateFlags,
    mm::{Advice, MapFlags, ProtFlags},
};

use super::system;
use crate::error::{Error, Result};

#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is the process's, not a thread's; its bytes are only ever copied, or looked at by address.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: impl AsFd, bytes: usize, flags: MapFlags) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: at a place of the kernel's choice, so nothing that was there is lost.
        let mapped =
            unsafe { rustix::mm::mmap(ptr::null_mut(), bytes, protection, flags, &fd, 0) }.map_err(|errno| {
                Error::Os { context: format!("map {bytes} bytes of shared memory"), errno: errno.raw_os_error() }
            })?;
        let base = NonNull::new(mapped.cast())
            .ok_or_else(|| Error::Unsupported("shared memory was mapped at address 0".into()))?;
        Ok(Self { base, bytes })
    }

    /// Where these bytes are.
    fn at(&self, offset: usize, count: usize) -> Result<*mut u8> {
        if offset.checked_add(count).is_none_or(|end| end > self.bytes) {
            let all = self.bytes;
            return Err(Error::Invalid(format!("{count} bytes from byte {offset} are not within a block of {all}")));
        }
        // SAFETY: within the mapping, or at its end.
        Ok(unsafe { self.base.as_ptr().add(offset) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; whoever looks at its bytes keeps what keeps this.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Memory that is filled here and looked at by another process.
#[derive(Debug)]
pub struct Store {
    fd: OwnedFd,
    mapping: Mapping,
}

impl Store {
    /// Of so many bytes, whose pages are taken when they are first written to.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Invalid`] for none or more than can be.
    pub fn new(name: &str, bytes: usize) -> Result<Self> {
        if bytes == 0 || isize::try_from(bytes).is_err() {
            return Err(Error::Invalid(format!("a block of {bytes} bytes: allowed are 1 to {}", isize::MAX)));
        }
        let fd = system::memory(name, bytes)?;
        let mapping = Mapping::new(&fd, bytes, MapFlags::SHARED)?;
        Ok(Self { fd, mapping })
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.mapping.bytes
    }

    /// Puts these there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are not within it.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let at = self.mapping.at(offset, bytes.len())?;
        // SAFETY: within the mapping, as was just checked; what is borrowed is never in it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        Ok(())
    }

    /// Gives its pages back, also while others have it mapped: whatever is in it is all 0 from now on.
    pub fn give_back_pages(&self) {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A kernel that cannot gives them back when nobody has it mapped any more.
        let _ = rustix::fs::fallocate(&self.fd, how, 0, self.mapping.bytes as u64);
    }
}

impl Bytes for Store {
    fn at(&self, offset: usize, count: usize) -> Result<*mut u8> {
        self.mapping.at(offset, count)
    }
}

impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Another process's [`Store`], as it is seen here. What is written to it stays this process's own.
#[derive(Debug)]
pub struct View {
    mapping: Mapping,
}

impl View {
    /// # Errors
    /// [`Error::Invalid`] for what is no memory, or could be made smaller by somebody; [`Error::Os`].
    pub fn new(fd: impl AsFd) -> Result<Self> {
        let bytes = system::sealed_size(&fd)?;
        if bytes == 0 {
            return Err(Error::Invalid("shared memory of 0 bytes".into()));
        }
        Ok(Self { mapping: Mapping::new(fd, bytes, MapFlags::PRIVATE)? })
    }

    /// Has what was written here forgotten: what is seen is the other process's again.
    pub fn forget_writes(&self) {
        // SAFETY: mapped by this; nobody looks at it any more, as its user says by the call, and what is lost is what was written here.
        let _ = unsafe {
            rustix::mm::madvise(self.mapping.base.as_ptr().cast(), self.mapping.bytes, Advice::LinuxDontNeed)
        };
    }
}

/// Bytes of this process, from a multiple of 16 on.
pub struct Heap {
    /// A box's.
    lines: NonNull<[u128]>,
    bytes: usize,
}

// SAFETY: plain bytes that nothing else has.
unsafe impl Send for Heap {}
// SAFETY: they are only copied, or looked at by address.
unsafe impl Sync for Heap {}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Heap {
    /// So many, all 0.
    pub fn new(bytes: usize) -> Self {
        let lines = Box::leak(vec![0_u128; bytes.div_ceil(16)].into_boxed_slice());
        Self { lines: NonNull::from(lines), bytes }
    }

    /// Before anybody else has it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: that many bytes are there, one after the other, and nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_ptr().cast(), self.bytes) }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: it was a box's, and is nobody else's.
        drop(unsafe { Box::from_raw(self.lines.as_ptr()) });
    }
}

/// Bytes that are looked at by address.
pub trait Bytes {
    /// Where these are, readable and writable as long as this is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are not within it.
    fn at(&self, offset: usize, count: usize) -> Result<*mut u8>;

    /// Copies the bytes from there on.
    ///
    /// # Errors
    /// As [`Bytes::at`].
    fn copy_to(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let from = self.at(offset, into.len())?;
        // SAFETY: readable, as `at` says; what is borrowed for writing is never in it. Bytes that are written meanwhile are some bytes.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }
}

impl Bytes for View {
    fn at(&self, offset: usize, count: usize) -> Result<*mut u8> {
        self.mapping.at(offset, count)
    }
}

impl Bytes for Heap {
    fn at(&self, offset: usize, count: usize) -> Result<*mut u8> {
        if offset.checked_add(count).is_none_or(|end| end > self.bytes) {
            let all = self.bytes;
            return Err(Error::Invalid(format!("{count} bytes from byte {offset} are not within {all}")));
        }
        // SAFETY: within the lines, or at their end.
        Ok(unsafe { self.lines.as_ptr().cast::<u8>().add(offset) })
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;

    #[test]
    fn what_is_stored_is_seen_and_what_the_receiver_writes_is_its_own() {
        let store = Store::new("test", 10_000).unwrap();
        store.write(5000, b"bytes").unwrap();
        let view = View::new(&store).unwrap();
        let seen = || {
            let mut seen = [0; 5];
            view.copy_to(5000, &mut seen).unwrap();
            seen
        };
        assert_eq!(&seen(), b"bytes");
        // SAFETY: one byte of it.
        unsafe { view.at(5000, 1).unwrap().write(b'B') };
        assert_eq!(&seen(), b"Bytes");
        store.write(5000, b"other").unwrap();
        assert_eq!(&seen(), b"Bytes", "its page is its own");
        view.forget_writes();
        assert_eq!(&seen(), b"other");
    }

    #[test]
    fn nothing_outside_is_touched() {
        let store = Store::new("test", 100).unwrap();
        let view = View::new(&store).unwrap();
        assert!(
            store.write(100, b"").is_ok() && store.write(99, b"ab").is_err() && store.write(usize::MAX, b"a").is_err()
        );
        assert!(view.at(0, 100).is_ok() && view.at(1, 100).is_err() && view.at(usize::MAX, 2).is_err());
        let mut heap = Heap::new(17);
        heap.bytes_mut()[16] = 7;
        let mut last = [0];
        heap.copy_to(16, &mut last).unwrap();
        assert_eq!(last, [7]);
        assert!(heap.at(17, 0).is_ok() && heap.at(17, 1).is_err() && heap.at(0, 17).unwrap().addr().is_multiple_of(16));
        assert!(Store::new("x", 0).is_err() && Store::new("x", usize::MAX).is_err());
    }

    #[test]
    fn what_can_be_made_smaller_is_not_looked_at() {
        let shrinks = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&shrinks, 4096).unwrap();
        assert!(View::new(&shrinks).unwrap_err().to_string().contains("not sealed"));
    }
}
