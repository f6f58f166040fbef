//! A piece of memory that several processes have mapped.
//!
//! The one file here with unsafe code: it maps the memory and gives it out as atomics, whose place and number it has checked. So nothing
//! that is built on it can read or write outside of it, and what other processes write meanwhile changes values, and never what the
//! compiler may assume.
//!
//! The first bytes say what it is: whoever attaches is told in words if that is not what it expects.

#![allow(unsafe_code)]

use std::{
    fmt,
    ops::Deref,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use rustix::mm::{MapFlags, ProtFlags};

use super::system;
use crate::{
    error::{Error, Result},
    fork::ForkGuard,
};

/// `libcoop` and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"libcoop\x01");

/// What a segment begins with, in words: [`MAGIC`], the user's kind, the size in bytes.
const HEADER: usize = 3;

/// Memory that other processes can map by its descriptor; see the module's text.
pub struct Segment {
    fork: ForkGuard,
    fd: OwnedFd,
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is the process's, not a thread's; it is only ever looked at through atomics.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("fd", &self.fd).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Segment {
    /// Places begin at multiples of this: what two processes write is never on one cache line, nor on the one that is fetched along with it.
    pub const LINE: usize = 128;

    /// The first place.
    pub const FIRST: usize = Self::LINE;

    /// How many bytes of a segment a place of so many takes.
    pub const fn space(bytes: usize) -> usize {
        bytes.saturating_add(Self::LINE - 1) / Self::LINE * Self::LINE
    }

    /// How large a segment with places of these sizes is, one after the other from [`Segment::FIRST`].
    pub fn size(places: &[usize]) -> usize {
        places.iter().fold(Self::FIRST, |all, place| all.saturating_add(Self::space(*place)))
    }

    /// A new one of zeros, with a name that only tools show. `kind` says what is in it: who attaches must expect the same.
    ///
    /// Memory is taken by the page, when it is first written to.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size without room for anything, [`Error::Os`], [`Error::Unsupported`] where there is no such memory.
    pub fn new(name: &str, kind: u64, bytes: usize) -> Result<Self> {
        if bytes <= Self::FIRST || isize::try_from(bytes).is_err() {
            let (least, most) = (Self::FIRST + 1, isize::MAX);
            return Err(Error::Invalid(format!("a segment of {bytes} bytes: allowed are {least} to {most}")));
        }
        let name = name.replace('\0', " ");
        let segment = Self::map(system::memory(&name, bytes)?, bytes)?;
        let header = segment.atomics::<AtomicU64>(0, HEADER)?;
        for (word, value) in header.iter().zip([MAGIC, kind, bytes as u64]) {
            word.store(value, Ordering::Relaxed);
        }
        Ok(segment)
    }

    /// One that another process made, by its descriptor.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not a segment, or of another version, size or kind, or could be made smaller by somebody;
    /// [`Error::Os`], [`Error::Unsupported`].
    pub fn attach(fd: OwnedFd, kind: u64) -> Result<Self> {
        let segment = Self::attach_known(fd)?;
        let bytes = segment.bytes;
        let header = segment.atomics::<AtomicU64>(0, HEADER)?;
        let found = [0, 1, 2].map(|word: usize| header[word].load(Ordering::Relaxed));
        let expected = [MAGIC, kind, bytes as u64];
        for ((found, expected), what) in found.into_iter().zip(expected).zip(["version", "kind", "size"]) {
            if found != expected {
                let text = format!("this shared memory has another {what}: {found:#x}, and not {expected:#x}");
                return Err(Error::Invalid(text));
            }
        }
        Ok(segment)
    }

    /// As [`Segment::attach`], where something that no other process can write to has said of what kind it is: one whose first bytes somebody
    /// wrote over is attached to all the same.
    ///
    /// # Errors
    /// As there, but for the version and the kind.
    pub fn attach_known(fd: OwnedFd) -> Result<Self> {
        let bytes = system::sealed_size(&fd)?;
        if bytes <= Self::FIRST {
            return Err(Error::Invalid(format!("shared memory of {bytes} bytes is no segment of this library")));
        }
        Self::map(fd, bytes)
    }

    fn map(fd: OwnedFd, bytes: usize) -> Result<Self> {
        let (protection, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: at a place of the kernel's choice, so nothing that was there is lost.
        let mapped =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, shared, &fd, 0) }.map_err(|errno| {
                Error::Os { context: format!("map {bytes} bytes of shared memory"), errno: errno.raw_os_error() }
            })?;
        let base = NonNull::new(mapped.cast())
            .ok_or_else(|| Error::Unsupported("shared memory was mapped at address 0".into()))?;
        Ok(Self { fork: ForkGuard::new("shared memory"), fd, base, bytes })
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// [`Error::Forked`] in a child.
    #[inline]
    pub fn check(&self) -> Result<()> {
        self.fork.check()
    }

    /// So many atomics at a place.
    fn atomics<T: Atomic>(&self, offset: usize, count: usize) -> Result<&[T]> {
        let size = size_of::<T>();
        let end = count.checked_mul(size).and_then(|bytes| bytes.checked_add(offset));
        if end.is_none_or(|end| end > self.bytes) || !offset.is_multiple_of(size) {
            let (all, text) = (self.bytes, format!("{count} words of {size} bytes from byte {offset}"));
            return Err(Error::Invalid(format!("{text} are not within a segment of {all} bytes, or not aligned")));
        }
        // SAFETY: within the mapping, as was just checked; `offset` is at most `bytes`.
        let first = unsafe { self.base.as_ptr().add(offset) }.cast::<T>();
        // SAFETY: mapped for as long as `self` is there, and of full length: it is sealed against being made smaller. Aligned: the mapping begins
        // at a page, and the offset was checked. An atomic may have any value, and others may write it meanwhile.
        Ok(unsafe { std::slice::from_raw_parts(first, count) })
    }

    /// So many words at a place.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are not within the segment, or not aligned.
    pub fn words(self: &Arc<Self>, offset: usize, count: usize) -> Result<Words> {
        let first = NonNull::from(self.atomics::<AtomicU64>(offset, count)?).cast();
        Ok(Words { segment: self.clone(), first, count })
    }

    /// A word of four bytes at a place, on which somebody may sleep.
    ///
    /// # Errors
    /// As [`Segment::words`].
    pub fn word32(self: &Arc<Self>, offset: usize) -> Result<Word32> {
        let at = NonNull::from(&self.atomics(offset, 1)?[0]);
        Ok(Word32 { segment: self.clone(), at })
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and nobody has a reference into it: `Words` and `Word32` keep the segment.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// What memory may be looked at as: of any value, and written by others meanwhile.
trait Atomic {}

impl Atomic for AtomicU32 {}
impl Atomic for AtomicU64 {}

/// Words of eight bytes in a [`Segment`], which they keep.
#[derive(Debug, Clone)]
pub struct Words {
    segment: Arc<Segment>,
    first: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: a slice of atomics that the segment keeps.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// What they are in.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: checked when this was made; mapped for as long as the segment is there, which this keeps.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

/// A word of four bytes in a [`Segment`], which it keeps.
#[derive(Debug, Clone)]
pub struct Word32 {
    segment: Arc<Segment>,
    at: NonNull<AtomicU32>,
}

// SAFETY: an atomic that the segment keeps.
unsafe impl Send for Word32 {}
// SAFETY: as above.
unsafe impl Sync for Word32 {}

impl Word32 {
    /// What it is in.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl Deref for Word32 {
    type Target = AtomicU32;

    #[inline]
    fn deref(&self) -> &AtomicU32 {
        // SAFETY: as in `Words`.
        unsafe { self.at.as_ref() }
    }
}
