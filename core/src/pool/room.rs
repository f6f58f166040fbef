//! Room: how many tasks a bounded pool holds, and the line of those who wait for room.
//!
//! A task takes its place before it is queued, and gives it up when it begins. Whoever finds none may stand in line;
//! room that comes goes to the first in line, and nobody who comes later is served before the line is empty.
//!
//! # No one is left standing
//!
//! Who stands in line counts itself in `waiting`, passes a `SeqCst` fence and looks for room once more. Who gives
//! room up counts down `queued`, passes a `SeqCst` fence and looks at `waiting`. So one of the two sees the other:
//! either the first in line takes the room itself, or it is handed over. The line and the answers are under one lock,
//! which is held for nothing else.
//!
//! After [`Room::close`] the line is empty for good.

#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use crossbeam_utils::CachePadded;

use super::{Handle, Target};
use crate::{
    error::{Error, Refused, Result},
    job::Job,
    primitive::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, fence},
    time::Deadline,
};

/// The places of a bounded pool.
pub(super) struct Room {
    capacity: usize,
    /// Places taken. What is exempt is counted too, so it may be more than there are.
    queued: CachePadded<AtomicUsize>,
    /// How many stand in line.
    waiting: CachePadded<AtomicUsize>,
    line: Mutex<Line>,
}

struct Line {
    first_come: VecDeque<Arc<Condvar>>,
    closed: bool,
}

/// How waiting for room ended without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoRoom {
    Full,
    Closed,
}

impl Room {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            queued: CachePadded::new(AtomicUsize::new(0)),
            waiting: CachePadded::new(AtomicUsize::new(0)),
            line: Mutex::new(Line { first_come: VecDeque::new(), closed: false }),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes up to `wanted` places if nobody stands in line for them; how many it got.
    pub(super) fn take(&self, wanted: usize) -> usize {
        if self.waiting.load(Ordering::Relaxed) > 0 { 0 } else { self.take_any(wanted) }
    }

    /// Takes places that there may not be: for what is exempt.
    pub(super) fn take_exempt(&self, count: usize) {
        self.queued.fetch_add(count, Ordering::Relaxed);
    }

