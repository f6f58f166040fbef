//! What a supervisor says of its children.

use std::{ffi::c_void, ptr};

use coop_core::{
    Result,
    supervisor::{ChildCounts, ChildInfo, ChildSpec, Ready},
};

use crate::{
    foreign::Foreign,
    options::Options,
    service::coop_backoff,
    service_event::{Texts, coop_text},
    supervisor_options::{auto_shutdown_number, nanos, restart_number, shutdown_number, strategy_number},
    tsan::Inside,
};

/// It does not run: not started yet, terminated, or one that is not restarted.
pub const COOP_CHILD_TERMINATED: i32 = 0;
/// It is not ready yet.
pub const COOP_CHILD_STARTING: i32 = 1;
/// It is ready.
pub const COOP_CHILD_RUNNING: i32 = 2;
/// It was asked to stop.
pub const COOP_CHILD_STOPPING: i32 = 3;
/// It waits for its restart.
pub const COOP_CHILD_RESTARTING: i32 = 4;
/// It rests: coop_service_options.park.
pub const COOP_CHILD_PARKED: i32 = 5;
/// It ignored its deadline, and goes on by itself.
pub const COOP_CHILD_UNRESPONSIVE: i32 = 6;

/// A child of a supervisor. Later versions may add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_info {
    /// The bytes of this struct that the library has filled in.
    pub size: usize,
    /// Its id.
    pub id: u64,
    /// Its name among its siblings.
    pub name: coop_text,
    /// Its names from the root down, joined by '/'.
    pub path: coop_text,
    /// What runs it: "process", "async process", "thread", "async"; "supervisor" for a supervisor.
    pub executor: coop_text,
    /// Which run of it this is, or was the last; 0 before the first.
    pub run: u64,
    /// What it does: one of COOP_CHILD_*.
    pub state: i32,
    /// Its process, if it has one of its own; else 0.
    pub pid: i32,
}

/// Called for each child. drop(arg) is called once, after the last. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_info_callback {
    /// child: there until the function returns. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, child: *const coop_child_info)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

/// How many children a supervisor has.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_counts {
    /// sizeof(coop_child_counts), set by the caller: at most that many bytes are written.
    pub size: usize,
    /// Specifications; one under simple one for one.
    pub specs: u64,
    /// Children that run.
    pub active: u64,
    /// Children that are supervisors, running or not.
    pub supervisors: u64,
    /// Children that are not, running or not.
    pub workers: u64,
}

// SAFETY: five words (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_child_counts {
    const NAME: &'static str = "coop_child_counts";
    const FIRST: usize = size_of::<Self>();
}

impl coop_child_counts {
    pub(crate) fn of(counts: ChildCounts) -> Self {
        Self {
            size: size_of::<Self>(),
            specs: counts.specs as u64,
            active: counts.active as u64,
            supervisors: counts.supervisors as u64,
            workers: counts.workers as u64,
        }
    }
}

/// What a supervisor knows of a child, with every default filled in. Later versions may add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_spec {
    /// The bytes of this struct that the library has filled in.
    pub size: usize,
    /// Its name among its siblings.
    pub name: coop_text,
    /// What runs it: "process", "async process", "thread", "async"; "supervisor" for a supervisor.
    pub executor: coop_text,
    /// Exit statuses beside 0 that are a normal end.
    pub normal_exits: *const i32,
    /// How many.
    pub normal_exits_count: usize,
    /// How long it may take to stop, in nanoseconds; COOP_FOREVER, COOP_BRUTAL_KILL.
    pub shutdown_ns: i64,
    /// How long it may take to say that it is ready; 0: it counts as ready at once.
    pub ready_timeout_ns: i64,
    /// It must beat at least so often; 0: it need not.
    pub watchdog_ns: i64,
    /// Its process must show that it runs at least so often; 0: it need not.
    pub liveness_ns: i64,
    /// How its restarts are delayed; all 0: not at all.
    pub backoff: coop_backoff,
    /// Of a supervisor: nanoseconds that intensity counts in; else 0.
    pub period_ns: i64,
    /// Of a supervisor: so many restarts are allowed within period_ns; COOP_NONE: any number.
    pub intensity: i64,
    /// One of COOP_RESTART_*.
    pub restart: i32,
    /// 1: its end counts for its supervisor's auto_shutdown.
    pub significant: i32,
    /// 1: it rests where its supervisor would give up.
    pub park: i32,
    /// 1: it rests also when its first start fails.
    pub park_at_start: i32,
    /// Of a supervisor: one of COOP_STRATEGY_*; else COOP_NONE.
    pub strategy: i32,
    /// Of a supervisor: one of COOP_AUTO_SHUTDOWN_*; else 0.
    pub auto_shutdown: i32,
}

