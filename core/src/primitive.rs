//! The atomics and locks that loom can check: `std`'s in a build, loom's under `--cfg loom`.
//!
//! Only the modules that a loom model runs take theirs from here.

#[cfg(loom)]
#[allow(unused_imports, reason = "a swap list: not every name is wanted in every build")]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};

#[cfg(not(loom))]
#[allow(unused_imports, reason = "a swap list: not every name is wanted in every build")]
pub(crate) use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};

/// `std`'s, by loom's interface, which checks that nobody writes what another one looks at.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// A wait for another thread that is about to be done: a few rounds on the CPU, then it is given away between looks.
#[derive(Debug, Default)]
pub(crate) struct Spin(u32);

impl Spin {
    #[cold]
    pub(crate) fn once_more(&mut self) {
        const ROUNDS: u32 = 6;
        if cfg!(loom) || self.0 == ROUNDS {
            return thread::yield_now();
        }
        (0..1 << self.0).for_each(|_| std::hint::spin_loop());
        self.0 += 1;
    }
}

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
