//! Requests for cancellation: a request marks its target at once, and queues the rest as a job.
//!
//! A request is plain data here; [`super::job`] turns it into the walk of [`super::cancel`].

use super::grace;
use crate::sync::atomic::Ordering;
use crate::task::raw::{Marked, Next};
use crate::task::shared::Cancellation;
use crate::task::state::Level;
use crate::task::{Borrowed, Job, Live, Shared, kind};

/// Requests the cancellation of a task and everything below it. Never blocks, runs no user code.
#[inline]
pub(crate) fn request(target: Borrowed<'_>, level: Level) {
    request_and(target, level, || {});
}

/// As [`request`], and calls `close` before it returns, which closes the record of the target's
/// service. A service that is closed refuses what is spawned in it, and what a refused future breaks
/// in its drop is a consequence of this request: so the request has its number before the service
/// closes.
#[inline]
pub(crate) fn request_and(target: Borrowed<'_>, level: Level, close: impl FnOnce()) {
    // The common case needs no walk: there is nothing below that could break.
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
    // With the level comes the grace flag.
    let grace = grace::effective(live);
    let at_ns = shared.clock.now_ns();
    match live.mark(level, grace != 0, false).1 {
        Marked::Pinned(target) => shared.schedule().job(Job::Cancel(Box::new(Cancellation {
            target,
            level,
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

/// Ends a runtime's tree from its roots: at `Kill` for good, at `Cancel` respecting protection.
pub(crate) fn request_all(shared: &Shared, level: Level) {
    for sentinel in shared.sentinels() {
        request(sentinel.borrowed(), level);
    }
}

/// Wakes those that wait for this task's, or this service's, cancellation or end.
pub(super) fn notify(task: Live<'_>) {
    if let Some(cold) = task.cold() {
        cold.waiters.wake_all();
    }
}