/// Called with a child's specification. drop(arg) is called once, after that. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_child_spec_callback {
    /// spec: there until the function returns. Must not be NULL.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, spec: *const coop_child_spec)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

type RunInfo = unsafe extern "C" fn(arg: *mut c_void, child: *const coop_child_info);
type RunSpec = unsafe extern "C" fn(arg: *mut c_void, spec: *const coop_child_spec);

pub(crate) fn show_all(children: &[ChildInfo], callback: coop_child_info_callback) -> Result<()> {
    let run: Option<RunInfo> = callback.r#fn;
    let foreign = Foreign::new(run, callback.arg, callback.drop)?;
    for child in children {
        let mut texts = Texts::default();
        let shown = coop_child_info {
            size: size_of::<coop_child_info>(),
            id: child.id.0,
            name: texts.add(&child.name),
            path: texts.add(&child.path),
            executor: texts.add(child.executor),
            run: child.run,
            state: child.state as i32,
            pid: child.pid.unwrap_or(0),
        };
        let _inside = Inside::after_others(foreign.arg);
        // SAFETY: C gave the function for this argument; what is shown outlives the call.
        unsafe { (foreign.run)(foreign.arg, &shown) };
    }
    Ok(())
}

pub(crate) fn show_spec(spec: &ChildSpec, callback: coop_child_spec_callback) -> Result<()> {
    let run: Option<RunSpec> = callback.r#fn;
    let foreign = Foreign::new(run, callback.arg, callback.drop)?;
    let mut texts = Texts::default();
    let flags = spec.supervisor.as_ref();
    let exits = &spec.normal_exits;
    let shown = coop_child_spec {
        size: size_of::<coop_child_spec>(),
        name: texts.add(&spec.name),
        executor: texts.add(spec.executor),
        normal_exits: if exits.is_empty() { ptr::null() } else { exits.as_ptr() },
        normal_exits_count: exits.len(),
        shutdown_ns: shutdown_number(spec.shutdown),
        ready_timeout_ns: match spec.ready {
            Ready::AtOnce => 0,
            Ready::Notify(within) => nanos(within),
        },
        watchdog_ns: spec.watchdog.map_or(0, nanos),
        liveness_ns: spec.liveness.map_or(0, nanos),
        backoff: coop_backoff::of(spec.backoff.as_ref()),
        period_ns: flags.map_or(0, |flags| nanos(flags.period)),
        intensity: flags.map_or(0, |flags| flags.intensity.map_or(-1, i64::from)),
        restart: restart_number(spec.restart),
        significant: i32::from(spec.significant),
        park: i32::from(spec.park),
        park_at_start: i32::from(spec.park_at_start),
        strategy: flags.map_or(-1, |flags| strategy_number(flags.strategy)),
        auto_shutdown: flags.map_or(0, |flags| auto_shutdown_number(flags.auto_shutdown)),
    };
    let _inside = Inside::after_others(foreign.arg);
    // SAFETY: C gave the function for this argument; what is shown outlives the call.
    unsafe { (foreign.run)(foreign.arg, &shown) };
    Ok(())
}
