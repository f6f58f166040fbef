//! Waiting for a host as a program's main thread does: with SIGINT and SIGTERM as orders to stop.
//!
//! # What holds
//!
//! * The signals are taken only while somebody waits, and only by the process's main thread; then they do again what they did before. The first stops the host in
//!   order, the second ends everything.
//! * The main loop that the host was given is run meanwhile, if nobody else runs it.

#![forbid(unsafe_code)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nix::{
    sys::signal::Signal,
    unistd::{getpid, gettid},
};

use super::{
    host::Host,
    shared::{Finish, Phase, Shared},
};
use crate::{
    error::{Error, Result},
    event_loop::{Handle, On, RunMode, SignalId, WeakHandle},
};

impl Host {
    /// Waits until the host has ended, and answers how; on the process's main thread SIGINT and SIGTERM stop it meanwhile, and a second
    /// one ends everything at once. If the host was given a main loop that nobody runs, it is run here.
    ///
    /// # Errors
    /// As [`Host::join`], without a deadline; [`Error::Os`] if the signals cannot be watched.
    pub fn wait(&self) -> Result<Finish> {
        self.check_outside()?;
        let shared = self.shared();
        if shared.phase() == Phase::New {
            return Err(Error::Invalid("the host has not been started".into()));
        }
        let _signals = if getpid() == gettid() { Some(HostSignals::new(shared)?) } else { None };
        if let Some(main_loop) = shared.main_loop.as_ref().and_then(WeakHandle::upgrade) {
            run_until_ended(shared, &main_loop)?;
        }
        self.join(None)
    }

    /// Takes SIGINT and SIGTERM as [`Host::wait`] does, until what is answered is dropped: for who waits by [`Host::ended`].
    ///
    /// # Errors
    /// [`Error::Os`] if the signals cannot be watched, [`Error::Closed`], [`Error::Forked`].
    pub fn take_signals(&self) -> Result<HostSignals> {
        HostSignals::new(self.shared())
    }
}

/// Returns when the host has ended, when somebody else runs the loop, and when the loop ends.
fn run_until_ended(shared: &Shared, main_loop: &Handle) -> Result<()> {
    let waits = Arc::new(AtomicBool::new(true));
    let (waited, interrupted) = (waits.clone(), main_loop.downgrade());
    shared.on_ended(move || {
        let Some(main_loop) = interrupted.upgrade() else { return };
        let inside = interrupted.clone();
        // By a post: an interrupt that came just before the run would be lost.
        let _ = main_loop.post(move || {
            if let Some(main_loop) = inside.upgrade().filter(|_| waited.load(Ordering::Relaxed)) {
                let _ = main_loop.interrupt();
            }
        });
    });
    let mut result = Ok(());
    while !matches!(shared.phase(), Phase::Ended(_)) {
        match main_loop.run(RunMode::Default) {
            Ok(()) if main_loop.is_stopped() => break,
            Ok(()) => {}
            Err(Error::Exists(_) | Error::Closed(_)) => break,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    waits.store(false, Ordering::Relaxed);
    result
}

/// The two signals, until it is dropped; see [`Host::take_signals`].
#[derive(Debug)]
#[must_use = "dropped, it gives the signals back"]
pub struct HostSignals {
    event_loop: Handle,
    ids: Vec<SignalId>,
}

impl HostSignals {
    fn new(shared: &Arc<Shared>) -> Result<Self> {
        let mut taken = Self { event_loop: shared.event_loop()?, ids: Vec::new() };
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let told = Arc::downgrade(shared);
            let id = taken.event_loop.signal(signal as i32, On::Loop, move |signum, times| {
                if let Some(shared) = told.upgrade() {
                    shared.turn(|tree| tree.signal(signum, times));
                }
            })?;
            taken.ids.push(id);
        }
        Ok(taken)
    }
}

impl Drop for HostSignals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            // Stale when the host's loop has gone.
            let _ = self.event_loop.cancel_signal(id);
        }
    }
}
