//! Time: sleeps, timeouts and intervals on the runtime's own timers and clock.
//!
//! A sleep never ends early. It ends on time as long as one worker, or one thread in
//! [`Runtime::block_on`](crate::Runtime::block_on), is free, as exactly as the system wakes a thread.
//! When many timers are due in short succession, the runtime fires them together, up to 100 us late.
//!
//! Once cancellation has reached a task, and outside protection, every wait of this module suspends
//! for good, like each await of this crate. Dropping a wait removes its timer.

// For maintainers: the room has the futures, `timer_queue` below it has the data structure and the clock.
// A future may touch nothing of a runtime but those two, and the notice of a new earliest deadline.

mod interval;
mod sleep;
mod timeout;

pub use crate::error::Elapsed;
pub use interval::{Interval, MissedTicks, interval};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::timeout;

use crate::task::current;
use std::time::Instant;

/// Returns the current time on the clock of the runtime that the calling code is in. Outside a
/// runtime this is the system's time.
///
/// In a simulation the clock is virtual, and advances only when nothing is ready to run; see
/// [`sim`](crate::sim).
///
/// # Examples
///
/// ```
/// use taskgrove::time;
/// let runtime = taskgrove::Runtime::new()?;
/// runtime.block_on(async {
///     let began = time::now();
///     taskgrove::yield_now().await;
///     assert!(time::now() >= began);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn now() -> Instant {
    current::with_shared(|shared| match shared {
        Some(shared) => shared.clock.now(),
        None => Instant::now(),
    })
}
