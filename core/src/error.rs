//! What can go wrong, once for all languages.
//!
//! Each variant is `COOP_E_<NAME>` in C and `libcoop.<Name>` in Python; [`Error::status`] and [`Error::name`] are
//! that table. Numbers are part of the C ABI and are never reused. The text of an error names the value that was
//! given and what was allowed.

#![forbid(unsafe_code)]

use std::fmt;

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is outside what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// A pointer or a function that must be there is NULL.
    #[error("{0} must not be NULL")]
    Null(String),
    /// The id names something that has ended or was cancelled.
    #[error("stale id: this {0} has ended or was cancelled")]
    Stale(&'static str),
    /// The object was stopped, shut down or closed.
    #[error("the {0} is closed")]
    Closed(&'static str),
    /// A bounded queue has no room.
    #[error("the {what} is full ({capacity})")]
    QueueFull {
        /// Which queue.
        what: &'static str,
        /// How much it holds, with the unit.
        capacity: String,
    },
    /// The deadline passed first.
    #[error("{0}")]
    Timeout(String),
    /// A CPU set names no worker.
    #[error("{0}")]
    Affinity(String),
    /// The call would wait for itself.
    #[error("{0}")]
    WouldDeadlock(&'static str),
    /// The object was made before `fork`; this is the child.
    #[error("the {0} was made before fork() and cannot be used in the child: make a new one")]
    Forked(&'static str),
    /// This build or this system cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// A panic was caught at the edge of a callback or of the library.
    #[error("panic: {0}")]
    Panic(String),
    /// The operating system refused.
    #[error("{context}: {} (errno {errno})", std::io::Error::from_raw_os_error(*errno))]
    Os {
        /// What was tried, with its argument.
        context: String,
        /// The system's error number.
        errno: i32,
    },
    /// There is one already: a second watch on an fd, a name used twice.
    #[error("{0}")]
    Exists(String),
    /// A handler's start failed; the text says which and why.
    #[error("{0}")]
    Failed(String),
    /// The task was cancelled before it began, or the coroutine before it ended.
    #[error("the {0} was cancelled")]
    Cancelled(&'static str),
    /// A call that does not wait would have to: wait until the descriptor is ready, and call again.
    #[error("the {0} is not ready: the call would have to wait")]
    WouldBlock(&'static str),
    /// A host's name has no address, or could not be looked up; the text names it and says why.
    #[error("{0}")]
    Resolve(String),
}

/// `(variant name, C name without its prefix, number)` of every error, in the order of their numbers.
pub const ERRORS: [(&str, &str, i32); 17] = [
    ("Invalid", "INVALID", -1),
    ("Null", "NULL", -2),
    ("Stale", "STALE", -3),
    ("Closed", "CLOSED", -4),
    ("QueueFull", "QUEUE_FULL", -5),
    ("Timeout", "TIMEOUT", -6),
    ("Affinity", "AFFINITY", -7),
    ("WouldDeadlock", "WOULD_DEADLOCK", -8),
    ("Forked", "FORKED", -9),
    ("Unsupported", "UNSUPPORTED", -10),
    ("Panic", "PANIC", -11),
    ("Os", "OS", -12),
    ("Exists", "EXISTS", -13),
    ("Failed", "FAILED", -14),
    ("Cancelled", "CANCELLED", -15),
    ("WouldBlock", "WOULD_BLOCK", -16),
    ("Resolve", "RESOLVE", -17),
];

impl Error {
    /// The C ABI's number for this error.
    pub fn status(&self) -> i32 {
        match self {
            Self::Invalid(_) => -1,
            Self::Null(_) => -2,
            Self::Stale(_) => -3,
            Self::Closed(_) => -4,
            Self::QueueFull { .. } => -5,
            Self::Timeout(_) => -6,
            Self::Affinity(_) => -7,
            Self::WouldDeadlock(_) => -8,
            Self::Forked(_) => -9,
            Self::Unsupported(_) => -10,
            Self::Panic(_) => -11,
            Self::Os { .. } => -12,
            Self::Exists(_) => -13,
            Self::Failed(_) => -14,
            Self::Cancelled(_) => -15,
            Self::WouldBlock(_) => -16,
            Self::Resolve(_) => -17,
        }
    }

    /// The variant's name, which is also the name of Python's exception.
    pub fn name(&self) -> &'static str {
        let status = self.status();
        ERRORS.iter().find(|(_, _, number)| *number == status).map_or("Error", |(name, _, _)| name)
    }

    /// The system's error number, where the system refused.
    pub fn os_errno(&self) -> Option<i32> {
        match self {
            Self::Os { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether this error number says that there is nothing left of what the next moment may give back: descriptors, memory, or
    /// places among what the user's loops watch (`fs.epoll.max_user_watches`).
    pub(crate) fn is_exhaustion(errno: i32) -> bool {
        matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC)
    }

    /// An I/O error with what was being done.
    pub fn os(context: impl Into<String>, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Os { context: context.into(), errno },
            None => Self::Invalid(format!("{}: {error}", context.into())),
        }
    }
}

/// A call that was refused, and what the caller still owns.
///
/// `?` turns it into its [`Error`] and drops the value.
pub struct Refused<T> {
    /// Why.
    pub error: Error,
    /// What was not taken: nothing of it has run.
    pub value: T,
}

impl<T> Refused<T> {
    /// Refuses `value` for `error`.
    pub fn new(error: Error, value: T) -> Self {
        Self { error, value }
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for Refused<T> {}

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Self {
        refused.error
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_error_has_its_own_number_and_name() {
        let one_of_each = [
            Error::Invalid("x".into()),
            Error::Null("x".into()),
            Error::Stale("timer"),
            Error::Closed("pool"),
            Error::QueueFull { what: "queue", capacity: "3 tasks".into() },
            Error::Timeout("x".into()),
            Error::Affinity("x".into()),
            Error::WouldDeadlock("x"),
            Error::Forked("pool"),
            Error::Unsupported("x".into()),
            Error::Panic("x".into()),
            Error::Os { context: "bind".into(), errno: 98 },
            Error::Exists("x".into()),
            Error::Failed("x".into()),
            Error::Cancelled("task"),
            Error::WouldBlock("stream"),
            Error::Resolve("x".into()),
        ];
        let seen: Vec<_> = one_of_each.iter().map(|e| (e.name(), e.status())).collect();
        let table: Vec<_> = ERRORS.iter().map(|(name, _, number)| (*name, *number)).collect();
        assert_eq!(seen, table);
    }

    #[test]
    fn a_system_error_says_what_was_tried() {
        let error = Error::os("bind 127.0.0.1:1", &std::io::Error::from_raw_os_error(98));
        assert_eq!(error.os_errno(), Some(98));
        assert!(error.to_string().starts_with("bind 127.0.0.1:1: Address already in use"), "{error}");
    }
}
