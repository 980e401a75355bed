//! Checkpoints: the crate's own awaits. (The word is trio's.)
//!
//! A checkpoint suspends the calling code when its time is over, that is at the turn of its scope and
//! outside of protection. It also suspends once in a while when too many were ready in one poll, so that
//! no loop over them outruns a cancellation or starves other tasks.
//!
//! A task that suspends for its turn is dropped after the poll, so its own waker need not be woken.
//! Any other waker is woken. It belongs to a set of futures that another task may go on with, or to a
//! `block_on` inside the poll. A `block_on` polls again at once, and then the poll of the task never
//! ends. So when a poll has counted too many suspensions with a waker other than the task's
//! ([`Stalls`](crate::task::current::code::Stalls)), the calling code is taken to be inside a
//! `block_on`, and goes on.

use super::place;
use super::scope::Turn;
use crate::task::Live;
use crate::task::awaited::{self, Awaited};
use crate::task::current::code::{PlaceKind, READY_IN_POLL, UNLIMITED};
use crate::task::current::{Current, change, look};
use crate::task::state::Word;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Polls a checkpoint: calls `poll`, unless the calling code has to suspend. `awaited` says what it
/// waits for.
#[inline]
pub(crate) fn poll<T>(
    cx: &mut Context<'_>,
    awaited: impl FnOnce() -> Option<Awaited>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if !may_look(cx) {
        return Poll::Pending;
    }
    let polled = poll(cx);
    note_polled(polled.is_pending(), awaited);
    polled
}

/// Whether a checkpoint may look at what it waits for; otherwise it has to return `Pending`. The first
/// half of [`poll`].
#[inline]
pub(crate) fn may_look(cx: &mut Context<'_>) -> bool {
    !look(|current| is_over(current) || !current.has_budget()) || goes_on(cx)
}

/// Notes the result of the look. The second half of [`poll`].
#[inline]
pub(crate) fn note_polled(pending: bool, awaited: impl FnOnce() -> Option<Awaited>) {
    if pending {
        awaited::note(awaited);
    } else {
        note_ready();
    }
}

/// A checkpoint that is ready unless the calling code has to suspend, for an async function that may
/// return without another await.
pub(crate) async fn pass() {
    poll_fn(|cx| self::poll(cx, || None, |_| Poll::Ready(()))).await;
}

/// Returns an error that was found before the first await, after a checkpoint.
pub(crate) async fn refused<T, E>(error: E) -> Result<T, E> {
    pass().await;
    Err(error)
}

/// Whether a checkpoint may look at what it waits for although the code's time or its budget is over.
/// Otherwise it has to return `Pending`.
#[cold]
fn goes_on(cx: &Context<'_>) -> bool {
    let over = look(|current| is_over(current) && !place::must_run_on(current, cx.waker()));
    (!over || stall(cx, true)) && has_budget(cx)
}

/// Whether checkpoints may still be ready in this poll. Otherwise this one has to return `Pending`.
#[inline]
pub(crate) fn has_budget(cx: &Context<'_>) -> bool {
    look(Current::has_budget) || stall(cx, false)
}

/// Notes that a checkpoint was ready.
#[inline]
pub(crate) fn note_ready() {
    change(|current| {
        let budget = current.budget();
        if *budget != UNLIMITED {
            *budget = budget.saturating_sub(1);
        }
    });
}

/// Makes the caller's suspension known: for good if it is for the `turn`, else until the next poll.
/// Returns `true` if the caller must not suspend, because it seems to be inside a `block_on`.
#[cold]
pub(crate) fn stall(cx: &Context<'_>, turn: bool) -> bool {
    let own = look(|current| current.task().is_some_and(|task| task.is_waker(cx.waker())));
    let goes_on = !own
        && change(|current| {
            let too_many = current.stalls().add(turn);
            if too_many && *current.budget() != UNLIMITED {
                *current.budget() = READY_IN_POLL;
            }
            too_many
        });
    if !(goes_on || own && turn) {
        cx.waker().wake_by_ref();
    }
    goes_on
}

/// Whether the calling code's time is over: its task or its body has its turn, no protection is active
/// around or beside it, and nothing is left that was spawned inside one.
pub(crate) fn is_suspended() -> bool {
    look(is_over)
}

#[inline]
fn is_over(current: &Current) -> bool {
    match (current.place(), current.task()) {
        (PlaceKind::Root, Some(task)) => {
            let word = task.word();
            word.is_turn() && is_dropped_now(task, word)
        }
        (PlaceKind::Body, _) => is_body_over(),
        _ => false,
    }
}

#[cold]
fn is_body_over() -> bool {
    place::body().is_some_and(|body| body.turn() != Turn::No && !body.is_protected())
}

#[cold]
fn is_dropped_now(task: Live<'_>, word: Word) -> bool {
    let is_protected = || task.cold().is_some_and(|cold| cold.is_protected());
    word.is_killed() || !word.covers() && !is_protected()
}
