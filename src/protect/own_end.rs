//! [`check`]: tells a task that waits for its own end, or for that of a task above it.
//!
//! A task is done after everything below it, so such a wait ends neither by itself nor by the end of the
//! task. Only a cancellation ends it: outside of protection, the waiting code is dropped at its turn. So the
//! wait is told
//!
//! - outside of a cancellation, whatever the code waits beside it (a select, a timeout);
//! - in a shield, in a cleanup, and in a destructor, also during a cancellation, since none of these is dropped
//!   at the turn. (A kill drops them, so it is legal during one.)
//!
//! It is not told during a cancellation outside of protection: `stop()` of the calling task's own service
//! is such a wait. So is one in a task that is covered by the protection of a task above, since that protection may
//! end, and then the waiting task is dropped. If the protection waits for that task, neither ends, which only a
//! simulation tells. Nor is a wait with a limit of time told, as `stop_timeout` is.
//!
//! `wait_finished` of a service is told only in a shield, in a cleanup, and in a destructor ([`check_finish`]).
//! Elsewhere a task may wait for the finish of its own service: it waits for the cancellation, at which
//! it is dropped. Daemons of the original `async_service` do so.
//!
//! A wait is looked at once, when it first suspends, and only if what it waits for has children or is the
//! calling task. The way up is bounded ([`LEVELS`]), so that a deep chain of waits does not look at all of
//! itself for each of its tasks.

use crate::path::sanitise;
use crate::task::current::code::PlaceKind;
use crate::task::current::{Current, look};
use crate::task::state::Level;
use crate::task::{Borrowed, Live};
use std::panic::Location;

/// The number of tasks above the calling one that are looked at.
const LEVELS: usize = 4096;

/// Panics if the calling code's wait for the end of `target` cannot end. `location` is that of the wait,
/// where it is known.
///
/// # Panics
///
/// See [the module](self).
#[inline]
pub(crate) fn check(target: Borrowed<'_>, location: Option<&'static Location<'static>>) {
    if target.has_children() || crate::task::current::is(target) {
        check_ancestors(target, location, false);
    }
}

/// As [`check`], for a wait for the finish of a service.
///
/// # Panics
///
/// See [the module](self).
#[inline]
pub(crate) fn check_finish(target: Borrowed<'_>, location: &'static Location<'static>) {
    if target.has_children() || crate::task::current::is(target) {
        check_ancestors(target, Some(location), true);
    }
}

#[cold]
#[inline(never)]
fn check_ancestors(
    target: Borrowed<'_>,
    location: Option<&'static Location<'static>>,
    only_hard: bool,
) {
    let message = look(|current| {
        let task = current.task()?;
        let hard = is_hard(current, task);
        if only_hard && !hard {
            return None;
        }
        let mut upward = task.upward().take(LEVELS);
        let found = upward.find(|above| above.borrowed() == target)?;
        let level = if hard { Level::Kill } else { Level::Cancel };
        if is_being_ended(task, level) {
            return None;
        }
        Some(describe(task, found, location))
    });
    if let Some(message) = message {
        panic!("{message}");
    }
}

/// Whether the calling code is not dropped at the turn.
fn is_hard(current: &Current, task: Live<'_>) -> bool {
    match current.place() {
        PlaceKind::Hard | PlaceKind::HardInBody | PlaceKind::BodyDrop => true,
        PlaceKind::Root | PlaceKind::Body => task.is_future_gone(),
    }
}

/// Whether the task or one above it is being ended at this level or a higher one. A request marks its target
/// first, so all of them are looked at.
fn is_being_ended(task: Live<'_>, level: Level) -> bool {
    task.upward().any(|task| {
        task.word().level() >= level as u64 || level == Level::Cancel && task.is_closing_service()
    })
}

fn describe(
    task: Live<'_>,
    target: Live<'_>,
    location: Option<&'static Location<'static>>,
) -> String {
    let waits = format!(
        "`{}` {} (spawned at {}) waits for",
        task.path(),
        task.id(),
        task.location()
    );
    let at = location.map_or(String::new(), |at| format!(" at {at}"));
    if task == target {
        return format!("{waits} its own end{at}, and so never ends");
    }
    format!(
        "{waits} the end of `{}` {}{at}, which is above it and ends after it, so neither ever ends: cancel `{}` instead, or wait from outside of it",
        target.path(),
        target.id(),
        sanitise(target.name()),
    )
}
