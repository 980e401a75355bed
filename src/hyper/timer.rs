//! [`Timer`]: hyper's timeouts on the timers of the runtime.

use crate::time;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// hyper's timer on the clock of the runtime that the calling code is in. In a simulation its time is
/// virtual.
///
/// # Panics
///
/// Outside a runtime, the methods that make a sleep panic.
///
/// # Examples
///
/// ```
/// use hyper::rt::Timer as _;
/// use std::time::Duration;
/// use taskgrove::hyper::Timer;
/// taskgrove::sim::Sim::new(1).block_on(async {
///     let began = Timer.now();
///     let mut sleep = Timer.sleep(Duration::from_secs(3_600));
///     Timer.reset(&mut sleep, began + Duration::from_secs(60));
///     sleep.await;
///     assert_eq!(Timer.now() - began, Duration::from_secs(60));
/// });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Timer;

/// A sleep as hyper wants it, in a box. A reset keeps the box and, if the deadline is put off, its timer.
struct Sleep(time::Sleep);

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl hyper::rt::Sleep for Sleep {}

impl hyper::rt::Timer for Timer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(time::sleep(duration)))
    }

    #[track_caller]
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(time::sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    #[track_caller]
    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(ours) => Pin::new(&mut ours.get_mut().0).reset(new_deadline),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}
