//! `coop_service_event`: a change of state, as observers are told of it.

use std::{
    ffi::{CString, c_char, c_void},
    ptr,
    time::SystemTime,
};

use coop_core::supervisor::{Because, Ended, Event, Item, What};

use crate::{service::Given, supervisor_options::nanos, tsan::Inside};

/// Its specification was added.
pub const COOP_SERVICE_ADDED: i32 = 1;
/// Its specification was removed.
pub const COOP_SERVICE_REMOVED: i32 = 2;
/// A run begins.
pub const COOP_SERVICE_STARTING: i32 = 4;
/// Its process is there: pid.
pub const COOP_SERVICE_SPAWNED: i32 = 8;
/// It is ready.
pub const COOP_SERVICE_READY: i32 = 16;
/// What it says of itself: text.
pub const COOP_SERVICE_STATUS: i32 = 32;
/// A run did not get ready: text, tail, details.
pub const COOP_SERVICE_START_FAILED: i32 = 64;
/// Its start asked not to be run.
pub const COOP_SERVICE_IGNORED: i32 = 128;
/// It is asked to stop.
pub const COOP_SERVICE_STOPPING: i32 = 256;
/// A run ended: exit, code, signal, core_dumped, normal, because, uptime_ns, restarts, tail, details.
pub const COOP_SERVICE_ENDED: i32 = 512;
/// It is started again after delay_ns.
pub const COOP_SERVICE_BACKOFF: i32 = 1024;
/// It rests for delay_ns, where its supervisor would give up.
pub const COOP_SERVICE_PARKED: i32 = 2048;
/// It ignored its deadline and cannot be ended: it goes on, and is not restarted before it ends.
pub const COOP_SERVICE_UNRESPONSIVE: i32 = 4096;
/// A supervisor had more restarts than its intensity allows, and ends.
pub const COOP_SERVICE_GAVE_UP: i32 = 8192;
/// A supervisor shuts itself down, since significant children have ended.
pub const COOP_SERVICE_AUTO_SHUTDOWN: i32 = 16384;
/// The observer was too slow: lost events are missing before the next one. Of no service; its number is 0.
pub const COOP_SERVICE_EVENTS_LOST: i32 = 32768;

/// Its function returned.
pub const COOP_EXIT_RETURNED: i32 = 1;
/// Its process exited: code.
pub const COOP_EXIT_EXITED: i32 = 2;
/// A signal ended its process: signal, core_dumped.
pub const COOP_EXIT_SIGNALED: i32 = 3;
/// Its function ended with an error: text.
pub const COOP_EXIT_FAILED: i32 = 4;
/// Its function panicked: text.
pub const COOP_EXIT_PANICKED: i32 = 5;
/// Reason shutdown: a supervisor that gave up or shut itself down, a service that was cancelled.
pub const COOP_EXIT_SHUTDOWN: i32 = 6;
/// How is not known: somebody else has taken its status.
pub const COOP_EXIT_LOST: i32 = 7;

/// It was asked to stop: by its supervisor, or by a verb.
pub const COOP_BECAUSE_ASKED: i32 = 1;
/// It did not stop within its shutdown_ns.
pub const COOP_BECAUSE_SHUTDOWN_DEADLINE: i32 = 2;
/// It was not ready within its ready_timeout_ns.
pub const COOP_BECAUSE_READY_DEADLINE: i32 = 3;
/// It did not beat within its watchdog_ns.
pub const COOP_BECAUSE_WATCHDOG: i32 = 4;
/// Its successor is ready.
pub const COOP_BECAUSE_HAND_OVER: i32 = 5;
/// Its process did not show that it runs within its liveness_ns.
pub const COOP_BECAUSE_LIVENESS: i32 = 6;

/// A text of the library's: UTF-8, a NUL follows its last byte.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_text {
    /// Its bytes; never NULL.
    pub data: *const c_char,
    /// How many, without the NUL.
    pub length: usize,
}

