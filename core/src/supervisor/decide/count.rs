//! Restarts counted against the intensity, as OTP's `add_restart` does.

#![forbid(unsafe_code)]

use std::{collections::VecDeque, time::Duration};

/// The restarts that still count, oldest first.
#[derive(Debug, Default)]
pub(super) struct Counted {
    times: VecDeque<Duration>,
}

impl Counted {
    /// Counts a restart, unless it is one too many: then false, and it is not counted. One that lies exactly `period` back still counts.
    ///
    /// OTP compares whole seconds; here times are exact.
    pub(super) fn count(&mut self, now: Duration, intensity: Option<u32>, period: Duration) -> bool {
        let Some(intensity) = intensity else { return true };
        while self.times.front().is_some_and(|time| now.saturating_sub(*time) > period) {
            self.times.pop_front();
        }
        if self.times.len() >= intensity as usize {
            return false;
        }
        self.times.push_back(now);
        true
    }

    pub(super) fn clear(&mut self) {
        self.times.clear();
    }
}
