//! `coop_service_context`: a run of a service, as its own functions see it; and the executors that call those functions.

use std::{
    collections::HashMap,
    ffi::{CString, c_char, c_void},
    os::fd::AsRawFd,
    ptr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use coop_core::{
    Error, Result,
    supervisor::{Args, Callbacks, Context, Ended, Executor, Thread, executor::callbacks::End},
};

use crate::{
    event_loop::coop_event_loop,
    foreign::DropArg,
    guard::{answer, guard, guard_wait},
    handle::borrow,
    options::{self, duration, timeout},
    service::{Given, HandedOver},
    status::{COOP_OK, coop_status},
    supervisor::{Value, coop_service_id},
    tsan::{self, Inside},
};

type RunThread = unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_service_context);

/// A run of a service, to the service itself.
#[derive(Debug)]
pub struct coop_service_context {
    context: Context,
    kind: Kind,
    /// Made when it is asked for.
    event_loop: OnceLock<coop_event_loop>,
    /// Made when it is asked for.
    argv: OnceLock<Argv>,
}

/// Texts as C has the arguments of a program.
#[derive(Debug)]
struct Argv {
    list: Vec<*const c_char>,
    _texts: Vec<CString>,
}

// SAFETY: the pointers are to what it owns, and nobody changes that.
unsafe impl Send for Argv {}
// SAFETY: as above.
unsafe impl Sync for Argv {}

impl Argv {
    fn of(args: &Args) -> Self {
        let strings: &[String] = match args {
            Args::Strings(strings) => strings,
            Args::None | Args::Value(_) => &[],
        };
        // None has a NUL: they came as C strings, or through an environment.
        let texts: Vec<_> = strings.iter().map(|text| CString::new(text.as_str()).unwrap_or_default()).collect();
        let list = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Self { list, _texts: texts }
    }
}

#[derive(Debug)]
enum Kind {
    /// How the function's return is told; `None` is fine.
    Thread(Mutex<Option<String>>),
    /// Of the main loop's: C holds a count of it, and the service's argument, until it ends the run.
    Loop { end: Mutex<Option<End>>, runs: Arc<Runs>, _argument: Arc<Given<OnLoop>> },
}

/// The functions of a [`coop_async_service`](crate::service::coop_async_service).
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnLoop {
    pub(crate) start: RunThread,
    pub(crate) stop: Option<RunThread>,
}

