//! Whether some task is in the hands of another thread: a question for a scheduler of one thread
//! that has found nothing to do.

use super::frontier::{Held, Visit};
use super::hold::Hold;
use crate::sync::atomic::Ordering;
use crate::task::state::{Action, Phase};
use crate::task::{Node, Shared};
use std::cell::Cell;

/// Whether another thread is about to put a task, or a job about one, into a queue: because it has
/// scheduled or claimed it, or made it done, or because it holds a task whose end or turn would
/// come without that hold. For the thread that runs the tasks, with its queues empty and no walk
/// under way.
///
/// If so, a push comes, from that thread, or from this one when the last hold was its own.
pub(crate) fn hold_something(shared: &Shared) -> bool {
    let mut held = (shared.sentinels().iter()).filter_map(|sentinel| Hold::on(**sentinel));
    held.any(|sentinel| {
        let found = Cell::new(false);
        let mut frontier = Held::below(sentinel);
        while frontier.expand(|child, _| {
            if child.state.hold() {
                return Visit::Take(0);
            }
            // Done and linked: the one who made it done has not unlinked it.
            found.set(true);
            Visit::Skip
        }) {}
        found.get() || frontier.taken().any(is_in_a_hand)
    })
}

/// A task that is held by this walk. Whether it is by others, too, is no matter: of those one may
/// have let go meanwhile, and another have come.
fn is_in_a_hand(node: Node) -> bool {
    let state = node.state.load();
    match state.phase() {
        Phase::Idle | Phase::Closed => {
            // Its children, if it has any, are what it waits for.
            let childless = node.first.load(Ordering::Relaxed) == 0;
            childless && state.if_let_go() != Action::Nothing
        }
        _ => true,
    }
}
