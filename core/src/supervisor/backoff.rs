//! How long a restart is delayed, and how long a parked service rests.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::service::{Backoff, Growth};

impl Backoff {
    /// How long a parked service without a backoff rests.
    pub const REST: Duration = Duration::from_secs(60);

    /// The delay before the restart that follows `attempts` others, shortened by `random` (0.0 to 1.0) of its jitter.
    pub(crate) fn before(&self, attempts: u32, random: f64) -> Duration {
        let grown = match self.growth {
            Growth::Fixed => self.delay,
            Growth::Linear => self.delay.saturating_mul(attempts.saturating_add(1)),
            Growth::Exponential => {
                // By doubling, at most some ninety times: a factor of 2^attempts would overflow long before the delay does.
                let mut grown = self.delay;
                for _ in 0..attempts {
                    if grown.is_zero() || grown >= self.cap {
                        break;
                    }
                    grown = grown.saturating_mul(2);
                }
                grown
            }
        };
        let share = (self.jitter * random).clamp(0.0, 1.0);
        // A NaN share is refused where the service is checked; here it shortens nothing.
        let kept = if share.is_nan() { 1.0 } else { 1.0 - share };
        let delay = grown.min(self.cap);
        if kept >= 1.0 {
            delay
        } else {
            Duration::try_from_secs_f64(delay.as_secs_f64() * kept).unwrap_or(delay).min(delay)
        }
    }

    /// The longest delay there is: a parked service rests so long.
    pub(crate) fn longest(backoff: Option<&Self>) -> Duration {
        backoff.map_or(Self::REST, |backoff| backoff.cap)
    }
}