/// The runs of a service, or of a template, that have not ended; by the child and the run's number.
#[derive(Debug, Default)]
struct Runs(Mutex<HashMap<(u64, u64), Arc<coop_service_context>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing foreign runs under it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A function on a thread of its own.
pub(crate) fn thread(run: RunThread, arg: *mut c_void, drop: Option<DropArg>) -> (Arc<dyn Executor>, HandedOver) {
    let given = Arc::new(Given::new(run, arg, drop));
    let called = given.clone();
    let entry = move |context: Context| {
        let context = coop_service_context {
            context,
            kind: Kind::Thread(Mutex::default()),
            event_loop: OnceLock::new(),
            argv: OnceLock::new(),
        };
        {
            let _inside = Inside::after_others(called.arg);
            // SAFETY: C gave the function for this argument; the context outlives the call.
            unsafe { (called.functions)(called.arg, ptr::from_ref(&context).cast_mut()) };
        }
        let Kind::Thread(failed) = &context.kind else { return Ok(()) };
        lock(failed).take().map_or(Ok(()), Err)
    };
    (Thread::new::<String>(entry), vec![given])
}

/// Functions on the host's main loop.
pub(crate) fn on_loop(functions: OnLoop, arg: *mut c_void, drop: Option<DropArg>) -> (Arc<dyn Executor>, HandedOver) {
    let given = Arc::new(Given::new(functions, arg, drop));
    let runs = Arc::new(Runs::default());
    let (its, its_runs) = (given.clone(), runs.clone());
    let begin = move |context: Context, end: End| {
        let key = (context.id().0, context.run());
        let kind = Kind::Loop { end: Mutex::new(Some(end)), runs: its_runs.clone(), _argument: its.clone() };
        let made = Arc::new(coop_service_context { context, kind, event_loop: OnceLock::new(), argv: OnceLock::new() });
        let of_c = Arc::into_raw(made.clone()).cast_mut();
        lock(&its_runs.0).insert(key, made);
        let _inside = Inside::after_others(its.arg);
        // SAFETY: C gave the function for this argument; the count that C holds is given back by the end of the run.
        unsafe { (its.functions.start)(its.arg, of_c) };
        Ok(())
    };
    let stop = {
        let given = Arc::downgrade(&given);
        move |context: &Context| {
            // Held while the function runs: another thread may end the run meanwhile.
            let run = lock(&runs.0).get(&(context.id().0, context.run())).cloned();
            let (Some(run), Some(given)) = (run, given.upgrade()) else { return };
            let of_c = Arc::as_ptr(&run).cast_mut();
            match given.functions.stop {
                Some(stop) => {
                    let _inside = Inside::after_others(given.arg);
                    // SAFETY: C gave the function for this argument; the run is held.
                    unsafe { stop(given.arg, of_c) };
                }
                None => coop_service_context::end(run, Ended::Shutdown),
            }
        }
    };
    (Callbacks::new(begin, stop), vec![given])
}

impl coop_service_context {
    /// Ends a run of the main loop's; nothing if it has ended. C's count goes back.
    fn end(run: Arc<Self>, how: Ended) {
        let Kind::Loop { end, runs, .. } = &run.kind else { return };
        let Some(end) = lock(end).take() else { return };
        tsan::tell();
        let held = lock(&runs.0).remove(&(run.context.id().0, run.context.run()));
        end.tell(how);
        // SAFETY: the count that `on_loop` gave to C, once, as the end was there once; `run` is another one.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(&run)) };
        drop(held);
    }

    /// # Safety
    /// `pointer` is NULL or a context whose run has not ended.
    unsafe fn of<'a>(pointer: *const Self) -> Result<&'a Context> {
        // SAFETY: the caller's promise.
        Ok(&unsafe { borrow(pointer, "context") }?.context)
    }
}

/// The service's id. 0 for NULL.
///
/// Any thread, as all functions of a context, until its run has ended: a thread's function has returned, or coop_service_context_end was
/// called of a run on the main loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_id(context: *const coop_service_context) -> coop_service_id {
    // SAFETY: a run that has not ended.
    answer(0, || Ok(unsafe { coop_service_context::of(context) }?.id().0))
}

/// Which run of the service this is, from 1. 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_run(context: *const coop_service_context) -> u64 {
    // SAFETY: a run that has not ended.
    answer(0, || Ok(unsafe { coop_service_context::of(context) }?.run()))
}

/// The main loop: the one that the host was given, or that of the worker's process. It stays its owner's, and this pointer is good until the run has
/// ended. NULL if there is none (any more), and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_event_loop(context: *mut coop_service_context) -> *mut coop_event_loop {
    answer(ptr::null_mut(), || {
        // SAFETY: a run that has not ended.
        let run = unsafe { borrow(context, "context") }?;
        let found = match run.event_loop.get() {
            Some(found) => found,
            None => {
                let handle = run.context.event_loop()?;
                run.event_loop.get_or_init(|| coop_event_loop::new(handle, None))
            }
        };
        Ok(ptr::from_ref(found).cast_mut())
    })
}

/// Whether the run was asked to stop. False for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_is_stopping(context: *const coop_service_context) -> bool {
    // SAFETY: a run that has not ended.
    answer(false, || Ok(unsafe { coop_service_context::of(context) }?.is_stopping()))
}

/// Waits until the run is asked to stop.
///
/// timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.
///
/// Any thread. COOP_E_TIMEOUT, COOP_E_NULL, COOP_E_INVALID for another time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_wait_stopping(
    context: *mut coop_service_context,
    timeout_ns: i64,
) -> coop_status {
    guard_wait!({
        // SAFETY: a run that has not ended.
        let context = unsafe { coop_service_context::of(context) }?;
        if context.wait_stopping(timeout(timeout_ns, "timeout_ns")?) {
            return Ok(());
        }
        Err(Error::Timeout("the service was not asked to stop".into()))
    })
}

/// A descriptor that is readable from when the run is asked to stop, for a loop of the service's own. It stays the library's: it is not to
/// be read, and is closed when the run has ended. Negative: a coop_status. Any thread. COOP_E_NULL, COOP_E_OS if the process has no
/// descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_stopping_fd(context: *mut coop_service_context) -> i32 {
    let mut fd = 0;
    let status = guard!({
        // SAFETY: a run that has not ended.
        fd = unsafe { coop_service_context::of(context) }?.stop_fd()?.as_raw_fd();
        Ok(())
    });
    if status == COOP_OK { fd } else { status }
}

