//! [`interval`]: ticks in a fixed period.

use super::sleep::Sleep;
use crate::handle::current_shared;
use crate::timer_queue::nanos;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Returns an [`Interval`] that ticks now and at each multiple of `period` from now.
///
/// Ticks that were missed, because the previous one was handled for longer than a period, are
/// skipped, unless [`missed_ticks`](Interval::missed_ticks) says otherwise. The next tick is at the next multiple,
/// so that ticks do not drift.
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
        period: nanos(period),
        sleep: Sleep::new(shared, now),
        missed: MissedTicks::default(),
    }
}

/// What an [`Interval`] does about ticks whose time has passed before they were waited for. The names are tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MissedTicks {
    /// Leaves them out: the next tick is at the next multiple of the period. This is the default.
    #[default]
    Skip,
    /// Catches up: each is due at its own multiple of the period, so that those that were missed come one right
    /// after another, and none is left out.
    Burst,
    /// Puts the following ones off: the next tick is one period after this one was returned. So two ticks are
    /// never less than a period apart, and the ticks drift by what each is late.
    Delay,
}

/// Ticks in a fixed period. [`interval`] makes one.
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    /// In nanoseconds.
    period: u64,
    /// Resolves at the next tick.
    sleep: Sleep,
    missed: MissedTicks,
}

impl Interval {
    /// Sets what happens to ticks whose time has passed before they were waited for. By default they are skipped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskgrove::{sim::Sim, time};
    /// let sim = Sim::new(1);
    /// sim.block_on(async {
    ///     let began = time::now();
    ///     let mut ticks = time::interval(Duration::from_secs(2)).missed_ticks(time::MissedTicks::Burst);
    ///     ticks.tick().await;
    ///     time::sleep(Duration::from_secs(5)).await;
    ///     for due in [2, 4, 6] {
    ///         assert_eq!(ticks.tick().await, began + Duration::from_secs(due));
    ///     }
    /// });
    /// assert_eq!(sim.elapsed(), Duration::from_secs(6));
    /// ```
    pub fn missed_ticks(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// Waits for the next tick and returns the instant at which it was due. The first call resolves
    /// at once.
    ///
    /// Dropping the future loses no tick: the next call waits for the same one.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick, as [`tick`](Interval::tick) does, for futures and streams that are written by hand.
    ///
    /// If it is not due, the task of the latest call is woken when it is. This is one of the crate's own awaits, so
    /// it stays pending once cancellation has reached the calling task, outside of protection.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let clock = &self.sleep.shared.clock;
        let (due, tick) = (self.sleep.deadline, clock.instant(self.sleep.deadline));
        let now = clock.now_ns().max(due);
        let periods = match self.missed {
            MissedTicks::Skip => ((now - due) / self.period).saturating_add(1),
            MissedTicks::Burst | MissedTicks::Delay => 1,
        };
        let from = match self.missed {
            MissedTicks::Skip | MissedTicks::Burst => due,
            MissedTicks::Delay => now,
        };
        let next = from.saturating_add(self.period.saturating_mul(periods));
        self.sleep.reset_to(next);
        Poll::Ready(tick)
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
            .field("missed_ticks", &self.missed)
            .finish()
    }
}
