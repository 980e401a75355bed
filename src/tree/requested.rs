//! Whether cancellation was requested above a task that the walk of that request has not marked yet.
//!
//! While no request is marking ([`Requests`](crate::task::requests::Requests)), the task's own word has
//! the answer. Otherwise the ancestors are looked at one by one. A deep chain of tasks that end one after
//! another while a walk is under way must not look at all of it each time, so both answers are
//! kept: "yes" by closing the services in between, as the mark will, and "no" by the thread, which
//! most often asks for the parent next.
//!
//! A "no" is kept under the number that it is about, and only if all numbers were settled before the look.
//! A number is drawn before a request marks its target, and before a protection shows its end, which may have kept a
//! request away. So a thread that was told of either, in whatever way, sees a number that is later than each
//! "no" that was found before.

#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use crate::sync::atomic::Ordering;
use crate::task::cover::{Cover, CoverState};
use crate::task::record::Record;
use crate::task::{Live, kind};
use std::cell::Cell;

crate::sync::thread_local! {
    /// A runtime, the id of a task, and the number of a request: the task is not covered by that
    /// request, nor by an earlier one.
    static CLEAR: Cell<(u64, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// Whether cancellation of this task, of an ancestor, or of its service was requested. Called by the thread that
/// runs or finishes the task.
pub(super) fn is_requested(task: Live<'_>) -> bool {
    // In this order: the marks of requests that had marked by the first look show in the record.
    is_or_will_be_marked(task)
        || task.record().is_some_and(Record::is_closing)
        || task.is(kind::COVERED) && task.service().is_some_and(is_or_will_be_marked)
}

/// Whether a request has marked this task, or will, or would have if the task were not done. Called as
/// [`is_requested`].
pub(super) fn is_or_will_be_marked(task: Live<'_>) -> bool {
    // In this order: the marks of requests that had marked by then show in the task's own word.
    let requests = task.shared().requests.look();
    let word = task.word();
    if word.is_closing() {
        return true;
    }
    if requests.all_marked() {
        return word.is_done() && is_below_mark(task);
    }
    let is_closing = |above: Live<'_>| above.word().is_closing() || above.is_closing_service();
    let Some(closing) = nearest_above(task, requests.latest(), is_closing) else {
        return false;
    };
    for below in task.upward().take_while(|below| *below != closing) {
        below.close_with_tree();
    }
    true
}

/// Whether the parent of a task that is done is marked by a request that covers the task, too. The walk may have
/// found the task done.
fn is_below_mark(task: Live<'_>) -> bool {
    task.parent()
        .is_some_and(|parent| match task.cover().map(Cover::state) {
            Some(CoverState::Active) => parent.word().is_killed(),
            Some(CoverState::Called(_)) => true,
            Some(CoverState::Lifted(_)) | None => parent.word().is_closing(),
        })
}

/// Whether an ancestor is the target of a request with this number or an earlier one.
pub(super) fn is_target_above(task: Live<'_>, number: u64) -> bool {
    let is_target = |above: Live<'_>| {
        let cold = above.cold();
        let asked = cold.map_or(0, |cold| cold.asked.load(Ordering::Acquire));
        asked != 0 && asked <= number
    };
    nearest_above(task, number, is_target).is_some()
}

/// Returns the nearest ancestor for which `is_covered` is true, which says that a request up to `number`
/// covers it. A negative answer is cached for this thread.
///
/// A request does not reach through a protection ([`crate::task::cover`]), unless it is a kill. One that has ended
/// later than `number` was there.
#[cold]
fn nearest_above<'a>(
    task: Live<'a>,
    number: u64,
    is_covered: impl Fn(Live<'a>) -> bool,
) -> Option<Live<'a>> {
    let serial = task.shared().serial;
    // Before the look at what is above.
    let keeps = task.shared().requests.are_settled();
    // Most often the parent is asked about next.
    let clear_parent = || {
        if keeps && let Some(parent) = task.parent() {
            CLEAR.set((serial, parent.id().get(), number));
        }
    };
    let cover = |task: Live<'a>| task.cover().map(|cover| cover.state_at(number));
    if CLEAR.get() == (serial, task.id().get(), number) {
        // The parent may have been covered if the task is apart from it.
        if matches!(cover(task), Some(CoverState::Lifted(_)) | None) {
            clear_parent();
        }
        return None;
    }
    let mut at = task;
    while let Some(above) = at.parent() {
        match cover(at) {
            Some(CoverState::Called(_)) => return Some(above),
            Some(CoverState::Active) => {
                let killed = killed_above(at);
                if killed.is_none() && at != task {
                    clear_parent();
                }
                return killed;
            }
            Some(CoverState::Lifted(_)) | None => {}
        }
        if is_covered(above) {
            return Some(above);
        }
        at = above;
    }
    clear_parent();
    None
}

/// Whether the task or one above it is being killed. The walk of the kill may not have reached the task.
pub(super) fn is_killed(task: Live<'_>) -> bool {
    task.word().is_killed() || killed_above(task).is_some()
}

/// Returns the nearest ancestor that is being killed.
#[cold]
fn killed_above(task: Live<'_>) -> Option<Live<'_>> {
    task.upward().skip(1).find(|above| above.word().is_killed())
}