/// Says that the run can do its work. Without effect for a service that is ready at once. Any thread. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_ready(context: *mut coop_service_context) -> coop_status {
    guard!({
        // SAFETY: a run that has not ended.
        unsafe { coop_service_context::of(context) }?.ready();
        Ok(())
    })
}

/// Says that the run is alive: coop_service_options.watchdog_ns. Any thread. COOP_E_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_beat(context: *mut coop_service_context) -> coop_status {
    guard!({
        // SAFETY: a run that has not ended.
        unsafe { coop_service_context::of(context) }?.beat();
        Ok(())
    })
}

/// Says that the run needs more time to get ready, to stop, or to beat again.
///
/// time_ns: nanoseconds from now.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for another time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_extend(context: *mut coop_service_context, time_ns: i64) -> coop_status {
    guard!({
        // SAFETY: a run that has not ended.
        let context = unsafe { coop_service_context::of(context) }?;
        context.extend(duration(time_ns, "time_ns")?);
        Ok(())
    })
}

/// Says what the run does, for observers: COOP_SERVICE_STATUS.
///
/// text, text_length: UTF-8, copied.
///
/// Any thread. COOP_E_NULL, COOP_E_INVALID for what is no UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_status(
    context: *mut coop_service_context,
    text: *const c_char,
    text_length: usize,
) -> coop_status {
    guard!({
        // SAFETY: a run that has not ended.
        let context = unsafe { coop_service_context::of(context) }?;
        // SAFETY: the text is as long as told.
        context.status(unsafe { options::text(text, text_length, "text") }?.unwrap_or_default());
        Ok(())
    })
}

/// Says that the service is not to be run, which is no failure of its start; the run is to end next. Any thread. COOP_E_NULL, COOP_E_INVALID for a
/// service that is ready at once: its start is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_ignore(context: *mut coop_service_context) -> coop_status {
    // SAFETY: a run that has not ended.
    guard!(unsafe { coop_service_context::of(context) }?.ignore())
}

/// The value that coop_supervisor_start_child_with gave to this child; NULL if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_value(context: *const coop_service_context) -> *mut c_void {
    answer(ptr::null_mut(), || {
        // SAFETY: a run that has not ended.
        let value = match unsafe { coop_service_context::of(context) }?.args() {
            Args::Value(value) => value.downcast_ref::<Value>().map(|value| value.arg),
            Args::None | Args::Strings(_) => None,
        };
        Ok(value.unwrap_or(ptr::null_mut()))
    })
}

/// What coop_supervisor_start_child_with gave to this child of a worker: C strings, the last followed by NULL; valid until the run has ended. An empty
/// list if there are none; NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_argv(context: *mut coop_service_context) -> *const *const c_char {
    answer(ptr::null(), || {
        // SAFETY: a run that has not ended.
        let run = unsafe { borrow(context, "context") }?;
        Ok(run.argv.get_or_init(|| Argv::of(run.context.args())).list.as_ptr())
    })
}

/// Ends a run on the main loop: now, and the context is not used after that. Of a thread it says what its function's return is told as, and
/// may be called again.
///
/// status: COOP_OK for a normal end; anything else is a failure. message, message_length: why, in words, copied; NULL if there are none.
///
/// Any thread; once for a run on the main loop, also when the host was freed before. COOP_E_NULL, COOP_E_INVALID for what is no UTF-8: the run
/// has not ended then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coop_service_context_end(
    context: *mut coop_service_context,
    status: coop_status,
    message: *const c_char,
    message_length: usize,
) -> coop_status {
    guard!({
        // SAFETY: a run that has not ended.
        let run = unsafe { borrow(context, "context") }?;
        // SAFETY: the text is as long as told.
        let message = unsafe { options::text(message, message_length, "message") }?;
        let failed = (status != COOP_OK).then(|| message.unwrap_or_else(|| format!("status {status}")));
        if let Kind::Thread(told) = &run.kind {
            *lock(told) = failed;
            return Ok(());
        }
        // SAFETY: `on_loop` made it as an Arc, whose count is C's until the end.
        unsafe { Arc::increment_strong_count(context) };
        // SAFETY: the count that was added.
        let run = unsafe { Arc::from_raw(context.cast_const()) };
        coop_service_context::end(run, failed.map_or(Ended::Returned, Ended::Failed));
        Ok(())
    })
}
