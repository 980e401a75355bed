//! Failures: which ends are one, and who is told.
//!
//! An error is a failure unless it is a consequence of a cancellation; a panic always is one. A
//! failure is recorded with the service that its task belongs to, which is cancelled for it; and the
//! services around are told at once that there is one below, though they get to see it only when the
//! child service is done with everything it has to say. Each failure has a moment, by which they are
//! put in order then.

use super::cancel::{self, effective_grace};
use super::{asked, links};
use crate::error::{FailureKind, JoinError, Moment, Panic, TaskFailure};
use crate::panics::{discard, quietly};
use crate::task::cell::Polled;
use crate::task::cold::Cold;
use crate::task::current::InTask;
use crate::task::current::code::Protected;
use crate::task::current::view::{self, View};
use crate::task::record::Record;
use crate::task::state::Level;
use crate::task::{Node, kind};
use std::any::Any;

/// A future has returned a value: what it means for the service.
#[inline]
pub(super) fn returned(node: Node) {
    if node.kind & (kind::DAEMON | kind::SERVICE) == kind::DAEMON {
        daemon_returned(node);
    }
}

#[cold]
fn daemon_returned(node: Node) {
    // Drawn before the look: what fails the service says so before it draws its own. So this is no
    // failure, or comes before that.
    let moment = view_moment().unwrap_or_else(Moment::next);
    let is_failing = node.record().is_some_and(Record::has_errored);
    if !is_failing && !asked::is_asked(node) {
        fail(node, Some(moment), FailureKind::DaemonExit);
    }
}

/// A future has returned an error or panicked: what it means, for the handle and for the service.
#[inline(never)]
pub(super) fn broke(node: Node, polled: Polled) {
    match polled {
        Polled::Pending | Polled::Value => {}
        Polled::Error(error) => {
            if error_counts(node) {
                let failure = fail(node, view_moment(), FailureKind::Error(error));
                node.store_error(JoinError::Failed(failure));
            } else {
                quietly(|| drop(error));
                node.store_error(JoinError::Cancelled);
            }
        }
        Polled::Panicked(payload) => panicked(node, payload),
    }
}

/// When what the future has ended with happened, if it was before this poll's end: in the body of a
/// `finally` that was cleaned up after since.
fn view_moment() -> Option<Moment> {
    view::view().moment
}

/// Whether an error that is returned now is a failure, and not a consequence of a cancellation: it
/// counts if that was asked for during this poll at the earliest, or if it comes from inside
/// protection. By whoever runs the task.
fn error_counts(node: Node) -> bool {
    let view = view::view();
    if view.protected == Protected::Yes || !was_asked(node, view) {
        return true;
    }
    // In a grace period, or in one that begins when the mark comes.
    let word = view.word;
    word.in_grace() || !word.is_closing() && effective_grace(node) != 0
}

/// Whether the cancellation of the task had been asked for by the time of this view.
fn was_asked(node: Node, view: View) -> bool {
    // Not marked then, it may have been asked for above, and the mark was not here yet: only by a
    // request that was marking then.
    let requests = view.requests;
    view.word.is_closing()
        || !requests.all_marked() && asked::is_target_above(node, requests.latest())
}

/// A task's future has panicked, in a poll or in its drop.
pub(super) fn panicked(node: Node, payload: Box<dyn Any + Send>) {
    let panic = Panic::new(payload);
    count_panic(node, &panic, view_moment(), false);
    node.store_error(JoinError::Panicked(panic));
    // What may panic later is noted there.
    if let Some(cold) = node.cold() {
        cold.set_panicked();
    }
}

/// A panic that does not end the future by itself: in a deferred cleanup, or noted beside what the
/// future has returned. The first is the task's outcome when it is done.
pub(super) fn panicked_beside(node: Node, cold: &Cold, payload: Box<dyn Any + Send>) {
    let panic = Panic::new(payload);
    count_panic(node, &panic, None, true);
    if let Some(extra) = cold.keep_panic(panic.into_payload()) {
        discard(extra);
    }
}

/// Counts the panics that were noted in this poll, after what it has returned.
#[cold]
pub(super) fn count_noted(node: Node, cold: &Cold) {
    for payload in cold.take_noted() {
        panicked_beside(node, cold, payload);
    }
}

/// A panic is a failure of the service; a raw task's cancels what is below it, and what its deferred
/// cleanups may still put there; and the task, too, if its future may be there still.
fn count_panic(node: Node, panic: &Panic, moment: Option<Moment>, may_go_on: bool) {
    node.shared().schedule().panicked(node, panic.message());
    if is_supervised(node) {
        fail(node, moment, FailureKind::Panic(panic.message().to_owned()));
    } else if may_go_on
        || node.state.load().children() > 0
        || node.cold().is_some_and(Cold::has_cleanups)
    {
        cancel::request(node, Level::Cancel);
    }
}

/// Its error or panic is a failure of its service.
fn is_supervised(node: Node) -> bool {
    node.is(kind::SUPERVISED | kind::SERVICE)
}

/// Records a failure of a supervised task, or of a service's `run`, and cancels the service. `None`:
/// it happens now.
fn fail(node: Node, moment: Option<Moment>, kind: FailureKind) -> TaskFailure {
    fail_service(node, || {
        let moment = moment.unwrap_or_else(Moment::next);
        TaskFailure::new(node.id(), node.path(), node.location(), moment, kind)
    })
}

/// A child service of `parent` or of its service has ended in a failure of its parent's.
pub(super) fn child_failed(child: Node, parent: Node, kind: FailureKind) {
    fail_service(parent, || {
        let moment = Moment::next();
        TaskFailure::new(child.id(), child.path(), child.location(), moment, kind)
    });
}

/// The service that a task belongs to, or is.
fn service_of(node: Node) -> Option<Node> {
    node.record()?.node()
}

/// Adds a failure to the service that `from` belongs to, or is. If it is the first one, that service
/// is cancelled, and so are the services around it, each of which has a failure with this: they say
/// so before the failure is made, and has its moment.
fn fail_service(from: Node, failure: impl FnOnce() -> TaskFailure) -> TaskFailure {
    let Some(service) = service_of(from) else {
        return failure();
    };
    let is_first = |service: Node| {
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
        && let Some(above) = links::parent(at).and_then(service_of)
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
    cancel::request_and(at, Level::Cancel, || {
        for record in told.iter().filter_map(|service| service.record()) {
            record.close(true);
        }
    });
    if at != service {
        cancel::request(service, Level::Cancel);
    }
    // Those who wait for a failure hear of it also if the service is being cancelled already: then that
    // request changes nothing, and wakes nobody.
    let _none = InTask::enter(None);
    for service in told {
        cancel::notify(service);
    }
    failure
}
