//! The edge: no panic leaves the library, and every error becomes a number.

use std::panic::{AssertUnwindSafe, catch_unwind};

use coop_core::{Error, Result, job::panic_text};

use crate::status::{COOP_OK, coop_status, fail};

/// Runs the body of an exported function, which may use `?`.
macro_rules! guard {
    ($body:expr) => {
        $crate::guard::run(|| -> coop_core::Result<()> { $body })
    };
}
pub(crate) use guard;

/// The body of a function that waits for what others do.
macro_rules! guard_wait {
    ($body:expr) => {{
        let status = $crate::guard::guard!($body);
        $crate::tsan::waited();
        status
    }};
}
pub(crate) use guard_wait;

/// The body of a function that makes others return from their waits.
macro_rules! guard_tell {
    ($body:expr) => {{
        $crate::tsan::tell();
        $crate::guard::guard!($body)
    }};
}
pub(crate) use guard_tell;

/// The body of a function that does both: it stops something, and waits for that.
macro_rules! guard_stop {
    ($body:expr) => {{
        $crate::tsan::tell();
        $crate::guard::guard_wait!($body)
    }};
}
pub(crate) use guard_stop;

/// What `guard!` is.
pub(crate) fn run(f: impl FnOnce() -> Result<()>) -> coop_status {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => COOP_OK,
        Ok(Err(error)) => fail(&error),
        Err(payload) => {
            let error = Error::Panic(panic_text(&*payload).to_owned());
            // Ours, and still: what a payload does when it is dropped is not known.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            fail(&error)
        }
    }
}

/// For functions that answer something else than a status: `otherwise` stands for an error.
pub(crate) fn answer<T>(otherwise: T, f: impl FnOnce() -> Result<T>) -> T {
    let mut place = None;
    run(|| {
        place = Some(f()?);
        Ok(())
    });
    place.unwrap_or(otherwise)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::status::{COOP_E_PANIC, COOP_E_STALE};

    #[test]
    fn panics_and_errors_become_numbers() {
        assert_eq!(guard!(Ok(())), COOP_OK);
        assert_eq!(guard!(Err(Error::Stale("timer"))), COOP_E_STALE);
        assert_eq!(guard!(panic!("on purpose")), COOP_E_PANIC);
        assert_eq!(answer(-1, || Ok(7)), 7);
        assert_eq!(answer(-1, || Err(Error::Stale("timer"))), -1);
    }
}
