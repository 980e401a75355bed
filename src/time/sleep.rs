//! [`sleep`] and [`sleep_until`], and the future of both.

use crate::handle::current_shared;
use crate::protect::checkpoint;
use crate::sync::Arc;
use crate::task::Shared;
use crate::task::awaited::Awaited;
use crate::task::current;
use crate::timer_queue::{Fire, TimerKey};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Waits until `duration` has passed since this call.
///
/// The deadline is fixed by the call, not by the first poll. With `Duration::MAX` the future never
/// resolves. Once the runtime has shut down, the future resolves at once.
///
/// # Panics
///
/// Panics outside a runtime.
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

/// Waits until `deadline`, an instant on the runtime's clock. The future resolves at once if the
/// deadline has passed, or if the runtime has shut down.
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use taskgrove::time;
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let deadline = time::now() + Duration::from_millis(2);
///     time::sleep_until(deadline).await;
///     assert!(time::now() >= deadline);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    let shared = current_shared();
    let deadline = shared.clock.ns_of(deadline);
    Sleep::until(shared, deadline)
}

/// The future that [`sleep`] and [`sleep_until`] return. Dropping it removes its timer.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    pub(super) shared: Arc<Shared>,
    /// In nanoseconds on the runtime's clock.
    pub(super) deadline: u64,
    timer: Timer,
}

/// The timer of a [`Sleep`]. The first poll that suspends inserts it.
enum Timer {
    /// There is no timer. `is_new`: the deadline was computed from the current time and has not been
    /// compared with the clock since.
    None { is_new: bool },
    /// The queue has, or had, an entry that fires at the deadline, or before it if the deadline was put off.
    Inserted(TimerKey),
}

impl Timer {
    fn take(&mut self) -> Option<TimerKey> {
        match std::mem::replace(self, Timer::None { is_new: false }) {
            Timer::None { .. } => None,
            Timer::Inserted(key) => Some(key),
        }
    }
}

impl Sleep {
    /// Makes a sleep whose deadline was computed from the current time. If the deadline is well
    /// ahead, the first poll need not read the clock.
    pub(crate) fn new(shared: Arc<Shared>, deadline: u64) -> Self {
        Sleep::with(shared, deadline, true)
    }

    /// Makes a sleep with any deadline.
    pub(super) fn until(shared: Arc<Shared>, deadline: u64) -> Self {
        Sleep::with(shared, deadline, false)
    }

    fn with(shared: Arc<Shared>, deadline: u64, is_new: bool) -> Self {
        Sleep {
            shared,
            deadline,
            timer: Timer::None { is_new },
        }
    }

    /// Returns the instant at which the sleep resolves. For one that never does, this is an instant
    /// far in the future.
    pub fn deadline(&self) -> Instant {
        self.shared.clock.instant(self.deadline)
    }

    /// Sets another deadline, before or after the sleep has resolved, and whether it is earlier or later.
    ///
    /// A task that waits for the sleep is woken at the new deadline; it need not poll the sleep again for that. A
    /// sleep that has resolved has to be polled before it wakes a task again. To put a deadline off costs next to
    /// nothing: the timer stays as it is, and the poll that follows when it fires sets it again. So a timeout
    /// that is put off with each request, as that of an idle connection, costs one such poll for each of its
    /// periods.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::time::Duration;
    /// use taskgrove::{sim::Sim, time};
    /// let sim = Sim::new(1);
    /// sim.block_on(async {
    ///     let mut idle = pin!(time::sleep(Duration::from_secs(60)));
    ///     idle.as_mut().reset(time::now() + Duration::from_secs(90));
    ///     idle.await;
    /// });
    /// assert_eq!(sim.elapsed(), Duration::from_secs(90));
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.get_mut();
        let deadline = this.shared.clock.ns_of(deadline);
        this.reset_to(deadline);
    }

    /// As [`reset`](Sleep::reset), to a time in nanoseconds on the runtime's clock.
    pub(super) fn reset_to(&mut self, deadline: u64) {
        let before = std::mem::replace(&mut self.deadline, deadline);
        match &mut self.timer {
            Timer::None { is_new } => *is_new = false,
            // Put off: the entry fires before the deadline, and the poll that follows inserts another.
            Timer::Inserted(_) if deadline >= before => {}
            Timer::Inserted(key) => {
                // If the entry has fired, the task was woken and polls this again.
                if let Some(moved) = self.shared.move_timer(*key, deadline) {
                    *key = moved;
                }
            }
        }
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
    /// Polls without asking whether the calling code has to suspend.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let this = self;
        let clock = &this.shared.clock;
        let is_new = matches!(this.timer, Timer::None { is_new: true });
        if !(is_new && clock.seems_ahead(this.deadline)) && this.deadline <= clock.now_ns() {
            if let Some(key) = this.timer.take() {
                this.shared.timers.remove(key);
            }
            return Poll::Ready(());
        }
        if let Timer::Inserted(key) = this.timer {
            if this.shared.timers.set_waker(key, cx.waker()) {
                return Poll::Pending;
            }
            // It has fired, since the look at the clock or before it: the deadline has passed, unless it was put
            // off. Or the runtime has shut down, and no timer can be inserted any more.
            this.timer = Timer::None { is_new: false };
            if this.deadline <= clock.now_ns() {
                return Poll::Ready(());
            }
        }
        let fire = Fire::Waker(cx.waker().clone());
        let queue = timer_queue_of_this_thread(&this.shared);
        match this.shared.insert_timer(queue, this.deadline, fire) {
            None => Poll::Ready(()),
            Some(key) => {
                this.timer = Timer::Inserted(key);
                Poll::Pending
            }
        }
    }
}

/// The number of the queue of timers for what this thread inserts: a worker has its own.
fn timer_queue_of_this_thread(shared: &Shared) -> usize {
    current::worker(shared.serial).map_or(0, |worker| worker + 1)
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

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::task::watch::Watch;
    use crate::timer_queue::Clock;
    use std::task::Waker;

    #[test]
    fn what_is_past_is_ready_at_once_also_if_nobody_has_looked_for_long() {
        let shared = Arc::new(Shared::new(
            Clock::begun(Duration::from_secs(10)),
            Watch::default(),
        ));
        let mut sleep = Sleep::until(shared.clone(), 5_000_000_000);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(shared.clock.seems_ahead(sleep.deadline), "by the last look");
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_ready());
    }
}
