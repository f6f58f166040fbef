//! `coop_supervisor_options`, and the words of OTP that C has as numbers.

use std::time::Duration;

use coop_core::{
    Error, Result,
    supervisor::{AutoShutdown, Restart, Shutdown, Strategy, SupervisorOptions},
};

use crate::options::{self, Options, duration, flag};

/// A child is restarted whenever it ends.
pub const COOP_RESTART_PERMANENT: i32 = 0;
/// A child is restarted when it ends otherwise than normally.
pub const COOP_RESTART_TRANSIENT: i32 = 1;
/// A child is never restarted, and forgotten when it ends.
pub const COOP_RESTART_TEMPORARY: i32 = 2;

/// No sibling goes with a child that has ended.
pub const COOP_STRATEGY_ONE_FOR_ONE: i32 = 0;
/// All siblings go with it, and are started again with it.
pub const COOP_STRATEGY_ONE_FOR_ALL: i32 = 1;
/// Those that were started after it go with it.
pub const COOP_STRATEGY_REST_FOR_ONE: i32 = 2;
/// As one for one; all children are made of one template, by coop_supervisor_start_child_with.
pub const COOP_STRATEGY_SIMPLE_ONE_FOR_ONE: i32 = 3;

/// A supervisor does not end by itself.
pub const COOP_AUTO_SHUTDOWN_NEVER: i32 = 0;
/// A supervisor ends when any significant child has ended by itself.
pub const COOP_AUTO_SHUTDOWN_ANY_SIGNIFICANT: i32 = 1;
/// A supervisor ends when the last significant child has ended by itself.
pub const COOP_AUTO_SHUTDOWN_ALL_SIGNIFICANT: i32 = 2;

/// For shutdown_ns: it is not asked to stop, but ended at once.
pub const COOP_BRUTAL_KILL: i64 = -2;

/// What a supervisor is. Zero in any field but size is the default, which is OTP's.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_supervisor_options {
    /// sizeof(coop_supervisor_options).
    pub size: usize,
    /// One of COOP_STRATEGY_*.
    pub strategy: i32,
    /// One of COOP_AUTO_SHUTDOWN_*.
    pub auto_shutdown: i32,
    /// More restarts than this within period_ns, and it stops its children and ends. 0: 1. COOP_NONE: any number.
    pub intensity: i32,
    /// 1: the first restart is one too many; intensity must be 0.
    pub no_restarts: i32,
    /// Nanoseconds. 0: 5 s.
    pub period_ns: i64,
    /// How long it may take to stop, in nanoseconds; COOP_BRUTAL_KILL does not ask. 0 and COOP_FOREVER: as long as it takes.
    pub shutdown_ns: i64,
    /// Whether its own supervisor restarts it: one of COOP_RESTART_*. Of no meaning for a host's root.
    pub restart: i32,
    /// 1: its end counts for its own supervisor's auto_shutdown.
    pub significant: i32,
}

// SAFETY: numbers that fill 48 bytes (tests/c/layout.c), any bytes are a value.
unsafe impl Options for coop_supervisor_options {
    const NAME: &'static str = "coop_supervisor_options";
    const FIRST: usize = size_of::<Self>();
}

/// # Safety
/// As [`options::read`].
pub(crate) unsafe fn read(given: *const coop_supervisor_options) -> Result<SupervisorOptions> {
    // SAFETY: the caller's promise.
    let read = unsafe { options::read(given) }?;
    let intensity = match (flag(read.no_restarts, "coop_supervisor_options.no_restarts")?, read.intensity) {
        (true, 0) => Some(0),
        (true, given) => {
            return Err(Error::Invalid(format!("intensity is {given} beside no_restarts, which says that it is 0")));
        }
        (false, 0) => SupervisorOptions::default().intensity,
        (false, -1) => None,
        (false, given) => Some(u32::try_from(given).map_err(|_| {
            Error::Invalid(format!("intensity is {given}: allowed are numbers from 0, or COOP_NONE for any number"))
        })?),
    };
    let period = match read.period_ns {
        0 => SupervisorOptions::default().period,
        given => duration(given, "coop_supervisor_options.period_ns")?,
    };
    Ok(SupervisorOptions {
        strategy: strategy(read.strategy)?,
        intensity,
        period,
        auto_shutdown: auto_shutdown(read.auto_shutdown)?,
        restart: restart(read.restart)?,
        shutdown: shutdown(read.shutdown_ns)?,
        significant: flag(read.significant, "coop_supervisor_options.significant")?,
    })
}

