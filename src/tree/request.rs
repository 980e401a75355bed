//! Requests for cancellation: a request marks its target at once, and queues the rest as a job. Whether one
//! was made above a task is the subject of [`super::requested`].
//!
//! A request is plain data here; [`super::job`] turns it into the walk of [`super::cancel`].

use super::{cause, grace};
use crate::error::{How, Origin};
use crate::events;
use crate::id::TaskId;
use crate::sync::atomic::Ordering;
use crate::task::raw::{Marked, Next};
use crate::task::shared::Cancellation;
use crate::task::state::Level;
use crate::task::{Borrowed, Job, Live, Shared, kind};

/// Requests the cancellation of a task and everything below it. It does not block and runs no user code.
#[inline]
pub(crate) fn request(target: Borrowed<'_>, level: Level, origin: Origin) {
    request_and(target, level, origin, || {});
}

/// As [`request`], and calls `close`, which closes the record of the target's service, before it returns.
///
/// A closed service refuses new tasks, and an error that the drop of a refused future causes is a
/// consequence of this request. So the request draws its number before the service closes.
#[inline]
pub(crate) fn request_and(
    target: Borrowed<'_>,
    level: Level,
    origin: Origin,
    close: impl FnOnce(),
) {
    cause::note(target, origin);
    if !events::is_on() {
        return request_now(target, level, close);
    }
    // The path is found before: the task may be done after the request.
    let told = describe(target, level, origin);
    request_now(target, level, close);
    if let Some((path, id, cause)) = told {
        events::cancelled(&path, id, level == Level::Kill, Some(&cause));
    }
}

/// The path and the id of a task that is not being ended at this level yet, and the cause.
#[cold]
fn describe(
    target: Borrowed<'_>,
    level: Level,
    origin: Origin,
) -> Option<(String, TaskId, String)> {
    if target.is(kind::SENTINEL) || target.word().level() >= level as u64 {
        return None;
    }
    let pin = target.pin()?;
    let cause = cause::of_request(pin.live(), origin);
    Some((pin.live().path(), pin.live().id(), cause.to_string()))
}

#[inline]
fn request_now(target: Borrowed<'_>, level: Level, close: impl FnOnce()) {
    // The common case needs no walk: there is nothing below the target.
    let plain = !target.is(kind::SENTINEL | kind::GRACE);
    if level == Level::Cancel
        && plain
        && let Some(next) = target.cancel_leaf(target.is(kind::SERVICE))
    {
        close();
        if let Next::Submit(task) = next {
            task.submit();
        }
        return;
    }
    request_walk(target, level, close);
}

/// As [`request_now`], where something may be below the target, or it is not to be cancelled by one step.
#[inline(never)]
fn request_walk(target: Borrowed<'_>, level: Level, close: impl FnOnce()) {
    if target.word().level() >= level as u64 {
        return close();
    }
    let Some(pin) = target.pin() else {
        return close();
    };
    // The number is drawn and noted before the mark: a thread that sees the mark sees the number,
    // and a poll that begins after this has a number at least as high.
    let live = pin.live();
    let shared = live.shared();
    let number = shared.requests.begin();
    let cold = live.cold_or_new();
    let _ = (cold.asked).compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
    close();
    // The mark sets the level and the grace flag in one step.
    let grace = grace::effective(live);
    let at_ns = shared.clock.now_ns();
    let marked = live.mark(level, grace != 0, false).1;
    shared.requests.settle();
    match marked {
        Marked::Pinned(target) => shared.schedule().job(Job::Cancel(Box::new(Cancellation {
            target,
            level,
            left: None,
            grace,
            at_ns,
        }))),
        Marked::Refused => shared.requests.marked(),
        Marked::Claimed(task) => {
            shared.requests.marked();
            shared.schedule().job(Job::Close(task));
        }
    }
}

/// Requests the cancellation of all tasks of a runtime. `Kill` overrides protection, `Cancel` respects it.
pub(crate) fn request_all(shared: &Shared, level: Level) {
    request_all_from(shared, level, Origin::nowhere(How::Shutdown));
}

/// As [`request_all`], with an origin.
fn request_all_from(shared: &Shared, level: Level, origin: Origin) {
    for sentinel in shared.sentinels() {
        request(sentinel.borrowed(), level, origin);
    }
}

/// As [`request_all`], and lets the runtime end when its last task is done.
pub(crate) fn end_all(shared: &Shared, level: Level) {
    end_all_from(shared, level, Origin::nowhere(How::Shutdown));
}

/// As [`end_all`], with an origin.
pub(crate) fn end_all_from(shared: &Shared, level: Level, origin: Origin) {
    request_all_from(shared, level, origin);
    shared.release_sentinels();
}

/// Wakes the waits for the cancellation or the end of a task or of its service.
pub(super) fn notify(task: Live<'_>) {
    if let Some(cold) = task.cold() {
        cold.waiters.wake_all();
    }
}
