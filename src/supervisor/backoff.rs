//! [`Backoff`]: how long a supervisor waits before it restarts a child.

use std::time::Duration;

/// The delay between the end of a child and its restart.
///
/// The delay of [`exponential`](Backoff::exponential) doubles with each restart of the child that follows
/// another one. It begins again from the first delay once the child has been up for as long as the period
/// of the supervisor's [intensity](super::Supervisor::intensity).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::supervisor::Backoff;
/// let backoff = Backoff::exponential(Duration::from_millis(10), Duration::from_secs(5));
/// println!("{:?}", backoff.jitter(0.2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a backoff has an effect when it is given to `ChildSpec::backoff`"]
pub struct Backoff {
    first: Duration,
    max: Duration,
    jitter: f64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::none()
    }
}

impl Backoff {
    /// Restarts without delay. This is the default.
    pub const fn none() -> Backoff {
        Backoff::constant(Duration::ZERO)
    }

    /// Waits for `delay` before each restart.
    pub const fn constant(delay: Duration) -> Backoff {
        Backoff {
            first: delay,
            max: delay,
            jitter: 0.0,
        }
    }

    /// Waits for `first` before the first restart, and twice as long before each that follows, up to `max`.
    pub const fn exponential(first: Duration, max: Duration) -> Backoff {
        Backoff {
            first,
            max,
            jitter: 0.0,
        }
    }

    /// Makes each delay longer or shorter by up to this fraction of it, at random, so that children that ended
    /// together are not restarted together. No delay becomes longer than the largest one.
    ///
    /// The fraction is taken as 0 if it is negative or not a number, and as 1 if it is larger than 1. In a
    /// [simulation](crate::sim) the delays follow from the seed.
    pub const fn jitter(mut self, fraction: f64) -> Backoff {
        // Written so that a NaN gives 0.
        self.jitter = if fraction >= 1.0 {
            1.0
        } else if fraction > 0.0 {
            fraction
        } else {
            0.0
        };
        self
    }

    /// Returns the delay before a restart that follows `streak` others. `random` is uniform over all `u64`s.
    pub(super) fn delay(&self, streak: u32, random: impl FnOnce() -> u64) -> Duration {
        let factor = 2_u32.checked_pow(streak).unwrap_or(u32::MAX);
        let delay = self.first.saturating_mul(factor).min(self.max);
        if self.jitter == 0.0 || delay.is_zero() {
            return delay;
        }
        // From -1 to 1.
        let at = (random() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        let seconds = delay.as_secs_f64() * (1.0 + self.jitter * at);
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(self.max)
            .min(self.max)
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn delays(backoff: Backoff, random: u64) -> Vec<Duration> {
        (0..5).map(|n| backoff.delay(n, || random)).collect()
    }

    #[test]
    fn delays_double_up_to_the_largest() {
        let never = || -> u64 { panic!("no jitter was asked for") };
        let backoff = Backoff::exponential(MS, MS * 6);
        let delays: Vec<_> = (0..5).map(|n| backoff.delay(n, never)).collect();
        assert_eq!(delays, [MS, MS * 2, MS * 4, MS * 6, MS * 6]);
        assert_eq!(Backoff::constant(MS).delay(9, never), MS);
        assert_eq!(Backoff::none().delay(9, never), Duration::ZERO);
        assert_eq!(backoff.delay(u32::MAX, never), MS * 6);
        let absurd = Backoff::exponential(Duration::MAX, Duration::MAX);
        assert_eq!(absurd.delay(u32::MAX, never), Duration::MAX);
        assert_eq!(Backoff::exponential(MS * 9, MS).delay(0, never), MS);
    }

    #[test]
    fn jitter_moves_a_delay_by_up_to_its_fraction_and_not_over_the_largest() {
        let backoff = Backoff::exponential(MS * 10, MS * 40).jitter(0.5);
        assert_eq!(delays(backoff, 0), [5, 10, 20, 20, 20].map(|ms| MS * ms));
        let middle = delays(backoff, 1 << 63);
        assert_eq!(middle, [10, 20, 40, 40, 40].map(|ms| MS * ms));
        let top = delays(backoff, u64::MAX);
        assert!(MS * 14 < top[0] && top[0] <= MS * 15, "{top:?}");
        assert_eq!(top[2..], [MS * 40; 3]);
    }

    #[test]
    fn a_fraction_that_is_none_is_mended() {
        for (given, taken) in [
            (-1.0, 0.0),
            (f64::NAN, 0.0),
            (7.0, 1.0),
            (f64::INFINITY, 1.0),
        ] {
            assert_eq!(
                Backoff::constant(MS).jitter(given),
                Backoff::constant(MS).jitter(taken)
            );
        }
        let longest = Backoff::constant(Duration::MAX).jitter(1.0);
        assert_eq!(longest.delay(0, || u64::MAX), Duration::MAX);
        assert_eq!(longest.delay(0, || 0), Duration::ZERO);
    }
}
