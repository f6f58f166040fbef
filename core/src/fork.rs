//! The fork guard: objects made before `fork` are refused in the child, before any lock.
//!
//! A child has one thread. Locks that another thread of the parent held stay held in it for ever, threads that
//! should answer are not there, and an epoll set is still the parent's. So each object remembers how many forks
//! lay behind its process when it was made, and one relaxed load per call compares: the count is raised in the child
//! by a handler of `pthread_atfork`, and no call asks for its process id.

mod only_here;

use std::sync::{
    Once,
    atomic::{AtomicU64, Ordering},
};

pub(crate) use self::only_here::{OnlyHere, Private};
use crate::error::{Error, Result};

static FORKS: AtomicU64 = AtomicU64::new(0);
/// Those that this process has begun, and those before it.
static BEGUN: AtomicU64 = AtomicU64::new(0);

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    only_here::let_go();
}

/// For a child that was made without `fork`, whose handlers did not run: what they would have done. To be called in the child, first of all.
pub fn made_without_fork() {
    in_child();
}

/// Which process something was made in, in one word.
#[derive(Debug, Clone, Copy)]
pub struct Process(u64);

impl Process {
    /// This one.
    pub fn current() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            // SAFETY: both only touch lock-free atomics and make system calls, which is allowed between fork and exec, and live as
            // long as the program: the library is linked with -z nodelete.
            let failed = unsafe { libc::pthread_atfork(Some(before), None, Some(in_child)) };
            assert_eq!(failed, 0, "pthread_atfork: out of memory");
        });
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is a child of it.
    #[inline]
    pub fn is_forked(self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.0
    }
}

/// How many forks this process has begun. What was there before the last one may be a child's, too.
pub(crate) fn begun() -> u64 {
    // Installs the handlers.
    Process::current();
    BEGUN.load(Ordering::Relaxed)
}

/// A number of this process, never 0, which no other process shares that could see this one's memory: not one that was forked, nor one that
/// shares it (vfork) or was made without the library's knowledge. Async-signal-safe; costs a system call.
pub(crate) fn process_number() -> u64 {
    FORKS.load(Ordering::Relaxed) << 32 | u64::from(nix::unistd::getpid().as_raw().unsigned_abs())
}

/// Remembers the process that an object was made in.
#[derive(Debug, Clone, Copy)]
pub struct ForkGuard {
    born: Process,
    what: &'static str,
}

impl ForkGuard {
    /// A guard for an object of this name (`"pool"`), made here and now.
    pub fn new(what: &'static str) -> Self {
        Self { born: Process::current(), what }
    }

    /// Whether this is a child of the process that the object was made in.
    #[inline]
    pub fn is_forked(&self) -> bool {
        self.born.is_forked()
    }

    /// [`Error::Forked`] in a child.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.is_forked() { Err(Error::Forked(self.what)) } else { Ok(()) }
    }
}

/// For tests: runs `child` in a forked child, which ends with it; true if it said so.
#[cfg(test)]
pub(crate) fn run_in_child(child: impl FnOnce() -> bool) -> bool {
    let pid = start_child(child);
    let mut status = -1;
    // SAFETY: `status` is a valid place for the child's status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    waited == pid && status == 0
}

/// The first half of [`run_in_child`]: the child's process id. It ends with 0 if `child` says so.
#[cfg(test)]
pub(crate) fn start_child(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child runs `child` and ends without exit handlers. The only locks of other threads that it can meet are
    // the allocator's, which glibc makes usable after fork.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        // SAFETY: a call without preconditions; a child that hangs fails the test instead of holding it.
        unsafe { libc::alarm(60) };
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!ok)) };
    }
    pid
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_child_is_told_and_may_make_new_ones() {
        let before = ForkGuard::new("thing");
        assert_eq!(before.check(), Ok(()));
        // SAFETY: the child calls only `check`, `new` (whose Once has run) and `_exit`.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let told = before.check() == Err(Error::Forked("thing"));
            let fresh = ForkGuard::new("thing").check() == Ok(());
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(!(told && fresh))) };
        }
        let mut status = 0;
        // SAFETY: `status` is a valid place for the child's status.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(waited, pid);
        assert_eq!(status, 0, "the child saw its guards wrongly");
        assert_eq!(before.check(), Ok(()), "the parent is not touched");
    }
}
