//! Loops over a range, on all workers at once.

use std::ffi::c_void;

use coop_core::Error;

use crate::{
    guard::guard_wait,
    handle::null,
    pool::{coop_pool, coop_submit_options, submit_options},
    status::coop_status,
    tsan,
};

/// Does one piece of a loop: the numbers from begin up to, and without, end. Called by several threads at the same
/// time. It must not throw or longjmp out of the library.
pub type coop_range_fn = Option<unsafe extern "C" fn(arg: *mut c_void, begin: usize, end: usize)>;

/// What the pieces share.
struct Body {
    run: unsafe extern "C" fn(arg: *mut c_void, begin: usize, end: usize),
    arg: *mut c_void,
}

// SAFETY: the header says that several threads call it at the same time.
unsafe impl Sync for Body {}

impl Body {
    fn call(&self, begin: usize, end: usize) {
        let _inside = tsan::Inside::once(self.arg);
        // SAFETY: C gave the function for this argument, and waits.
        unsafe { (self.run)(self.arg, begin, end) };
    }
}

/// Calls run with pieces of the range from begin up to, and without, end, on all workers of the CPU set at once, and
/// returns when all have ended. Called by a task of the pool, that task's worker takes part.
///
/// options: copied; NULL is normal priority, any worker; timeout_ns is not used, for a full pool takes the loop all
/// the same. grain: the most numbers of a piece; 0 leaves that to the pool. run: must not be NULL. arg: handed to it;
/// stays the caller's.
///
/// Any thread, also the pool's own tasks. COOP_E_NULL for pool or run, COOP_E_INVALID for an end before begin,
/// COOP_E_CLOSED if the pool is closed, or was discarded before all pieces had begun: then some have not run;
/// COOP_E_WOULD_DEADLOCK to a task of the pool whose worker is outside the CPU set; COOP_E_FORKED; for the options as
/// coop_pool_submit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_pool_parallel_for(
    pool: *mut coop_pool,
    options: *const coop_submit_options,
    begin: usize,
    end: usize,
    grain: usize,
    run: coop_range_fn,
    arg: *mut c_void,
) -> coop_status {
    guard_wait!({
        // SAFETY: a pool that is not freed yet. It waits for tasks, which may free the pool: so not borrowed.
        let pool = unsafe { coop_pool::cloned(pool) }?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { submit_options(options) }?;
        let body = Body { run: run.ok_or_else(|| null("run"))?, arg };
        if begin > end {
            return Err(Error::Invalid(format!("a range from {begin} to {end} ends before it begins")));
        }
        tsan::hand_over(arg);
        let body = &body;
        pool.parallel_for(&options, begin..end, grain, move |piece| body.call(piece.start, piece.end))
    })
}