    fn take_any(&self, wanted: usize) -> usize {
        let mut taken = 0;
        let _ = self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
            taken = self.capacity.saturating_sub(queued).min(wanted);
            (taken > 0).then_some(queued + taken)
        });
        taken
    }

    /// Stands in line for one place.
    fn wait(&self, deadline: Deadline) -> Result<(), NoRoom> {
        let turn = Arc::new(Condvar::new());
        let mut line = self.lock();
        line.first_come.push_back(turn.clone());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.serve(&mut line);
        loop {
            let Some(place) = line.first_come.iter().position(|other| Arc::ptr_eq(other, &turn)) else {
                return Ok(());
            };
            let left = deadline.remaining();
            if line.closed || left.is_some_and(|left| left.is_zero()) {
                line.first_come.remove(place);
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                return Err(if line.closed { NoRoom::Closed } else { NoRoom::Full });
            }
            line = match left {
                Some(left) => turn.wait_timeout(line, left).unwrap_or_else(PoisonError::into_inner).0,
                None => turn.wait(line).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Gives places up.
    #[inline]
    pub(super) fn give(&self, count: usize) {
        self.queued.fetch_sub(count, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.serve(&mut self.lock());
        }
    }

    /// Sends everyone in line away, now and from now on.
    pub(super) fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        line.first_come.iter().for_each(|turn| turn.notify_one());
    }

    /// Hands the room there is to the first in line.
    fn serve(&self, line: &mut Line) {
        while !line.first_come.is_empty() && self.take_any(1) == 1 {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if let Some(turn) = line.first_come.pop_front() {
                turn.notify_one();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// Places for so many tasks: how many of them there are.
    #[inline]
    pub(super) fn admit(&self, wanted: usize) -> usize {
        self.shared.room.as_ref().map_or(wanted, |room| room.take(wanted))
    }

    /// Has a worker of the target run the job that `make` makes of `value`, and waits so long for room. The job is made when nothing
    /// can be refused any more; `make` runs no foreign code. The caller has checked for a fork.
    #[inline(always)]
    pub(crate) fn submit_made<V>(
        &self,
        target: &Target,
        timeout: Option<Duration>,
        value: V,
        make: impl FnOnce(V) -> Job,
    ) -> Result<(), Refused<V>> {
        if self.admit(1) == 0
            && let Err(error) = self.wait_for_room(timeout, Deadline::after(timeout))
        {
            return Err(Refused::new(error, value));
        }
        self.push_made(target, value, make)
    }

    /// Waits for a place in a pool that was found full, or says why not.
    #[cold]
    pub(super) fn wait_for_room(&self, timeout: Option<Duration>, deadline: Deadline) -> Result<()> {
        let Some(room) = &self.shared.room else { return Ok(()) };
        if self.is_closed() {
            return Err(Error::Closed("pool"));
        }
        let capacity = room.capacity();
        let capacity = format!("{capacity} {}", if capacity == 1 { "task" } else { "tasks" });
        if timeout == Some(Duration::ZERO) {
            return Err(Error::QueueFull { what: "pool", capacity });
        }
        if self.is_worker_thread() {
            return Err(Error::WouldDeadlock("a task of a full pool cannot wait for room in it"));
        }
        room.wait(deadline).map_err(|no_room| match no_room {
            NoRoom::Closed => Error::Closed("pool"),
            NoRoom::Full => Error::Timeout(format!("the pool is full ({capacity}), and no room came in time")),
        })
    }
}

#[cfg(all(test, not(loom)))]
mod test {
    use super::*;
    use std::{sync::mpsc, thread, time::Duration};

    #[test]
    fn places_are_taken_up_to_the_capacity() {
        let room = Room::new(3);
        assert_eq!((room.take(2), room.take(2), room.take(1)), (2, 1, 0));
        assert_eq!(room.wait(Deadline::after(Some(Duration::from_millis(1)))), Err(NoRoom::Full));
        room.take_exempt(1);
        room.give(1);
        assert_eq!(room.take(1), 0, "what is exempt has a place too");
        room.give(2);
        assert_eq!(room.take(5), 2);
    }

    #[test]
    fn the_first_in_line_is_served_first_and_before_who_comes_later() {
        let room = Room::new(1);
        assert_eq!(room.take(1), 1);
        thread::scope(|scope| {
            let (say, said) = mpsc::channel();
            for number in 0..3 {
                let (say, room) = (say.clone(), &room);
                scope.spawn(move || {
                    room.wait(Deadline::NEVER).unwrap();
                    say.send(number).unwrap();
                });
                while room.waiting.load(Ordering::Relaxed) <= number {
                    thread::yield_now();
                }
            }
            for number in 0..3 {
                assert_eq!(room.take(1), 0);
                room.give(1);
                assert_eq!(said.recv().unwrap(), number);
            }
        });
        room.give(1);
        assert_eq!(room.take(2), 1);
    }

    #[test]
    fn closing_sends_everyone_away_and_who_comes_later() {
        let room = Room::new(1);
        assert_eq!(room.take(1), 1);
        thread::scope(|scope| {
            let line: Vec<_> = (0..3).map(|_| scope.spawn(|| room.wait(Deadline::NEVER))).collect();
            while room.waiting.load(Ordering::Relaxed) < 3 {
                thread::yield_now();
            }
            room.close();
            line.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), Err(NoRoom::Closed)));
        });
        assert_eq!(room.wait(Deadline::NEVER), Err(NoRoom::Closed));
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::primitive::thread;

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    /// Whatever the order, two who wait for one place each get it when two are given up; a missed one is a deadlock.
    #[test]
    fn room_that_comes_reaches_who_waits() {
        check(|| {
            let room = Arc::new(Room::new(1));
            assert_eq!(room.take(1), 1);
            let waiters: Vec<_> = (0..2)
                .map(|_| {
                    let room = room.clone();
                    thread::spawn(move || {
                        if room.take(1) == 0 {
                            room.wait(Deadline::NEVER).unwrap();
                        }
                        room.give(1);
                    })
                })
                .collect();
            room.give(1);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert_eq!((room.queued.load(Ordering::Relaxed), room.waiting.load(Ordering::Relaxed)), (0, 0));
        });
    }

    /// Closing and giving at the same time: who waits is answered, and no place is lost.
    #[test]
    fn closing_answers_who_waits() {
        check(|| {
            let room = Arc::new(Room::new(1));
            assert_eq!(room.take(1), 1);
            let waiter = {
                let room = room.clone();
                thread::spawn(move || room.wait(Deadline::NEVER).is_ok())
            };
            let closer = {
                let room = room.clone();
                thread::spawn(move || room.close())
            };
            room.give(1);
            let served = waiter.join().unwrap();
            closer.join().unwrap();
            assert_eq!(room.queued.load(Ordering::Relaxed), usize::from(served));
        });
    }
}