/// A change of a service or a supervisor. What it points to is there as long as it is. Later versions may add fields at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_service_event {
    /// The bytes of this struct that the library has filled in.
    pub size: usize,
    /// From 1, without a gap in one host.
    pub number: u64,
    /// When: nanoseconds since 1970, by the system's clock.
    pub time_ns: i64,
    /// Of which service or supervisor.
    pub id: u64,
    /// Which run of it, from 1; 0 before the first.
    pub run: u64,
    /// Its names from the root down, joined by '/'.
    pub path: coop_text,
    /// What changed, in words: "ended by SIGKILL".
    pub text: coop_text,
    /// All of it as JSON, one line; empty unless the observer asked for it.
    pub json: coop_text,
    /// The last lines that the run wrote.
    pub tail: *const coop_text,
    /// How many.
    pub tail_count: usize,
    /// How long the run went, in nanoseconds.
    pub uptime_ns: i64,
    /// When it starts again, in nanoseconds from then.
    pub delay_ns: i64,
    /// Its restarts so far.
    pub restarts: u64,
    /// Beside COOP_SERVICE_EVENTS_LOST: how many.
    pub lost: u64,
    /// What changed: one of COOP_SERVICE_*.
    pub kind: i32,
    /// How a run ended: one of COOP_EXIT_*; 0 unless kind is COOP_SERVICE_ENDED, as all that follow but pid.
    pub exit: i32,
    /// What the process gave to exit(), 0 to 255; -1 if it did not.
    pub code: i32,
    /// The signal that ended the process.
    pub signal: i32,
    /// 1: it left a core dump.
    pub core_dumped: i32,
    /// 1: that was a normal end.
    pub normal: i32,
    /// What the library had to do with it: one of COOP_BECAUSE_*, or 0.
    pub because: i32,
    /// Beside COOP_SERVICE_SPAWNED: the process.
    pub pid: i32,
    /// Beside COOP_SERVICE_ENDED and COOP_SERVICE_START_FAILED: what the run left to explain that, of several lines; mostly empty.
    pub details: coop_text,
}

/// Called with one event after another. drop(arg) is called once, after the last. See coop_callback.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_service_event_callback {
    /// event: there until the function returns.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, event: *const coop_service_event)>,
    /// Handed to both functions; may be NULL.
    pub arg: *mut c_void,
    /// May be NULL.
    pub drop: Option<unsafe extern "C" fn(arg: *mut c_void)>,
}

pub(crate) type Run = unsafe extern "C" fn(arg: *mut c_void, event: *const coop_service_event);

impl Given<Run> {
    pub(crate) fn call_with(&self, item: &Item, json: bool) {
        let shown = Shown::of(item, json);
        let _inside = Inside::after_others(self.arg);
        // SAFETY: C gave the function for this argument; the event outlives the call.
        unsafe { (self.functions)(self.arg, shown.event()) };
    }
}

/// What C is shown of an event, with the texts that it points to.
#[derive(Debug)]
pub(crate) struct Shown {
    event: coop_service_event,
    _texts: Vec<CString>,
    _tail: Vec<coop_text>,
}

// SAFETY: the pointers are to what it owns, and nobody changes that.
unsafe impl Send for Shown {}

/// Texts of the library's, which outlive what points to them.
#[derive(Default)]
pub(crate) struct Texts(Vec<CString>);

impl Texts {
    pub(crate) fn add(&mut self, text: &str) -> coop_text {
        let text = CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        // The bytes stay where they are when the owner moves.
        let (data, length) = (text.as_ptr(), text.as_bytes().len());
        self.0.push(text);
        coop_text { data, length }
    }
}

const NO_TEXT: coop_text = coop_text { data: c"".as_ptr(), length: 0 };

impl Shown {
    pub(crate) fn event(&self) -> &coop_service_event {
        &self.event
    }

