//! Type-erased callbacks that own their argument: the one place where types are erased.
//!
//! A [`Job`] is four words; so is a [`Callback`], which runs more than once. A closure of up to three words lives inside it, so a C callback `{fn, arg, drop}` and most
//! Rust closures cost no allocation; a larger one is boxed.
//!
//! # Invariant
//!
//! `data` holds a live `F`, the closure that `vtable` was made for, until [`Job::run`] moves it out or `Drop` drops it; each
//! of them takes the job by value, so exactly one of them happens, once.

use std::{
    any::Any,
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit, align_of, size_of},
    panic::{AssertUnwindSafe, catch_unwind},
};

const WORDS: usize = 3;
type Data = MaybeUninit<[usize; WORDS]>;

struct VTable {
    run: unsafe fn(*mut Data),
    drop: unsafe fn(*mut Data),
}

struct Inline<F>(F);

impl<F: FnOnce() + Send + 'static> Inline<F> {
    const FITS: bool = size_of::<F>() <= size_of::<Data>() && align_of::<F>() <= align_of::<Data>();
    const VTABLE: VTable = VTable { run: Self::run, drop: Self::drop };

    /// # Safety
    /// `data` holds a live `F`, which is moved out.
    unsafe fn run(data: *mut Data) {
        // SAFETY: the caller's promise; the place is not read again.
        let f = unsafe { data.cast::<F>().read() };
        f();
    }

    /// # Safety
    /// `data` holds a live `F`, which is dropped.
    unsafe fn drop(data: *mut Data) {
        // SAFETY: the caller's promise; the place is not read again.
        unsafe { data.cast::<F>().drop_in_place() };
    }
}

/// A callback that runs at most once and is dropped exactly once: by its run, or instead of it.
pub struct Job {
    vtable: &'static VTable,
    data: Data,
}

// SAFETY: a Job is made of an `F: Send` only.
unsafe impl Send for Job {}

impl Job {
    /// Wraps a closure; one of at most three words is not allocated for.
    #[inline]
    pub fn new<F: FnOnce() + Send + 'static>(f: F) -> Self {
        if Inline::<F>::FITS { Self::inline(f) } else { Self::inline(Box::new(f) as Box<dyn FnOnce() + Send>) }
    }

    #[inline]
    fn inline<F: FnOnce() + Send + 'static>(f: F) -> Self {
        assert!(Inline::<F>::FITS);
        let mut data = Data::uninit();
        // SAFETY: F fits in `data`, by size and alignment (asserted above).
        unsafe { data.as_mut_ptr().cast::<F>().write(f) };
        Self { vtable: &Inline::<F>::VTABLE, data }
    }

    /// What jobs made of one type of closure have in common. Those of another type have another one; two of one type may
    /// differ, if they were made in different places.
    #[inline]
    pub fn kind(&self) -> usize {
        std::ptr::from_ref(self.vtable).addr()
    }

    /// Runs it; a panic passes through.
    #[inline]
    pub fn run(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the invariant: `data` holds the closure of this vtable; `this` is not dropped after it.
        unsafe { (this.vtable.run)(&raw mut this.data) };
    }

    /// Runs it; a panic is caught and reported as one of `whose` callbacks. True if it returned.
    #[inline]
    pub fn run_caught(self, whose: &str) -> bool {
        let mut this = ManuallyDrop::new(self);
        let (run, data) = (this.vtable.run, &raw mut this.data);
        // SAFETY: as in `run`. Only pointers go through the catch: a job that did would be copied on its way.
        caught(whose, || unsafe { run(data) })
    }

    /// Drops it without a run; a panic in the drop is caught and reported.
    pub fn drop_caught(self, whose: &str) {
        caught(whose, || drop(self));
    }
}

impl Drop for Job {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the invariant: `data` holds the closure of this vtable, and this is its only drop.
        unsafe { (self.vtable.drop)(&raw mut self.data) };
    }
}

struct CallTable<A> {
    call: unsafe fn(*mut Data, A),
    drop: unsafe fn(*mut Data),
}

struct InlineMut<F, A>(PhantomData<(F, A)>);

impl<A, F: FnMut(A) + Send + 'static> InlineMut<F, A> {
    const FITS: bool = size_of::<F>() <= size_of::<Data>() && align_of::<F>() <= align_of::<Data>();
    const TABLE: CallTable<A> = CallTable { call: Self::call, drop: Self::drop };

    /// # Safety
    /// `data` holds a live `F`.
    unsafe fn call(data: *mut Data, argument: A) {
        // SAFETY: the caller's promise.
        unsafe { (*data.cast::<F>())(argument) };
    }

    /// # Safety
    /// `data` holds a live `F`, which is dropped.
    unsafe fn drop(data: *mut Data) {
        // SAFETY: the caller's promise; the place is not read again.
        unsafe { data.cast::<F>().drop_in_place() };
    }
}

