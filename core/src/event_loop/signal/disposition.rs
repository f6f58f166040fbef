//! What the process does with a signal: `sigaction`, and the one handler.
//!
//! # Invariant
//!
//! A [`Line`] belongs to the process whose number is in `owner`; only under [`LOCK`] is it changed. `previous` is written while the handler
//! is not installed for that signal, and read only by the handler or under the lock while it is: so nobody reads it half written.
//! `eventfd` is set before the handler is installed and never closed, since a handler may be about to write to it on another thread at any time.
//!
//! The handler does what is async-signal-safe: atomics, `getpid`, `write`, and in a forked child `sigaction` and `raise`. It keeps errno.
//!
//! In a forked child every line is the parent's: the lock may be held by a thread that is not there, and the eventfd is the parent's too.
//! So the lock says which process holds it, and is taken from another one; and the handler, when it finds a line of another process, puts back
//! what was there before it and raises the signal again.

use std::{
    cell::UnsafeCell,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering},
};

use nix::{errno::Errno, sys::signal::Signal};

use super::super::kernel;
use crate::{
    error::{Error, Result},
    fork,
};

/// One more than the highest number of a signal.
const LINES: usize = 65;

struct Line {
    /// 0: nobody has watched it yet.
    owner: AtomicU64,
    eventfd: AtomicI32,
    count: AtomicU64,
    watchers: AtomicUsize,
    previous: UnsafeCell<MaybeUninit<libc::sigaction>>,
}

// SAFETY: `previous` is accessed by the module's invariant only.
unsafe impl Sync for Line {}

static TABLE: [Line; LINES] = [const {
    Line {
        owner: AtomicU64::new(0),
        eventfd: AtomicI32::new(-1),
        count: AtomicU64::new(0),
        watchers: AtomicUsize::new(0),
        previous: UnsafeCell::new(MaybeUninit::uninit()),
    }
}; LINES];

/// The process that holds it, or 0.
static LOCK: AtomicU64 = AtomicU64::new(0);

struct Locked;

fn lock() -> Locked {
    let me = fork::process_number();
    loop {
        match LOCK.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Locked,
            // Held when the process was forked, by a thread of the parent's.
            Err(holder) if holder != me => {
                if LOCK.compare_exchange(holder, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return Locked;
                }
            }
            // The time of a few system calls.
            Err(_) => std::thread::yield_now(),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        LOCK.store(0, Ordering::Release);
    }
}

/// One watcher of a signal. Dropped it is none any more.
#[derive(Debug)]
pub(super) struct Subscription {
    signum: i32,
    owner: u64,
    /// A duplicate of its own, so that a loop watches it beside others.
    eventfd: OwnedFd,
    seen: u64,
}

impl AsRawFd for Subscription {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

impl Subscription {
    /// How many have come since the last answer.
    pub(super) fn take(&mut self) -> u64 {
        let now = line(self.signum).count.load(Ordering::Acquire);
        now - std::mem::replace(&mut self.seen, now)
    }
}

fn line(signum: i32) -> &'static Line {
    &TABLE[signum as usize]
}

/// Begins to watch a signal.
pub(super) fn subscribe(signum: i32) -> Result<Subscription> {
    allowed(signum)?;
    let (line, me) = (line(signum), fork::process_number());
    let _locked = lock();
    if line.owner.load(Ordering::Relaxed) != me {
        let made = kernel::eventfd(false)?;
        // The parent's, if there was one: it goes with the process, as its number may be another file's already.
        line.eventfd.store(made.into_raw_fd(), Ordering::Relaxed);
        line.watchers.store(0, Ordering::Relaxed);
        line.owner.store(me, Ordering::Release);
    }
    // SAFETY: open, and never closed by this process.
    let shared = unsafe { BorrowedFd::borrow_raw(line.eventfd.load(Ordering::Relaxed)) };
    let eventfd = shared.try_clone_to_owned().map_err(|error| Error::os("duplicate an eventfd", &error))?;
    // Read before the handler is in: one that comes at the very moment that it is counts for this watcher, whom the eventfd,
    // readable from then on, will wake.
    let seen = line.count.load(Ordering::Acquire);
    if line.watchers.load(Ordering::Relaxed) == 0 {
        install(signum).map_err(|error| Error::os(format!("handle signal {signum}"), &error))?;
    }
    line.watchers.fetch_add(1, Ordering::Relaxed);
    Ok(Subscription { signum, owner: me, eventfd, seen })
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A copy in a forked child: the watcher is the parent's.
        if self.owner != fork::process_number() {
            return;
        }
        let _locked = lock();
        if line(self.signum).watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            give_back(self.signum);
        }
    }
}

