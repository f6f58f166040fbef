//! `coop_set_log`: the library's messages, handed to a function of C's.

use std::{
    ffi::{CString, c_char, c_void},
    sync::Arc,
};

use coop_core::{
    Error,
    log::{self, Level},
};

use crate::{
    foreign::{DropArg, Foreign},
    guard::guard,
    status::coop_status,
    tsan::Inside,
};

/// No messages.
pub const COOP_LOG_OFF: i32 = 0;
/// Something was lost: a callback failed, a source ended.
pub const COOP_LOG_ERROR: i32 = 1;
/// The program does something that it probably does not mean.
pub const COOP_LOG_WARN: i32 = 2;
/// What an operator wants to know.
pub const COOP_LOG_INFO: i32 = 3;
/// What a developer wants to know.
pub const COOP_LOG_DEBUG: i32 = 4;
/// Everything.
pub const COOP_LOG_TRACE: i32 = 5;

/// Called with each message. drop(arg) is called once, when the function is replaced and its last call has returned.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_log_callback {
    /// level is one of COOP_LOG_ERROR to COOP_LOG_TRACE. message is UTF-8, ends with a NUL and is valid during the
    /// call.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, level: i32, message: *const c_char)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

type Run = unsafe extern "C" fn(arg: *mut c_void, level: i32, message: *const c_char);

struct Logger(Foreign<Run>);

// SAFETY: the header says that the function is called from any thread, also from several at once.
unsafe impl Sync for Logger {}

impl Logger {
    fn call(&self, level: Level, message: &str) {
        let message = CString::new(message.replace('\0', "\u{fffd}")).unwrap_or_default();
        let Foreign { run, arg, .. } = &self.0;
        let _inside = Inside::once(*arg);
        // SAFETY: C gave the function for this argument, to be called from any thread; the message outlives the call.
        unsafe { run(*arg, number(level), message.as_ptr()) };
    }
}

/// Has the function called with each message of this level or a more severe one, instead of the one set before.
/// Until one is set there are no messages.
///
/// level: one of COOP_LOG_*; with COOP_LOG_OFF callback.fn must be NULL, and what was set is removed.
/// callback: the library owns callback.arg if this answers COOP_OK; with COOP_LOG_OFF it is dropped at once.
///
/// The function is called from any thread, perhaps from several at once, with no lock held. It may call the
/// library; calls made inside it are not logged. A message that comes while another thread is in this function may
/// be lost.
///
/// Any thread, any number of times. COOP_E_INVALID for another level or a function beside COOP_LOG_OFF,
/// COOP_E_NULL without one, COOP_E_EXISTS if the program is in Rust and has set a tracing subscriber of its own.
#[unsafe(no_mangle)]
pub extern "C" fn coop_set_log(level: i32, callback: coop_log_callback) -> coop_status {
    guard!({
        let level = match level {
            COOP_LOG_OFF if callback.r#fn.is_none() => {
                log::set_sink(None)?;
                // Accepted, and needed for nothing: dropped here.
                drop(Foreign::own((), callback.arg, callback.drop));
                return Ok(());
            }
            COOP_LOG_OFF => {
                return Err(Error::Invalid("COOP_LOG_OFF takes no function: callback.fn must be NULL".into()));
            }
            COOP_LOG_ERROR => Level::ERROR,
            COOP_LOG_WARN => Level::WARN,
            COOP_LOG_INFO => Level::INFO,
            COOP_LOG_DEBUG => Level::DEBUG,
            COOP_LOG_TRACE => Level::TRACE,
            _ => {
                let allowed = "COOP_LOG_OFF is 0, ERROR 1, WARN 2, INFO 3, DEBUG 4, TRACE 5";
                return Err(Error::Invalid(format!("log level {level} is out of range: {allowed}")));
            }
        };
        let (run, arg, drop): (Option<Run>, _, Option<DropArg>) = (callback.r#fn, callback.arg, callback.drop);
        // Asked first: a sink that is refused would drop the argument.
        log::claim()?;
        let logger = Logger(Foreign::new(run, arg, drop)?);
        log::set_sink(Some((level, Arc::new(move |level, message| logger.call(level, message)))))
    })
}

fn number(level: Level) -> i32 {
    match level {
        Level::ERROR => COOP_LOG_ERROR,
        Level::WARN => COOP_LOG_WARN,
        Level::INFO => COOP_LOG_INFO,
        Level::DEBUG => COOP_LOG_DEBUG,
        Level::TRACE => COOP_LOG_TRACE,
    }
}
