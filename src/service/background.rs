//! [`background_service`]: a service that runs beside a body in the calling task.

use super::interface::Service;
use super::manager::Manager;
use super::waits::RecordWait;
use crate::error::{How, Origin, ServiceError};
use crate::handle::cancel_guard::CancelGuard;
use crate::handle::settings::Settings;
use crate::protect::body::BodyEnd;
use crate::protect::entered::Entered;
use crate::protect::last_poll::resume_first;
use crate::protect::scope::Body;
use crate::protect::{checkpoint, place};
use crate::task::arced;
use crate::task::current::view::note_panic;
use crate::task::state::Level;
use std::future::{pending, poll_fn};
use std::panic::{Location, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

/// Runs `body` in the calling task while the service runs in the background.
///
/// The first poll starts the service as a child of the calling task, as [`Manager::run`] does. When
/// the body has ended, the service is cancelled, and the future resolves when it is finished. When the
/// service fails, the body is ended as a cancellation would end it: it is dropped as soon as it is
/// suspended and no protection inside it is active. When the service finishes without a failure, the
/// body goes on.
///
/// If cancellation reaches the calling task, or this future is dropped, the body is dropped and the
/// service is cancelled. This is `background_trio_service` of py-libp2p's `async_service`.
///
/// # Errors
///
/// Returns the service's failures. The body does not run if the service cannot be started: then the
/// error is [`AlreadyManaged`](crate::LifecycleError::AlreadyManaged), or
/// [`NotRunning`](crate::LifecycleError::NotRunning) if the calling task is being cancelled.
///
/// # Panics
///
/// Panics if it is first polled outside a runtime, and with a panic of the body, which cancels the
/// service.
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
    let manager = match Manager::manage(service, Settings::default()) {
        Ok(manager) => manager,
        Err(error) => return checkpoint::refused(error.into()).await,
    };
    if let Err(error) = manager.start_here(location) {
        return checkpoint::refused(error.into()).await;
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
            // Ready for good once the service has failed or finished. Nothing more is to be heard of it
            // then, and no waker stays in its list.
            let failed = waiting.poll(cx, |record| {
                (record.has_errored() || record.is_finished()).then(|| record.has_errored())
            });
            if failed == Poll::Ready(true) {
                scope.cut_short();
            }
            let ended = ready!(Body::poll(scope, body.as_mut(), cx));
            let dropped = Body::drop_future(scope, body.as_mut());
            let dropped = match ended {
                BodyEnd::Due => dropped,
                // A panic in the drop of the body hides neither what the body returned nor its panic.
                BodyEnd::Returned(value) => {
                    output = Some(value);
                    dropped.or_else(note_panic)
                }
                BodyEnd::Panicked(first) => resume_first(first, dropped.or_else(note_panic)),
            };
            if let Err(panic) = dropped {
                resume_unwind(panic);
            }
            Poll::Ready(())
        })
        .await;
    }
    manager.end(Level::Cancel, Origin::at(How::BodyEnd, location));
    drop(cancel);
    manager.wait_finished().await;
    manager.record.result()?;
    match output {
        Some(output) => Ok(output),
        // The body was dropped by the cancellation of the calling task, which suspends for good.
        None => pending().await,
    }
}
