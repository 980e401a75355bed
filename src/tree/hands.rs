//! Whether another thread is in the middle of a step on some task, and will push it or a job about it. The
//! simulator asks this when it has nothing to do, before it reports a deadlock.

use super::frontier::{Frontier, Visit};
use crate::task::state::{Action, Phase};
use crate::task::{Live, Shared};
use std::cell::Cell;

/// Whether another thread is about to put a task, or a job about one, into a queue: because it has
/// scheduled or claimed it, or made it done, or because it pins a task whose end or turn would
/// come without that pin. Called by the only thread that runs tasks, when its queues are empty and no
/// walk is under way.
///
/// If so, a push comes, from that thread, or from this one when the last pin was its own.
pub(crate) fn hold_something(shared: &Shared) -> bool {
    let mut pins = shared.sentinels().filter_map(|sentinel| sentinel.pin());
    pins.any(|sentinel| {
        let found = Cell::new(false);
        let mut frontier = Frontier::below(sentinel, 0);
        while frontier.expand(|child, _, _| match child.pin() {
            Some(pin) => Visit::Take(pin.into(), 0),
            None => {
                // Done and linked: the thread that made it done has not unlinked it.
                found.set(true);
                Visit::Skip
            }
        }) {}
        found.get() || frontier.taken().any(is_in_a_hand)
    })
}

/// Whether a push follows for a task that this walk has pinned. The number of other pins does not matter,
/// since other threads may take and release pins meanwhile.
fn is_in_a_hand(task: Live<'_>) -> bool {
    let word = task.word();
    match word.phase() {
        // Its children, if it has any, are what it waits for.
        Phase::Idle | Phase::Closed => !task.has_children() && word.if_let_go() != Action::Nothing,
        _ => true,
    }
}
