//! Failures: which end of a task is a failure, and which services have it.
//!
//! An error is a failure unless it is a consequence of a cancellation; a panic always is one. A
//! failure is recorded with the service that its task belongs to, which is cancelled for it. The
//! services around it are marked as failed at once, but show the failure only when the child service is
//! done and all of its failures are known. Each failure has a moment, which orders them then.
//!
//! [`error_counts`] decides whether an error is a failure, [`daemon_returned`] whether the return of a
//! daemon is one, and [`count_panic`] what a panic does.

use super::request::{notify, request, request_and};
use super::{cause, grace, requested};
use crate::error::{
    ChildFailures, FailureKind, How, JoinError, Moment, Origin, Panic, TaskFailure,
};
use crate::events;
use crate::panics::{discard, quietly};
use crate::task::cold::Cold;
use crate::task::current;
use crate::task::current::code::Protected;
use crate::task::current::view::{self, View};
use crate::task::raw::{Payload, Polled};
use crate::task::record::Record;
use crate::task::state::Level;
use crate::task::{Live, kind};

/// Counts what it means for the service that a future has returned a value.
#[inline]
pub(super) fn returned(task: Live<'_>) {
    let daemon = task.kinds() & (kind::DAEMON | kind::SERVICE | kind::ISOLATED);
    if daemon == kind::DAEMON {
        daemon_returned(task);
    }
}

#[cold]
fn daemon_returned(task: Live<'_>) {
    // The moment is drawn before the look, and a failure of the service sets its flag before it draws its own
    // moment. So this either is no failure, or comes before that one.
    let moment = view_moment().unwrap_or_else(Moment::next);
    let is_failing = task.record().is_some_and(Record::has_errored);
    if !is_failing && !requested::is_requested(task) {
        fail(task, Some(moment), FailureKind::DaemonExit);
    }
}

/// Counts what it means for the service that a future has returned an error or panicked. Returns the
/// outcome for the handle; `None` if the future did neither.
#[inline(never)]
pub(super) fn broke(task: Live<'_>, polled: Polled) -> Option<JoinError> {
    let (outcome, second) = match polled {
        Polled::Pending | Polled::Value => return None,
        Polled::Error(error, second) => (Ok(error), second),
        Polled::Panicked(payload, second) => (Err(payload), second),
    };
    // A panic in the drop does not hide the outcome of the poll: both are counted.
    if let Some(second) = second {
        task.cold_or_new().note_panic(second);
    }
    Some(match outcome {
        Ok(error) if error_counts(task) => {
            JoinError::Failed(match error.downcast::<ChildFailures>() {
                Ok(children) => children_failed(task, *children),
                Err(error) => fail(task, view_moment(), FailureKind::Error(error)),
            })
        }
        Ok(error) => {
            quietly(|| drop(error));
            JoinError::Cancelled
        }
        Err(payload) => panicked(task, payload),
    })
}

/// The moment at which the code made what the future returns, if that was before the end of this poll: in
/// the body of a `finally` whose cleanup has run since.
fn view_moment() -> Option<Moment> {
    view::view().moment
}

/// Whether an error that the running task returns now is a failure, and not a consequence of a cancellation.
///
/// It is a failure if no cancellation of the task was requested before this poll began, if it comes from
/// inside protection, or if the task is in a grace period.
fn error_counts(task: Live<'_>) -> bool {
    let view = view::view();
    view.protected == Protected::Yes || !was_requested(task, view) || grace::runs(task, view.word)
}

/// Whether the cancellation of the task had been requested by the time of this view.
fn was_requested(task: Live<'_>, view: View) -> bool {
    // A task that was not marked then may be below the target of a request whose walk had not reached it. Only
    // a request that was still marking then can be such a one.
    let requests = view.requests;
    view.word.is_closing()
        || !requests.all_marked() && requested::is_target_above(task, requests.latest())
}

/// Counts a panic of a task's future, in a poll or in its drop, and returns the outcome.
pub(super) fn panicked(task: Live<'_>, payload: Payload) -> JoinError {
    let panic = Panic::new(payload);
    count_panic(task, &panic, view_moment(), false);
    // A later panic of a cleanup must not replace this outcome.
    if let Some(cold) = task.cold() {
        cold.set_panicked();
    }
    JoinError::Panicked(panic)
}

/// Counts a panic that does not end the future: one of a deferred cleanup, or one that was noted beside what
/// the future has returned. The first such panic becomes the task's outcome.
pub(super) fn panicked_beside(task: Live<'_>, cold: &Cold, payload: Payload) {
    let panic = Panic::new(payload);
    count_panic(task, &panic, None, true);
    if let Some(extra) = cold.keep_panic(panic.into_payload()) {
        discard(extra);
    }
}

/// Counts the panics that were noted in this poll, after what it has returned.
#[inline]
pub(super) fn count_noted(task: Live<'_>, cold: &Cold) {
    if cold.has_noted() {
        count_all_noted(task, cold);
    }
}

