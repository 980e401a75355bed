//! [`background_service`].

use super::interface::Service;
use super::manager::Manager;
use super::waits::RecordWait;
use crate::error::ServiceError;
use crate::handle::settings::Settings;
use crate::panics::discard;
use crate::protect::scope::{Body, Entered};
use crate::protect::{own, place};
use crate::sync::atomic::Ordering;
use crate::task::{arced, current};
use crate::tree::cancel_guard::CancelGuard;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Runs `body` in the calling task while the service runs in the background; stops the service
/// when the body ends, and ends the body, as a cancellation would, when the service fails. The
/// service is a child of the calling task, as with [`Manager::run`].
///
/// # Errors
///
/// The service's failures; [`NotRunning`](crate::LifecycleError::NotRunning) if it cannot be started
/// any more, because the calling task is being cancelled, and other reasons why it could not be
/// started. In all those cases the body does not run.
///
/// # Panics
///
/// When it is first polled outside a runtime; with what `body` panics (the service is cancelled then).
///
/// # Examples
///
/// ```
/// use taskgrove::{Context, Runtime, background_service, service_fn};
/// let runtime = Runtime::new()?;
/// let clock = service_fn("clock", async |ctx: Context| {
///     ctx.set_ready();
///     std::future::pending().await
/// });
/// let n = runtime.block_on(background_service(clock, async |manager| {
///     manager.wait_ready().await.map(|()| 5)
/// }))??;
/// assert_eq!(n, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn background_service<S, F, T>(
    service: S,
    body: F,
) -> impl Future<Output = Result<T, ServiceError>>
where
    S: Service,
    F: AsyncFnOnce(Manager) -> T,
{
    run_beside(arced!(service, S), body, Location::caller())
}

async fn run_beside<S, F, T>(
    service: Arc<S>,
    body: F,
    location: &'static Location<'static>,
) -> Result<T, ServiceError>
where
    S: Service,
    F: AsyncFnOnce(Manager) -> T,
{
    let manager = match Manager::with(service, Settings::default()) {
        Ok(manager) => manager,
        Err(error) => return own::refused(error.into()).await,
    };
    if let Err(error) = manager.start_here(location) {
        return own::refused(error.into()).await;
    }
    let cancel = CancelGuard(&manager);
    let mut output = None;
    {
        let mut body = pin!(Some(body(manager.clone())));
        let mut waiting = RecordWait::new(&manager.record);
        let mut scope = None;
        let mut around: Option<Entered> = None;
        poll_fn(|cx| {
            let scope = scope.get_or_insert_with(|| Body::new(true, cx));
            scope.follow(cx);
            if around.as_ref().is_none_or(|around| !around.is_here(cx)) {
                around = Some(Entered::new(place::scope(cx), false));
            }
            if let Some(around) = &mut around {
                around.hear(cx);
            }
            // Its end is the last that is to be heard of it: who waits after that is not forgotten.
            let failed = waiting.poll(cx, |record| {
                (record.has_errored() || record.is_finished()).then(|| record.has_errored())
            });
            if failed == Poll::Ready(true) {
                scope.ended.store(true, Ordering::Release);
            }
            scope.announce();
            let mut panicked = None;
            if !scope.is_due()
                && let Some(future) = body.as_mut().as_pin_mut()
            {
                let poll = || place::in_body(scope, || future.poll(cx));
                match catch_unwind(AssertUnwindSafe(poll)) {
                    Ok(Poll::Ready(value)) => output = Some(value),
                    Ok(Poll::Pending) if !scope.is_due() => return Poll::Pending,
                    Ok(Poll::Pending) => {}
                    Err(panic) => panicked = Some(panic),
                }
            }
            let end = || place::in_body_drop(scope, || body.set(None));
            let ended = catch_unwind(AssertUnwindSafe(end));
            // A panic in the drop of a body does not hide what the body has returned, nor its panic.
            let ended = match (&output, &panicked) {
                (None, None) => ended,
                _ => ended.or_else(current::note_panic),
            };
            if let Some(first) = panicked {
                if let Err(second) = ended {
                    discard(second);
                }
                resume_unwind(first);
            }
            if let Err(panic) = ended {
                resume_unwind(panic);
            }
            Poll::Ready(())
        })
        .await;
    }
    drop(cancel);
    manager.wait_finished().await;
    manager.record.result()?;
    match output {
        Some(output) => Ok(output),
        // Ended by the turn of the calling task.
        None => pending().await,
    }
}
