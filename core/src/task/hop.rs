//! How a coroutine moves: to another level or CPU set of its pool, to another pool, to a loop; and how it lets others go first.
//!
//! A move is asked for in one turn and done between that and the next ([`place`](super::place)). When the new place refuses, the
//! coroutine goes on where it was and is told why.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    place::{Move, Place},
    run,
};
use crate::{
    cpu::CpuSet,
    error::{Error, Result},
    event_loop, pool,
    pool::{SubmitOptions, Target},
    priority::Priority,
};

/// How often it is polled again within one turn before it concludes that nobody goes back to the turn's end.
const PATIENCE: u32 = 64;

#[derive(Debug)]
enum Goal {
    Within(Priority, Option<Box<CpuSet>>),
    Pool(pool::Handle, Result<Target>),
    Loop(event_loop::Handle),
}

/// A move of the coroutine that awaits it; made by [`suspend`], [`suspend_on`] and [`on_loop`].
///
/// It answers [`Error::Invalid`] to what is no coroutine of the library's, and then nothing moves.
#[derive(Debug)]
#[must_use = "nothing moves until it is awaited"]
pub struct Hop {
    goal: Goal,
    /// The turn that it was asked for in; 0: in none yet.
    asked: u64,
    again: u32,
}

impl Hop {
    const fn to(goal: Goal) -> Self {
        Self { goal, asked: 0, again: 0 }
    }
}

/// Moves the running coroutine to this level, and to the workers on these CPUs (`None`: to all), of the pool it is in. If it is there
/// already, it goes behind what waits there.
///
/// Awaited it answers [`Error::Affinity`] or [`Error::Invalid`] for a CPU set that does not do, and [`Error::Invalid`] on a loop; the coroutine is then where it was.
pub fn suspend(priority: Priority, cpus: Option<CpuSet>) -> Hop {
    Hop::to(Goal::Within(priority, cpus.map(Box::new)))
}

/// Moves the running coroutine to this pool, wherever it is. Awaited it answers what [`submit_with`](pool::Handle::submit_with) answers; the coroutine is
/// then where it was.
pub fn suspend_on(pool: &pool::Handle, options: &SubmitOptions) -> Hop {
    Hop::to(Goal::Pool(pool.clone(), pool.target(options)))
}

/// Moves the running coroutine to the loop's thread; if it is there already, it goes on at once. Awaited it answers what
/// [`post`](event_loop::Handle::post) answers; the coroutine is then where it was.
pub fn on_loop(event_loop: &event_loop::Handle) -> Hop {
    Hop::to(Goal::Loop(event_loop.clone()))
}

impl Goal {
    /// Whether the coroutine is where it asked to be, as far as the thread tells.
    fn is_reached(&self) -> bool {
        match self {
            Self::Within(..) => true,
            Self::Pool(pool, _) => pool.is_worker_thread(),
            Self::Loop(event_loop) => event_loop.is_loop_thread(),
        }
    }

    fn as_move(&self) -> Result<Move> {
        Ok(match self {
            Self::Within(priority, cpus) => Move::Within(*priority, cpus.clone()),
            Self::Pool(pool, target) => Move::To(Place::Pool(pool.clone(), target.clone()?)),
            Self::Loop(event_loop) => Move::To(Place::Loop(event_loop.clone())),
        })
    }
}

impl Future for Hop {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(turn) = run::number() else {
            let text =
                "suspend, suspend_on and on_loop are for coroutines that were spawned on a pool or an event loop";
            return Poll::Ready(Err(Error::Invalid(text.into())));
        };
        if self.asked == turn {
            // An executor inside the coroutine polls again before the turn is over.
            self.again += 1;
            if self.again > PATIENCE {
                self.asked = 0;
                run::take_move();
                let text =
                    "suspend, suspend_on and on_loop move nothing while the coroutine blocks on them: await them";
                return Poll::Ready(Err(Error::Invalid(text.into())));
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let was_asked = std::mem::replace(&mut self.asked, 0) != 0;
        if was_asked && let Some(refused) = run::take_failure() {
            return Poll::Ready(Err(refused));
        }
        // A move that another one of the same turn has overruled is asked for again.
        if self.goal.is_reached() && (was_asked || matches!(self.goal, Goal::Loop(_))) {
            return Poll::Ready(Ok(()));
        }
        run::ask(self.goal.as_move()?);
        self.asked = turn;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        // Given up in the turn that asked for it.
        if self.asked != 0 && run::number() == Some(self.asked) {
            run::take_move();
        }
    }
}

/// Lets others go first, in any executor; made by [`yield_now`].
#[derive(Debug, Default)]
#[must_use = "nothing happens until it is awaited"]
pub struct Yield {
    yielded: bool,
}

/// Goes behind what waits in the same place: the coroutine stays where it belongs.
pub fn yield_now() -> Yield {
    Yield::default()
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
