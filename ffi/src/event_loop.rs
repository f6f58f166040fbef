//! `coop_event_loop`: posts, and running the loop. Its sources are in timer.rs and io_watch.rs.

use std::{ffi::c_char, mem::ManuallyDrop, time::Duration};

use coop_core::{
    Error, EventLoop, EventLoopOptions, Job, Priority, Result,
    event_loop::{Handle, On, RunMode},
    fork::ForkGuard,
};

use crate::{
    cpu_set::coop_cpu_set,
    foreign::{Foreign, coop_callback, refused},
    guard::{answer, guard, guard_stop, guard_tell, guard_wait},
    handle::{borrow, give, take, wanted},
    options::{self, Options},
    status::{COOP_FOREVER, coop_status},
};

/// Runs until the loop is stopped.
pub const COOP_RUN_DEFAULT: i32 = 0;
/// One turn that waits for something to do.
pub const COOP_RUN_ONCE: i32 = 1;
/// One turn of what is ready now, without waiting.
pub const COOP_RUN_NOWAIT: i32 = 2;
/// Runs until no post, timer or watch (but for those that are unref) is left.
pub const COOP_RUN_UNTIL_IDLE: i32 = 3;

/// A source's callbacks run on the loop's thread; a runtime's loop: in the runtime's pool, at normal priority.
pub const COOP_ON_DEFAULT: i32 = 0;
/// They run on the loop's thread.
pub const COOP_ON_LOOP: i32 = 1;
/// They run in the runtime's pool, at the priority and on the CPUs given beside it. Callbacks of one source do not overlap there
/// either.
pub const COOP_ON_POOL: i32 = 2;

/// An event loop: posts, timers and watches of file descriptors, on one thread.
#[derive(Debug)]
pub struct coop_event_loop {
    fork: ForkGuard,
    handle: Handle,
    /// Taken by the free; `None` in a runtime's.
    owner: ManuallyDrop<Option<EventLoop>>,
}

/// How a loop is made. Zero in any field but size is the default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_event_loop_options {
    /// sizeof(coop_event_loop_options).
    pub size: usize,
    /// What the loop's own thread is called, if coop_event_loop_start makes one: UTF-8, copied. NULL: "coop-loop".
    pub name: *const c_char,
    /// The bytes of name.
    pub name_length: usize,
}

// SAFETY: three words (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_event_loop_options {
    const NAME: &'static str = "coop_event_loop_options";
    const FIRST: usize = size_of::<Self>();
}

/// Makes an event loop. It takes posts, timers and watches at once; nothing runs before coop_event_loop_run or
/// _start.
///
/// options: copied; NULL is all defaults. out: set to the loop, which the caller frees with coop_event_loop_free.
///
/// Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_OS if the process
/// has no file descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_new(
    options: *const coop_event_loop_options,
    out: *mut *mut coop_event_loop,
) -> coop_status {
    guard!({
        wanted(out, "out")?;
        // SAFETY: options are NULL or as long as they say.
        let options = unsafe { event_loop_options(options) }?;
        let owner = EventLoop::new(options)?;
        let object = coop_event_loop::new(owner.handle(), Some(owner));
        // SAFETY: `out` is there, and is a place for a pointer.
        unsafe { give(object, out) };
        Ok(())
    })
}

/// Stops the loop, discards what is queued (each post, timer and watch is dropped, none is run), waits for the
/// callback that runs, and releases the loop.
///
/// From one of the loop's own callbacks on its thread it returns at once, and the rest happens when that callback
/// has returned; the loop must not be used after that, but the coop_event_loop_run that is under way returns as
/// ever. A runtime's loop belongs to the runtime and is left alone, with a warning. NULL does nothing.
///
/// Any thread; once. No call on the loop may begin after it, and a call of another thread must have returned before it
/// begins: a post that races it is refused only as long as the loop is there to refuse it (coop_event_loop_stop, which may race
/// anything, refuses posts from then on). Of the calls that wait, those that wait already when it begins return: coop_event_loop_run,
/// coop_event_loop_join, and coop_event_loop_post_and_wait with COOP_E_CLOSED. And the call that has let a callback start may
/// still be under way when that callback frees the loop.
///
/// In a forked child it touches no thread and leaves the loop's descriptors, which are the parent's too, to exec or exit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_free(event_loop: *mut coop_event_loop) {
    guard_stop!({
        if event_loop.is_null() {
            return Ok(());
        }
        // SAFETY: a loop that is not freed yet; a field's place, nothing is borrowed.
        let owner = unsafe { &raw const (*event_loop).owner };
        // SAFETY: nothing else looks at it, and the box does not drop it.
        let owner = ManuallyDrop::into_inner(unsafe { owner.read() });
        let Some(owner) = owner else {
            tracing::warn!(target: "coop", "coop_event_loop_free was called for a runtime's loop, which the runtime frees");
            return Ok(());
        };
        // Waits for callbacks and runs drops, which may still call the loop: so its box stays until then.
        drop(owner);
        // SAFETY: made by coop_event_loop_new and freed once.
        drop(unsafe { take(event_loop) });
        Ok(())
    });
}

