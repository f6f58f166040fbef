//! A turn of a coroutine, and what the thread that runs it knows meanwhile.
//!
//! # Going on in place
//!
//! A turn that ends its coroutine wakes whoever awaited it from inside async-task, on this thread. That wake-up finds the thread
//! marked as *ending* and leaves the awaiter's turn in the thread's slot instead of a queue; the job at hand takes it out when the
//! ended coroutine is off the stack, and runs it next. So a chain of awaits unwinds in a loop.
//!
//! # Ending what cannot be queued
//!
//! A turn that no queue takes is run once more here, only to drop the future and to say why ([`end_with`]). That may wake an
//! awaiter whose queue is closed as well, and so on: those wait in a list of the thread's, and the first one works it off.

#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    task::Waker,
};

use async_task::Runnable;

use super::{cell::Meta, place::Move};
use crate::{
    error::Error,
    job::Job,
    pool::{self, Target},
    thread,
};

/// How many coroutines in a row go on in place before the next one is queued, so that a long chain does not keep a worker from
/// everything else.
pub const IN_PLACE: u32 = 16;

/// What a thread knows about the turn that it runs.
struct Turn {
    /// Names this turn among all turns of all threads; 0 outside of any.
    number: Cell<u64>,
    /// The coroutine's cell, by address.
    coroutine: Cell<usize>,
    /// The waker that it was polled with, by address.
    waker: Cell<usize>,
    /// It has ended, and what awaited it may go on here.
    ending: Cell<bool>,
    may_hand_over: Cell<bool>,
    next: Cell<Option<(Runnable<Meta>, Target)>>,
    /// Held until the turn is over; see [`keep`].
    kept: Cell<Option<Waker>>,
    asked: Cell<Option<Move>>,
    failed: Cell<Option<Box<Error>>>,
    /// Why the turn is the last one: the future is not polled, only dropped.
    ends_with: Cell<Option<Box<Error>>>,
}

impl Turn {
    const fn none() -> Self {
        Self {
            number: Cell::new(0),
            coroutine: Cell::new(0),
            waker: Cell::new(0),
            ending: Cell::new(false),
            may_hand_over: Cell::new(false),
            next: Cell::new(None),
            kept: Cell::new(None),
            asked: Cell::new(None),
            failed: Cell::new(None),
            ends_with: Cell::new(None),
        }
    }

    /// Forgets the turn.
    fn clear(&self) {
        self.number.set(0);
        self.coroutine.set(0);
        self.waker.set(0);
        self.ending.set(false);
        self.may_hand_over.set(false);
        self.next.take();
        self.kept.take();
        self.asked.take();
        self.failed.take();
        self.ends_with.take();
    }

    /// Exchanges all: a turn may run inside another, when a coroutine runs its pool's tasks or a loop.
    fn swap(&self, other: &Self) {
        self.number.swap(&other.number);
        self.coroutine.swap(&other.coroutine);
        self.waker.swap(&other.waker);
        self.ending.swap(&other.ending);
        self.may_hand_over.swap(&other.may_hand_over);
        self.next.swap(&other.next);
        self.kept.swap(&other.kept);
        self.asked.swap(&other.asked);
        self.failed.swap(&other.failed);
        self.ends_with.swap(&other.ends_with);
    }
}

type Ends = Vec<(Error, Runnable<Meta>)>;

thread_local! {
    static TURN: Turn = const { Turn::none() };
    static TURNS: Cell<u64> = const { Cell::new(0) };
    /// Coroutines to be ended, while one is.
    static ENDS: RefCell<Option<Ends>> = const { RefCell::new(None) };
}

/// Asks the thread; a thread that is ending knows nothing any more.
fn turn<T>(ask: impl FnOnce(&Turn) -> T) -> Option<T> {
    TURN.try_with(ask).ok()
}

/// The number of the turn that this thread runs, if it runs one.
pub(super) fn number() -> Option<u64> {
    turn(|turn| turn.number.get()).filter(|number| *number != 0)
}

/// Whether this thread is inside a turn of the coroutine with this cell.
pub(super) fn is_running(coroutine: usize) -> bool {
    turn(|turn| turn.coroutine.get()) == Some(coroutine)
}

/// Whether this is the waker that the library polls with here.
pub(super) fn is_own(waker: &Waker) -> bool {
    turn(|turn| turn.waker.get()) == Some(waker.data().addr())
}

pub(super) fn polled_with(waker: &Waker) {
    turn(|turn| turn.waker.set(waker.data().addr()));
}

/// Holds a way to the coroutine until its turn is over. async-task frees a cell whose turn was the last way to it without dropping
/// the future; whose last waker goes, it queues to have that dropped.
pub(super) fn keep(waker: &Waker) {
    turn(|turn| turn.kept.set(Some(waker.clone())));
}

/// The coroutine at hand has ended, and its awaiter is about to be woken.
pub(super) fn ending() {
    turn(|turn| turn.ending.set(turn.may_hand_over.get()));
}

/// Calls what is foreign code in a turn that is ending: what it wakes is queued, for it may wait for that.
pub(super) fn not_in_place(call: impl FnOnce()) {
    let before = turn(|turn| turn.ending.replace(false));
    call();
    turn(|turn| turn.ending.set(before == Some(true)));
}

pub(super) fn ends_with() -> Option<Box<Error>> {
    turn(|turn| turn.ends_with.take()).flatten()
}

/// Whether a coroutine that is woken now may go on here, as far as the thread is concerned.
#[inline]
pub(super) fn may_resume_here() -> bool {
    turn(|turn| turn.ending.get()) == Some(true)
}

