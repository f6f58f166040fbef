//! What observers are told: each change of state, with a number and a time.
//!
//! # What holds
//!
//! The numbers of a host's events go up by one, without a gap, from 1. Each run of a service begins with [`What::Starting`] and ends
//! with [`What::Ended`] or [`What::StartFailed`], once.

#![forbid(unsafe_code)]

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::event_loop::ExitStatus;

/// How a run of a service ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its function returned, without an error.
    Returned,
    /// Its process exited with this status.
    Exited(i32),
    /// A signal ended its process.
    Signaled {
        /// Which.
        signal: i32,
        /// It left a core dump.
        core_dumped: bool,
    },
    /// Its function answered this error.
    Failed(String),
    /// Its function panicked.
    Panicked(String),
    /// Reason `shutdown`: a supervisor that gave up or shut itself down, a service that was cancelled.
    Shutdown,
    /// How is not known: its status was taken by somebody else.
    Lost(String),
}

/// Why the library itself ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It was asked to stop: by its supervisor, or by a verb.
    Asked,
    /// It did not stop within its `shutdown`.
    ShutdownDeadline,
    /// It was not ready within its time.
    ReadyDeadline,
    /// It did not beat within its watchdog's time.
    Watchdog,
    /// Its process did not run, as its liveness asks for.
    Liveness,
    /// Its successor is ready.
    HandOver,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its specification was added.
    Added,
    /// Its specification was removed.
    Removed,
    /// A run begins.
    Starting,
    /// Its process is there.
    Spawned {
        /// Which.
        pid: i32,
    },
    /// It is ready.
    Ready,
    /// What the service says of itself.
    Status(String),
    /// A run did not get ready.
    StartFailed {
        /// In words.
        reason: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
        /// What it left behind to explain that, of several lines: a traceback, a dump of its stack.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<String>,
    },
    /// Its start asked not to be run: OTP's `ignore`.
    Ignored,
    /// It is asked to stop.
    Stopping,
    /// A run ended.
    Ended {
        /// How.
        how: Ended,
        /// Whether that is a normal end.
        normal: bool,
        /// What the library had to do with it.
        because: Option<Because>,
        /// How long it ran.
        uptime: Duration,
        /// Restarts so far.
        restarts: u64,
        /// The last lines that it wrote.
        tail: Vec<String>,
        /// As beside [`What::StartFailed`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<String>,
    },
    /// It is started again after this delay.
    Backoff {
        /// From now.
        delay: Duration,
    },
    /// It rests, where its supervisor would give up.
    Parked {
        /// From now.
        delay: Duration,
    },
    /// It ignored its deadline and cannot be ended: it goes on, disowned, and is not restarted before it ends.
    Unresponsive,
    /// A supervisor had more restarts than its intensity allows, and ends.
    GaveUp,
    /// A supervisor shuts itself down, since significant children have ended.
    AutoShutdown,
}

/// A [`What`] without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum Kind {
    /// Its specification was added.
    Added = 0,
    /// Its specification was removed.
    Removed = 1,
    /// A run begins.
    Starting = 2,
    /// Its process is there.
    Spawned = 3,
    /// It is ready.
    Ready = 4,
    /// What it says of itself.
    Status = 5,
    /// A run did not get ready.
    StartFailed = 6,
    /// Its start asked not to be run.
    Ignored = 7,
    /// It is asked to stop.
    Stopping = 8,
    /// A run ended.
    Ended = 9,
    /// It is started again after a delay.
    Backoff = 10,
    /// It rests.
    Parked = 11,
    /// It ignored its deadline, and goes on.
    Unresponsive = 12,
    /// A supervisor had too many restarts.
    GaveUp = 13,
    /// A supervisor shuts itself down.
    AutoShutdown = 14,
}

impl Kind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Added,
        Self::Removed,
        Self::Starting,
        Self::Spawned,
        Self::Ready,
        Self::Status,
        Self::StartFailed,
        Self::Ignored,
        Self::Stopping,
        Self::Ended,
        Self::Backoff,
        Self::Parked,
        Self::Unresponsive,
        Self::GaveUp,
        Self::AutoShutdown,
    ];

    /// Its name: `start_failed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Starting => "starting",
            Self::Spawned => "spawned",
            Self::Ready => "ready",
            Self::Status => "status",
            Self::StartFailed => "start_failed",
            Self::Ignored => "ignored",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Backoff => "backoff",
            Self::Parked => "parked",
            Self::Unresponsive => "unresponsive",
            Self::GaveUp => "gave_up",
            Self::AutoShutdown => "auto_shutdown",
        }
    }
}