/// Has the loop's thread run the callback, once. Posts of one thread run in their order.
///
/// callback: the loop owns callback.arg if this answers COOP_OK; see coop_callback.
///
/// Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_post(
    event_loop: *mut coop_event_loop,
    callback: coop_callback,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; when the callback itself may free it, the post looks at it no more.
        let handle = unsafe { coop_event_loop::borrowed(event_loop) }?;
        let callback = Foreign::of(callback)?;
        handle.post_made(callback, |callback| Job::new(move || callback.call())).map_err(refused)
    })
}

/// Has the loop's thread run the callback, once, and waits for its end. At the deadline a callback that has not begun is
/// cancelled; the end of one that has is waited for, past the deadline.
///
/// callback: when this answers COOP_OK, fn has run and drop(arg) has been called. On an error neither was called, and callback.arg is
/// still the caller's. timeout_ns: nanoseconds, 0 does not wait for the beginning, COOP_FOREVER waits as long as it takes; nobody but
/// coop_event_loop_run and _start runs the loop meanwhile.
///
/// Any thread but the loop's own callbacks: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT; COOP_E_CLOSED once the loop was stopped, or if it
/// is freed before the callback has begun; COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_post_and_wait(
    event_loop: *mut coop_event_loop,
    callback: coop_callback,
    timeout_ns: i64,
) -> coop_status {
    guard_wait!({
        // SAFETY: a loop that is not freed yet; a callback, or another thread while this waits, may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        let timeout = options::timeout(timeout_ns, "timeout_ns")?;
        let callback = Foreign::of(callback)?;
        handle.post_and_wait_or_back(timeout, move || callback.call()).map_err(refused)
    })
}

/// Runs the loop in the calling thread.
///
/// mode: COOP_RUN_DEFAULT, COOP_RUN_ONCE, COOP_RUN_NOWAIT or COOP_RUN_UNTIL_IDLE. Every mode returns when the loop
/// was stopped or interrupted.
///
/// Any thread, one at a time. COOP_E_NULL, COOP_E_INVALID for another mode, COOP_E_EXISTS if another thread runs it,
/// COOP_E_WOULD_DEADLOCK from one of its own callbacks, COOP_E_CLOSED if it was stopped and has nothing left to run,
/// COOP_E_OS, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_run(event_loop: *mut coop_event_loop, mode: i32) -> coop_status {
    guard_wait!({
        // SAFETY: a loop that is not freed yet; a callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.run(RunMode::try_from(mode)?)
    })
}

/// Runs the loop in a thread of its own until it is stopped.
///
/// Any thread. COOP_E_NULL, COOP_E_EXISTS if it runs already, COOP_E_CLOSED if it was stopped and has nothing left
/// to run, COOP_E_OS if the system has no thread left, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_start(event_loop: *mut coop_event_loop) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet; a callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.start()
    })
}

/// Closes the loop for good, runs nothing itself and returns. From now on posts are refused; the loop finishes the
/// callback at hand and the posts accepted so far, drops its timers and watches, which do not fire any more, and then
/// coop_event_loop_run returns or the loop's thread ends. A loop that does not run finishes in its next
/// coop_event_loop_run, or drops all of it when it is freed.
///
/// Any thread, also the loop's own callbacks, any number of times. Not from a signal handler. COOP_E_NULL,
/// COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_stop(event_loop: *mut coop_event_loop) -> coop_status {
    guard_tell!({
        // SAFETY: a loop that is not freed yet; whoever waits for its end may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.stop()
    })
}

/// Makes the coop_event_loop_run that is under way return after the callback at hand. The loop stays open and may
/// run again.
///
/// Any thread, also the loop's own callbacks, any number of times. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_interrupt(event_loop: *mut coop_event_loop) -> coop_status {
    guard_tell!({
        // SAFETY: a loop that is not freed yet; whoever waits for the run's end may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.interrupt()
    })
}

/// Waits until nobody runs the loop: after coop_event_loop_stop, until it has finished.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.
///
/// Any thread but the loop's own callbacks: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT, and it may be called again;
/// COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_join(event_loop: *mut coop_event_loop, timeout_ns: i64) -> coop_status {
    guard_wait!({
        // SAFETY: a loop that is not freed yet; a callback may free it.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        handle.join(options::timeout(timeout_ns, "timeout_ns")?)
    })
}

/// A descriptor that is readable when the loop has something to run: for a foreign loop (poll, GLib, libuv) that runs this
/// one inside it.
///
/// The foreign loop watches the descriptor for reading, level-triggered, and sleeps no longer than
/// coop_event_loop_backend_timeout says; after each sleep it calls coop_event_loop_run with COOP_RUN_NOWAIT, in one
/// thread. From this call on, whatever any thread adds meanwhile (a post, a timer that is earlier than the answer, a stop)
/// makes the descriptor readable. It may be readable for nothing.
///
/// out: set to the descriptor. It is the loop's, who closes it; nothing but its readiness is to be used of it, and the
/// foreign loop lets go of it before coop_event_loop_free.
///
/// Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_backend_fd(event_loop: *mut coop_event_loop, out: *mut i32) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out, "out")?;
        let fd = handle.backend_fd()?;
        // SAFETY: `out` is there, and is a place for a number.
        unsafe { out.write(fd) };
        Ok(())
    })
}