#[cold]
fn count_all_noted(task: Live<'_>, cold: &Cold) {
    for payload in cold.take_noted() {
        panicked_beside(task, cold, payload);
    }
}

/// Counts a panic: as a failure of the service, if the task is supervised or a service's.
///
/// The panic of a raw task cancels that task, if it has children, may get some from its deferred cleanups, or
/// may still have its future (`may_go_on`).
fn count_panic(task: Live<'_>, panic: &Panic, moment: Option<Moment>, may_go_on: bool) {
    task.shared().schedule().panicked(task, panic.message());
    if task.is(kind::SUPERVISED | kind::SERVICE) && !task.is_isolated() {
        fail(task, moment, FailureKind::Panic(panic.message().to_owned()));
    } else if may_go_on || has_more(task) {
        // It has no service that would keep the failure.
        let kind = FailureKind::Panic(panic.message().to_owned());
        let failure = new_failure(task, moment, kind);
        cancel_for(task, &failure);
    }
}

/// Whether a task whose future is gone has children, or deferred cleanups that may get some.
fn has_more(task: Live<'_>) -> bool {
    !task.word().is_alone() || task.cold().is_some_and(Cold::has_cleanups)
}

/// Makes the failure of a task. Without a `moment`, it happens now.
fn new_failure(task: Live<'_>, moment: Option<Moment>, kind: FailureKind) -> TaskFailure {
    let moment = moment.unwrap_or_else(Moment::next);
    TaskFailure::new(task.id(), task.path(), task.location(), moment, kind)
}

/// Cancels a task for its failure.
fn cancel_for(task: Live<'_>, failure: &TaskFailure) {
    cause::failed(task, failure);
    request(task.borrowed(), Level::Cancel, FAILURE);
}

/// The origin of the requests that are made here.
const FAILURE: Origin = Origin::nowhere(How::Failure);

/// Records a failure of a supervised task, or of a service's `run`, and cancels the service. Without a
/// `moment`, it happens now.
fn fail(task: Live<'_>, moment: Option<Moment>, kind: FailureKind) -> TaskFailure {
    if task.is_isolated() {
        let failure = new_failure(task, moment, kind);
        if has_more(task) {
            cancel_for(task, &failure);
        }
        return failure;
    }
    let failure = fail_service(task, || new_failure(task, moment, kind));
    current::outside_tasks(|| events::failed(&failure));
    failure
}

/// Records a failure of the service of `parent`: its child service has ended with `kind`.
pub(super) fn child_failed(child: Live<'_>, parent: Live<'_>, kind: FailureKind) {
    fail_service(parent, || {
        let moment = Moment::next();
        TaskFailure::new(child.id(), child.path(), child.location(), moment, kind)
    });
}

/// Records the failures of a supervisor's children, which are at least one, as those of the supervisor. Returns
/// the first.
#[cold]
fn children_failed(supervisor: Live<'_>, children: ChildFailures) -> TaskFailure {
    let mut failures = children.0.into_iter();
    let first = failures.next().expect("a supervisor fails with a failure");
    for failure in failures.chain([first.clone()]) {
        fail_service(supervisor, || failure);
    }
    first
}

/// Adds a failure to the service that `from` belongs to, or is.
///
/// If it is the first one, it cancels that service and the services around it, since each of them has a
/// failure now. Their flags are set before the failure is made and draws its moment.
fn fail_service(from: Live<'_>, failure: impl FnOnce() -> TaskFailure) -> TaskFailure {
    let Some(service) = from.service() else {
        return failure();
    };
    let is_first = |service: Live<'_>| {
        let record = service.record();
        record.is_some_and(|record| {
            record.set_cancelled();
            record.set_errored()
        })
    };
    let first = is_first(service);
    let mut told = vec![service];
    let mut at = service;
    while first
        && at.is(kind::SUPERVISED)
        && let Some(above) = at.parent().and_then(Live::service)
        && is_first(above)
    {
        told.push(above);
        at = above;
    }
    let failure = failure();
    if let Some(record) = service.record() {
        record.add_failure(failure.clone());
    }
    if !first {
        return failure;
    }
    for service in &told {
        cause::failed(*service, &failure);
    }
    // The outermost service is cancelled first: an error there that an end below causes is a consequence.
    request_and(at.borrowed(), Level::Cancel, FAILURE, || {
        for record in told.iter().filter_map(|service| service.record()) {
            record.mark_closing(true);
        }
    });
    // That does not reach through a protection, which is no reason to spare a service that has failed.
    for inner in told.iter().rev().skip(1) {
        if *inner == service || inner.is(kind::COVERED) {
            request(inner.borrowed(), Level::Cancel, FAILURE);
        }
    }
    // If the service is being cancelled already, the request changes nothing and wakes no wait. Waits for a
    // failure have to be woken nevertheless.
    current::outside_tasks(|| told.into_iter().for_each(notify));
    failure
}
