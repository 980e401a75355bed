//! Protection: [`shielded`] and [`finally`].
//!
//! Each counts itself into the scope it is polled in (the task, or the body of a `finally` or
//! `background_service` around it, and so on outwards), and out when it ends or is dropped. A task
//! is dropped at its turn only if its count is zero; a body is dropped only if its own is. So
//! nested protection ends innermost first. What runs inside a shield or a cleanup does not see the
//! turn at all.

use super::{own, place};
use crate::error::Moment;
use crate::panics::{discard, quietly};
use crate::protect::scope::{Body, Entered, Scope, Turn};
use crate::protect::wait::TaskWait;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::current::{self, Apart, Protected, View};
use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// The scope that some protection is counted into.
#[derive(Default)]
struct Protection {
    entered: Option<Entered>,
    /// The number of its task's poll in which it was refused.
    refused: Option<u64>,
    end: TaskWait,
    /// Whether it is that of a shield or a cleanup. If that is dropped before its end, what the code
    /// around it returns comes from inside protection.
    hard: bool,
}

impl Protection {
    /// Counts in, or follows a future that was moved to another task. `false`: it would be the
    /// first, and the turn has come (or it is another's turn to run): it must not start.
    fn enter(&mut self, cx: &Context<'_>) -> bool {
        if self.entered.as_ref().is_none_or(|at| !at.is_here(cx)) {
            let scope = match &self.entered {
                Some(_) => place::scope(cx),
                None => match self.start(cx) {
                    Some(scope) => scope,
                    None => return false,
                },
            };
            // Counted in before it is counted out elsewhere.
            let old = self.entered.replace(Entered::new(scope, true));
            drop(old);
        }
        if let Some(entered) = &mut self.entered {
            entered.hear(cx);
        }
        true
    }

    /// The scope to start in.
    fn start(&mut self, cx: &Context<'_>) -> Option<Scope> {
        if !own::has_budget(cx) {
            return None;
        }
        let scope = place::scope(cx);
        if scope.turn() == Turn::No {
            Some(scope)
        } else {
            (!self.refuse(cx)).then(|| place::scope(cx))
        }
    }

    /// Suspends for good, in this task: another may go on with it. `false`: it must not suspend.
    #[cold]
    fn refuse(&mut self, cx: &Context<'_>) -> bool {
        let Some(node) = current::node() else {
            return !own::stall(cx, true);
        };
        let poll = node.polls.load(Ordering::Relaxed);
        let before = self.refused.replace(poll);
        if own::is_suspended() || before.is_none_or(|before| before == poll) {
            return !own::stall(cx, true);
        }
        // Polled on, since something beside it is protected: who waits has to be woken at its end.
        if !node.is_waker(cx.waker()) {
            self.end.register(&node.retain(), cx);
        }
        true
    }

    fn leave(&mut self) {
        self.entered = None;
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        if self.hard && self.entered.is_some() {
            current::set_protected_if_unknown();
        }
    }
}

/// Keeps the calling task from being dropped while `f` runs.
///
/// When cancellation reaches the task in the meantime, it goes on after `f` to its next
/// suspension and is dropped there (or returns, and its result counts). Meanwhile the whole task
/// is polled. A shield that is first polled when the turn has come does not start: the task ends
/// there. Outside of tasks it changes nothing; dropping the runtime is not held up by it.
///
/// The idea is trio's and anyio's shielded cancel scope. Dropping this future (in a select, on a
/// timeout) ends the shield.
///
/// # Examples
///
/// ```
/// use taskgrove::{Runtime, shielded, spawn, yield_now};
/// let runtime = Runtime::builder().workers(0).build()?;
/// let (tx, rx) = std::sync::mpsc::channel();
/// let task = runtime.spawn(shielded(async move {
///     tx.send("begin").unwrap();
///     yield_now().await;
///     tx.send("end").unwrap();
/// }));
/// runtime.block_on(yield_now());
/// assert_eq!(rx.try_recv(), Ok("begin"));
/// task.cancel();
/// assert!(runtime.block_on(task).is_ok());
/// assert_eq!(rx.try_recv(), Ok("end"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn shielded<F: Future>(f: F) -> F::Output {
    let mut protection = Protection::default();
    protection.hard = true;
    let mut f = pin!(Some(f));
    poll_fn(|cx| {
        if !protection.enter(cx) {
            return Poll::Pending;
        }
        let poll = place::hard(|| poll_to_its_end(f.as_mut(), cx));
        if poll.is_ready() {
            protection.leave();
            current::set_protected();
            own::note_ready();
        }
        poll
    })
    .await
}

/// Polls a future, and drops it when it has ended, before anything unwinds: whatever panics, in its
/// poll, in its drop or in both, all of it comes out. A panic in the drop does not hide what was
/// before: the task ends with it after this poll.
pub(crate) fn poll_to_its_end<F: Future>(
    future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let Some((ended, dropped)) = poll_and_drop(future, cx) else {
        return Poll::Pending;
    };
    match (ended, dropped.or_else(current::note_panic)) {
        (Ok(output), Ok(())) => Poll::Ready(output),
        // Outside of tasks the caller has it.
        (Ok(output), Err(panic)) => {
            quietly(|| drop(output));
            resume_unwind(panic)
        }
        (Err(first), dropped) => {
            if let Err(second) = dropped {
                discard(second);
            }
            resume_unwind(first)
        }
    }
}

type Panics<T> = Result<T, Box<dyn Any + Send>>;