/// Runs the coroutine when the one that is ending is off the stack.
pub(super) fn resume_here(runnable: Runnable<Meta>, target: Target) {
    // One at a time: whatever else it wakes is queued.
    let before = turn(|turn| {
        turn.ending.set(false);
        turn.next.replace(Some((runnable, target)))
    });
    debug_assert!(before.flatten().is_none());
}

pub(super) fn ask(asked: Move) {
    turn(|turn| turn.asked.set(Some(asked)));
}

pub(super) fn take_move() -> Option<Move> {
    turn(|turn| turn.asked.take()).flatten()
}

pub(super) fn take_failure() -> Option<Error> {
    turn(|turn| turn.failed.take()).flatten().map(|error| *error)
}

/// A turn that waits in the queue of a pool or a loop. Dropped there, the coroutine ends.
struct Step {
    runnable: Option<Runnable<Meta>>,
    of: &'static str,
}

impl Drop for Step {
    fn drop(&mut self) {
        let Some(runnable) = self.runnable.take() else { return };
        if runnable.metadata().born.is_forked() {
            return std::mem::forget(runnable);
        }
        end_with(Error::Closed(self.of), runnable);
    }
}

/// The turn as a job: three words, so it is not allocated for.
#[inline]
fn job(runnable: Runnable<Meta>, of: &'static str) -> Job {
    let mut step = Step { runnable: Some(runnable), of };
    Job::new(move || {
        // All of the step is moved here, so that its drop stands for a turn that does not come.
        let step = &mut step;
        if let Some(runnable) = step.runnable.take() {
            run(runnable);
        }
    })
}

/// The turn as a job for a pool.
#[inline]
pub(super) fn pool_job(runnable: Runnable<Meta>) -> Job {
    job(runnable, "pool")
}

/// The turn as a job for a loop.
#[inline]
pub(super) fn loop_job(runnable: Runnable<Meta>) -> Job {
    job(runnable, "event loop")
}

/// Gives the thread what it knew before.
struct Restore(Option<Box<Turn>>);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        turn(|turn| match &self.0 {
            Some(outer) => turn.swap(outer),
            None => turn.clear(),
        });
    }
}

/// Keeps what the thread knows for the time of a turn, if that is inside another.
#[inline]
fn enter() -> Restore {
    let is_inside = turn(|turn| turn.coroutine.get()).is_some_and(|coroutine| coroutine != 0);
    let outer = is_inside.then(|| Box::new(Turn::none()));
    if let Some(outer) = &outer {
        turn(|turn| turn.swap(outer));
    }
    Restore(outer)
}

/// Runs a turn of the coroutine, and then those that go on in place.
fn run(first: Runnable<Meta>) {
    let _outer = enter();
    let born = first.metadata().born;
    let mut next = run_one(first, true);
    for depth in 1.. {
        let Some((runnable, target)) = next else { return };
        if born.is_forked() {
            // The coroutine forked, and this is the child: the one that goes on is the parent's.
            return std::mem::forget(runnable);
        }
        next = None;
        pool::run_as(&target, || next = run_one(runnable, depth < IN_PLACE));
    }
}

/// Runs one turn; answers what is to go on in place.
fn run_one(runnable: Runnable<Meta>, may_hand_over: bool) -> Option<(Runnable<Meta>, Target)> {
    turn(|turn| begin(turn, &runnable, may_hand_over));
    runnable.run();
    let (next, kept) = turn(|turn| {
        turn.ending.set(false);
        // What it asked for or was told in vain is not the next one's.
        drop((turn.asked.take(), turn.failed.take()));
        (turn.next.take(), turn.kept.take())
    })?;
    drop(kept);
    next
}

#[inline]
fn begin(turn: &Turn, runnable: &Runnable<Meta>, may_hand_over: bool) {
    let number = TURNS.with(|turns| {
        if turns.get() == 0 {
            turns.set(thread::number() << 40);
        }
        turns.set(turns.get() + 1);
        turns.get()
    });
    turn.number.set(number);
    turn.coroutine.set(std::ptr::from_ref(runnable.metadata()).addr());
    turn.may_hand_over.set(may_hand_over);
    if let Some(failed) = runnable.metadata().take_failure() {
        turn.failed.set(Some(failed));
    }
}

/// Ends a coroutine that no queue takes: its future is dropped, and `error` is its outcome.
pub(super) fn end_with(error: Error, runnable: Runnable<Meta>) {
    let mut first = Some((error, runnable));
    let is_first = ENDS.try_with(|ends| match &mut *ends.borrow_mut() {
        Some(ends) => {
            ends.extend(first.take());
            false
        }
        none => {
            *none = Some(Vec::new());
            true
        }
    });
    // A thread that is ending has no list: there they end one inside the other, as a plain drop does.
    let Some((error, runnable)) = first else { return };
    end_one(error, runnable);
    if is_first != Ok(true) {
        return;
    }
    loop {
        let next = ENDS.with(|ends| {
            let mut list = ends.borrow_mut();
            let next = list.as_mut().and_then(Vec::pop);
            if next.is_none() {
                *list = None;
            }
            next
        });
        let Some((error, runnable)) = next else { return };
        end_one(error, runnable);
    }
}

fn end_one(error: Error, runnable: Runnable<Meta>) {
    let _outer = enter();
    let knows = turn(|turn| {
        turn.coroutine.set(std::ptr::from_ref(runnable.metadata()).addr());
        turn.ends_with.set(Some(Box::new(error)));
    });
    match knows {
        Some(()) => drop(runnable.run()),
        None => drop(runnable),
    }
}
