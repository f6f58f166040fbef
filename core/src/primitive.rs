//! The atomics and locks that loom can check: `std`'s in a build, loom's under `--cfg loom`.
//!
//! Only the modules that a loom model runs take theirs from here.

#[cfg(loom)]
#[allow(unused_imports, reason = "a swap list: not every name is wanted in every build")]
pub(crate) use loom::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};

#[cfg(not(loom))]
#[allow(unused_imports, reason = "a swap list: not every name is wanted in every build")]
pub(crate) use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};

/// `fence(Ordering::SeqCst)` in its cheapest form, for paths where a few nanoseconds count.
///
/// The compiler's choice on x86-64 is `mfence`, which takes twice the time of a locked instruction and orders no more of what
/// a program can see.
#[inline(always)]
pub(crate) fn full_fence() {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: adds nothing to a word of the stack that it may write, and leaves the flags, which asm! takes as changed. Not
    // `nomem`: the compiler moves no access across it. A locked instruction is a full barrier.
    unsafe {
        std::arch::asm!("lock or dword ptr [rsp], 0");
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    fence(Ordering::SeqCst);
}
