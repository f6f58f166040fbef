//! Tells ThreadSanitizer what this library promises its callers.
//!
//! A program that is built with `-fsanitize=thread` links a library that is not: the sanitizer sees none of the atomics
//! and locks in here, and would call every hand-off a race. So each promise of `coop.h` is told to it where it is kept, if
//! its runtime is in the process:
//!
//! * What was done before a callback was handed over is done before the callback runs ([`hand_over`], [`Inside`]).
//! * A run is over before the next run of the same source begins, and every run is over before `drop(arg)`.
//! * When a call that waits has returned, what it waited for is over; what was done before an object was told to stop is
//!   done before those who wait for that return ([`tell`], [`waited`]).
//! * A node of a graph comes after what it waits for ([`happened`], [`after`]).
//!
//! Nothing else is told, so races between callbacks that nothing orders are still found.

use std::{
    ffi::{CStr, c_void},
    mem, ptr,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// `__tsan_acquire` or `__tsan_release`: whoever acquires a place comes after all that were released to it.
type Function = unsafe extern "C" fn(place: *mut c_void);

/// A function of the runtime's, looked up once; by several threads at once perhaps, which find the same. No lock: a
/// forked child may be here too.
struct Hook {
    name: &'static CStr,
    /// [`UNKNOWN`], [`ABSENT`], or the function's address.
    found: AtomicUsize,
}

const UNKNOWN: usize = 0;
const ABSENT: usize = 1;

static ACQUIRE: Hook = Hook { name: c"__tsan_acquire", found: AtomicUsize::new(UNKNOWN) };
static RELEASE: Hook = Hook { name: c"__tsan_release", found: AtomicUsize::new(UNKNOWN) };

impl Hook {
    #[inline]
    fn is_absent(&self) -> bool {
        self.found.load(Ordering::Relaxed) == ABSENT
    }

    #[cold]
    #[inline(never)]
    fn call(&self, place: &AtomicU64) {
        let found = match self.found.load(Ordering::Relaxed) {
            UNKNOWN => self.look_up(),
            found => found,
        };
        if found != ABSENT {
            // SAFETY: what dlsym found by this name, which is the runtime's: its type is that since its first version.
            let function = unsafe { mem::transmute::<*mut c_void, Function>(ptr::with_exposed_provenance_mut(found)) };
            // SAFETY: a place of this library's, which lives for ever.
            unsafe { function(place.as_ptr().cast()) };
        }
    }

    #[cold]
    fn look_up(&self) -> usize {
        // SAFETY: a name that ends with a NUL.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, self.name.as_ptr()) };
        let found = if address.is_null() { ABSENT } else { address.expose_provenance() };
        self.found.store(found, Ordering::Relaxed);
        found
    }
}

const PLACES: usize = 1024;

/// Places for the runtime to name an order by; what is in them is never looked at. An argument is not its own place: it
/// may be no pointer at all, and the user's own atomics may be there.
struct Places([AtomicU64; PLACES]);

static HANDED_OVER: Places = Places([const { AtomicU64::new(0) }; PLACES]);
static RAN: Places = Places([const { AtomicU64::new(0) }; PLACES]);
static ORDERS: Places = Places([const { AtomicU64::new(0) }; PLACES]);
static OVER: AtomicU64 = AtomicU64::new(0);

impl Places {
    fn of(&self, arg: *mut c_void) -> &AtomicU64 {
        // Fibonacci hashing: arguments in an array, or all aligned alike, still have places of their own.
        let hash = (arg.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        &self.0[hash as usize % PLACES]
    }
}

/// Which place it is costs something only where there is a runtime to tell.
#[inline]
fn acquire<'a>(place: impl FnOnce() -> &'a AtomicU64) {
    if !ACQUIRE.is_absent() {
        ACQUIRE.call(place());
    }
}

#[inline]
fn release<'a>(place: impl FnOnce() -> &'a AtomicU64) {
    if !RELEASE.is_absent() {
        RELEASE.call(place());
    }
}

/// A callback with this argument was given to the library.
#[inline]
pub(crate) fn hand_over(arg: *mut c_void) {
    release(|| HANDED_OVER.of(arg));
}

/// What was done before the callback was handed over, or since by the library, is done.
#[inline]
pub(crate) fn taken_over(arg: *mut c_void) {
    acquire(|| HANDED_OVER.of(arg));
}

/// A run of a callback that is not [`Inside`] it has used this.
#[inline]
pub(crate) fn ran(arg: *mut c_void) {
    release(|| RAN.of(arg));
}

/// Whether there may be a runtime to tell.
#[inline]
pub(crate) fn is_told() -> bool {
    !ACQUIRE.is_absent()
}

/// What this order is about is done, as far as this thread has to do with it.
pub(crate) fn happened(order: usize) {
    release(|| ORDERS.of(ptr::without_provenance_mut(order)));
}

/// The thread goes on after all that has [`happened`] in this order.
pub(crate) fn after(order: usize) {
    acquire(|| ORDERS.of(ptr::without_provenance_mut(order)));
}

/// The call after this makes others return: a stop, an interrupt.
#[inline]
pub(crate) fn tell() {
    release(|| &OVER);
}

/// What was waited for is over.
#[inline]
pub(crate) fn waited() {
    acquire(|| &OVER);
}

/// While a callback runs.
pub(crate) struct Inside(*mut c_void);

impl Inside {
    /// A run of a callback that runs once, or on many threads at a time.
    #[inline]
    pub(crate) fn once(arg: *mut c_void) -> Self {
        acquire(|| HANDED_OVER.of(arg));
        Self(arg)
    }

    /// A run that comes after the earlier ones with this argument.
    #[inline]
    pub(crate) fn after_others(arg: *mut c_void) -> Self {
        acquire(|| RAN.of(arg));
        Self::once(arg)
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if !RELEASE.is_absent() {
            RELEASE.call(RAN.of(self.0));
            RELEASE.call(&OVER);
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbours_have_places_of_their_own() {
        let places: HashSet<_> = (0..64_usize)
            .map(|index| ptr::from_ref(HANDED_OVER.of(ptr::without_provenance_mut(0x1000 + 8 * index))))
            .collect();
        assert!(places.len() > 56, "{} places for 64 arguments", places.len());
        assert_ne!(ptr::from_ref(HANDED_OVER.of(ptr::null_mut())), ptr::from_ref(RAN.of(ptr::null_mut())));
    }

    #[test]
    fn places_are_not_written() {
        // No sanitizer here: nothing happens, and nothing is asked of the argument.
        hand_over(ptr::without_provenance_mut(1));
        drop(Inside::after_others(ptr::without_provenance_mut(1)));
        tell();
        waited();
        assert_eq!(OVER.load(Ordering::Relaxed), 0);
    }
}
