//! Failures: which ends are one, and who hears of it.
//!
//! An error is a failure unless it is a consequence of a cancellation; a panic always is one. A
//! failure is recorded with the service that its task belongs to, which is cancelled for it. The
//! services around hear at once that there is one below, though they show it only when the child
//! service is done with everything it has to say. Each failure has a moment, which orders them then.

use super::request::{notify, request, request_and};
use super::{grace, requested};
use crate::error::{FailureKind, JoinError, Moment, Panic, TaskFailure};
use crate::panics::{discard, quietly};
use crate::task::cold::Cold;
use crate::task::current;
use crate::task::current::code::Protected;
use crate::task::current::view::{self, View};
use crate::task::raw::{Payload, Polled};
use crate::task::record::Record;
use crate::task::state::Level;
use crate::task::{Live, kind};

/// A future has returned a value: what it means for the service.
#[inline]
pub(super) fn returned(task: Live<'_>) {
    if task.kinds() & (kind::DAEMON | kind::SERVICE) == kind::DAEMON {
        daemon_returned(task);
    }
}

#[cold]
fn daemon_returned(task: Live<'_>) {
    // Drawn before the look: a failure of the service says so before it draws its own. So this is no
    // failure, or comes before that.
    let moment = view_moment().unwrap_or_else(Moment::next);
    let is_failing = task.record().is_some_and(Record::has_errored);
    if !is_failing && !requested::is_requested(task) {
        fail(task, Some(moment), FailureKind::DaemonExit);
    }
}

/// A future has returned an error or panicked: counts what it means for the service, and returns what
/// it means for the handle; `None` if it did neither.
#[inline(never)]
pub(super) fn broke(task: Live<'_>, polled: Polled) -> Option<JoinError> {
    let (outcome, second) = match polled {
        Polled::Pending | Polled::Value => return None,
        Polled::Error(error, second) => (Ok(error), second),
        Polled::Panicked(payload, second) => (Err(payload), second),
    };
    // Both come out: a panic in the drop does not hide what was before.
    if let Some(second) = second {
        task.cold_or_new().note_panic(second);
    }
    Some(match outcome {
        Ok(error) if error_counts(task) => {
            JoinError::Failed(fail(task, view_moment(), FailureKind::Error(error)))
        }
        Ok(error) => {
            quietly(|| drop(error));
            JoinError::Cancelled
        }
        Err(payload) => panicked(task, payload),
    })
}

/// When the event happened that the future has ended with, if that was before this poll's end: in the
/// body of a `finally` that was cleaned up after since.
fn view_moment() -> Option<Moment> {
    view::view().moment
}

/// Whether an error that the running task returns now is a failure, and not a consequence of a
/// cancellation: it counts if that was requested during this poll at the earliest, or if it comes
/// from inside protection.
fn error_counts(task: Live<'_>) -> bool {
    let view = view::view();
    if view.protected == Protected::Yes || !was_requested(task, view) {
        return true;
    }
    // In a grace period, or in one that begins when the mark comes.
    let word = view.word;
    word.in_grace() || !word.is_closing() && grace::effective(task) != 0
}

/// Whether the cancellation of the task had been requested by the time of this view.
fn was_requested(task: Live<'_>, view: View) -> bool {
    // Not marked then, it may have been requested above, and the mark was not here yet: only by a
    // request that was marking then.
    let requests = view.requests;
    view.word.is_closing()
        || !requests.all_marked() && requested::is_target_above(task, requests.latest())
}

/// A task's future has panicked, in a poll or in its drop: counts that, and returns the outcome.
pub(super) fn panicked(task: Live<'_>, payload: Payload) -> JoinError {
    let panic = Panic::new(payload);
    count_panic(task, &panic, view_moment(), false);
    // A later panic is noted there.
    if let Some(cold) = task.cold() {
        cold.set_panicked();
    }
    JoinError::Panicked(panic)
}

/// A panic that does not end the future by itself: in a deferred cleanup, or noted beside what the
/// future has returned. The first is the task's outcome when it is done.
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

/// A panic is a failure of the service; a raw task's cancels what is below it, and what its deferred
/// cleanups may still put there; and the task, too, if its future may be there still.
fn count_panic(task: Live<'_>, panic: &Panic, moment: Option<Moment>, may_go_on: bool) {
    task.shared().schedule().panicked(task, panic.message());
    if task.is(kind::SUPERVISED | kind::SERVICE) {
        fail(task, moment, FailureKind::Panic(panic.message().to_owned()));
    } else if may_go_on || task.word().children() > 0 || task.cold().is_some_and(Cold::has_cleanups)
    {
        request(task.borrowed(), Level::Cancel);
    }
}

/// Records a failure of a supervised task, or of a service's `run`, and cancels the service. `None`:
/// it happens now.
fn fail(task: Live<'_>, moment: Option<Moment>, kind: FailureKind) -> TaskFailure {
    fail_service(task, || {
        let moment = moment.unwrap_or_else(Moment::next);
        TaskFailure::new(task.id(), task.path(), task.location(), moment, kind)
    })
}

/// A child service of `parent` or of its service has ended in a failure of its parent's.
pub(super) fn child_failed(child: Live<'_>, parent: Live<'_>, kind: FailureKind) {
    fail_service(parent, || {
        let moment = Moment::next();
        TaskFailure::new(child.id(), child.path(), child.location(), moment, kind)
    });
}

/// Adds a failure to the service that `from` belongs to, or is. If it is the first one, that service
/// is cancelled, and so are the services around it, each of which has a failure with this: they say
/// so before the failure is made, and has its moment.
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
    // What is above is asked first: what breaks there, when something ends below, is a consequence.
    request_and(at.borrowed(), Level::Cancel, || {
        for record in told.iter().filter_map(|service| service.record()) {
            record.mark_closing(true);
        }
    });
    if at != service {
        request(service.borrowed(), Level::Cancel);
    }
    // Those that wait for a failure hear of it also if the service is being cancelled already: then
    // that request changes nothing, and wakes nobody.
    current::outside_tasks(|| told.into_iter().for_each(notify));
    failure
}
