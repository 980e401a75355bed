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
//! A closure that blocks is ended neither by a cancellation nor by a kill, so a wait inside of one is always told,
//! also in a `block_on` that has put the code outside of the closure's task.
//!
//! `wait_finished` of a service is told only in a shield, in a cleanup, in a destructor, and in a closure that blocks
//! ([`check_finish`]).
//! Elsewhere a task may wait for the finish of its own service: it waits for the cancellation, at which
//! it is dropped. Daemons of the original `async_service` do so.
//!
//! A wait is looked at once, when it first suspends, and only if what it waits for has children or is the
//! calling task. The way up is bounded ([`LEVELS`]), so that a deep chain of waits does not look at all of
//! itself for each of its tasks.

use crate::path::sanitise;
use crate::task::current::closure;
use crate::task::current::code::PlaceKind;
use crate::task::current::{Current, look};
use crate::task::state::Level;
use crate::task::{Borrowed, Live, kind};
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
    let tell = |task: Live<'_>, dropped: Dropped| {
        if only_hard && matches!(dropped, Dropped::At(Level::Cancel)) {
            return None;
        }
        let mut upward = task.upward().take(LEVELS);
        let found = upward.find(|above| above.borrowed() == target)?;
        match dropped {
            Dropped::At(level) if is_being_ended(task, level) => None,
            _ => Some(describe(task, found, location)),
        }
    };
    let in_task = look(|current| {
        let task = current.task()?;
        Some(tell(task, dropped(current, task)))
    });
    let message = match in_task {
        Some(message) => message,
        None => closure::pin().and_then(|closure| tell(closure.live(), Dropped::Never)),
    };
    if let Some(message) = message {
        panic!("{message}");
    }
}

/// What ends the calling code while it waits.
enum Dropped {
    /// A request of at least this level: a cancellation, or only a kill.
    At(Level),
    Never,
}

fn dropped(current: &Current, task: Live<'_>) -> Dropped {
    if task.is(kind::BLOCKING) && !task.is_future_gone() {
        Dropped::Never
    } else if is_hard(current, task) {
        Dropped::At(Level::Kill)
    } else {
        Dropped::At(Level::Cancel)
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
