//! [`Io`]: a socket that belongs to a loop, to be tried first and waited for when it would block.
//!
//! # What holds
//!
//! * The socket is registered once, for both directions, until the [`Io`] is dropped or taken apart; a turn of reading and waiting
//!   makes no other system call than the read and the loop's own.
//! * An attempt may be made from any thread. Who waits is woken from the loop's thread, and goes on where it belongs: a coroutine of a
//!   pool may wait for a socket of a loop.
//! * A wait that is dropped loses nothing: nothing is read or written but by an attempt, whose result the caller has.
//! * A wait ends with [`Error::Closed`] when the loop was stopped and has finished, or is freed. Attempts go on working.
//! * In a forked child all of it answers [`Error::Forked`], and the drop closes the descriptor only.
//! * A loop that runs until it is idle waits for a socket while somebody waits for that.

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    io::{self, ErrorKind},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    handle::Handle,
    readiness::{Direction, Record, Seen},
};
#[cfg(doc)]
use crate::error::Error;
use crate::error::{Refused, Result};

/// A registered descriptor; leaves the loop when dropped.
struct Registration {
    event_loop: Handle,
    id: u64,
    fd: RawFd,
    record: Arc<Record>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let shared = &self.event_loop.shared;
        if shared.fork.is_forked() {
            // The selector is the parent's, and so are those who wait.
            return std::mem::forget(self.record.clone());
        }
        shared.watches.remove_socket(self.id);
        self.record.forget_all();
        shared.wake_if_idle();
    }
}

/// A non-blocking descriptor that belongs to a loop; see the module's text.
pub struct Io<S: AsFd> {
    // Goes first: the system forgets a closed descriptor's registration only if no other one is the same file.
    registration: Registration,
    source: S,
}

impl<S: AsFd> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("fd", &self.registration.fd).finish_non_exhaustive()
    }
}

impl<S: AsFd> Io<S> {
    /// Registers a descriptor that was made non-blocking.
    ///
    /// # Errors
    /// [`Error::Exists`] for one that is watched on this loop, [`Error::Os`] for what the system cannot watch, [`Error::Closed`],
    /// [`Error::Forked`]; it comes back.
    pub fn new(event_loop: &Handle, source: S) -> Result<Self, Refused<S>> {
        let fd = source.as_fd().as_raw_fd();
        let added = event_loop.enter().and_then(|_inside| event_loop.shared.watches.add_socket(fd));
        event_loop.shared.watches.report();
        match added {
            Ok((id, record)) => {
                let registration = Registration { event_loop: event_loop.clone(), id, fd, record };
                Ok(Self { registration, source })
            }
            Err(error) => Err(Refused::new(error, source)),
        }
    }

    /// What was registered.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// The loop that it belongs to.
    pub fn event_loop(&self) -> &Handle {
        &self.registration.event_loop
    }

    /// Takes the descriptor out of the loop. Who waits for it is forgotten.
    pub fn into_inner(self) -> S {
        let Self { registration, source } = self;
        drop(registration);
        source
    }

    /// [`Error::Forked`] in a child.
    #[inline]
    pub fn check(&self) -> Result<()> {
        self.registration.event_loop.shared.fork.check()
    }

    /// Ready when an attempt in this direction is worth while. Of those who ask so for one direction, the last is woken; futures, as
    /// [`Io::ready`], do not count among them.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    #[inline]
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<Result<Seen>> {
        self.check()?;
        self.registration.record.poll(direction, None, cx)
    }

    /// Whoever polled last in this direction waits no longer.
    pub fn forget_polled(&self, direction: Direction) {
        if self.check().is_ok() {
            self.registration.record.forget_polled(direction);
            self.registration.event_loop.shared.wake_if_idle();
        }
    }