/// Whether this process watches a signal.
pub(super) fn is_watched(signum: i32) -> bool {
    let line = usize::try_from(signum).ok().and_then(|signum| TABLE.get(signum));
    line.is_some_and(|line| {
        line.owner.load(Ordering::Acquire) == fork::process_number() && line.watchers.load(Ordering::Relaxed) > 0
    })
}

/// The signals that may be watched.
fn allowed(signum: i32) -> Result<()> {
    let last = libc::SIGRTMAX();
    let name = || Signal::try_from(signum).map_or("reserved", Signal::as_str);
    let refused = |why: &str| Err(Error::Invalid(format!("signal {signum} ({}) cannot be watched: {why}", name())));
    match signum {
        libc::SIGKILL | libc::SIGSTOP => refused("the system lets nobody handle it"),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP | libc::SIGSYS => {
            refused("it is a fault of the instruction at hand, which would be run again")
        }
        32.. if signum < libc::SIGRTMIN() => refused("the C library uses it itself"),
        _ if (1..=last.min(LINES as i32 - 1)).contains(&signum) => Ok(()),
        _ => Err(Error::Invalid(format!("{signum} is no signal: allowed are 1 to {last}"))),
    }
}

fn ours() -> libc::sighandler_t {
    handler as extern "C" fn(libc::c_int) as libc::sighandler_t
}

fn installed(signum: i32) -> io::Result<libc::sigaction> {
    let mut now = MaybeUninit::uninit();
    // SAFETY: asks only, into a place for the answer.
    let failed = unsafe { libc::sigaction(signum, ptr::null(), now.as_mut_ptr()) };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written it.
    Ok(unsafe { now.assume_init() })
}

/// Puts the handler in, and keeps what was there. Under the lock.
fn install(signum: i32) -> io::Result<()> {
    let now = installed(signum)?;
    if now.sa_sigaction == ours() {
        // A forked child has inherited it, with what was there before it.
        return Ok(());
    }
    // SAFETY: under the lock, and the handler, which alone reads it without, is not installed.
    unsafe { line(signum).previous.get().cast::<libc::sigaction>().write(now) };
    // SAFETY: a C structure of numbers and a function, for which zero bytes are a value.
    let mut wanted: libc::sigaction = unsafe { std::mem::zeroed() };
    wanted.sa_sigaction = ours();
    // On the alternate stack where a thread has one: its own may be small.
    wanted.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler is async-signal-safe (the module's text) and lives as long as the program: the library is linked with -z nodelete.
    let failed = unsafe { libc::sigaction(signum, &raw const wanted, ptr::null_mut()) };
    if failed != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Puts back what was there, unless somebody else has put in something meanwhile. Under the lock.
fn give_back(signum: i32) {
    if installed(signum).is_ok_and(|now| now.sa_sigaction == ours()) {
        put_back(line(signum), signum);
    }
}

/// Async-signal-safe.
fn put_back(line: &Line, signum: i32) {
    let previous: *const libc::sigaction = line.previous.get().cast_const().cast();
    // SAFETY: the handler is installed, so `previous` was written, with what the system has answered.
    unsafe { libc::sigaction(signum, previous, ptr::null_mut()) };
}

extern "C" fn handler(signum: libc::c_int) {
    let errno = Errno::last_raw();
    let line = line(signum);
    if line.owner.load(Ordering::Acquire) == fork::process_number() {
        line.count.fetch_add(1, Ordering::Release);
        let one = 1u64.to_ne_bytes();
        // SAFETY: the eventfd is open for as long as the process, and eight bytes are what it takes. It does not block, and cannot be full.
        unsafe { libc::write(line.eventfd.load(Ordering::Relaxed), one.as_ptr().cast(), one.len()) };
    } else {
        put_back(line, signum);
        // SAFETY: async-signal-safe. The signal is blocked until this returns, and is delivered then.
        unsafe { libc::raise(signum) };
    }
    Errno::set_raw(errno);
}
