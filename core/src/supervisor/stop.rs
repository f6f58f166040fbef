//! Being asked to stop, as a run sees it: a flag, a wait, a future, a descriptor, a callback.
//!
//! # Invariant
//!
//! What waits is put down under the lock that the flag is raised under, so whoever came before is told by the one who raises it, and
//! whoever comes after sees it raised. Wakers and callbacks are called, and dropped, with no lock held.

#![forbid(unsafe_code)]

use std::{
    mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use rustix::event::{EventfdFlags, eventfd};

use crate::{
    error::{Error, Result},
    job::{self, Job},
    slots::Slots,
    time::Deadline,
};

#[derive(Debug, Default)]
pub(super) struct Stop {
    state: Mutex<State>,
    changed: Condvar,
    asked: AtomicBool,
    taken: AtomicBool,
    fd: OnceLock<OwnedFd>,
}

#[derive(Debug, Default)]
struct State {
    wakers: Slots<Waker>,
    calls: Vec<Job>,
}

impl Stop {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Somebody looks out for it.
    pub(super) fn take(&self) {
        self.taken.store(true, Ordering::Release);
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) fn ask(&self) {
        let (wakers, calls) = {
            let mut state = self.lock();
            if self.asked.swap(true, Ordering::AcqRel) {
                return;
            }
            if let Some(fd) = self.fd.get() {
                raise(fd);
            }
            self.changed.notify_all();
            (state.wakers.take_all(), mem::take(&mut state.calls))
        };
        for (_, waker) in wakers {
            job::caught("waker", || waker.wake());
        }
        for call in calls {
            call.run_caught("service");
        }
    }

    pub(super) fn wait(&self, deadline: Deadline) -> bool {
        let mut state = self.lock();
        while !self.is_asked() {
            state = match deadline.remaining() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }

    pub(super) fn poll(&self, waiter: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if self.is_asked() {
            return Poll::Ready(());
        }
        let before = match waiter.and_then(|waiter| state.wakers.get_mut(waiter)) {
            Some(before) => Some(mem::replace(before, waker)),
            None => {
                *waiter = Some(state.wakers.insert(waker));
                None
            }
        };
        drop(state);
        drop(before);
        Poll::Pending
    }

    pub(super) fn leave(&self, waiter: Option<u64>) {
        // Bound first: a waker is dropped with no lock held.
        let waker = waiter.and_then(|waiter| self.lock().wakers.remove(waiter));
        drop(waker);
    }

    pub(super) fn call(&self, call: Job) {
        let mut state = self.lock();
        if !self.is_asked() {
            return state.calls.push(call);
        }
        drop(state);
        call.run_caught("service");
    }

    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>> {
        let _state = self.lock();
        if self.fd.get().is_none() {
            let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
                .map_err(|errno| Error::Os { context: "eventfd".into(), errno: errno.raw_os_error() })?;
            if self.is_asked() {
                raise(&fd);
            }
            let _ = self.fd.set(fd);
        }
        self.fd.get().map(AsFd::as_fd).ok_or(Error::Closed("service"))
    }
}

fn raise(fd: &OwnedFd) {
    // Cannot be full: it is written once.
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}
