//! Which of a port's workers has its place in the set: its ends of the rings, and the right to save.
//!
//! # What holds
//!
//! * One worker at a time has it. It is taken from nobody, by one exchange of a word, so that a successor never has it beside its predecessor.
//! * A successor that wants it says so and waits: the one that has it lets it have it in a turn of its loop, between two callbacks, and goes on serving
//!   what it has. When a worker ends, by whatever, the set takes the place out of its hands.
//! * A successor that ends before it is ready leaves the place to the one it wanted it from, if that is still there: nobody else can have it before that
//!   one has let go again.
//! * Workers are told by a descriptor that all of a port's have and nobody reads: each write is an edge for every one of them.
//!
//! Where no other worker of the port is there, the set writes all words anew before one starts: what somebody wrote over them is gone by then.

#![forbid(unsafe_code)]

use std::{
    array,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    error::Result,
    shm::{Doorbell, Words},
    time::Deadline,
};

/// Runs that can tell of themselves at once, each at a place by its number.
const PLACES: usize = 64;
/// How many words it has.
pub(super) const WORDS: usize = DONE + PLACES;

/// The run that has the place; 0 is none.
const HOLDER: usize = 0;
/// The last run that wanted it.
const WANTED: usize = 1;
/// This run and all before it take nothing new any more.
const LEAVES: usize = 2;
/// From here on: runs that take nothing new any more, each at its place. Of two at the same one, of which the set has
/// not taken note yet, the later one counts.
const LEFT: usize = 3;
/// From here on: runs that left and have nothing to do any more, as those.
const DONE: usize = LEFT + PLACES;

/// What is wanted of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It has the place, if nobody else does.
    Stay,
    /// A successor wants the place.
    LetGo,
    /// A successor is ready: it takes nothing new.
    Leave,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Baton {
    words: Words,
    /// Rung when the place is let go of.
    gate: Mutex<Doorbell>,
    /// Written to when an order may have changed.
    orders: OwnedFd,
}

impl Baton {
    pub(super) fn new(words: Words, gate: Doorbell, orders: OwnedFd) -> Self {
        Self { words, gate: Mutex::new(gate), orders }
    }

    fn word(&self, which: usize) -> &AtomicU64 {
        &self.words[which]
    }

    fn exchange(&self, from: u64, to: u64) -> bool {
        self.word(HOLDER).compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Has every worker of the port look.
    fn tell(&self) {
        // Full after 2^64 of them.
        let _ = rustix::io::write(&self.orders, &1u64.to_ne_bytes());
    }

    fn open_gate(&self) {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).ring_anyway();
    }

    // --- the worker ---------------------------------------------------------------------------------------------------

    /// Waits until the place is this run's. False at the deadline.
    pub(super) fn take(&self, run: u64, deadline: Deadline) -> Result<bool> {
        self.word(WANTED).store(run, Ordering::SeqCst);
        if self.take_back(run) {
            return Ok(true);
        }
        self.tell();
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.wait(deadline, || Ok(self.take_back(run)))
    }

    /// Takes the place, if nobody else has it.
    pub(super) fn take_back(&self, run: u64) -> bool {
        self.exchange(0, run) || self.word(HOLDER).load(Ordering::SeqCst) == run
    }

    /// After everything that the successor must not do beside it. One that is no more meanwhile does not get it.
    pub(super) fn let_go(&self, run: u64) {
        let wanted = self.word(WANTED).load(Ordering::SeqCst);
        if wanted > run && self.exchange(run, wanted) && self.word(WANTED).load(Ordering::SeqCst) != wanted {
            self.exchange(wanted, run);
        }
        self.open_gate();
    }

    pub(super) fn order(&self, run: u64) -> Order {
        if self.word(LEAVES).load(Ordering::SeqCst) >= run {
            Order::Leave
        } else if self.word(WANTED).load(Ordering::SeqCst) > run {
            Order::LetGo
        } else {
            Order::Stay
        }
    }

