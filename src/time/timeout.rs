//! [`timeout`]: a future with a limit of time.

use super::sleep::Sleep;
use crate::error::Elapsed;
use crate::handle::current_shared_for;
use crate::protect::checkpoint;
use crate::protect::last_poll::poll_to_its_end;
use crate::task::awaited::Awaited;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Runs a future for at most `duration`, counted from the first poll.
///
/// Each poll polls the future before it looks at the time, so a future that is ready wins, also with
/// a duration of zero. On timeout the future is dropped. Shields and the cleanups of
/// [`finally`](crate::finally) inside it are dropped with it; use [`defer`](crate::defer) for a cleanup
/// that must run nevertheless. Dropping the returned future drops `future` and removes the timer.
///
/// # Errors
///
/// Returns [`Elapsed`] if the time passes before the future is ready.
///
/// # Panics
///
/// Panics if it is first polled outside a runtime, and with a panic of the future.
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
    poll_fn(|cx| checkpoint::poll(cx, || Some(Awaited::Limit(at)), &mut poll)).await
}