/// Polls a future, and drops it when it has ended: what it came to, and what its drop came to.
fn poll_and_drop<F: Future>(
    mut future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Option<(Panics<F::Output>, Panics<()>)> {
    let running = future.as_mut().as_pin_mut()?;
    let ended = match catch_unwind(AssertUnwindSafe(|| running.poll(cx))) {
        Ok(Poll::Pending) => return None,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(panic) => Err(panic),
    };
    let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    Some((ended, dropped))
}

/// Notes panics, in their order; outside of tasks the first is given back.
fn note_panics(first: Panics<()>, second: Panics<()>) -> Panics<()> {
    let first = first.or_else(current::note_panic);
    match (first, second.or_else(current::note_panic)) {
        (Ok(()), second) => second,
        (Err(first), second) => {
            if let Err(second) = second {
                discard(second);
            }
            Err(first)
        }
    }
}

/// Why a body is over.
enum Ended<T> {
    Returned(T, View),
    Panicked(Box<dyn Any + Send>, View),
    /// Its task's turn came, and it was dropped.
    Cancelled,
}

/// Runs `body`, and then `cleanup` to its end: when the body returns, when it panics (the panic
/// then resumes), and when cancellation reaches the task inside the body. In that last case the
/// body is dropped, the cleanup is awaited, and the task is dropped. What guards of
/// [`defer`](crate::defer) left behind that were dropped inside the body runs before the cleanup.
///
/// The body is not protection: an error that it returns after cancellation was asked for is a
/// consequence of that, and one that it had returned before is a failure, however long the cleanup
/// takes. A panic in the cleanup hides neither: the task goes on with what the body has returned, and
/// ends with the panic, at its next suspension at the latest.
///
/// Only dropping this future (in a select, on a timeout), or the runtime, skips the cleanup: see
/// [`defer`](crate::defer) for one that survives its owner. First polled when the task's turn has
/// come, it does not start.
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
        // Looked at before as well: a body whose time is over is not polled.
        if scope.is_due() {
            return Poll::Ready(drop_body(body.as_mut(), scope));
        }
        scope.announce();
        match poll_body(body.as_mut(), scope, cx) {
            Some(ended) => Poll::Ready(ended),
            None if scope.is_due() => Poll::Ready(drop_body(body.as_mut(), scope)),
            None => Poll::Pending,
        }
    });
    let mut ended = ended.await;
    protection.hard = true;
    let mut cleanup = pin!(Some(cleanup));
    let cleaned = poll_fn(|cx| {
        protection.enter(cx);
        // Before the cleanup begins, of which others may hear, and fail.
        ended.happened_now();
        // What the body left behind ended earlier.
        if let Some(body) = &scope {
            body.follow(cx);
            if body.has_left() {
                return Poll::Pending;
            }
        }
        scope = None;
        match place::hard(|| poll_and_drop(cleanup.as_mut(), cx)) {
            Some(cleaned) => Poll::Ready(cleaned),
            None => Poll::Pending,
        }
    });
    let (cleaned, dropped) = cleaned.await;
    protection.leave();
    own::note_ready();
    match ended {
        Ended::Returned(output, view) => {
            current::set_view(view);
            // A panic comes out after what the body has returned.
            if let Err(panic) = note_panics(cleaned, dropped) {
                quietly(|| drop(output));
                resume_unwind(panic);
            }
            output
        }
        Ended::Panicked(first, view) => {
            current::set_view(view);
            if let Err(second) = note_panics(cleaned, dropped) {
                discard(second);
            }
            resume_unwind(first)
        }
        // The task is dropped here.
        Ended::Cancelled => {
            if let Err(panic) = note_panics(cleaned, dropped) {
                resume_unwind(panic);
            }
            std::future::pending().await
        }
    }
}

impl<T> Ended<T> {
    /// Notes when the body has ended, unless that was done: its cleanup takes its time.
    fn happened_now(&mut self) {
        if let Ended::Returned(_, view) | Ended::Panicked(_, view) = self {
            view.moment.get_or_insert_with(Moment::next);
        }
    }
}

/// Polls a body; when it has ended it is dropped, as its own code.
fn poll_body<F: Future>(
    mut body: Pin<&mut Option<F>>,
    scope: &Arc<Body>,
    cx: &mut Context<'_>,
) -> Option<Ended<F::Output>> {
    let future = body.as_mut().as_pin_mut()?;
    let _apart = Apart::begin();
    let polled = catch_unwind(AssertUnwindSafe(|| {
        place::in_body(scope, || future.poll(cx))
    }));
    if matches!(polled, Ok(Poll::Pending)) {
        return None;
    }
    let dropped = drop_body::<F>(body, scope);
    // As of now: protection inside may have gone with the body.
    let mut view = current::view();
    if view.protected == Protected::Unknown {
        let hard = scope.is_hard();
        view.protected = if hard { Protected::Yes } else { Protected::No };
    }
    let ended = match polled {
        Ok(Poll::Pending) => return None,
        Ok(Poll::Ready(output)) => Ended::Returned(output, view),
        Err(payload) => Ended::Panicked(payload, view),
    };
    let Ended::Panicked(second, _) = dropped else {
        return Some(ended);
    };
    match (ended, current::note_panic(second)) {
        // Outside of tasks there is one panic to give to the caller.
        (Ended::Returned(..), Err(panic)) => Some(Ended::Panicked(panic, view)),
        (ended, Err(second)) => {
            discard(second);
            Some(ended)
        }
        (ended, Ok(())) => Some(ended),
    }
}

/// Drops a body, as its own code.
fn drop_body<F: Future>(mut body: Pin<&mut Option<F>>, scope: &Arc<Body>) -> Ended<F::Output> {
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        place::in_body_drop(scope, || body.set(None));
    }));
    match dropped {
        Ok(()) => Ended::Cancelled,
        Err(payload) => Ended::Panicked(payload, current::view()),
    }
}