fn strategy(given: i32) -> Result<Strategy> {
    match given {
        COOP_STRATEGY_ONE_FOR_ONE => Ok(Strategy::OneForOne),
        COOP_STRATEGY_ONE_FOR_ALL => Ok(Strategy::OneForAll),
        COOP_STRATEGY_REST_FOR_ONE => Ok(Strategy::RestForOne),
        COOP_STRATEGY_SIMPLE_ONE_FOR_ONE => Ok(Strategy::SimpleOneForOne),
        _ => {
            let allowed = "ONE_FOR_ONE is 0, ONE_FOR_ALL 1, REST_FOR_ONE 2, SIMPLE_ONE_FOR_ONE 3";
            Err(Error::Invalid(format!("strategy {given} is out of range: COOP_STRATEGY_{allowed}")))
        }
    }
}

pub(crate) fn strategy_number(strategy: Strategy) -> i32 {
    match strategy {
        Strategy::OneForOne => COOP_STRATEGY_ONE_FOR_ONE,
        Strategy::OneForAll => COOP_STRATEGY_ONE_FOR_ALL,
        Strategy::RestForOne => COOP_STRATEGY_REST_FOR_ONE,
        Strategy::SimpleOneForOne => COOP_STRATEGY_SIMPLE_ONE_FOR_ONE,
    }
}

fn auto_shutdown(given: i32) -> Result<AutoShutdown> {
    match given {
        COOP_AUTO_SHUTDOWN_NEVER => Ok(AutoShutdown::Never),
        COOP_AUTO_SHUTDOWN_ANY_SIGNIFICANT => Ok(AutoShutdown::AnySignificant),
        COOP_AUTO_SHUTDOWN_ALL_SIGNIFICANT => Ok(AutoShutdown::AllSignificant),
        _ => {
            let allowed = "NEVER is 0, ANY_SIGNIFICANT 1, ALL_SIGNIFICANT 2";
            Err(Error::Invalid(format!("auto_shutdown {given} is out of range: COOP_AUTO_SHUTDOWN_{allowed}")))
        }
    }
}

pub(crate) fn auto_shutdown_number(auto_shutdown: AutoShutdown) -> i32 {
    match auto_shutdown {
        AutoShutdown::Never => COOP_AUTO_SHUTDOWN_NEVER,
        AutoShutdown::AnySignificant => COOP_AUTO_SHUTDOWN_ANY_SIGNIFICANT,
        AutoShutdown::AllSignificant => COOP_AUTO_SHUTDOWN_ALL_SIGNIFICANT,
    }
}

pub(crate) fn restart(given: i32) -> Result<Restart> {
    match given {
        COOP_RESTART_PERMANENT => Ok(Restart::Permanent),
        COOP_RESTART_TRANSIENT => Ok(Restart::Transient),
        COOP_RESTART_TEMPORARY => Ok(Restart::Temporary),
        _ => {
            let allowed = "PERMANENT is 0, TRANSIENT 1, TEMPORARY 2";
            Err(Error::Invalid(format!("restart {given} is out of range: COOP_RESTART_{allowed}")))
        }
    }
}

pub(crate) fn restart_number(restart: Restart) -> i32 {
    match restart {
        Restart::Permanent => COOP_RESTART_PERMANENT,
        Restart::Transient => COOP_RESTART_TRANSIENT,
        Restart::Temporary => COOP_RESTART_TEMPORARY,
    }
}

/// `None` is the default.
pub(crate) fn shutdown(ns: i64) -> Result<Option<Shutdown>> {
    match ns {
        0 => Ok(None),
        -1 => Ok(Some(Shutdown::Infinity)),
        COOP_BRUTAL_KILL => Ok(Some(Shutdown::Kill)),
        _ => match u64::try_from(ns) {
            Ok(ns) => Ok(Some(Shutdown::After(Duration::from_nanos(ns)))),
            Err(_) => {
                let allowed = "nanoseconds from 1, 0 for the default, COOP_FOREVER and COOP_BRUTAL_KILL";
                Err(Error::Invalid(format!("shutdown_ns is {ns}: allowed are {allowed}")))
            }
        },
    }
}

pub(crate) fn shutdown_number(shutdown: Shutdown) -> i64 {
    match shutdown {
        Shutdown::Infinity => -1,
        Shutdown::Kill => COOP_BRUTAL_KILL,
        Shutdown::After(time) => nanos(time),
    }
}

/// A time for C, which has no longer ones than 292 years.
pub(crate) fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
