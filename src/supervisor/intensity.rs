//! The limit of restarts in a sliding window of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts the restarts of the last while.
pub(super) struct Intensity {
    max: usize,
    within: Duration,
    /// When the last restarts were, up to one more than allowed.
    restarts: VecDeque<Instant>,
}

impl Intensity {
    pub(super) fn new(max: usize, within: Duration) -> Self {
        Intensity {
            max,
            within,
            restarts: VecDeque::new(),
        }
    }

    /// Counts a restart at `now`. Returns whether the limit still allows it. A restart that is exactly as old
    /// as the window counts, as in OTP.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if self.max == usize::MAX {
            // There is no limit, and nothing to be kept for it.
            return true;
        }
        let old = |then: &&Instant| now.saturating_duration_since(**then) > self.within;
        let old = self.restarts.iter().take_while(old).count();
        self.restarts.drain(..old);
        // A refused restart ends the supervisor, so it need not be kept.
        let allowed = self.restarts.len() < self.max;
        if allowed {
            self.restarts.push_back(now);
        }
        allowed
    }

    /// Describes the limit, for the report of a supervisor that gives up.
    pub(super) fn limit(&self) -> String {
        let Intensity { max, within, .. } = self;
        let plural = if *max == 1 { "" } else { "s" };
        format!("more than {max} restart{plural} within {within:?}")
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides() {
        let begin = Instant::now();
        let at = |s: u64| begin + Duration::from_secs(s);
        let mut intensity = Intensity::new(2, Duration::from_secs(5));
        let allowed = [0, 1, 6, 7, 11, 12].map(|s| intensity.allows(at(s)));
        // At 6 s the restart at 1 s is exactly as old as the window, so that at 6 s one is free.
        assert_eq!(allowed, [true, true, true, true, false, true]);
        assert!(!Intensity::new(0, Duration::MAX).allows(begin));
        let mut unlimited = Intensity::new(usize::MAX, Duration::MAX);
        assert!((0..100).all(|_| unlimited.allows(begin)) && unlimited.restarts.is_empty());
        assert!(Intensity::new(1, Duration::ZERO).allows(begin));
    }
}
