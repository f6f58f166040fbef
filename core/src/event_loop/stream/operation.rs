//! Reads, writes and accepts that end in a callback: what C and C++ have instead of futures.
//!
//! # What holds
//!
//! * A side (reads, which accepts are, and writes) has one operation at a time, from the call that starts it until its [`Operation::end`] begins; a second
//!   one is refused. So what is not read stays in the system's buffers, and its sender waits.
//! * An operation is tried at once in the call that starts it, and then on the loop's thread whenever its side is ready. It is not
//!   allocated for: it lies in its side.
//! * [`Operation::end`] is called once for what was accepted, at the stream's place, and never inside the call that started it. Ends of
//!   one stream come one after another ([`Strand`]).
//! * [`Operations::cancel`] ends what is under way with [`Error::Cancelled`]; so does dropping the operations. After either has returned,
//!   nothing is tried any more, so what the operation refers to is let alone.
//! * When the loop has ended, what is under way ends with [`Error::Closed`].
//!
//! # Order of locks
//!
//! A side's lock is held while an operation is tried, and the socket's readiness is asked under it. Nothing foreign runs under it, and
//! no end. A wake-up that finds it held leaves word, and the holder looks for that when it has let go: so nobody waits for the lock but
//! a cancel, and a wake-up may come from inside.

#![forbid(unsafe_code)]

use std::{
    fmt,
    marker::PhantomData,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, Ordering, fence},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{later::Later, source::Source};
use crate::{
    error::{Error, Refused, Result},
    event_loop::{
        Direction,
        dispatch::On,
        strand::{Ending, Strand},
    },
};

/// System calls in one go: then others of the loop have their turn.
const AT_ONCE: usize = 16;

/// What is to be done on a side of a source.
pub trait Operation<S>: Send + 'static {
    /// One system call. True: it is over; false: there is more to do. [`Error::WouldBlock`]: when the side is ready.
    fn attempt(&mut self, source: &S) -> Result<bool>;

    /// Told once, at the source's place.
    fn end(self, result: Result<()>);
}

/// A source and its operations; see the module's text. Dropping it closes the source.
pub struct Operations<S: Source, O: Operation<S>> {
    source: S,
    read: Side<O>,
    write: Side<O>,
    strand: Arc<Strand<Ended<S, O>>>,
}

struct Side<O> {
    /// Under way.
    slot: Mutex<Option<O>>,
    /// Until its end begins.
    busy: Arc<AtomicBool>,
    /// It is to be tried again.
    woken: AtomicBool,
    waker: Waker,
}

impl<S: Source, O: Operation<S>> fmt::Debug for Operations<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").field("source", &self.source).finish_non_exhaustive()
    }
}

impl<S: Source, O: Operation<S>> Operations<S, O> {
    /// A stream whose operations end at a place of its loop, handed to `f`: no end is told before `f` has returned.
    ///
    /// # Errors
    /// Those of [`Strand::new`]; `f` comes back.
    pub fn hand_over<F: FnOnce(Arc<Self>)>(source: S, on: &On, f: F) -> Result<(), Refused<F>> {
        match Strand::held(source.event_loop(), on) {
            Err(error) => Err(Refused::new(error, f)),
            Ok(strand) => {
                f(Self::with(source, strand.clone()));
                strand.release();
                Ok(())
            }
        }
    }