impl What {
    /// The last lines of the run that it is about, and its details, if it has such.
    pub(super) fn length_mut(&mut self) -> Option<(&mut Vec<String>, &mut Option<String>)> {
        match self {
            Self::StartFailed { tail, details, .. } | Self::Ended { tail, details, .. } => Some((tail, details)),
            _ => None,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Added => Kind::Added,
            Self::Removed => Kind::Removed,
            Self::Starting => Kind::Starting,
            Self::Spawned { .. } => Kind::Spawned,
            Self::Ready => Kind::Ready,
            Self::Status(_) => Kind::Status,
            Self::StartFailed { .. } => Kind::StartFailed,
            Self::Ignored => Kind::Ignored,
            Self::Stopping => Kind::Stopping,
            Self::Ended { .. } => Kind::Ended,
            Self::Backoff { .. } => Kind::Backoff,
            Self::Parked { .. } => Kind::Parked,
            Self::Unresponsive => Kind::Unresponsive,
            Self::GaveUp => Kind::GaveUp,
            Self::AutoShutdown => Kind::AutoShutdown,
        }
    }
}

/// One change of one service or supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// From 1, without a gap.
    pub number: u64,
    /// When, by the system's clock.
    pub time: SystemTime,
    /// Which service or supervisor: see [`ServiceId`](super::ServiceId).
    pub id: u64,
    /// Its names from the root down, joined by `/`.
    pub path: String,
    /// Which run of it, from 1; 0 before the first.
    pub run: u64,
    /// What changed.
    pub what: What,
}

/// The longest details of an event, in bytes.
pub(super) const DETAILS: usize = 64 * 1024;

impl Ended {
    /// An error of several lines: the first one is how it ended, the others are its details.
    pub(super) fn and_details(self) -> (Self, Option<String>) {
        let split = |text: String| match text.split_once('\n') {
            Some((first, rest)) if !rest.trim().is_empty() => {
                (first.trim_end().to_owned(), Some(cut(rest, DETAILS).to_owned()))
            }
            _ => (text, None),
        };
        match self {
            Self::Failed(text) => {
                let (text, details) = split(text);
                (Self::Failed(text), details)
            }
            Self::Panicked(text) => {
                let (text, details) = split(text);
                (Self::Panicked(text), details)
            }
            other => (other, None),
        }
    }
}

/// Its first bytes, up to the end of a character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Exited(code) => write!(f, "exited with {code}"),
            &Self::Signaled { signal, core_dumped } => {
                ExitStatus { pid: 0, code: None, signal: Some(signal), core_dumped }.fmt(f)
            }
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Lost(why) => write!(f, "ended, how is not known: {why}"),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "it was asked to",
            Self::ShutdownDeadline => "it did not stop in time",
            Self::ReadyDeadline => "it was not ready in time",
            Self::Watchdog => "it missed its watchdog's time",
            Self::Liveness => "it did not beat within its liveness",
            Self::HandOver => "its successor is ready",
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added"),
            Self::Removed => f.write_str("removed"),
            Self::Starting => f.write_str("starting"),
            Self::Spawned { pid } => write!(f, "is process {pid}"),
            Self::Ready => f.write_str("ready"),
            Self::Status(text) => write!(f, "says: {}", one_line(text)),
            Self::StartFailed { reason, .. } => write!(f, "did not start: {}", one_line(reason)),
            Self::Ignored => f.write_str("asked not to be run"),
            Self::Stopping => f.write_str("stopping"),
            Self::Ended { how, because, uptime, restarts, tail, .. } => {
                write!(f, "{}", one_line(&how.to_string()))?;
                if let Some(because) = because {
                    write!(f, ", since {because}")?;
                }
                let times = if *restarts == 1 { "restart" } else { "restarts" };
                write!(f, ", after {uptime:.3?}, {restarts} {times} before")?;
                last(f, tail)
            }
            Self::Backoff { delay } => write!(f, "starts again in {delay:.3?}"),
            Self::Parked { delay } => write!(f, "is parked, and tried again in {delay:.3?}"),
            Self::Unresponsive => f.write_str("ignored its deadline, and goes on by itself"),
            Self::GaveUp => f.write_str("gives up: too many restarts"),
            Self::AutoShutdown => f.write_str("shuts down: its significant children have ended"),
        }
    }
}

