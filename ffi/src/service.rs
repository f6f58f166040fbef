//! `coop_service_options`: what is said of a service, and what it runs.

use std::{
    ffi::{c_char, c_void},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coop_core::{
    Error, Result,
    supervisor::{Backoff, Executor, Growth, Ready, Service},
};

use crate::{
    command::{self, coop_command},
    foreign::DropArg,
    handle::null,
    options::{self, Options, array, duration, flag},
    service_context::{self, coop_service_context},
    supervisor_options::{nanos, restart, shutdown},
    tsan::{self, Inside},
};

/// A service is ready as soon as it runs.
pub const COOP_READY_AT_ONCE: i32 = 0;
/// A service is ready when it says so: coop_service_context_ready, sd_notify("READY=1") of a process.
pub const COOP_READY_NOTIFY: i32 = 1;

/// The same delay before each restart.
pub const COOP_GROWTH_FIXED: i32 = 0;
/// One more delay_ns before each restart.
pub const COOP_GROWTH_LINEAR: i32 = 1;
/// Twice as long before each restart.
pub const COOP_GROWTH_EXPONENTIAL: i32 = 2;

/// A delay before a restart; all zeros: none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_backoff {
    /// Before the first restart, in nanoseconds.
    pub delay_ns: i64,
    /// At most so long. 0: a minute, or delay_ns if that is longer.
    pub cap_ns: i64,
    /// After so long without an end, the first delay again. 0: a minute.
    pub calm_ns: i64,
    /// One of COOP_GROWTH_*.
    pub growth: i32,
    /// Each delay is shortened by a random part of itself, up to this many thousandths: 0 to 1000.
    pub jitter_per_mille: i32,
}

/// A service that is a function, on a thread of its own for each run.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_thread_service {
    /// Runs until it returns, which it should when coop_service_context_is_stopping. context: this run's, until it returns. During
    /// a hand-over two runs go at once.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_service_context)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// Called once, when the service was forgotten and its last run has returned; never when the call that took it failed. May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// A service that lives on the host's main loop: it begins in one call, is told to stop in another, and ends when it says so.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_async_service {
    /// Called on the main loop's thread to begin a run, and returns at once. context: this run's, until coop_service_context_end ends it.
    pub start: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_service_context)>,
    /// Called on the main loop's thread, once, to ask a run to end. May be NULL: then a run that is to stop has ended at once.
    pub stop: Option<unsafe extern "C" fn(arg: *mut c_void, context: *mut coop_service_context)>,
    /// Handed to all functions; may be NULL.
    pub arg: *mut c_void,
    /// Called once, when the service was forgotten and its last run has ended; never when the call that took it failed. May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// What is said of a service. All but arguments is copied. Zero in any field but size and id is the default, which is OTP's. Exactly one of
/// command, worker, thread and async must be there, but that a worker may have a command.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_service_options {
    /// sizeof(coop_service_options).
    pub size: usize,
    /// Its name among its siblings: UTF-8, without '/'. Must be there.
    pub id: *const c_char,
    /// The bytes of id.
    pub id_length: usize,
    /// It is a process; or NULL.
    pub command: *const coop_command,
    /// It is a process with a main loop: the entry of this name that the program hands to coop_workers_run, in a process of its own for
    /// each run. The program is this one, unless command has an argv. UTF-8; or NULL.
    pub worker: *const c_char,
    /// The bytes of worker.
    pub worker_length: usize,
    /// It is a function on a thread; or fn is NULL.
    pub thread: coop_thread_service,
    /// It lives on the host's main loop; or start is NULL.
    pub r#async: coop_async_service,
    /// Exit statuses beside 0 that are a normal end of its process.
    pub normal_exits: *const i32,
    /// How many.
    pub normal_exits_count: usize,
    /// How long it may take to stop, in nanoseconds; then it is ended. 0: 5 s. COOP_FOREVER: as long as it takes. COOP_BRUTAL_KILL: it is not
    /// asked. A thread and an async service cannot be ended: one that ignores this goes on, is told of as unresponsive, and is not
    /// started again before it ends.
    pub shutdown_ns: i64,
    /// Beside COOP_READY_NOTIFY: how long it may take, in nanoseconds. 0: 60 s.
    pub ready_timeout_ns: i64,
    /// It must beat (coop_service_context_beat, sd_notify("WATCHDOG=1")) at least so often, in nanoseconds, or is ended. 0: it need not.
    pub watchdog_ns: i64,
    /// Of a worker: its process must show that it runs at least so often, in nanoseconds, which the library does for it, or it is ended.
    /// 0: it need not.
    pub liveness_ns: i64,
    /// How its restarts are delayed.
    pub backoff: coop_backoff,
    /// One of COOP_RESTART_*.
    pub restart: i32,
    /// 1: its end counts for its supervisor's auto_shutdown; then restart is not COOP_RESTART_PERMANENT.
    pub significant: i32,
    /// One of COOP_READY_*.
    pub ready: i32,
    /// 1: where its supervisor would give up, it rests for its longest backoff and is tried again.
    pub park: i32,
    /// 1: so it does when its first start fails.
    pub park_at_start: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: words, numbers and structs of them that fill 208 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_service_options {
    const NAME: &'static str = "coop_service_options";
    const FIRST: usize = size_of::<Self>();
}