/// A callback that runs any number of times, with an argument. It is as large as a [`Job`] and as seldom allocated for, and its
/// `data` holds a live `F` until it is dropped.
pub struct Callback<A: 'static> {
    table: &'static CallTable<A>,
    data: Data,
}

// SAFETY: a Callback is made of an `F: Send` only; the argument is not kept.
unsafe impl<A> Send for Callback<A> {}

impl<A> Callback<A> {
    /// Wraps a closure; one of at most three words is not allocated for.
    #[inline]
    pub fn new<F: FnMut(A) + Send + 'static>(f: F) -> Self {
        if InlineMut::<F, A>::FITS { Self::inline(f) } else { Self::inline(Box::new(f) as Box<dyn FnMut(A) + Send>) }
    }

    #[inline]
    fn inline<F: FnMut(A) + Send + 'static>(f: F) -> Self {
        assert!(InlineMut::<F, A>::FITS);
        let mut data = Data::uninit();
        // SAFETY: F fits in `data`, by size and alignment (asserted above).
        unsafe { data.as_mut_ptr().cast::<F>().write(f) };
        Self { table: &InlineMut::<F, A>::TABLE, data }
    }

    /// Runs it; a panic passes through.
    #[inline]
    pub fn call(&mut self, argument: A) {
        // SAFETY: the invariant: `data` holds the closure of this table.
        unsafe { (self.table.call)(&raw mut self.data, argument) };
    }
}

impl<A> Drop for Callback<A> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the invariant: `data` holds the closure of this table, and this is its only drop.
        unsafe { (self.table.drop)(&raw mut self.data) };
    }
}

impl<A> std::fmt::Debug for Callback<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callback")
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

/// Calls `f`; a panic is caught, reported once as an error of target `coop`, and answered with false.
#[inline]
pub fn caught(whose: &str, f: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(()) => true,
        Err(payload) => {
            tracing::error!(target: "coop", "a callback of the {whose} panicked: {}", panic_text(&*payload));
            // The payload's own drop may panic too: it is user code.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            false
        }
    }
}

/// What a panic said.
pub fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a payload that is no text)")
}

#[cfg(test)]
mod test {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counters() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
        Default::default()
    }

    #[test]
    fn a_job_is_four_words() {
        assert_eq!(size_of::<Job>(), 4 * size_of::<usize>());
    }

    #[test]
    fn small_and_large_closures_run_once_and_drop_once() {
        for padding in [0usize, 1, 2, 100] {
            let (ran, dropped) = counters();
            let (owned, count, large) = (Counted(dropped.clone()), ran.clone(), vec![7u8; padding]);
            let array = [padding; 32];
            let job = if padding < 2 {
                Job::new(move || {
                    let _owned = &owned;
                    count.fetch_add(1, Ordering::SeqCst);
                })
            } else {
                Job::new(move || {
                    let _owned = &owned;
                    assert_eq!((large.len(), array[31]), (padding, padding));
                    count.fetch_add(1, Ordering::SeqCst);
                })
            };
            job.run();
            assert_eq!((ran.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (1, 1));
        }
    }

    #[test]
    fn a_callback_keeps_its_state_from_call_to_call() {
        assert_eq!(size_of::<Option<Callback<u64>>>(), 4 * size_of::<usize>());
        for large in [false, true] {
            let (sum, dropped) = counters();
            let (owned, total, padding) = (Counted(dropped.clone()), sum.clone(), [1usize; 32]);
            let mut before = 0;
            let mut callback = if large {
                Callback::new(move |by: usize| {
                    let _owned = &owned;
                    before += by * padding[7];
                    total.store(before, Ordering::SeqCst);
                })
            } else {
                Callback::new(move |by: usize| {
                    let _owned = &owned;
                    before += by;
                    total.store(before, Ordering::SeqCst);
                })
            };
            (1..=4).for_each(|by| callback.call(by));
            assert_eq!((sum.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (10, 0));
            drop(callback);
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn an_over_aligned_closure_is_boxed() {
        #[repr(align(64))]
        struct Aligned(u8);
        let aligned = Aligned(9);
        Job::new(move || {
            let here = &raw const aligned;
            assert_eq!(here as usize % 64, 0);
            assert_eq!(aligned.0, 9);
        })
        .run();
    }

    #[test]
    fn what_does_not_run_is_dropped_once() {
        let (ran, dropped) = counters();
        let (owned, count) = (Counted(dropped.clone()), ran.clone());
        drop(Job::new(move || {
            let _owned = &owned;
            count.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!((ran.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (0, 1));
    }

    #[test]
    fn a_panic_is_caught_and_the_argument_dropped_once() {
        let (_, dropped) = counters();
        let owned = Counted(dropped.clone());
        let returned = Job::new(move || {
            let _owned = &owned;
            panic!("on purpose");
        })
        .run_caught("test");
        assert!(!returned);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}
