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

#[cfg(test)]
mod test {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn backoff(growth: Growth) -> Backoff {
        Backoff { delay: 50 * MS, growth, cap: 1000 * MS, jitter: 0.0, calm: 2000 * MS, burst: 0 }
    }

    #[test]
    fn how_delays_grow() {
        let delays =
            |growth| (0..7).map(|attempt| backoff(growth).before(attempt, 0.0).as_millis()).collect::<Vec<_>>();
        assert_eq!(delays(Growth::Fixed), [50; 7]);
        assert_eq!(delays(Growth::Linear), [50, 100, 150, 200, 250, 300, 350]);
        assert_eq!(delays(Growth::Exponential), [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(Growth::Linear).before(19, 0.0), 1000 * MS);
        assert_eq!(backoff(Growth::Linear).before(20, 0.0), 1000 * MS);
    }

    #[test]
    fn jitter_shortens_what_is_capped() {
        let jitter = Backoff { jitter: 0.5, ..backoff(Growth::Exponential) };
        assert_eq!(jitter.before(0, 1.0), 25 * MS);
        assert_eq!(jitter.before(99, 1.0), 500 * MS);
        assert_eq!(jitter.before(99, 0.0), 1000 * MS);
        let all = Backoff { jitter: 1.0, ..backoff(Growth::Fixed) };
        assert_eq!(all.before(0, 1.0), Duration::ZERO);
    }

    #[test]
    fn extreme_values() {
        let long = Backoff { delay: Duration::MAX, cap: Duration::MAX, ..backoff(Growth::Exponential) };
        for growth in [Growth::Fixed, Growth::Linear, Growth::Exponential] {
            for jitter in [0.0, f64::MIN_POSITIVE] {
                let long = Backoff { growth, jitter, ..long };
                assert_eq!(long.before(u32::MAX, 1.0), Duration::MAX);
            }
            let half = Backoff { growth, jitter: 0.5, ..long };
            assert!(half.before(u32::MAX, 1.0) < Duration::MAX);
            let short = Backoff { growth, delay: Duration::from_nanos(1), ..long };
            assert!(short.before(u32::MAX, 0.0) >= Duration::from_nanos(1));
            let none = Backoff { growth, delay: Duration::ZERO, ..long };
            assert_eq!(none.before(u32::MAX, 0.0), Duration::ZERO);
        }
        assert_eq!(Backoff { jitter: f64::NAN, ..backoff(Growth::Fixed) }.before(0, 1.0), 50 * MS);
    }

    #[test]
    fn the_longest_is_the_cap() {
        assert_eq!(Backoff::longest(Some(&backoff(Growth::Fixed))), 1000 * MS);
        assert_eq!(Backoff::longest(None), 60_000 * MS);
    }

    proptest! {
        #[test]
        fn never_beyond_the_cap_and_never_shorter_than_before(
            delay: Duration,
            cap: Duration,
            growth in prop_oneof![Just(Growth::Fixed), Just(Growth::Linear), Just(Growth::Exponential)],
            jitter in 0.0..=1.0,
            attempts: u32,
            random in 0.0..=1.0,
        ) {
            let backoff = Backoff { delay, growth, cap, jitter, calm: Duration::ZERO, burst: 0 };
            let before = backoff.before(attempts, random);
            prop_assert!(before <= cap);
            prop_assert!(backoff.before(attempts.saturating_add(1), random) >= before);
            prop_assert!(backoff.before(attempts, 0.0) >= before);
        }
    }
}
