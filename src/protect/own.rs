//! The crate's own awaits. Each suspends when the calling code's time is over, and once in a while
//! when too many have been ready in one poll, so that no loop over them outruns a cancellation or
//! keeps others from running.
//!
//! A task that suspends for its turn is dropped after the poll, so that its own waker need not be
//! woken. Any other waker is: it belongs to a set that another task may go on with, or to a
//! `block_on` inside the poll. The latter calls again at once, and the poll never ends. So after
//! [`STALLS`] suspensions with a waker that is not the task's, in one poll, the calling code is
//! taken to be inside such a `block_on`, and is let on.

use super::place::{self, PlaceKind};
use super::scope::Turn;
use crate::task::awaited::{self, Awaited};
use crate::task::cell::Node;
use crate::task::current::{Current, change, current};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Own awaits that may be ready in one poll of a task.
pub(crate) const READY_IN_POLL: u32 = 128;
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// Sets of futures return after one or two futures that woke themselves.
const STALLS: u8 = 127;

/// Suspensions in this poll that woke a waker which is not the task's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalls {
    count: u8,
}

impl Stalls {
    pub(crate) const NONE: Stalls = Stalls { count: 0 };
    const ENDLESS: u8 = 1 << 7;

    /// The turn has come, and the poll does not end.
    #[inline]
    pub(crate) fn are_endless(self) -> bool {
        self.count & Self::ENDLESS != 0
    }

    /// Counts one more; `true` if they have become too many.
    fn add(&mut self, turn: bool) -> bool {
        if self.count & !Self::ENDLESS < STALLS {
            self.count += 1;
            return false;
        }
        self.count &= Self::ENDLESS;
        if turn {
            self.count |= Self::ENDLESS;
        }
        true
    }

    /// Code outside of tasks has no polls that begin or end: each poll of a body counts anew.
    pub(crate) fn outside_of_tasks(&mut self, outside: bool) {
        if outside {
            *self = Self::NONE;
        }
    }
}

/// One poll of an own await. `awaited` says what it waits for.
#[inline]
pub(crate) fn poll_own<T>(
    cx: &mut Context<'_>,
    awaited: impl FnOnce() -> Option<Awaited>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let current = current();
    if (is_over(&current) || current.budget == 0) && !goes_on(cx) {
        return Poll::Pending;
    }
    let polled = poll(cx);
    if polled.is_pending() {
        awaited::note(awaited);
    } else {
        note_ready();
    }
    polled
}

/// An own await that is ready, unless the calling code has to suspend: for what returns without
/// waiting for anything else.
pub(crate) async fn checkpoint() {
    poll_fn(|cx| poll_own(cx, || None, |_| Poll::Ready(()))).await;
}

/// Gives out an error that was found before the first await.
pub(crate) async fn refused<T, E>(error: E) -> Result<T, E> {
    checkpoint().await;
    Err(error)
}

/// Whether an own await may look at what it waits for all the same; else it has to return `Pending`.
#[cold]
fn goes_on(cx: &Context<'_>) -> bool {
    let current = current();
    let over = is_over(&current) && !place::must_run_on(&current, cx.waker());
    (!over || stall(cx, true)) && has_budget(cx)
}

/// Whether own awaits may still be ready in this poll; else this one has to return `Pending`.
#[inline]
pub(crate) fn has_budget(cx: &Context<'_>) -> bool {
    current().budget > 0 || stall(cx, false)
}

/// An own await was ready.
#[inline]
pub(crate) fn note_ready() {
    if current().budget != UNLIMITED {
        change(|current| current.budget = current.budget.saturating_sub(1));
    }
}

/// Suspends, for good if it is for the `turn`; `true`: it must not, see the module.
#[cold]
pub(crate) fn stall(cx: &Context<'_>, turn: bool) -> bool {
    let own = current().node.is_some_and(|node| node.is_waker(cx.waker()));
    let goes_on = !own
        && change(|current| {
            let too_many = current.stalls.add(turn);
            if too_many && current.budget != UNLIMITED {
                current.budget = READY_IN_POLL;
            }
            too_many
        });
    if !(goes_on || own && turn) {
        cx.waker().wake_by_ref();
    }
    goes_on
}

/// Whether the calling code's time is over: its task's turn has come (or its body's end), and no
/// protection is active around or beside it.
pub(crate) fn is_suspended() -> bool {
    is_over(&current())
}

#[inline]
fn is_over(current: &Current) -> bool {
    match (current.place, current.node) {
        (PlaceKind::Root, Some(node)) => node.state.load().is_turn() && is_dropped_now(node),
        (PlaceKind::Body, _) => is_body_over(),
        _ => false,
    }
}

#[cold]
fn is_body_over() -> bool {
    place::body().is_some_and(|body| body.turn() != Turn::No && !body.is_protected())
}

#[cold]
fn is_dropped_now(node: Node) -> bool {
    node.state.load().is_killed() || !node.cold().is_some_and(|cold| cold.is_protected())
}
