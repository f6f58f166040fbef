//! A post that its poster waits for.
//!
//! # What holds
//!
//! The function belongs to the wait until it begins: whatever ends the wait before that (the deadline, a loop that refuses it or is
//! freed) gives it back unrun. Once it has begun, the wait goes on until it has ended, also past the deadline. One lock decides
//! which of the two comes first, and is not held while the function runs or is dropped.

#![forbid(unsafe_code)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Handle;
use crate::{
    error::{Error, Refused, Result},
    job::{Job, panic_text},
    time::Deadline,
};

enum State<F, R> {
    Waiting(F),
    Begun,
    Ended(Result<R>),
    /// The post was dropped unrun.
    Dropped(F),
    /// Taken by the one who waited.
    Over,
}

struct Call<F, R> {
    state: Mutex<State<F, R>>,
    changed: Condvar,
}

impl<F, R> Call<F, R> {
    fn state(&self) -> MutexGuard<'_, State<F, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function, if nobody has it yet.
    fn take(&self, instead: State<F, R>) -> Option<F> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, instead) {
            State::Waiting(f) => Some(f),
            other => {
                *state = other;
                None
            }
        }
    }

    fn tell(&self, state: State<F, R>) {
        *self.state() = state;
        self.changed.notify_all();
    }
}

/// The post's end of it: runs the function, or tells that it never will.
struct Posted<F, R>(Arc<Call<F, R>>);

impl<F: FnOnce() -> R, R> Posted<F, R> {
    fn run(self) {
        let Some(f) = self.0.take(State::Begun) else { return };
        let ended = catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
            let error = Error::Panic(panic_text(&*payload).to_owned());
            // The payload's own drop may panic too: it is user code.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            error
        });
        self.0.tell(State::Ended(ended));
    }
}

impl<F, R> Drop for Posted<F, R> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take(State::Over) {
            self.0.tell(State::Dropped(f));
        }
    }
}

impl Handle {
    /// Has the loop's thread run `f`, and waits for what it answers. At the deadline `f` is taken back if it has not begun; otherwise
    /// its end is waited for.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`] from one of the loop's own callbacks, [`Error::Closed`] after `stop` and when the loop is freed before `f`
    /// began, [`Error::Timeout`], [`Error::Panic`] if `f` panicked, [`Error::Forked`].
    pub fn post_and_wait<F, R>(&self, timeout: Option<Duration>, f: F) -> Result<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.post_and_wait_or_back(timeout, f).map_err(|refused| refused.error)
    }

    /// [`Handle::post_and_wait`]; an `f` that has not run comes back.
    ///
    /// # Errors
    /// As there. There is no `f` with [`Error::Panic`].
    pub fn post_and_wait_or_back<F, R>(&self, timeout: Option<Duration>, f: F) -> Result<R, Refused<Option<F>>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let deadline = Deadline::after(timeout);
        if let Err(error) = self.shared.fork.check() {
            return Err(Refused::new(error, Some(f)));
        }
        if self.is_loop_thread() {
            let error = Error::WouldDeadlock("a loop's own callback cannot wait for what it posts to the loop");
            return Err(Refused::new(error, Some(f)));
        }
        let call = Arc::new(Call { state: Mutex::new(State::Waiting(f)), changed: Condvar::new() });
        let posted = Posted(call.clone());
        if let Err(refused) = self.post_job(Job::new(move || posted.run())) {
            // Before the refused job is dropped, which would tell it to nobody.
            return Err(Refused::new(refused.error, call.take(State::Over)));
        }
        let mut state = call.state();
        loop {
            state = match std::mem::replace(&mut *state, State::Over) {
                State::Ended(ended) => return ended.map_err(|error| Refused::new(error, None)),
                State::Dropped(f) => return Err(Refused::new(Error::Closed("event loop"), Some(f))),
                State::Waiting(f) if deadline.is_over() => {
                    let error = Error::Timeout(format!("event loop {:?} has not come to the post", self.shared.name));
                    return Err(Refused::new(error, Some(f)));
                }
                other => {
                    let begun = matches!(other, State::Begun);
                    *state = other;
                    match deadline.remaining().filter(|_| !begun) {
                        None => call.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                        Some(left) => call.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                    }
                }
            };
        }
    }
}
