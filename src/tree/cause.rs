//! Why something is being cancelled.
//!
//! A request for cancellation is noted at its target alone, before the target's level is raised: its
//! [`Origin`] in the header ([`note`]), and what needs memory, a reason or a failure, as a
//! [`CancelCause`] in the cold data ([`keep`]). Code that asks for the cause of a task walks up to the
//! nearest task that is being cancelled and has a note ([`of`]), but through no protection, unless a kill is
//! under way ([`inherits`]). So a cancellation writes nothing per task, and the first request that reaches a
//! task stays its cause.
//!
//! A note may be made of a request that comes too late, since the target may be done, or marked by another
//! request, between the look and the mark. In the first case the note counts for nothing, because the
//! task is not being cancelled. In the second the two requests were concurrent, and either may be the cause.

use super::requested;
use crate::error::{CancelCause, How, Origin, TaskFailure};
use crate::path::sanitise;
use crate::task::cold::Cold;
use crate::task::raw::Header;
use crate::task::{Borrowed, Live, kind};
use std::borrow::Cow;

/// Notes the origin of a request at its target, which is about to be marked. That of a failure is noted by
/// [`failed`], which knows more.
#[inline]
pub(super) fn note(target: Borrowed<'_>, origin: Origin) {
    if origin.how != How::Failure && !target.word().is_closing() {
        target.note_origin(origin);
    }
}

/// Keeps the reason of a request for the cancellation of a task, which follows. `is_cancelled`: the service
/// whose task it is, if any, is being cancelled.
pub(crate) fn keep(
    target: Borrowed<'_>,
    is_cancelled: bool,
    origin: Origin,
    reason: Cow<'static, str>,
) {
    if is_cancelled || target.word().is_closing() {
        return;
    }
    if let Some(pin) = target.pin() {
        let live = pin.live();
        let cause = CancelCause::with_reason(live.path(), origin, reason);
        live.cold_or_new().keep_cause(cause);
    }
}

/// Notes that a failure is about to cancel a task, or the service whose task it is. If a cancellation was
/// requested before, that stays the cause, also where its walk has not reached the task yet.
pub(super) fn failed(target: Live<'_>, failure: &TaskFailure) {
    if !target.is_closing_service() && !requested::is_or_will_be_marked(target) {
        let cause = CancelCause::failed(target.path(), failure.clone());
        target.cold_or_new().keep_cause(cause);
        target.note_origin(Origin::nowhere(How::Failure));
    }
}

/// Whether cancellation of this task itself, or of its service, was asked for or has reached it.
fn is_cancelled(task: Live<'_>) -> bool {
    task.word().is_closing() || task.is_closing_service()
}

/// The cause of the cancellation of a task: that of the nearest target from the task on upward.
pub(crate) fn of(task: Live<'_>) -> Option<CancelCause> {
    for task in task.upward() {
        let own = own(task);
        if own.is_some() || !inherits(task) {
            return own;
        }
    }
    None
}

/// Whether a task has the cause of the task above it, unless it has one of its own: no protection covers it, or a
/// kill is under way.
#[inline]
pub(super) fn inherits(task: Live<'_>) -> bool {
    !task.is_covered() || requested::is_killed(task)
}

/// The cause of the cancellation of a task, if the task was a target itself.
#[inline]
pub(super) fn own(task: Live<'_>) -> Option<CancelCause> {
    let origin = task.origin()?;
    is_cancelled(task).then(|| {
        cause(origin, task.cold(), || {
            let is_runtime = task.is(kind::SENTINEL);
            if is_runtime {
                String::new()
            } else {
                task.path()
            }
        })
    })
}

/// The cause that a request with this origin, which follows, gives to its target.
pub(super) fn of_request(target: Live<'_>, origin: Origin) -> CancelCause {
    cause(origin, target.cold(), || target.path())
}

/// The cause of the cancellation of a task that is done, if it was a target itself; `name` is its name, and
/// `is_root` whether it had no parent. `is_cancelled`: it is that of a service that was cancelled. A failure
/// below may end such a service before the mark arrives at its task.
pub(crate) fn of_done(
    task: &Header,
    is_cancelled: bool,
    cold: Option<&Cold>,
    name: &str,
    is_root: bool,
) -> Option<CancelCause> {
    let was_cancelled = is_cancelled || task.word().is_closing();
    let origin = task.origin().filter(|_| was_cancelled)?;
    Some(cause(origin, cold, || {
        let above = if is_root { "" } else { "../" };
        format!("{above}{}", sanitise(name))
    }))
}

fn cause(origin: Origin, cold: Option<&Cold>, path: impl FnOnce() -> String) -> CancelCause {
    let kept = if origin.how.is_kept() {
        cold.and_then(Cold::kept_cause)
    } else {
        None
    };
    kept.unwrap_or_else(|| CancelCause::new(path(), origin))
}
