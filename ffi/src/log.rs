//! `coop_set_log`: the library's events, handed to a function of C's.
//!
//! The core reports with `tracing`; this is the one subscriber of a C program. A message is written and handed
//! over with no lock held: the logger is shared, and one that is replaced is dropped when the last call to it has
//! returned.

use std::{
    cell::Cell,
    ffi::{CString, c_char, c_void},
    fmt::{self, Write},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI32, Ordering},
    },
};

use coop_core::{Error, Result};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{Interest, set_global_default},
};

use crate::{
    foreign::{DropArg, Foreign},
    guard::guard,
    status::coop_status,
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

static LOGGER: RwLock<Option<Arc<Logger>>> = RwLock::new(None);
static LEVEL: AtomicI32 = AtomicI32::new(COOP_LOG_OFF);

thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });

/// Has the function called with each message of this level or a more severe one, instead of the one set before.
/// Until one is set there are no messages.
///
/// level: one of COOP_LOG_*; with COOP_LOG_OFF callback.fn must be NULL, and what was set is removed.
/// callback: the library owns callback.arg if this answers COOP_OK.
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
        let logger = match (level, callback.r#fn) {
            (COOP_LOG_OFF, None) => None,
            (COOP_LOG_OFF, Some(_)) => {
                return Err(Error::Invalid("COOP_LOG_OFF takes no function: callback.fn must be NULL".into()));
            }
            (COOP_LOG_ERROR..=COOP_LOG_TRACE, _) => {
                subscribe()?;
                let (run, arg, drop): (Option<Run>, _, Option<DropArg>) = (callback.r#fn, callback.arg, callback.drop);
                Some(Arc::new(Logger(Foreign::new(run, arg, drop)?)))
            }
            _ => {
                let allowed = "COOP_LOG_OFF is 0, ERROR 1, WARN 2, INFO 3, DEBUG 4, TRACE 5";
                return Err(Error::Invalid(format!("log level {level} is out of range: {allowed}")));
            }
        };
        let before = {
            let mut place = LOGGER.write().unwrap_or_else(PoisonError::into_inner);
            LEVEL.store(level, Ordering::Relaxed);
            std::mem::replace(&mut *place, logger)
        };
        // With no lock held: its drop may be the last.
        drop(before);
        Ok(())
    })
}

fn subscribe() -> Result<()> {
    static IS_OURS: OnceLock<bool> = OnceLock::new();
    if *IS_OURS.get_or_init(|| set_global_default(Messages).is_ok()) {
        return Ok(());
    }
    Err(Error::Exists("this program has a tracing subscriber of its own, which gets libcoop's messages".into()))
}

/// The subscriber.
struct Messages;

impl Subscriber for Messages {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The level may change later.
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata) && number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        if INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true) {
            return;
        }
        // Not waited for: in a forked child nobody may be there to release it.
        let logger = LOGGER.try_read().ok().and_then(|place| place.clone());
        if let Some(logger) = logger {
            let mut text = Text(String::new());
            event.record(&mut text);
            let message = CString::new(text.0.replace('\0', "\u{fffd}")).unwrap_or_default();
            let Foreign { run, arg, .. } = &logger.0;
            // SAFETY: C gave the function for this argument, to be called from any thread; the message outlives the call.
            unsafe { run(*arg, number(*event.metadata().level()), message.as_ptr()) };
        }
        INSIDE.set(false);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target() == "coop"
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

/// The message, and other fields as `name=value` after it.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
