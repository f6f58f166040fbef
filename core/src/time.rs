//! Deadlines on the monotonic clock.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// A moment to wait until, or none: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Never.
    pub const NEVER: Self = Self(None);

    /// `timeout` from now; `None`, or a moment past what the clock can hold, is never.
    pub fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// What is left: `None` is for ever, zero is over.
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn zero_is_over_and_none_never_is() {
        assert!(Deadline::after(Some(Duration::ZERO)).is_over());
        assert!(!Deadline::after(None).is_over());
        assert_eq!(Deadline::after(Some(Duration::MAX)), Deadline::NEVER);
        assert!(Deadline::after(Some(Duration::from_secs(60))).remaining() > Some(Duration::from_secs(59)));
    }
}