fn last(f: &mut fmt::Formatter<'_>, tail: &[String]) -> fmt::Result {
    match tail.last() {
        Some(line) => write!(f, "; its last line: {}", one_line(line)),
        None => Ok(()),
    }
}

/// What others wrote must not break the line.
fn one_line(text: &str) -> String {
    text.trim_end().chars().map(|each| if each.is_control() { ' ' } else { each }).collect()
}

impl fmt::Display for Event {
    /// One line: number, time (UTC), path, run, and what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.number)?;
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (days, seconds) = (since.as_secs() / 86400, since.as_secs() % 86400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z ", since.subsec_millis())?;
        f.write_str(&one_line(&self.path))?;
        if self.run > 0 {
            write!(f, " run {}", self.run)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Event {
    /// What explains an end or a start that failed at length: a traceback, the stacks of all threads.
    pub fn details(&self) -> Option<&str> {
        match &self.what {
            What::StartFailed { details, .. } | What::Ended { details, .. } => details.as_deref(),
            _ => None,
        }
    }

    /// The last lines that the run wrote, of an end or a start that failed.
    pub fn tail(&self) -> Option<&[String]> {
        match &self.what {
            What::StartFailed { tail, .. } | What::Ended { tail, .. } => Some(tail),
            _ => None,
        }
    }
}

/// The date of a day counted from 1970-01-01. Years begin in March here, so that the leap day is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod test {
    use super::*;

    fn event(what: What) -> Event {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_210_096_789);
        Event { number: 7, time, id: 1, path: "root/web".into(), run: 2, what }
    }

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(event(What::Ready).to_string(), "7 2024-02-29T12:34:56.789Z root/web run 2: ready");
        let ended = event(What::Ended {
            how: Ended::Failed("no\nroom".into()),
            normal: false,
            because: Some(Because::Watchdog),
            uptime: Duration::from_millis(1500),
            restarts: 1,
            tail: vec!["first".into(), "last\u{7}".into()],
            details: Some("several\nlines".into()),
        });
        assert_eq!(
            ended.to_string(),
            "7 2024-02-29T12:34:56.789Z root/web run 2: failed: no room, since it missed its watchdog's time, after 1.500s, \
             1 restart before; its last line: last "
        );
    }

    #[test]
    fn signals_are_named() {
        for (signal, core_dumped, words) in [
            (9, false, "ended by SIGKILL"),
            (11, true, "ended by SIGSEGV, core dumped"),
            (35, false, "ended by signal 35"),
        ] {
            assert_eq!(Ended::Signaled { signal, core_dumped }.to_string(), words);
        }
    }

    #[test]
    fn an_error_of_several_lines_is_a_line_and_details() {
        let split = |text: &str| Ended::Failed(text.into()).and_details();
        assert_eq!(split("one line"), (Ended::Failed("one line".into()), None));
        assert_eq!(split("one line\n"), (Ended::Failed("one line\n".into()), None));
        assert_eq!(split("first\r\n\nthird"), (Ended::Failed("first".into()), Some("\nthird".into())));
        let (how, details) = Ended::Panicked(format!("x\n{}", "ä".repeat(DETAILS))).and_details();
        assert_eq!((how, details.unwrap().len()), (Ended::Panicked("x".into()), DETAILS));
        assert_eq!(Ended::Exited(1).and_details(), (Ended::Exited(1), None));
        assert_eq!((cut("aä", 2), cut("aä", 3), cut("", 0)), ("a", "aä", ""));
    }

    #[test]
    fn an_event_comes_back_from_json() {
        for what in [
            What::Added,
            What::Status("x".into()),
            What::Spawned { pid: 3 },
            What::StartFailed { reason: "none".into(), tail: vec!["a".into()], details: None },
            What::StartFailed { reason: "none".into(), tail: Vec::new(), details: Some("a\nb".into()) },
            What::Backoff { delay: Duration::from_millis(50) },
        ] {
            let event = event(what);
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
            assert!(text.contains(event.what.kind().name()), "{text}");
        }
    }

    #[test]
    fn kinds_have_the_names_that_json_has() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.name()));
        }
    }

    #[test]
    fn dates_of_days() {
        for (days, expected) in
            [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_779, (2026, 11, 22))]
        {
            assert_eq!(date(days), expected);
        }
    }
}
