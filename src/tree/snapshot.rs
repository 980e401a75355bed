//! Pictures of the tree: a walk that holds what it has met until all of it is copied.
//!
//! Every task that is there throughout is met once, under its parent's lock; names and the rest
//! are copied outside of locks, from tasks that cannot go meanwhile.

use super::frontier::{Frontier, Visit};
use super::links;
use crate::path::UpwardPath;
use crate::snapshot::{Draft, NodeKind, NodeState, Snapshot};
use crate::sync::atomic::Ordering;
use crate::task::side::Side;
use crate::task::state::Phase;
use crate::task::{Hub, Node, kind};
use std::time::Duration;

/// The subtree of a task that its caller has a reference to; empty once it is done.
pub(crate) fn of(node: Node) -> Snapshot {
    if !node.state.hold() {
        return Snapshot::empty();
    }
    let mut drafts = Vec::new();
    let frontier = collect(node);
    node.hub().refresh_clock();
    draw(&frontier, 0, node.hub().coarse_now(), &mut drafts);
    let above = links::parent(node);
    let parent = above.filter(|n| !n.is(kind::SENTINEL)).map(|n| n.id());
    let mut path = UpwardPath::new();
    let mut at = above;
    while let Some(node) = at.filter(|n| !n.is(kind::SENTINEL)) {
        path.push(node.name());
        at = links::parent(node);
    }
    let snapshot = Snapshot::new(path.segments(), parent, drafts);
    frontier.release_all();
    snapshot
}

/// Every root and what is below it, worker by worker.
pub(crate) fn all(hub: &Hub) -> Snapshot {
    let mut drafts = Vec::new();
    for sentinel in hub.sentinels() {
        if sentinel.state.hold() {
            let frontier = collect(**sentinel);
            hub.refresh_clock();
            draw(&frontier, 1, hub.coarse_now(), &mut drafts);
            frontier.release_all();
        }
    }
    Snapshot::new(Vec::new(), None, drafts)
}

fn collect(top: Node) -> Frontier {
    let mut frontier = Frontier::below(top);
    while frontier.expand(|child, _| {
        if child.state.hold() {
            Visit::Take(0)
        } else {
            Visit::Skip
        }
    }) {}
    frontier
}

/// Appends what was collected in tree order, oldest sibling first, without the `skip` top levels.
fn draw(frontier: &Frontier, skip: usize, now_ms: u32, drafts: &mut Vec<Draft>) {
    let entries = &frontier.entries;
    // Children are contiguous, youngest first: where they begin, and how many they are.
    let mut children = vec![(0usize, 0usize); entries.len()];
    for (at, entry) in entries.iter().enumerate().skip(1) {
        let of = &mut children[entry.parent as usize];
        if of.1 == 0 {
            of.0 = at;
        }
        of.1 += 1;
    }
    drafts.reserve(entries.len());
    let mut stack = vec![(0usize, 0usize)];
    while let Some((at, depth)) = stack.pop() {
        if depth >= skip {
            drafts.push(draft(entries[at].node, depth - skip, now_ms));
        }
        let (first, count) = children[at];
        stack.extend((first..first + count).map(|child| (child, depth + 1)));
    }
}

fn draft(node: Node, depth: usize, now_ms: u32) -> Draft {
    let busy = |side: &Side| Duration::from_nanos(side.busy_ns.load(Ordering::Relaxed));
    Draft {
        id: node.id(),
        name: node.name().to_owned(),
        depth,
        kind: if node.is(kind::SERVICE) {
            NodeKind::Service
        } else {
            NodeKind::Task
        },
        state: state(node),
        daemon: node.is(kind::DAEMON),
        polls: node.polls.load(Ordering::Relaxed),
        busy: node
            .hub()
            .track_busy
            .then(|| node.side().map(busy).unwrap_or_default()),
        age: age(now_ms, node.birth_ms),
        location: node.location(),
    }
}

/// Milliseconds wrap after seven weeks; the coarse clock may be read a bit before it is set.
fn age(now_ms: u32, birth_ms: u32) -> Duration {
    let ms = now_ms.wrapping_sub(birth_ms);
    Duration::from_millis(if ms > u32::MAX - 60_000 { 0 } else { ms.into() })
}

/// What the task is doing, or what its end waits for.
fn state(node: Node) -> NodeState {
    let state = node.state.load();
    let has_children = node.first.load(Ordering::Relaxed) != 0;
    let cleans_up = state.has_ended()
        || state.is_closing()
            && (state.is_protected()
                || node
                    .side()
                    .is_some_and(|s| s.is_protected() || s.has_cleanups()));
    match state.phase() {
        Phase::Running | Phase::RunningWoken => NodeState::Running,
        Phase::Closed => NodeState::WaitingForChildren,
        _ if state.is_closing() && has_children => NodeState::WaitingForChildren,
        _ if cleans_up => NodeState::CleaningUp,
        _ if state.is_closing() => NodeState::Cancelling,
        Phase::Scheduled => NodeState::Queued,
        _ => NodeState::Parked,
    }
}
