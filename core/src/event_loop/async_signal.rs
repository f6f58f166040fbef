//! Wake-ups from signal handlers: all that [`AsyncSignal::send`] does is one atomic exchange and perhaps one write to an eventfd, both made
//! beforehand.
//!
//! # What holds
//!
//! * After each `send` the callback begins once more. Sends before it begins coalesce: they are one call.
//! * The flag is lowered before the callback begins, so a send during it is another call. Whoever raises it writes, and the
//!   callback's source reads before it lowers: so while the flag is up, the descriptor is readable or the read is about to lower it.
//! * Sends are in no order with posts. After the loop's end they do nothing.

#![forbid(unsafe_code)]

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Handle, On, kernel,
    watch::{Interest, KIND as WATCH, WatchId, WatchOptions},
};
use crate::{
    error::{Refused, Result},
    fork::ForkGuard,
};

/// See the module's text. Dropping it ends it; its callback may do that.
#[derive(Debug)]
pub struct AsyncSignal {
    flag: Arc<Flag>,
    event_loop: Handle,
    watch: WatchId,
}

/// Kept by the source too, so that the descriptor is open for as long as it is watched.
#[derive(Debug)]
struct Flag {
    fork: ForkGuard,
    fd: OwnedFd,
    sent: AtomicBool,
}

impl AsyncSignal {
    /// Has the callback called on the loop or in its pool. Safe in a signal handler, and from any thread; it leaves `errno` alone. In a
    /// forked child it does nothing and answers false.
    pub fn send(&self) -> bool {
        let here = !self.flag.fork.is_forked();
        if here && !self.flag.sent.swap(true, Ordering::AcqRel) {
            // The last: the callback may end all this at once.
            kernel::raise(&self.flag.fd);
        }
        here
    }

    /// Ends it: the callback does not begin any more, and is dropped now, or when it returns if it is running.
    pub fn close(self) {}
}

impl Drop for AsyncSignal {
    fn drop(&mut self) {
        // Stale after the loop's end, and refused in a forked child.
        let _ = self.event_loop.cancel_watch(self.watch);
    }
}

impl Handle {
    /// Makes what a signal handler may wake the loop with; `f` is called after each [`AsyncSignal::send`], or after several.
    ///
    /// # Errors
    /// Those of [`Handle::watch`], and [`Error::Unsupported`](crate::Error::Unsupported) where there are no eventfds.
    pub fn async_signal<F>(&self, on: On, f: F) -> Result<AsyncSignal, Refused<F>>
    where
        F: FnMut() + Send + 'static,
    {
        let fd = match self.check_open().and_then(|()| kernel::eventfd(false)) {
            Ok(fd) => fd,
            Err(error) => return Err(Refused::new(error, f)),
        };
        let flag = Arc::new(Flag { fork: ForkGuard::new("async"), fd, sent: AtomicBool::new(false) });
        let (fd, told) = (flag.fd.as_raw_fd(), flag.clone());
        let options = WatchOptions { on, ..WatchOptions::new(Interest::READ) };
        let watch = self.source(WATCH, fd, options, f, move |mut f| {
            Box::new(move |_, _, _| {
                if kernel::take(&told.fd) {
                    told.sent.swap(false, Ordering::AcqRel);
                    f();
                }
            })
        })?;
        Ok(AsyncSignal { flag, event_loop: self.clone(), watch: WatchId(watch) })
    }
}