    pub(crate) fn of(item: &Item, json: bool) -> Self {
        let mut shown = coop_service_event {
            size: size_of::<coop_service_event>(),
            number: 0,
            time_ns: 0,
            id: 0,
            run: 0,
            path: NO_TEXT,
            text: NO_TEXT,
            json: NO_TEXT,
            tail: ptr::null(),
            tail_count: 0,
            uptime_ns: 0,
            delay_ns: 0,
            restarts: 0,
            lost: 0,
            kind: COOP_SERVICE_EVENTS_LOST,
            exit: 0,
            code: 0,
            signal: 0,
            core_dumped: 0,
            normal: 0,
            because: 0,
            pid: 0,
            details: NO_TEXT,
        };
        let mut texts = Texts::default();
        let mut tail = Vec::new();
        match item {
            Item::Lost(lost) => {
                shown.lost = *lost;
                shown.text = texts.add(&format!("{lost} events did not fit into the observer's queue"));
            }
            Item::Event(event) => {
                tail = fill(&mut shown, event, &mut texts);
                if json {
                    shown.json = texts.add(&serde_json::to_string(&**event).unwrap_or_default());
                }
            }
        }
        if !tail.is_empty() {
            shown.tail = tail.as_ptr();
            shown.tail_count = tail.len();
        }
        Self { event: shown, _texts: texts.0, _tail: tail }
    }
}

fn fill(shown: &mut coop_service_event, event: &Event, texts: &mut Texts) -> Vec<coop_text> {
    let mut lines: &[String] = &[];
    shown.number = event.number;
    shown.time_ns = nanos(event.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    shown.id = event.id;
    shown.run = event.run;
    shown.path = texts.add(&event.path);
    // The numbers of the kinds are bits here, so that a filter can name several.
    shown.kind = 1 << event.what.kind() as u32;
    shown.text = match &event.what {
        What::Status(text) => texts.add(text),
        What::StartFailed { reason, tail, .. } => {
            lines = tail;
            texts.add(reason)
        }
        What::Ended { how, .. } => texts.add(&how.to_string()),
        other => texts.add(&other.to_string()),
    };
    if let What::StartFailed { details: Some(details), .. } | What::Ended { details: Some(details), .. } = &event.what {
        shown.details = texts.add(details);
    }
    match &event.what {
        What::Spawned { pid } => shown.pid = *pid,
        What::Backoff { delay } | What::Parked { delay } => shown.delay_ns = nanos(*delay),
        What::Ended { how, normal, because, uptime, restarts, tail, .. } => {
            lines = tail;
            shown.normal = i32::from(*normal);
            shown.because = because.map_or(0, because_number);
            shown.uptime_ns = nanos(*uptime);
            shown.restarts = *restarts;
            shown.code = -1;
            shown.exit = match how {
                Ended::Returned => COOP_EXIT_RETURNED,
                Ended::Exited(code) => {
                    shown.code = *code;
                    COOP_EXIT_EXITED
                }
                Ended::Signaled { signal, core_dumped } => {
                    shown.signal = *signal;
                    shown.core_dumped = i32::from(*core_dumped);
                    COOP_EXIT_SIGNALED
                }
                Ended::Failed(_) => COOP_EXIT_FAILED,
                Ended::Panicked(_) => COOP_EXIT_PANICKED,
                Ended::Shutdown => COOP_EXIT_SHUTDOWN,
                Ended::Lost(_) => COOP_EXIT_LOST,
            };
        }
        _ => {}
    }
    lines.iter().map(|line| texts.add(line)).collect()
}

fn because_number(because: Because) -> i32 {
    match because {
        Because::Asked => COOP_BECAUSE_ASKED,
        Because::ShutdownDeadline => COOP_BECAUSE_SHUTDOWN_DEADLINE,
        Because::ReadyDeadline => COOP_BECAUSE_READY_DEADLINE,
        Because::Watchdog => COOP_BECAUSE_WATCHDOG,
        Because::HandOver => COOP_BECAUSE_HAND_OVER,
        Because::Liveness => COOP_BECAUSE_LIVENESS,
    }
}
