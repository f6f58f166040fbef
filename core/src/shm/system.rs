//! What the kernel is asked for: memory without a name, a sleep on a word that processes share, and eventfds.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        os::fd::{AsFd, AsRawFd, OwnedFd},
        sync::atomic::AtomicU32,
        time::Duration,
    };

    use rustix::{
        event::{EventfdFlags, Timespec},
        fs::{MemfdFlags, SealFlags},
        io::Errno,
        thread::futex,
    };

    use crate::error::{Error, Result};

    fn error(context: impl Into<String>, errno: Errno) -> Error {
        Error::Os { context: context.into(), errno: errno.raw_os_error() }
    }

    /// The first number that is not standard input's, output's or error's.
    const FREE: i32 = 3;

    /// So many bytes of zeros, which nobody can make fewer or more. In a process without standard streams it has not the number of one:
    /// whatever is printed would be written into it.
    pub(in super::super) fn memory(name: &str, bytes: usize) -> Result<OwnedFd> {
        let make = || {
            let mut fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
            if fd.as_raw_fd() < FREE {
                fd = rustix::io::fcntl_dupfd_cloexec(&fd, FREE)?;
            }
            rustix::fs::ftruncate(&fd, bytes as u64)?;
            rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
            Ok(fd)
        };
        make().map_err(|errno| error(format!("make {bytes} bytes of shared memory"), errno))
    }

    /// How much memory this is, if nobody can make it less.
    pub(in super::super) fn sealed_size(fd: impl AsFd) -> Result<usize> {
        let seals = rustix::fs::fcntl_get_seals(&fd)
            .map_err(|errno| Error::Invalid(format!("this descriptor is not shared memory: {errno}")))?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(Error::Invalid("this shared memory is not sealed against being made smaller".into()));
        }
        let stat = rustix::fs::fstat(&fd).map_err(|errno| error("look at shared memory", errno))?;
        usize::try_from(stat.st_size).map_err(|_| Error::Invalid(format!("shared memory of {} bytes", stat.st_size)))
    }

    /// Sleeps while the word is this, at most so long. May return early.
    pub(in super::super) fn sleep(word: &AtomicU32, while_it_is: u32, timeout: Option<Duration>) {
        // A time past what the kernel takes is for ever.
        let timeout = timeout.and_then(|timeout| {
            Some(Timespec { tv_sec: timeout.as_secs().try_into().ok()?, tv_nsec: timeout.subsec_nanos().into() })
        });
        // Interrupted, out of time, or the word is something else already: the caller looks.
        let _ = futex::wait(word, futex::Flags::empty(), while_it_is, timeout.as_ref());
    }

    pub(in super::super) fn wake(word: &AtomicU32) {
        let _ = futex::wake(word, futex::Flags::empty(), u32::MAX >> 1);
    }

    /// A counter that is readable while it is not zero, to be watched by a loop: what [`Doorbell::attach`](super::super::Doorbell::attach) is
    /// given. Closed on exec, as all descriptors that the library makes.
    ///
    /// # Errors
    /// [`Error::Os`] if the process has no descriptor left, [`Error::Unsupported`] without eventfds.
    pub fn eventfd() -> Result<OwnedFd> {
        rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| error("make an eventfd", errno))
    }

    /// One that is full stays readable, which is all that it says.
    pub(in super::super) fn raise(fd: impl AsFd) {
        while rustix::io::write(&fd, &1_u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    pub(in super::super) fn lower(fd: impl AsFd) {
        while rustix::io::read(&fd, &mut [0; 8]) == Err(Errno::INTR) {}
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::{
        os::fd::{AsFd, OwnedFd},
        sync::atomic::AtomicU32,
        time::Duration,
    };

    use crate::error::{Error, Result};

    fn only_linux<T>() -> Result<T> {
        Err(Error::Unsupported("memory shared between processes needs Linux".into()))
    }

    pub(in super::super) fn memory(_: &str, _: usize) -> Result<OwnedFd> {
        only_linux()
    }

    pub(in super::super) fn sealed_size(_: impl AsFd) -> Result<usize> {
        only_linux()
    }

    pub(in super::super) fn sleep(_: &AtomicU32, _: u32, _: Option<Duration>) {}

    pub(in super::super) fn wake(_: &AtomicU32) {}

    /// Needs Linux.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn eventfd() -> Result<OwnedFd> {
        only_linux()
    }

    pub(in super::super) fn raise(_: impl AsFd) {}

    pub(in super::super) fn lower(_: impl AsFd) {}
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::eventfd;
#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{lower, memory, raise, sealed_size, sleep, wake};
#[cfg(target_os = "linux")]
pub use linux::eventfd;
#[cfg(target_os = "linux")]
pub(super) use linux::{lower, memory, raise, sealed_size, sleep, wake};