/// How long a foreign loop may sleep before it runs this one, unless coop_event_loop_backend_fd becomes readable. To be
/// asked after each run.
///
/// out_ns: set to nanoseconds from now: 0 if something is due or queued, COOP_FOREVER (-1) if nothing but the
/// descriptor counts. It may be less than the next timer needs. Round up to what the foreign loop can tell apart (poll: milliseconds), or it turns in vain.
///
/// Any thread. COOP_E_CLOSED when the loop was stopped and has nothing left to run: the foreign loop lets go of it.
/// COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_backend_timeout(
    event_loop: *const coop_event_loop,
    out_ns: *mut i64,
) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out_ns, "out_ns")?;
        let timeout = handle.backend_timeout()?;
        // SAFETY: `out_ns` is there, and is a place for a number.
        unsafe { out_ns.write(timeout.map_or(COOP_FOREVER, nanos)) };
        Ok(())
    })
}

/// The time on the loop's clock, which its timers go by: nanoseconds since the loop was made. It never goes back.
///
/// out_ns: set to the time. Any thread. COOP_E_NULL, COOP_E_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_now(event_loop: *const coop_event_loop, out_ns: *mut i64) -> coop_status {
    guard!({
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        wanted(out_ns, "out_ns")?;
        // SAFETY: `out_ns` is there, and is a place for a number.
        unsafe { out_ns.write(nanos(handle.now())) };
        Ok(())
    })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether the caller is one of the loop's callbacks, on its thread. False for NULL and in a forked child. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_event_loop_is_loop_thread(event_loop: *const coop_event_loop) -> bool {
    answer(false, || {
        // SAFETY: a loop that is not freed yet.
        let handle = unsafe { coop_event_loop::handle(event_loop) }?;
        Ok(handle.is_loop_thread())
    })
}

impl coop_event_loop {
    pub(crate) fn new(handle: Handle, owner: Option<EventLoop>) -> Self {
        Self { fork: ForkGuard::new("event loop"), handle, owner: ManuallyDrop::new(owner) }
    }

    /// The handle in it.
    pub(crate) fn own_handle(&self) -> &Handle {
        &self.handle
    }

    /// A handle of its own for each call. A callback that the call lets start, perhaps on another thread, may free
    /// the loop before the call is over.
    ///
    /// # Safety
    /// `pointer` is NULL or a loop that is not freed yet.
    #[inline]
    pub(crate) unsafe fn handle(pointer: *const Self) -> Result<Handle> {
        // SAFETY: the caller's promise.
        unsafe { Self::borrowed(pointer) }.cloned()
    }

    /// For a post, which touches nothing of the loop once its callback may run, and perhaps free it.
    ///
    /// # Safety
    /// `pointer` is NULL or a loop that is not freed before the borrow ends.
    #[inline]
    pub(crate) unsafe fn borrowed<'a>(pointer: *const Self) -> Result<&'a Handle> {
        // SAFETY: the caller's promise.
        let object = unsafe { borrow(pointer, "event_loop") }?;
        object.fork.check()?;
        Ok(&object.handle)
    }
}

/// The options in the core's terms.
///
/// # Safety
/// As [`options::read`], and `name` points to `name_length` bytes.
pub(crate) unsafe fn event_loop_options(options: *const coop_event_loop_options) -> Result<EventLoopOptions> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(options) }?;
    // SAFETY: the caller's promise.
    let name = unsafe { options::text(read.name, read.name_length, "coop_event_loop_options.name") }?;
    Ok(name.map_or_else(EventLoopOptions::default, |name| EventLoopOptions { name }))
}

/// Where a source's callbacks run, out of three fields of its options.
///
/// # Safety
/// As [`coop_cpu_set::read`].
pub(crate) unsafe fn place(on: i32, priority: i32, cpus: coop_cpu_set) -> Result<On> {
    let priority = Priority::try_from(priority)?;
    // SAFETY: the caller's promise.
    let cpus = unsafe { cpus.read() }?;
    match on {
        COOP_ON_POOL => Ok(On::Pool { priority, cpus }),
        COOP_ON_DEFAULT | COOP_ON_LOOP if priority != Priority::Normal => {
            Err(Error::Invalid(format!("priority {} beside on {on}: only COOP_ON_POOL (2) takes one", priority as i32)))
        }
        COOP_ON_DEFAULT | COOP_ON_LOOP if cpus.is_some() => {
            Err(Error::Invalid(format!("a CPU set beside on {on}: only COOP_ON_POOL (2) takes one")))
        }
        COOP_ON_DEFAULT => Ok(On::Default),
        COOP_ON_LOOP => Ok(On::Loop),
        _ => Err(Error::Invalid(format!(
            "on {on} is out of range: COOP_ON_DEFAULT is 0, COOP_ON_LOOP is 1, COOP_ON_POOL is 2"
        ))),
    }
}
