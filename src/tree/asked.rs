//! Whether cancellation was asked for above a task, where its mark has not come yet.
//!
//! Nobody has to look while no request is marking ([`Requests`](crate::task::requests::Requests)).
//! Otherwise the tasks above are looked at one by one. So that a deep chain of tasks that end one
//! after another while a walk is under way does not look at all of it each time, both answers are
//! kept: "yes" by closing the services in between, as the mark will, and "no" by the thread, which
//! most often asks for the parent next.

use super::links;
#[cfg(taskgrove_loom)]
use crate::sync::CellKey as _;
use crate::sync::atomic::Ordering;
use crate::task::record::Record;
use crate::task::{Node, kind};
use std::cell::Cell;

crate::sync::thread_local! {
    /// A runtime, the id of a task, and the number of a request: the task is not covered by that
    /// request, nor by an earlier one.
    static CLEAR: Cell<(u64, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// Whether cancellation of this task, or of one above it, was asked for. By whoever runs it, or
/// finishes it.
pub(crate) fn is_asked(node: Node) -> bool {
    // In this order: what had marked by then shows in the task's own word.
    let requests = node.shared().requests.look();
    if node.state.load().is_closing() || node.record().is_some_and(Record::is_closing) {
        return true;
    }
    if requests.all_marked() {
        return false;
    }
    let is_closing = |above: Node| above.state.load().is_closing() || is_service_closing(above);
    let Some(asked) = above(node, requests.latest(), is_closing) else {
        return false;
    };
    let mut at = Some(node);
    while let Some(node) = at.filter(|node| *node != asked) {
        if node.is(kind::SERVICE)
            && let Some(record) = node.record()
        {
            record.close_with_tree();
        }
        at = links::parent(node);
    }
    true
}

fn is_service_closing(node: Node) -> bool {
    node.is(kind::SERVICE) && node.record().is_some_and(Record::is_closing)
}

/// Whether a task above is the target of a request with this number, or an earlier one.
pub(super) fn is_target_above(node: Node, number: u64) -> bool {
    let is_target = |above: Node| {
        let cold = above.cold();
        let asked = cold.map_or(0, |cold| cold.asked.load(Ordering::Acquire));
        asked != 0 && asked <= number
    };
    above(node, number, is_target).is_some()
}

/// The nearest task above that is covered by one of the requests up to `number`, by itself.
#[cold]
fn above(node: Node, number: u64, is_asked: impl Fn(Node) -> bool) -> Option<Node> {
    let serial = node.shared().serial;
    let parent = links::parent(node)?;
    if CLEAR.get() != (serial, node.id().get(), number) {
        let mut at = Some(parent);
        while let Some(node) = at {
            if is_asked(node) {
                return Some(node);
            }
            at = links::parent(node);
        }
    }
    CLEAR.set((serial, parent.id().get(), number));
    None
}
