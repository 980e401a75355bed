//! Time: the runtime's own timer and clock.
//!
//! A sleep never ends early, and is on time while one worker, or one thread in
//! [`Runtime::block_on`](crate::Runtime::block_on), is free: as exactly as the system wakes a thread;
//! up to 100 us later while many are due one after another, which then come together. Inside a task whose turn to be
//! cancelled has come, and outside protection, every wait in here suspends for good.

pub use crate::error::Elapsed;

use crate::handle::{current_shared, current_shared_for};
use crate::protect::checkpoint;
use crate::protect::last_poll::poll_to_its_end;
use crate::sync::Arc;
use crate::task::awaited::Awaited;
use crate::task::{Shared, current};
use crate::timer::{Fire, TimerKey};
use std::future::poll_fn;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Now, on the clock of the runtime the calling code is in; outside of any, the system's.
pub fn now() -> Instant {
    match current::shared() {
        Some(shared) => shared.clock.instant(shared.clock.now_ns()),
        None => Instant::now(),
    }
}

/// Waits until `duration` has passed since this call. `Duration::MAX` is fine: it never resolves.
/// When the runtime has ended, it resolves at once.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::time;
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let began = time::now();
///     time::sleep(Duration::from_millis(2)).await;
///     assert!(time::now() - began >= Duration::from_millis(2));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let shared = current_shared();
    let deadline = shared.clock.deadline(duration);
    Sleep::new(shared, deadline)
}

/// Waits until `deadline`; at once if that is over.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    let shared = current_shared();
    let deadline = shared.clock.ns_of(deadline);
    Sleep::until(shared, deadline)
}

/// The future of [`sleep`] and [`sleep_until`]. Dropping it takes its timer out.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    shared: Arc<Shared>,
    /// On the runtime's clock.
    deadline: u64,
    /// Entered at the first poll that suspends.
    timer: Timer,
}

enum Timer {
    /// `near`: its deadline was reckoned from the time at which it was made.
    None {
        near: bool,
    },
    Entered(TimerKey),
}

impl Timer {
    fn key(&self) -> Option<TimerKey> {
        match self {
            Timer::None { .. } => None,
            Timer::Entered(key) => Some(*key),
        }
    }

    fn take(&mut self) -> Option<TimerKey> {
        let key = self.key();
        *self = Timer::None { near: false };
        key
    }
}

impl Sleep {
    /// Of a deadline that was reckoned from now: one far ahead need not be compared with the clock.
    pub(crate) fn new(shared: Arc<Shared>, deadline: u64) -> Self {
        let timer = Timer::None { near: true };
        Sleep {
            shared,
            deadline,
            timer,
        }
    }

    /// Of any deadline.
    fn until(shared: Arc<Shared>, deadline: u64) -> Self {
        let timer = Timer::None { near: false };
        Sleep {
            shared,
            deadline,
            timer,
        }
    }

    /// When it resolves; far in the future for never.
    pub fn deadline(&self) -> Instant {
        self.shared.clock.instant(self.deadline)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let at = this.deadline;
        checkpoint::poll(cx, || Some(Awaited::Time(at)), |cx| this.poll_timer(cx))
    }
}

impl Sleep {
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let this = self;
        let clock = &this.shared.clock;
        let is_new = matches!(this.timer, Timer::None { near: true });
        if !(is_new && clock.seems_ahead(this.deadline)) && this.deadline <= clock.now_ns() {
            if let Some(key) = this.timer.take() {
                this.shared.timers.remove(key);
            }
            return Poll::Ready(());
        }
        if let Some(key) = this.timer.key() {
            if this.shared.timers.set_waker(key, cx.waker()) {
                return Poll::Pending;
            }
            // It has fired, or there are no timers any more.
            return Poll::Ready(());
        }
        let fire = Fire::Waker(cx.waker().clone());
        match this.shared.timers.insert(this.deadline, fire) {
            None => Poll::Ready(()),
            Some((key, earliest)) => {
                this.timer = Timer::Entered(key);
                if earliest {
                    this.shared.schedule().timer_changed(this.deadline);
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer.take() {
            self.shared.timers.remove(key);
        }
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .finish()
    }
}

/// Runs a future for at most `duration`, counted from the first poll. The future is polled first: one that is ready
/// wins, also with a duration of zero. On timeout it is dropped; its protection and cleanups are
/// gone with it (use [`defer`](crate::defer) for cleanups that have to survive that).
///
/// # Errors
///
/// [`Elapsed`] when the time is over.
///
/// # Panics
///
/// When it is first polled outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::time;
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let ready = time::timeout(Duration::ZERO, async { 1 }).await;
///     assert_eq!(ready, Ok(1));
///     let late = time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
///     assert!(late.is_err());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn timeout<F: Future>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    timeout_from(duration, future, Location::caller())
}

async fn timeout_from<F: Future>(
    duration: Duration,
    future: F,
    location: &'static Location<'static>,
) -> Result<F::Output, Elapsed> {
    let shared = current_shared_for(location);
    let deadline = shared.clock.deadline(duration);
    let mut sleep = Sleep::new(shared, deadline);
    let mut future = pin!(Some(future));
    let at = sleep.deadline;
    let mut poll = |cx: &mut Context<'_>| {
        if let Poll::Ready(output) = poll_to_its_end(future.as_mut(), cx) {
            return Poll::Ready(Ok(output));
        }
        sleep.poll_timer(cx).map(|()| Err(Elapsed))
    };
    poll_fn(|cx| checkpoint::poll(cx, || Some(Awaited::Time(at)), &mut poll)).await
}

/// Ticks at multiples of `period` from now; the first tick is at once. Ticks that were missed are
/// skipped.
///
/// # Panics
///
/// If the period is zero; outside a runtime.
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

/// Made by [`interval`].
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    /// In nanoseconds.
    period: u64,
    /// Until the next tick.
    sleep: Sleep,
}

impl Interval {
    /// Waits for the next tick, and says when it was due.
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

    /// The time between two ticks.
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

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::timer::Clock;
    use std::task::Waker;

    #[test]
    fn what_is_past_is_ready_at_once_also_if_nobody_has_looked_for_long() {
        let shared = Arc::new(Shared::new(Clock::begun(Duration::from_secs(10)), false));
        let mut sleep = Sleep::until(shared.clone(), 5_000_000_000);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(shared.clock.seems_ahead(sleep.deadline), "by the last look");
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_ready());
    }
}
