//! A bell: how one who sleeps, in whatever process, is woken by those who have something for it.
//!
//! # Why no wake-up is lost
//!
//! Before it sleeps the receiver says so in the bell's word, passes a full fence and looks once more at all that it waits for. Whoever has something for it makes
//! that visible first, passes a full fence, and looks at the word. One of the two fences comes first: either the last look finds it, or the
//! other one finds the word. It takes the word away and makes the system call, one of however many there are.
//!
//! The word is only a hint about the sleep, and never about what there is to do. A word that somebody left behind who is gone costs a system call; the receiver's
//! successor looks before it sleeps for the first time. Who is killed between taking the word and the system call has
//! taken a wake-up along: whoever sees the end of a process that rings, or succeeds it, calls [`Doorbell::ring_anyway`].
//!
//! A receiver that is awake is not rung: it costs its senders a fence and a load.

#![forbid(unsafe_code)]

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    patience::Patience,
    segment::{Segment, Word32},
    system,
};
use crate::{
    error::{Error, Result},
    primitive::full_fence,
    time::Deadline,
};

/// What the word says. Any other value is taken for both kinds of sleep.
const AWAKE: u32 = 0;
const ON_WORD: u32 = 1;
const ON_DESCRIPTOR: u32 = 2;

/// How often [`Doorbell::answer`] looks before it lets the loop have its turn.
pub const LOOKS: usize = 8;

/// The bell's word; loom has its own.
pub(crate) trait Flag {
    fn load(&self, ordering: Ordering) -> u32;
    fn store(&self, value: u32, ordering: Ordering);
    fn swap(&self, value: u32, ordering: Ordering) -> u32;
}

impl Flag for AtomicU32 {
    #[inline(always)]
    fn load(&self, ordering: Ordering) -> u32 {
        self.load(ordering)
    }

    #[inline(always)]
    fn store(&self, value: u32, ordering: Ordering) {
        self.store(value, ordering);
    }

    #[inline(always)]
    fn swap(&self, value: u32, ordering: Ordering) -> u32 {
        self.swap(value, ordering)
    }
}

/// The receiver: before its last look.
pub(crate) fn announce(flag: &impl Flag, how: u32) {
    flag.store(how, Ordering::Relaxed);
    full_fence();
}

/// The receiver: it is awake, nobody needs to wake it.
pub(super) fn awake(flag: &impl Flag) {
    // Acquire: whoever took the word made something visible before.
    if flag.load(Ordering::Acquire) != AWAKE {
        flag.store(AWAKE, Ordering::Relaxed);
    }
}

/// A sender, after it has made something visible: how the receiver is to be woken, if at all and by this one.
#[inline]
pub(crate) fn must_wake(flag: &impl Flag) -> Option<u32> {
    full_fence();
    if flag.load(Ordering::Relaxed) == AWAKE {
        return None;
    }
    Some(flag.swap(AWAKE, Ordering::AcqRel)).filter(|how| *how != AWAKE)
}

/// One who sleeps and those who wake it, each with a `Doorbell` of their own on the same place; see the module's text.
#[derive(Debug)]
pub struct Doorbell {
    word: Word32,
    eventfd: Option<OwnedFd>,
    patience: Patience,
}

impl Doorbell {
    /// How many bytes of a segment it takes.
    pub const SPACE: usize = Segment::LINE;

    /// The bell at this place, which is all zero at first. A receiver that is on a loop has an [`eventfd`](super::eventfd), and so has everybody who
    /// rings for it: the same one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the place is not within the segment, [`Error::Forked`].
    pub fn attach(segment: &Arc<Segment>, offset: usize, eventfd: Option<OwnedFd>) -> Result<Self> {
        segment.check()?;
        Ok(Self { word: segment.word32(offset)?, eventfd, patience: Patience::new() })
    }

    /// What the receiver's loop watches, for reading.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.eventfd.as_ref().map(AsFd::as_fd)
    }

    fn is_forked(&self) -> bool {
        self.word.segment().check().is_err()
    }

    /// Wakes the receiver if it sleeps. After something has been made visible that it looks at. Nothing in a forked child.
    #[inline]
    pub fn ring(&self) {
        if self.is_forked() {
            return;
        }
        if let Some(how) = must_wake(&*self.word) {
            self.wake(how);
        }
    }

    /// Wakes the receiver whatever the word says: for what a killed process may have left undone.
    pub fn ring_anyway(&self) {
        if !self.is_forked() {
            self.word.swap(AWAKE, Ordering::AcqRel);
            self.wake(ON_WORD | ON_DESCRIPTOR);
        }
    }

    #[cold]
    fn wake(&self, how: u32) {
        if how != ON_WORD
            && let Some(eventfd) = &self.eventfd
        {
            system::raise(eventfd);
        }
        if how != ON_DESCRIPTOR {
            system::wake(&self.word);
        }
    }

    /// The receiver's, on a thread that may wait: until `look` answers true, or the deadline. Looks for a while before it sleeps.
    ///
    /// # Errors
    /// Those of `look`; [`Error::Forked`].
    pub fn wait(&mut self, deadline: Deadline, mut look: impl FnMut() -> Result<bool>) -> Result<bool> {
        self.word.segment().check()?;
        if self.patience.look(&mut look)? {
            return Ok(true);
        }
        loop {
            announce(&*self.word, ON_WORD);
            let looked = look();
            let left = deadline.remaining();
            if !matches!(looked, Ok(false)) || left.is_some_and(|left| left.is_zero()) {
                awake(&*self.word);
                return looked;
            }
            system::sleep(&self.word, ON_WORD, left);
            awake(&*self.word);
        }
    }

    /// The receiver's, on a loop: in the callback of a watch on [`Doorbell::as_fd`], and once before the first of them. Calls `look` as long as it answers true
    /// (there was something, and it has been dealt with), and leaves the bell such that the descriptor becomes readable for what comes next.
    ///
    /// One that is never done gets its next turn when the loop has been round.
    ///
    /// # Errors
    /// Those of `look`, with the descriptor readable; [`Error::Forked`], [`Error::Invalid`] without an eventfd.
    pub fn answer(&self, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
        self.word.segment().check()?;
        let Some(eventfd) = &self.eventfd else {
            return Err(Error::Invalid("a doorbell without an eventfd cannot be answered on a loop".into()));
        };
        // First the descriptor: what is rung after this read is read by the next turn.
        system::lower(eventfd);
        awake(&*self.word);
        for _ in 0..LOOKS {
            match look() {
                Ok(true) => {}
                Ok(false) => {
                    announce(&*self.word, ON_DESCRIPTOR);
                    match look() {
                        Ok(true) => awake(&*self.word),
                        Ok(false) => return Ok(()),
                        Err(error) => return self.once_more(Err(error)),
                    }
                }
                Err(error) => return self.once_more(Err(error)),
            }
        }
        self.once_more(Ok(()))
    }

    /// Ends a turn that was not the end of it.
    fn once_more(&self, answer: Result<()>) -> Result<()> {
        awake(&*self.word);
        if let Some(eventfd) = &self.eventfd {
            system::raise(eventfd);
        }
        answer
    }
}