const MINUTE: Duration = Duration::from_secs(60);

impl coop_backoff {
    fn read(self) -> Result<Option<Backoff>> {
        let growth = match self.growth {
            COOP_GROWTH_FIXED => Growth::Fixed,
            COOP_GROWTH_LINEAR => Growth::Linear,
            COOP_GROWTH_EXPONENTIAL => Growth::Exponential,
            other => {
                let allowed = "COOP_GROWTH_FIXED is 0, LINEAR 1, EXPONENTIAL 2";
                return Err(Error::Invalid(format!("backoff growth {other} is out of range: {allowed}")));
            }
        };
        if !(0..=1000).contains(&self.jitter_per_mille) {
            let given = self.jitter_per_mille;
            return Err(Error::Invalid(format!("coop_backoff.jitter_per_mille is {given}: allowed are 0 to 1000")));
        }
        let delay = duration(self.delay_ns, "coop_backoff.delay_ns")?;
        let cap = duration(self.cap_ns, "coop_backoff.cap_ns")?;
        let calm = duration(self.calm_ns, "coop_backoff.calm_ns")?;
        if delay.is_zero() {
            if !cap.is_zero() || !calm.is_zero() || self.growth != 0 || self.jitter_per_mille != 0 {
                return Err(Error::Invalid("coop_backoff.delay_ns is 0, and another field of it is not".into()));
            }
            return Ok(None);
        }
        Ok(Some(Backoff {
            delay,
            growth,
            cap: if cap.is_zero() { delay.max(MINUTE) } else { cap },
            jitter: f64::from(self.jitter_per_mille) / 1000.0,
            calm: if calm.is_zero() { MINUTE } else { calm },
            burst: 0,
        }))
    }

    pub(crate) fn of(backoff: Option<&Backoff>) -> Self {
        let Some(backoff) = backoff else {
            return Self { delay_ns: 0, cap_ns: 0, calm_ns: 0, growth: 0, jitter_per_mille: 0 };
        };
        Self {
            delay_ns: nanos(backoff.delay),
            cap_ns: nanos(backoff.cap),
            calm_ns: nanos(backoff.calm),
            growth: match backoff.growth {
                Growth::Fixed => COOP_GROWTH_FIXED,
                Growth::Linear => COOP_GROWTH_LINEAR,
                Growth::Exponential => COOP_GROWTH_EXPONENTIAL,
            },
            jitter_per_mille: (backoff.jitter * 1000.0).round() as i32,
        }
    }
}

/// Functions of C's that may be called any number of times, and their argument, which is dropped once, unless it went back to the
/// caller.
#[derive(Debug)]
pub(crate) struct Given<F> {
    pub(crate) functions: F,
    pub(crate) arg: *mut c_void,
    drop: Option<DropArg>,
    is_back: AtomicBool,
}

// SAFETY: the header says that the functions are called, and the argument is dropped, on any thread.
unsafe impl<F: Send> Send for Given<F> {}
// SAFETY: and that two runs go at once during a hand-over.
unsafe impl<F: Sync> Sync for Given<F> {}

impl<F> Given<F> {
    pub(crate) fn new(functions: F, arg: *mut c_void, drop: Option<DropArg>) -> Self {
        tsan::hand_over(arg);
        Self { functions, arg, drop, is_back: AtomicBool::new(false) }
    }
}

/// The argument is the caller's again: the call that took it has failed. Whoever calls this holds the last hold but those of runs
/// that cannot be ended.
pub(crate) trait GiveBack {
    fn give_back(&self);
}

impl<F> GiveBack for Given<F> {
    fn give_back(&self) {
        self.is_back.store(true, Ordering::Release);
    }
}

