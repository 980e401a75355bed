//! [`interval`]: ticks in a fixed period.

use super::sleep::Sleep;
use crate::handle::current_shared;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Returns an [`Interval`] that ticks now and at each multiple of `period` from now.
///
/// Ticks that were missed, because the previous one was handled for longer than a period, are
/// skipped. The next tick is at the next multiple, so that ticks do not drift.
///
/// # Panics
///
/// Panics if the period is zero, and outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::time;
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let mut interval = time::interval(Duration::from_millis(1));
///     let first = interval.tick().await;
///     assert!(interval.tick().await >= first + Duration::from_millis(1));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "the period of an interval must not be zero: it would never suspend"
    );
    let shared = current_shared();
    let now = shared.clock.now_ns();
    Interval {
        period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
        sleep: Sleep::new(shared, now),
    }
}

/// Ticks in a fixed period. [`interval`] makes one.
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    /// In nanoseconds.
    period: u64,
    /// Resolves at the next tick.
    sleep: Sleep,
}

impl Interval {
    /// Waits for the next tick and returns the instant at which it was due. The first call resolves
    /// at once.
    ///
    /// Dropping the future loses no tick: the next call waits for the same one.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| Pin::new(&mut self.sleep).poll(cx)).await;
        let due = self.sleep.deadline;
        let shared = self.sleep.shared.clone();
        let now = shared.clock.now_ns().max(due);
        let missed = (now - due) / self.period;
        let next = due.saturating_add(self.period.saturating_mul(missed.saturating_add(1)));
        self.sleep = Sleep::until(shared, next);
        self.sleep.shared.clock.instant(due)
    }

    /// Returns the time between two ticks.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }
}

impl std::fmt::Debug for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interval")
            .field("period", &self.period())
            .field("next", &self.sleep.deadline())
            .finish()
    }
}
