//! Dropping the future of a task that was claimed, as code of that task.

use super::fail;
use super::request::notify;
use crate::error::JoinError;
use crate::panics::quietly;
use crate::task::cold::Cold;
use crate::task::current;
use crate::task::raw::{Claimed, Closing, Next, Payload};

/// Drops the future of a claimed task, which runs user code; returns what follows.
pub(super) fn close(mut task: Claimed) -> Next {
    let cleanups = current::run_as(&mut task, drop_future);
    task.end(cleanups)
}

/// Drops the future and stores the outcome; `true` if deferred cleanups are left.
#[inline(always)]
fn drop_future(mut task: Closing<'_>) -> bool {
    let word = task.live().word();
    match task.drop_future() {
        Err(payload) => note_panic(task.again(), payload),
        // A future that had ended before has its outcome, and only cleanups to lose.
        Ok(()) if word.has_ended() => {}
        // Without a handle no outcome is needed, and no handle can be made later.
        Ok(()) if !word.has_join_interest() => {}
        Ok(()) => task.store_error(JoinError::Cancelled),
    }
    match task.live().cold() {
        None => false,
        Some(_) => drop_rest(task),
    }
}

#[cold]
fn note_panic(mut task: Closing<'_>, payload: Payload) {
    let error = fail::panicked(task.live(), payload);
    task.store_error(error);
}

/// As the rest of [`drop_future`], of a task with cold data.
#[inline(never)]
fn drop_rest(mut task: Closing<'_>) -> bool {
    let live = task.live();
    let Some(cold) = live.cold() else {
        return false;
    };
    if live.shared().watch.awaits {
        drop(cold.take_awaited());
    }
    fail::count_noted(live, cold);
    if cold.has_cleanups() {
        if !live.word().is_killed() {
            // A task that was cancelled without a walk has not woken its waits yet, and its cleanups
            // may take long.
            current::outside_tasks(|| notify(live));
            return true;
        }
        while let Some(cleanup) = cold.pop_cleanup() {
            quietly(|| drop(cleanup));
        }
    }
    #[cfg(feature = "tracing")]
    if let Some(span) = cold.take_span() {
        span.end();
    }
    if let Some(error) = kept_panic(cold) {
        task.store_error(error);
    }
    false
}

/// Takes the panic of a cleanup, as the outcome of its task.
pub(super) fn kept_panic(cold: &Cold) -> Option<JoinError> {
    let panic = cold.take_panic()?;
    Some(JoinError::Panicked(crate::error::Panic::new(panic)))
}