impl<F> Drop for Given<F> {
    fn drop(&mut self) {
        if let Some(drop) = self.drop.filter(|_| !self.is_back.load(Ordering::Acquire)) {
            let _inside = Inside::after_others(self.arg);
            // SAFETY: C gave `drop` for this argument, and it is called here only.
            unsafe { drop(self.arg) };
        }
    }
}

/// What was handed over with a service, to go back to the caller if the service is refused.
pub(crate) type HandedOver = Vec<Arc<dyn GiveBack>>;

impl coop_service_options {
    /// # Safety
    /// `given` is NULL or is as long as its size says, and so is what it points to.
    pub(crate) unsafe fn take(given: *const Self) -> Result<(Service, HandedOver)> {
        // SAFETY: the caller's promise.
        let read = unsafe { options::read(given) }?;
        if given.is_null() {
            return Err(null("options"));
        }
        if read.id.is_null() {
            return Err(null("coop_service_options.id"));
        }
        // SAFETY: the caller's promise.
        let id = unsafe { options::text(read.id, read.id_length, "coop_service_options.id") }?.unwrap_or_default();
        options::reserved(read.reserved, "coop_service_options.reserved")?;
        let ready = match (read.ready, duration(read.ready_timeout_ns, "coop_service_options.ready_timeout_ns")?) {
            (COOP_READY_AT_ONCE, Duration::ZERO) => Ready::AtOnce,
            (COOP_READY_AT_ONCE, _) => {
                let text = "coop_service_options.ready_timeout_ns is set, and ready is COOP_READY_AT_ONCE";
                return Err(Error::Invalid(text.into()));
            }
            (COOP_READY_NOTIFY, Duration::ZERO) => Ready::Notify(Ready::WITHIN),
            (COOP_READY_NOTIFY, within) => Ready::Notify(within),
            (other, _) => {
                let allowed = "COOP_READY_AT_ONCE is 0, COOP_READY_NOTIFY is 1";
                return Err(Error::Invalid(format!("ready {other} is out of range: {allowed}")));
            }
        };
        let watchdog = duration(read.watchdog_ns, "coop_service_options.watchdog_ns")?;
        let liveness = duration(read.liveness_ns, "coop_service_options.liveness_ns")?;
        // SAFETY: the caller's promise.
        let exits = unsafe { array(read.normal_exits, read.normal_exits_count, "coop_service_options.normal_exits") }?;
        let (restart, shutdown, backoff) = (restart(read.restart)?, shutdown(read.shutdown_ns)?, read.backoff.read()?);
        let significant = flag(read.significant, "coop_service_options.significant")?;
        let park = flag(read.park, "coop_service_options.park")?;
        let park_at_start = flag(read.park_at_start, "coop_service_options.park_at_start")?;
        // Last: what follows is owned.
        // SAFETY: the caller's promise.
        let (executor, handed_over) = unsafe { read.executor() }?;
        let service = Service {
            restart,
            shutdown,
            significant,
            ready,
            watchdog: (!watchdog.is_zero()).then_some(watchdog),
            liveness: (!liveness.is_zero()).then_some(liveness),
            backoff,
            park,
            park_at_start,
            normal_exits: exits.to_vec(),
            ..Service::new(id, executor)
        };
        Ok((service, handed_over))
    }

    /// # Safety
    /// What it points to is as long as it says.
    unsafe fn executor(&self) -> Result<(Arc<dyn Executor>, HandedOver)> {
        // SAFETY: the caller's promise.
        let worker = unsafe { options::text(self.worker, self.worker_length, "coop_service_options.worker") }?;
        if worker.is_none() && !self.worker.is_null() {
            return Err(Error::Invalid("coop_service_options.worker is empty: it is the name of a coop_worker".into()));
        }
        match (worker, self.command.is_null(), self.thread.r#fn, self.r#async.start) {
            (Some(worker), _, None, None) => {
                // SAFETY: the caller's promise.
                unsafe { command::worker(&worker, self.command) }
            }
            (None, false, None, None) => {
                // SAFETY: the caller's promise.
                unsafe { command::process(self.command) }
            }
            (None, true, Some(run), None) => Ok(service_context::thread(run, self.thread.arg, self.thread.drop)),
            (None, true, None, Some(start)) => {
                let functions = service_context::OnLoop { start, stop: self.r#async.stop };
                Ok(service_context::on_loop(functions, self.r#async.arg, self.r#async.drop))
            }
            (None, true, None, None) => Err(null("coop_service_options.command, worker, thread.fn and async.start")),
            _ => Err(Error::Invalid(
                "coop_service_options has more than one of command, worker, thread.fn and async.start: exactly one is allowed, \
                 but that a worker may have a command"
                    .into(),
            )),
        }
    }
}
