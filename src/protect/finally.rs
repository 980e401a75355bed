//! [`finally`]: a body, and a cleanup that runs after it.

use super::body::BodyEnd;
use super::last_poll::{discard_second, note_both, poll_and_drop, resume_first};
use super::protection::Protection;
use super::scope::Body;
use super::{checkpoint, place};
use crate::error::Moment;
use crate::panics::quietly;
use crate::sync::Arc;
use crate::task::current::code::Protected;
use crate::task::current::view::{self, Apart, View};
use std::any::Any;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

/// Runs `body`, and then `cleanup` to its end: when the body returns, when it panics, and when a
/// cancellation reaches the task inside the body.
///
/// What the cleanup spawns runs although the task is being cancelled, until the cleanup ends, as what is
/// spawned in a [`shielded`](crate::shielded) future does. So it may use a client that spawns its connection.
///
/// Cleanups that guards of [`defer`](crate::defer) left behind when they were dropped inside the body
/// run before `cleanup`.
///
/// # Cancellation
///
/// When the task is to be dropped while the body runs, the body is dropped (once nothing inside it is
/// protected), the cleanup is awaited, and then the task is dropped. When the task is to be dropped
/// before this future is first polled, neither the body nor the cleanup starts.
///
/// The body is not protection. An error that it returns after cancellation was requested is a
/// consequence of that cancellation. An error that it returned before is a failure, however long the
/// cleanup takes.
///
/// Only three things skip the cleanup: dropping this future, in a select or on a timeout, a kill
/// ([`Task::kill`](crate::Task::kill)), and dropping the runtime. A guard of [`defer`](crate::defer) survives the first.
///
/// # Panics
///
/// With the panic of the body, after the cleanup.
///
/// A panic of the cleanup does not hide what the body has returned: this function returns that, and the
/// task goes on. When the current poll of the task ends, the panic is counted. It fails the task's
/// service, or cancels the task if that belongs to no service, and is the task's outcome when the task
/// is done. Outside of tasks, this function panics with the panic of the cleanup.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, finally, yield_now};
/// let runtime = Runtime::builder().workers(0).build()?;
/// let (tx, rx) = std::sync::mpsc::channel();
/// let task = runtime.spawn(finally(std::future::pending::<()>(), async move {
///     yield_now().await;
///     tx.send("cleaned up").unwrap();
/// }));
/// runtime.block_on(yield_now());
/// task.cancel();
/// assert!(runtime.block_on(task).unwrap_err().is_cancelled());
/// assert_eq!(rx.try_recv(), Ok("cleaned up"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn finally<F: Future, C: Future<Output = ()>>(body: F, cleanup: C) -> F::Output {
    let mut protection = Protection::default();
    let mut body = pin!(Some(body));
    let mut scope = None;
    let ended = poll_fn(|cx| {
        if !protection.enter(cx) {
            return Poll::Pending;
        }
        let scope = scope.get_or_insert_with(|| Body::new(false, cx));
        scope.follow(cx);
        poll_body(body.as_mut(), scope, cx)
    });
    let mut ended = ended.await;
    protection.hard = true;
    let mut cleanup = pin!(Some(cleanup));
    let cleaned = poll_fn(|cx| {
        protection.enter(cx);
        // Before the cleanup begins: code that learns of the cleanup may fail, and does so later.
        ended.happened_now();
        // The guards in the body were dropped before it ended, so their cleanups run first.
        if let Some(body) = &scope {
            body.follow(cx);
            if body.has_left() {
                return Poll::Pending;
            }
        }
        scope = None;
        place::hard(&mut protection.cell, || poll_and_drop(cleanup.as_mut(), cx))
    });
    let (cleaned, dropped) = cleaned.await;
    protection.leave();
    checkpoint::note_ready();
    match ended {
        Ended::Returned(output, view) => {
            view::set_view(view);
            // A panic comes out after what the body has returned.
            if let Err(panic) = note_both(cleaned, dropped) {
                quietly(|| drop(output));
                resume_unwind(panic);
            }
            output
        }
        Ended::Panicked(first, view) => {
            view::set_view(view);
            resume_first(first, note_both(cleaned, dropped))
        }
        // The task is dropped here.
        Ended::Cancelled => {
            if let Err(panic) = note_both(cleaned, dropped) {
                resume_unwind(panic);
            }
            std::future::pending().await
        }
    }
}

/// How a body ended, and what its code knew of cancellations then.
enum Ended<T> {
    Returned(T, View),
    Panicked(Box<dyn Any + Send>, View),
    /// It was dropped at its turn.
    Cancelled,
}

impl<T> Ended<T> {
    /// Notes that the body has ended now, unless that was noted before.
    fn happened_now(&mut self) {
        if let Ended::Returned(_, view) | Ended::Panicked(_, view) = self {
            view.moment.get_or_insert_with(Moment::next);
        }
    }
}

/// Polls the body, and drops its future when it has ended or is due.
fn poll_body<F: Future>(
    mut body: Pin<&mut Option<F>>,
    scope: &Arc<Body>,
    cx: &mut Context<'_>,
) -> Poll<Ended<F::Output>> {
    let apart = Apart::begin();
    let ended = match ready!(Body::poll(scope, body.as_mut(), cx)) {
        BodyEnd::Returned(output) => Ok(output),
        BodyEnd::Panicked(panic) => Err(panic),
        BodyEnd::Due => {
            drop(apart);
            return Poll::Ready(match Body::drop_future(scope, body) {
                Ok(()) => Ended::Cancelled,
                Err(panic) => Ended::Panicked(panic, view::view()),
            });
        }
    };
    let dropped = Body::drop_future(scope, body);
    // The view as of now: protection inside may have gone with the body's future.
    let mut view = view::view();
    if view.protected == Protected::Unknown {
        let hard = scope.is_hard();
        view.protected = if hard { Protected::Yes } else { Protected::No };
    }
    let dropped = dropped.or_else(view::note_panic);
    Poll::Ready(match ended {
        Ok(output) => match dropped {
            Ok(()) => Ended::Returned(output, view),
            // Outside of tasks the caller can be given one panic.
            Err(panic) => Ended::Panicked(panic, view),
        },
        Err(first) => {
            discard_second(dropped);
            Ended::Panicked(first, view)
        }
    })
}
