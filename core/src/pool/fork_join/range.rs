//! `parallel_for`: a range in pieces, run by as many workers as there are, while the caller waits.
//!
//! Each helper is a task at the caller's priority. After a piece it queues up again behind what waits for its worker, so that a long
//! loop delays others by no more than a piece.

#![allow(unsafe_code, reason = "the helpers borrow the body from the caller, who waits")]

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    super::{
        Handle, SubmitOptions, Target,
        worker::{self, Local},
    },
    part::wake_owner,
    visit::Signal,
};
use crate::{
    error::{Error, Result},
    job::{self, Job},
    primitive::{AtomicUsize, Ordering},
};

/// How many pieces per worker there are when the caller does not say how large one is to be: enough for the last ones to end
/// at about the same time.
const PIECES_PER_WORKER: usize = 8;

const OVER: usize = 1;
const INSIDE: usize = 2;

/// Who waits for the loop.
enum Caller {
    Worker(usize),
    Outside(Signal),
}

/// One loop.
///
/// # Invariant
///
/// `state` is `2 * helpers inside + over`, and once it is over nobody enters. The caller returns only when it is over and nobody is
/// inside: until then, and only then, `body` points to the caller's closure.
struct Loop {
    next: AtomicUsize,
    end: usize,
    grain: usize,
    state: AtomicUsize,
    /// Helpers that have not been dropped.
    helpers: AtomicUsize,
    body: *const (),
    call: unsafe fn(*const (), Range<usize>),
    /// What the first piece that panicked said.
    panic: Mutex<Option<String>>,
    caller: Caller,
    handle: Handle,
    target: Target,
}

// SAFETY: `body` points to an `F: Sync`, and is used as the invariant says.
unsafe impl Send for Loop {}
// SAFETY: as above; all else is Sync.
unsafe impl Sync for Loop {}

/// # Safety
/// `body` points to a live `F`.
unsafe fn call<F: Fn(Range<usize>)>(body: *const (), piece: Range<usize>) {
    // SAFETY: the caller's promise.
    let f = unsafe { &*body.cast::<F>() };
    f(piece);
}

impl Loop {
    fn piece(&self) -> Option<Range<usize>> {
        let step = |next: usize| (next < self.end).then(|| next + self.grain.min(self.end - next));
        let begin = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).ok()?;
        Some(begin..begin + self.grain.min(self.end - begin))
    }

    /// Runs the next piece; false if there is none.
    ///
    /// # Safety
    /// The calling thread is inside, or is the caller's.
    unsafe fn run_one(&self) -> bool {
        let Some(piece) = self.piece() else { return false };
        // SAFETY: by the invariant the body is there as long as this thread is inside.
        let run = || unsafe { (self.call)(self.body, piece) };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_none() {
                *first = Some(job::panic_text(&*panic).to_owned());
                drop(first);
                // The payload's own drop may panic, too.
                job::caught("parallel_for", || drop(panic));
            } else {
                drop(first);
                job::caught("parallel_for", || std::panic::resume_unwind(panic));
            }
        }
        true
    }

    fn enter(&self) -> bool {
        let entered = self.state.fetch_add(INSIDE, Ordering::Acquire) & OVER == 0;
        if !entered {
            self.leave();
        }
        entered
    }

    fn leave(&self) {
        if self.state.fetch_sub(INSIDE, Ordering::AcqRel) == OVER + INSIDE {
            self.wake_caller();
        }
    }

    /// No piece is left, or nobody to run one.
    fn set_over(&self) {
        self.state.fetch_or(OVER, Ordering::AcqRel);
    }

    fn is_quiet(&self) -> bool {
        self.state.load(Ordering::Acquire) == OVER
    }

    fn wake_caller(&self) {
        match &self.caller {
            Caller::Worker(index) => wake_owner(*index),
            Caller::Outside(signal) => signal.give(),
        }
    }

    fn outcome(&self) -> Result<()> {
        if let Some(text) = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Error::Panic(text));
        }
        if self.next.load(Ordering::Relaxed) < self.end { Err(Error::Closed("pool")) } else { Ok(()) }
    }
}

/// A task that helps.
struct Helper {
    on: Arc<Loop>,
}

impl Helper {
    fn new(on: &Arc<Loop>) -> Self {
        on.helpers.fetch_add(1, Ordering::Relaxed);
        Self { on: on.clone() }
    }

