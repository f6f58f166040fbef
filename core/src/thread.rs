//! The library's own threads: named, and deaf to signals that are the program's business.

#![forbid(unsafe_code)]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread::{Builder, JoinHandle},
};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::error::{Error, Result};

/// Signals that a thread brings on itself, or that a profiler sends to it.
const HEARD: [Signal; 8] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGSYS,
    Signal::SIGPROF,
];

/// Starts a thread of this name (the system shows the first 15 bytes) with every signal but those of faults and profilers
/// blocked: the program's handlers run on the program's threads.
pub fn spawn<F>(name: &str, f: F) -> Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    let mut blocked = SigSet::all();
    for signal in HEARD {
        blocked.remove(signal);
    }
    // A thread starts with its maker's mask, so none is ever without it.
    let before = blocked
        .thread_swap_mask(SigmaskHow::SIG_SETMASK)
        .map_err(|errno| Error::Os { context: "pthread_sigmask".into(), errno: errno as i32 })?;
    let spawned = Builder::new().name(name.to_owned()).spawn(f);
    before.thread_set_mask().map_err(|errno| Error::Os { context: "pthread_sigmask".into(), errno: errno as i32 })?;
    spawned.map_err(|error| Error::os(format!("start thread {name:?}"), &error))
}

/// A number of the calling thread's own, never 0 and never given to another thread.
#[inline]
pub fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static MINE: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    // A thread that is ending has no thread-locals left; a number nobody else has is still a right answer.
    MINE.try_with(|mine| *mine).unwrap_or_else(|_| NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_library_thread_blocks_the_programs_signals() {
        let thread = spawn("coop-test", || {
            let mask = SigSet::thread_get_mask().unwrap();
            assert!(mask.contains(Signal::SIGINT) && mask.contains(Signal::SIGTERM) && mask.contains(Signal::SIGCHLD));
            assert!(!mask.contains(Signal::SIGSEGV) && !mask.contains(Signal::SIGPROF));
            assert_eq!(std::thread::current().name(), Some("coop-test"));
        })
        .unwrap();
        thread.join().unwrap();
        assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGINT), "the caller keeps its own mask");
    }
}