    /// A source whose operations end on a strand of its loop.
    pub fn with(source: S, strand: Arc<Strand<Ended<S, O>>>) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| {
            let side = |direction| Side {
                slot: Mutex::new(None),
                busy: Arc::new(AtomicBool::new(false)),
                woken: AtomicBool::new(false),
                waker: Waker::from(Arc::new(Ready { operations: this.clone(), direction })),
            };
            Self { source, read: side(Direction::Read), write: side(Direction::Write), strand }
        })
    }

    /// The source, for what does not wait.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Starts an operation.
    ///
    /// # Errors
    /// [`Error::Exists`] while the side has one, [`Error::Closed`] once the loop was stopped, [`Error::Forked`]; the operation comes back.
    pub fn start(&self, direction: Direction, mut operation: O) -> Result<(), Refused<O>> {
        let side = self.side(direction);
        if let Err(error) = self.check() {
            return Err(Refused::new(error, operation));
        }
        if side.busy.swap(true, Ordering::AcqRel) {
            return Err(Refused::new(is_busy(direction), operation));
        }
        let result = {
            let mut slot = side.lock();
            match self.attempt(direction, &mut operation) {
                Poll::Pending => {
                    *slot = Some(operation);
                    None
                }
                Poll::Ready(result) => Some((operation, result)),
            }
        };
        let Some((operation, result)) = result else {
            let Err(error) = self.look_again(direction) else { return Ok(()) };
            // The loop was stopped since the check, and nobody will go on with it.
            let Some(operation) = side.lock().take() else { return Ok(()) };
            side.busy.store(false, Ordering::Release);
            return Err(Refused::new(error, operation));
        };
        self.strand.push(side.ended(operation, result)).map_err(|refused| {
            side.busy.store(false, Ordering::Release);
            Refused::new(refused.error, refused.value.operation)
        })
    }

    /// Ends what is under way on this side with [`Error::Cancelled`]. False if nothing is, or it has ended by itself.
    pub fn cancel(&self, direction: Direction) -> bool {
        self.end(direction, Error::Cancelled("operation"))
    }

    /// For attempts beside the operations.
    ///
    /// # Errors
    /// [`Error::Exists`] while this side has an operation whose end has not begun.
    pub fn check_idle(&self, direction: Direction) -> Result<()> {
        if self.side(direction).busy.load(Ordering::Acquire) { Err(is_busy(direction)) } else { Ok(()) }
    }

    fn check(&self) -> Result<()> {
        let shared = &self.strand.handle().shared;
        shared.fork.check()?;
        if shared.gate.is_closed() { Err(Error::Closed("event loop")) } else { Ok(()) }
    }

    fn side(&self, direction: Direction) -> &Side<O> {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Tries until it is over or would block; in the second case the side's waker is told when it is ready.
    fn attempt(&self, direction: Direction, operation: &mut O) -> Poll<Result<()>> {
        let waker = &self.side(direction).waker;
        let cx = &mut Context::from_waker(waker);
        for _ in 0..AT_ONCE {
            match operation.attempt(&self.source) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(Error::WouldBlock(_)) => match self.source.poll_ready(direction, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                },
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // It goes on in another turn of the loop.
        self.side(direction).woken.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// Goes on with what is under way. What is over by this is to be told.
    fn progress(&self, direction: Direction) -> Option<Ended<S, O>> {
        let side = self.side(direction);
        side.woken.store(true, Ordering::Relaxed);
        // Against `look_again`: one of the two sees the other.
        fence(Ordering::SeqCst);
        let mut slot = match side.slot.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        side.woken.store(false, Ordering::Relaxed);
        let operation = slot.as_mut()?;
        match self.attempt(direction, operation) {
            Poll::Pending => {
                drop(slot);
                if let Err(error) = self.look_again(direction) {
                    self.end(direction, error);
                }
                None
            }
            Poll::Ready(result) => slot.take().map(|operation| side.ended(operation, result)),
        }
    }

    /// After the lock was held: sees to a wake-up that came meanwhile, in a turn of the loop.
    fn look_again(&self, direction: Direction) -> Result<()> {
        let side = self.side(direction);
        fence(Ordering::SeqCst);
        if !side.woken.load(Ordering::Relaxed) {
            return Ok(());
        }
        Later::post(self.strand.handle(), &side.waker)
    }

    /// Ends what is under way on this side. False if nothing is.
    fn end(&self, direction: Direction, error: Error) -> bool {
        let side = self.side(direction);
        let Some(operation) = side.lock().take() else { return false };
        self.source.forget_polled(direction);
        self.strand.push_promised(side.ended(operation, Err(error)));
        true
    }
}

#[cold]
fn is_busy(direction: Direction) -> Error {
    Error::Exists(match direction {
        Direction::Read => "a read is under way: one at a time".into(),
        Direction::Write => "a write is under way: one at a time".into(),
    })
}

impl<S: Source, O: Operation<S>> Drop for Operations<S, O> {
    fn drop(&mut self) {
        if self.strand.handle().shared.fork.is_forked() {
            // The parent's thread may have held the locks.
            for side in [&mut self.read, &mut self.write] {
                mem::forget(side.slot.get_mut().unwrap_or_else(PoisonError::into_inner).take());
            }
            return;
        }
        self.cancel(Direction::Read);
        self.cancel(Direction::Write);
    }
}

impl<O> Side<O> {
    fn lock(&self) -> MutexGuard<'_, Option<O>> {
        // Poisoned by an operation that panicked: it is still there, and is ended like any other.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended<S>(&self, operation: O, result: Result<()>) -> Ended<S, O> {
        Ended { operation, result, busy: self.busy.clone(), source: PhantomData }
    }
}

/// An operation that is over and has not been told.
#[derive(Debug)]
pub struct Ended<S, O> {
    operation: O,
    result: Result<()>,
    busy: Arc<AtomicBool>,
    source: PhantomData<fn(S)>,
}

impl<S: Source, O: Operation<S>> Ending for Ended<S, O> {
    fn tell(self) {
        // From here on the next one may be started, by the end itself for one.
        self.busy.store(false, Ordering::Release);
        self.operation.end(self.result);
    }
}

/// A side's waker. Weak: a stream that is freed while it waits is gone at once.
struct Ready<S: Source, O: Operation<S>> {
    operations: Weak<Operations<S, O>>,
    direction: Direction,
}

impl<S: Source, O: Operation<S>> Wake for Ready<S, O> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(operations) = self.operations.upgrade() else { return };
        // A wake-up that found the lock held has done its part.
        let ended = operations.progress(self.direction);
        let strand = operations.strand.clone();
        // Before anything is told: a callback that frees the stream closes it.
        drop(operations);
        if let Some(ended) = ended {
            strand.push_here(ended);
        }
    }
}