    fn into_job(self) -> Job {
        Job::new(move || self.run())
    }

    fn run(self) {
        if !self.on.enter() {
            return;
        }
        loop {
            // SAFETY: this thread has entered.
            if !unsafe { self.on.run_one() } {
                self.on.set_over();
                return self.on.leave();
            }
            let waits = worker::here(|local| local.has_work_from(self.on.target.level())).unwrap_or(false);
            if waits {
                break;
            }
        }
        self.on.leave();
        let on = self.on.clone();
        // Refused by a pool that discards, it is dropped, like every task that has not begun.
        drop(on.handle.push_part(&on.target, self.into_job(), |job| job));
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if self.on.helpers.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A caller from outside must not wait for helpers that were dropped.
            if let Caller::Outside(signal) = &self.on.caller {
                signal.give();
            }
        }
    }
}

impl Handle {
    /// Calls `f` with pieces of `range` of at most `grain` numbers each, on all workers of the set at once, and returns when all
    /// have ended. `grain` 0 leaves the size to the pool. Called by a task of the pool, that task's worker takes part.
    ///
    /// A piece that panics does not stop the others; the first panic is the answer, others are reported.
    ///
    /// ```
    /// # use coop_core::{Pool, PoolOptions, SubmitOptions};
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// # let pool = Pool::new(PoolOptions { workers: Some(2), ..PoolOptions::default() })?;
    /// let sum = AtomicUsize::new(0);
    /// pool.parallel_for(&SubmitOptions::default(), 0..1000, 0, |piece| {
    ///     sum.fetch_add(piece.sum(), Ordering::Relaxed);
    /// })?;
    /// assert_eq!(sum.into_inner(), 499_500);
    /// # Ok::<(), coop_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Panic`]; [`Error::Closed`] if the pool is closed, or was discarded before all pieces had begun;
    /// [`Error::WouldDeadlock`] to a task of the pool whose worker is outside the set: two such could wait for each other;
    /// those of [`Handle::target`].
    pub fn parallel_for<F>(&self, options: &SubmitOptions, range: Range<usize>, grain: usize, f: F) -> Result<()>
    where
        F: Fn(Range<usize>) + Sync,
    {
        let target = self.target(options)?;
        let members = &target.lane(&self.shared).members;
        let own = worker::here_in(&self.shared, |local| (local.index, members.contains(local.index)));
        if let Some((_, false)) = own {
            return Err(Error::WouldDeadlock("a pool's own task cannot wait for a loop that its worker may not run"));
        }
        let workers = members.len();
        let grain = match grain {
            0 => range.len().div_ceil(workers * PIECES_PER_WORKER).max(1),
            grain => grain,
        };
        let pieces = range.len().div_ceil(grain);
        let on = Arc::new(Loop {
            next: AtomicUsize::new(range.start),
            end: range.end.max(range.start),
            grain,
            state: AtomicUsize::new(0),
            helpers: AtomicUsize::new(0),
            body: (&raw const f).cast(),
            call: call::<F>,
            panic: Mutex::default(),
            caller: own.map_or_else(|| Caller::Outside(Signal::default()), |(index, _)| Caller::Worker(index)),
            handle: self.clone(),
            target: target.clone(),
        });
        let helpers = if own.is_some() { (workers - 1).min(pieces.saturating_sub(1)) } else { workers.min(pieces) };
        // A closed pool refuses an empty loop, too.
        let mut jobs = (0..helpers).map(|_| Helper::new(&on).into_job());
        self.push_parts(&target, helpers, &mut jobs)?;
        match &on.caller {
            Caller::Worker(_) => {
                worker::here(|local| on.take_part(local));
            }
            Caller::Outside(signal) if helpers > 0 => {
                // Given when it is over and nobody is inside, or when no helper is left; then nobody is inside, either.
                signal.wait();
                on.set_over();
            }
            Caller::Outside(_) => {}
        }
        on.outcome()
    }
}

impl Loop {
    /// The caller, which is a worker, runs pieces, too, and waits for the others.
    fn take_part(&self, local: &Local) {
        // SAFETY: this is the caller's thread, and the body is its own.
        while unsafe { self.run_one() } {}
        self.set_over();
        local.wait_until(|| self.is_quiet(), None);
    }
}