    /// What to watch for orders: for edges only, and never to be read.
    pub(super) fn orders(&self) -> BorrowedFd<'_> {
        self.orders.as_fd()
    }

    /// It takes nothing new any more; the set is to be told to look.
    pub(super) fn left(&self, run: u64) {
        self.word(LEFT + place(run)).store(run, Ordering::SeqCst);
    }

    /// It has left, and has nothing to do any more; the set is to be told to look.
    pub(super) fn done(&self, run: u64) {
        self.word(DONE + place(run)).store(run, Ordering::SeqCst);
    }

    // --- the set ------------------------------------------------------------------------------------------------------

    /// No worker of the port is there.
    pub(super) fn reset(&self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::SeqCst));
    }

    /// A run has a successor that is ready.
    pub(super) fn leave(&self, run: u64) {
        self.word(LEAVES).fetch_max(run, Ordering::SeqCst);
        self.tell();
    }

    /// Takes note of the runs that have left, and of those that are done.
    pub(super) fn take_news(&self) -> impl Fn(u64) -> (bool, bool) + use<> {
        let take = |first| array::from_fn::<_, PLACES, _>(|at| self.word(first + at).swap(0, Ordering::SeqCst));
        let [left, done] = [LEFT, DONE].map(take);
        move |run| (left[place(run)] == run, done[place(run)] == run)
    }

    /// A run is no more; the place is the heir's, if it was this one's.
    pub(super) fn ended(&self, run: u64, heir: Option<u64>) {
        // Before the place is looked at: who lets go for it looks at this after that.
        let wanted = self.word(WANTED).compare_exchange(run, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let had = self.exchange(run, heir.unwrap_or(0));
        self.open_gate();
        if wanted || had {
            self.tell();
        }
    }
}

fn place(run: u64) -> usize {
    usize::try_from(run % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod test {
    use std::{sync::Arc, thread, time::Duration};

    use super::{
        super::memory::{Layout, Memory},
        *,
    };
    use crate::shm::eventfd;

    fn batons() -> (Baton, Baton, Baton) {
        let memory = Memory::new(Layout { ports: 1, saved_bytes: 0, ring_bytes: 64 }).unwrap();
        let orders = eventfd().unwrap();
        let make = || memory.baton(0, orders.try_clone().unwrap()).unwrap();
        (make(), make(), make())
    }

    fn soon() -> Deadline {
        Deadline::after(Some(Duration::from_millis(10)))
    }

    #[test]
    fn a_successor_waits_until_it_is_let_have_it() {
        let (set, first, second) = batons();
        set.reset();
        assert!(first.take(1, soon()).unwrap());
        assert_eq!(first.order(1), Order::Stay);
        assert!(!second.take(2, soon()).unwrap());
        assert_eq!((first.order(1), second.order(2)), (Order::LetGo, Order::Stay));
        let second = Arc::new(second);
        let waits = second.clone();
        let waiting = thread::spawn(move || waits.take(2, Deadline::NEVER));
        first.let_go(1);
        assert!(waiting.join().unwrap().unwrap());
        assert!(!first.take_back(1) && second.take_back(2));
        set.leave(1);
        assert_eq!((first.order(1), second.order(2)), (Order::Leave, Order::Stay));
        first.left(1);
        first.done(1);
        let news = set.take_news();
        assert_eq!((news(1), news(2), set.take_news()(1)), ((true, true), (false, false), (false, false)));
    }

    #[test]
    fn a_run_is_not_taken_for_one_of_long_ago() {
        let (set, _, late) = batons();
        set.reset();
        late.left(65);
        late.done(65);
        let news = set.take_news();
        assert_eq!((news(1), news(65), news(129)), ((false, false), (true, true), (false, false)));
    }

    #[test]
    fn the_place_of_one_that_is_no_more_is_free() {
        let (set, first, second) = batons();
        set.reset();
        assert!(first.take(1, soon()).unwrap());
        let second = Arc::new(second);
        let waits = second.clone();
        let waiting = thread::spawn(move || waits.take(2, Deadline::NEVER));
        set.ended(1, None);
        assert!(waiting.join().unwrap().unwrap());
        // The other one is; had the first still been there, it would go on.
        set.ended(2, Some(1));
        assert_eq!(first.order(1), Order::Stay);
        assert!(first.take_back(1));
        // An end long ago takes nothing away.
        set.ended(2, None);
        assert!(!second.take(3, soon()).unwrap());
    }

    #[test]
    fn nobody_has_the_place_of_one_that_failed_before_the_one_before_has_let_go_again() {
        let (set, first, other) = batons();
        set.reset();
        assert!(first.take(1, soon()).unwrap());
        assert!(!other.take(2, soon()).unwrap());
        first.let_go(1);
        assert!(other.take(2, soon()).unwrap());
        set.ended(2, Some(1));
        // The first has not looked yet.
        assert!(!other.take(3, soon()).unwrap());
        assert_eq!(first.order(1), Order::LetGo);
        assert!(first.take_back(1));
        first.let_go(1);
        assert!(other.take(3, soon()).unwrap());
    }

    #[test]
    fn one_that_is_no_more_when_it_is_let_have_the_place_does_not_get_it() {
        let (set, first, other) = batons();
        set.reset();
        assert!(first.take(1, soon()).unwrap());
        assert!(!other.take(2, soon()).unwrap());
        set.ended(2, Some(1));
        first.let_go(1);
        assert!(!other.take(3, soon()).unwrap() && first.take_back(1));
    }
}
