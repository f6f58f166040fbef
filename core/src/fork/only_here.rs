//! Descriptors that a child which is forked does not keep.
//!
//! A forked child has every descriptor of its parent, and with them whatever they keep open: an address that the parent has let go of
//! is still taken for as long as the child lives. Objects cannot help it there. Their locks may be held for ever, so they are left as they
//! are, and what shares a descriptor may close its number later.
//!
//! So these descriptors are registered. In a child the handler of `pthread_atfork` puts an empty file (`/dev/null`) in the place of each: the number stays
//! taken, and what it stood for is the parent's alone. A child that is made without `fork`, as those that run a program of their own are,
//! has no handlers, and is given what it is given.

use std::{
    ops::Deref,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering},
};

use super::Process;

/// Of a place that nobody has.
const FREE: u64 = 0;

/// One of a list that only grows: with as many as there ever were at once.
struct Place {
    /// Who has it, a number that is never 0, and its descriptor.
    owner: AtomicU64,
    next: *const Self,
}

static FIRST: AtomicPtr<Place> = AtomicPtr::new(ptr::null_mut());

/// All places that there are now. Async-signal-safe.
fn places() -> impl Iterator<Item = &'static Place> {
    let mut at = FIRST.load(Ordering::Acquire).cast_const();
    std::iter::from_fn(move || {
        // SAFETY: null, or a place that was leaked before it was listed, and whose `next` is so too.
        let place = unsafe { at.as_ref() }?;
        at = place.next;
        Some(place)
    })
}

/// A registered descriptor. Dropped before that is closed: until then the number is nobody else's.
#[derive(Debug)]
pub(crate) struct OnlyHere {
    owner: u64,
    place: &'static AtomicU64,
}

impl OnlyHere {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Installs the handler.
        Process::current();
        let number = match NEXT.fetch_add(1, Ordering::Relaxed) {
            0 => NEXT.fetch_add(1, Ordering::Relaxed),
            number => number,
        };
        let owner = u64::from(number) << 32 | u64::from(fd.as_raw_fd().unsigned_abs());
        let claim =
            |place: &&Place| place.owner.compare_exchange(FREE, owner, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let place = places().find(claim).unwrap_or_else(|| list(owner));
        Self { owner, place: &place.owner }
    }
}

fn list(owner: u64) -> &'static Place {
    let new = Box::leak(Box::new(Place { owner: AtomicU64::new(owner), next: ptr::null() }));
    let at: *mut Place = new;
    let mut first = FIRST.load(Ordering::Acquire);
    loop {
        // SAFETY: nobody else knows of it yet.
        unsafe { (*at).next = first };
        match FIRST.compare_exchange_weak(first, at, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: leaked, and only its atomic changes from here on.
            Ok(_) => return unsafe { &*at },
            Err(now) => first = now,
        }
    }
}

impl Drop for OnlyHere {
    fn drop(&mut self) {
        // In a child the place may be another one's by now.
        let _ = self.place.compare_exchange(self.owner, FREE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// What has a registered descriptor, for as long as it has it.
#[derive(Debug)]
pub(crate) struct Private<T> {
    // Goes first.
    only_here: OnlyHere,
    inner: T,
}

impl<T: AsFd> Private<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { only_here: OnlyHere::new(inner.as_fd()), inner }
    }

    /// The two apart: the first of them is to go first.
    pub(crate) fn into_parts(self) -> (OnlyHere, T) {
        (self.only_here, self.inner)
    }
}

impl<T> Deref for Private<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

/// In a forked child, before anything else runs there: makes system calls and touches atomics, no more.
pub(super) fn let_go() {
    let mut empty = -1;
    for place in places() {
        let owner = place.owner.swap(FREE, Ordering::AcqRel);
        if owner == FREE {
            continue;
        }
        if empty < 0 {
            // SAFETY: a text that ends with a NUL.
            empty = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
            if empty < 0 {
                return;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the descriptor")]
        let number = owner as u32 as RawFd;
        // SAFETY: the number is that of a descriptor which its owner, whoever has it in this child, will not use here: it stays taken.
        unsafe { replace(empty, number) };
    }
    if empty >= 0 {
        // SAFETY: opened above, and nobody has seen it.
        unsafe { libc::close(empty) };
    }
}

/// # Safety
/// Nobody relies on what `number` stands for.
unsafe fn replace(empty: RawFd, number: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: by the caller.
    unsafe {
        libc::dup3(empty, number, libc::O_CLOEXEC);
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: by the caller.
    unsafe {
        libc::dup2(empty, number);
        libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, UdpSocket},
        time::Duration,
    };

    use super::*;
    use crate::{
        fork::{run_in_child, start_child},
        time::Deadline,
    };

    /// Another test's child, on its way to its program, may have the socket for a moment.
    fn bound_again(address: SocketAddr) {
        let deadline = Deadline::after(Some(Duration::from_secs(60)));
        while let Err(error) = UdpSocket::bind(address) {
            assert!(!deadline.is_over(), "{address}: {error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn an_address_is_free_again_beside_a_child() {
        let sockets: Vec<_> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let sockets: Vec<_> = sockets.into_iter().map(Private::new).collect();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (mut ours, mut childs) = std::os::unix::net::UnixStream::pair().unwrap();
        let child = start_child(|| childs.write_all(b"x").is_ok() && childs.read_exact(&mut [0]).is_ok());
        ours.read_exact(&mut [0]).unwrap();
        drop(sockets);
        addresses.into_iter().for_each(bound_again);
        let taken = other.local_addr().unwrap();
        drop(other);
        UdpSocket::bind(taken).unwrap_err();
        ours.write_all(b"x").unwrap();
        let mut status = -1;
        // SAFETY: `status` is a valid place for the child's status.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((waited, status), (child, 0));
        bound_again(taken);
    }

    #[test]
    fn a_place_that_a_child_has_taken_stays_its() {
        let (one, two) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let before = OnlyHere::new(one.as_fd());
        assert!(run_in_child(move || {
            let mine = OnlyHere::new(two.as_fd());
            let had_it = ptr::eq(before.place, mine.place);
            drop(before);
            // The number is still taken, and stands for nothing.
            mine.place.load(Ordering::Relaxed) == mine.owner && had_it && one.local_addr().is_err()
        }));
    }
}
