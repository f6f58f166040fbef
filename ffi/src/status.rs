//! `coop_status`, its numbers, and the last message of each thread.

use std::{
    cell::RefCell,
    ffi::{CStr, CString, c_char},
};

use coop_core::Error;

/// What a function answers: COOP_OK (0), or a negative COOP_E_* number. Numbers are never reused.
pub type coop_status = i32;

/// It was done.
pub const COOP_OK: coop_status = 0;
/// An argument is outside what is allowed.
pub const COOP_E_INVALID: coop_status = -1;
/// A pointer or a function that must be there is NULL.
pub const COOP_E_NULL: coop_status = -2;
/// The id names something that has ended or was cancelled.
pub const COOP_E_STALE: coop_status = -3;
/// The object was stopped, shut down or closed.
pub const COOP_E_CLOSED: coop_status = -4;
/// A bounded queue has no room.
pub const COOP_E_QUEUE_FULL: coop_status = -5;
/// The deadline passed first.
pub const COOP_E_TIMEOUT: coop_status = -6;
/// A CPU set names no worker, or a CPU that this process may not use.
pub const COOP_E_AFFINITY: coop_status = -7;
/// The call would wait for itself.
pub const COOP_E_WOULD_DEADLOCK: coop_status = -8;
/// The object was made before fork(), and this is the child.
pub const COOP_E_FORKED: coop_status = -9;
/// This build, this version or this system cannot do it.
pub const COOP_E_UNSUPPORTED: coop_status = -10;
/// A defect inside the library was caught at its edge.
pub const COOP_E_PANIC: coop_status = -11;
/// The operating system refused; coop_last_os_errno() says why.
pub const COOP_E_OS: coop_status = -12;
/// There is one already.
pub const COOP_E_EXISTS: coop_status = -13;
/// A handler's start failed.
pub const COOP_E_FAILED: coop_status = -14;
/// The task was cancelled before it began, or the operation before it ended.
pub const COOP_E_CANCELLED: coop_status = -15;
/// A call that does not wait would have to: wait until the descriptor is ready, and call again.
pub const COOP_E_WOULD_BLOCK: coop_status = -16;
/// A host's name has no address, or could not be looked up.
pub const COOP_E_RESOLVE: coop_status = -17;

/// Zero or off, where a field's zero means "the default" and off has a meaning.
pub const COOP_NONE: i32 = -1;
/// A timeout that never comes.
pub const COOP_FOREVER: i64 = -1;

struct Last {
    message: CString,
    os_errno: i32,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::new(Last { message: CString::default(), os_errno: 0 });
}

/// Keeps the error as this thread's last one and answers its number. The last thing that a failing function does:
/// callbacks that it ran may have failed in calls of their own.
pub(crate) fn fail(error: &Error) -> coop_status {
    let text = error.to_string().replace('\0', "\u{fffd}");
    let last = Last { message: CString::new(text).unwrap_or_default(), os_errno: error.os_errno().unwrap_or(0) };
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|place| place.replace(last));
    error.status()
}

const NAMES: [(coop_status, &CStr); 18] = [
    (COOP_OK, c"COOP_OK"),
    (COOP_E_INVALID, c"COOP_E_INVALID"),
    (COOP_E_NULL, c"COOP_E_NULL"),
    (COOP_E_STALE, c"COOP_E_STALE"),
    (COOP_E_CLOSED, c"COOP_E_CLOSED"),
    (COOP_E_QUEUE_FULL, c"COOP_E_QUEUE_FULL"),
    (COOP_E_TIMEOUT, c"COOP_E_TIMEOUT"),
    (COOP_E_AFFINITY, c"COOP_E_AFFINITY"),
    (COOP_E_WOULD_DEADLOCK, c"COOP_E_WOULD_DEADLOCK"),
    (COOP_E_FORKED, c"COOP_E_FORKED"),
    (COOP_E_UNSUPPORTED, c"COOP_E_UNSUPPORTED"),
    (COOP_E_PANIC, c"COOP_E_PANIC"),
    (COOP_E_OS, c"COOP_E_OS"),
    (COOP_E_EXISTS, c"COOP_E_EXISTS"),
    (COOP_E_FAILED, c"COOP_E_FAILED"),
    (COOP_E_CANCELLED, c"COOP_E_CANCELLED"),
    (COOP_E_WOULD_BLOCK, c"COOP_E_WOULD_BLOCK"),
    (COOP_E_RESOLVE, c"COOP_E_RESOLVE"),
];

/// The name of a number that is one.
pub(crate) fn known_name(status: coop_status) -> Option<&'static str> {
    NAMES.iter().find(|(number, _)| *number == status).and_then(|(_, name)| name.to_str().ok())
}

/// The name of a status: "COOP_E_TIMEOUT". A number that is none is "(no coop_status)". The text is the library's
/// and lives as long as the program. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn coop_status_str(status: coop_status) -> *const c_char {
    NAMES.iter().find(|(number, _)| *number == status).map_or(c"(no coop_status)", |(_, name)| name).as_ptr()
}

/// The message of the last call that failed in this thread, in words: "cpu set {5} names no worker; workers are on
/// {0, 1}". Never NULL; "" if none has failed. The text is the library's: UTF-8, valid until the next call that
/// fails in this thread. Calls that succeed leave it as it is.
#[unsafe(no_mangle)]
pub extern "C" fn coop_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().message.as_ptr()).unwrap_or(c"".as_ptr())
}

/// The system's error number (EADDRINUSE, EMFILE, ...) of the last call that failed in this thread; 0 if that was
/// not COOP_E_OS. The C library's errno is not used.
#[unsafe(no_mangle)]
pub extern "C" fn coop_last_os_errno() -> i32 {
    LAST.try_with(|last| last.borrow().os_errno).unwrap_or(0)
}

#[cfg(test)]
mod test {
    use super::*;
    use coop_core::error::ERRORS;

    const HEADER: &str = include_str!("../../include/coop.h");

    /// `(name, number)` of every `#define COOP_E_*` in the header, in its order.
    fn defined() -> Vec<(String, i32)> {
        let lines = HEADER.lines().filter_map(|line| line.strip_prefix("#define COOP_E_"));
        lines
            .map(|line| {
                let (name, number) = line.split_once(' ').unwrap();
                (name.to_owned(), number.trim_matches(['(', ')']).parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn the_header_has_cores_errors_by_name_and_number() {
        let core: Vec<_> = ERRORS.iter().map(|(_, name, number)| ((*name).to_owned(), *number)).collect();
        assert_eq!(defined(), core);
        assert!(HEADER.lines().any(|line| line == "#define COOP_OK 0"));
    }

    #[test]
    fn every_number_has_its_name() {
        let name = |status| {
            // SAFETY: coop_status_str answers a C string that lives for ever.
            unsafe { CStr::from_ptr(coop_status_str(status)) }.to_str().unwrap()
        };
        for (_, c_name, number) in ERRORS {
            assert_eq!(name(number), format!("COOP_E_{c_name}"));
        }
        assert_eq!((name(0), name(1), name(-99)), ("COOP_OK", "(no coop_status)", "(no coop_status)"));
    }

    #[test]
    fn a_nul_in_a_message_does_not_end_it() {
        assert_eq!(fail(&Error::Invalid("a\0b".into())), COOP_E_INVALID);
        // SAFETY: the message is valid until this thread's next failing call.
        let text = unsafe { CStr::from_ptr(coop_last_error()) };
        assert_eq!(text.to_str(), Ok("a\u{fffd}b"));
    }
}