    /// Waits until an attempt in this direction is worth while; any number may wait.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`].
    pub fn ready(&self, direction: Direction) -> WhenReady<'_, S> {
        WhenReady { io: self, direction, name: 0 }
    }

    /// The state before an attempt, for [`Io::clear`].
    #[inline]
    pub fn seen(&self) -> Seen {
        self.registration.record.seen()
    }

    /// An attempt has used up what there was: from here on a wait is a wait, unless more was told since `seen`, or the direction has
    /// ended.
    #[inline]
    pub fn clear(&self, direction: Direction, seen: Seen) {
        self.registration.record.clear(direction, seen);
    }

    /// An attempt would have blocked: from here on a wait is a wait, unless more was told since `seen`.
    #[inline]
    pub fn would_block(&self, direction: Direction, seen: Seen) {
        self.registration.record.clear_all(direction, seen);
    }

    /// One attempt, whatever is known of the socket: no wait is needed before it. A signal's interruption is not told.
    ///
    /// # Errors
    /// What `attempt` answers; [`ErrorKind::WouldBlock`] means that a wait is one.
    #[inline]
    pub fn attempt<T>(&self, direction: Direction, mut attempt: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        let seen = self.seen();
        loop {
            match attempt(&self.source) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() == ErrorKind::WouldBlock {
                        self.would_block(direction, seen);
                    }
                    return Err(error);
                }
                done => return done,
            }
        }
    }

    /// [`Io::attempt`] for an attempt that answers how many of `wanted` bytes it moved: fewer than that, and nothing is left to read or
    /// no room to write, so the next one waits.
    #[inline]
    pub fn attempt_bytes(
        &self,
        direction: Direction,
        wanted: usize,
        attempt: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let seen = self.seen();
        let moved = self.attempt(direction, attempt)?;
        // A read of nothing is the end, which is ready for good.
        if 0 < moved && moved < wanted && (direction == Direction::Write || seen.is_short_drained()) {
            self.clear(direction, seen);
        }
        Ok(moved)
    }

    /// Attempts when it is worth while, and waits otherwise, until the attempt answers anything but [`ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// Outside: [`Error::Closed`], [`Error::Forked`]; inside: what the attempt answered.
    pub fn when<T, F>(&self, direction: Direction, attempt: F) -> When<'_, S, F>
    where
        F: FnMut(&Self) -> io::Result<T>,
    {
        When { ready: self.ready(direction), attempt }
    }

    /// An attempt at it later is worth while: wakes who waits in this direction. For what the system does not tell.
    pub(super) fn teller(&self) -> impl Fn(Direction) + Send + use<S> {
        let record = Arc::downgrade(&self.registration.record);
        move |direction| {
            if let Some(record) = record.upgrade() {
                record.tell_ready(direction);
            }
        }
    }
}

impl<S: AsFd> AsFd for Io<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl<S: AsFd> AsRawFd for Io<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.registration.fd
    }
}

/// Ends when a socket is ready; made by [`Io::ready`].
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub struct WhenReady<'a, S: AsFd> {
    io: &'a Io<S>,
    direction: Direction,
    /// Under which it is stored; 0: it never was.
    name: u64,
}

impl<S: AsFd> Future for WhenReady<'_, S> {
    type Output = Result<Seen>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Seen>> {
        let this = &mut *self;
        this.io.check()?;
        this.io.registration.record.poll(this.direction, Some(&mut this.name), cx)
    }
}

impl<S: AsFd> Drop for WhenReady<'_, S> {
    fn drop(&mut self) {
        if self.name != 0 && self.io.check().is_ok() {
            self.io.registration.record.forget(self.direction, self.name);
            self.io.registration.event_loop.shared.wake_if_idle();
        }
    }
}

/// Attempts until it does not block; made by [`Io::when`].
#[derive(Debug)]
#[must_use = "nothing is attempted until it is awaited"]
pub struct When<'a, S: AsFd, F> {
    ready: WhenReady<'a, S>,
    attempt: F,
}

impl<S: AsFd, F: Unpin, T> Future for When<'_, S, F>
where
    F: FnMut(&Io<S>) -> io::Result<T>,
{
    type Output = Result<io::Result<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.ready).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(_)) => {}
            }
            match (this.attempt)(this.ready.io) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(Ok(done)),
            }
        }
    }
}
