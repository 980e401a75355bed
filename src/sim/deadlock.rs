//! What a deadlock panics with.

use super::engine::Engine;
use crate::snapshot::{Node, NodeState};
use crate::sync::Arc;
use crate::task::Hub;
use crate::task::current::Waits;
use crate::tree::snapshot;
use std::fmt::Write;
use std::time::Duration;

/// Lines of the tree, and of the list of who waits, at most.
const LINES: usize = 200;

/// How the crate's own awaits are told apart: a part of the path of their code, and what it is.
const AWAITS: [(&str, &str); 9] = [
    ("wait_finished", "the end of a service (`wait_finished`)"),
    ("wait_started", "the start of a service (`wait_started`)"),
    ("wait_ready", "a service to be ready (`wait_ready`)"),
    (
        "external_api",
        "a call of a service's external API, or the service's end",
    ),
    (
        "cancelled",
        "a cancellation to be asked for (`Context::cancelled`)",
    ),
    (
        "wait_done",
        "a task to be done (`wait_done`), with all below it",
    ),
    ("Manager>::", "a service"),
    ("Sleep", "a sleep that never ends"),
    (
        "Task<",
        "the result of a task (its handle), which comes when all below it are done",
    ),
];

/// The message: what happened, the tree, and for each task what it waits for.
pub(super) fn describe(engine: &Engine, hub: &Arc<Hub>, main: &Waits) -> String {
    let tree = snapshot::all(hub);
    let mut text = format!(
        "deadlock in the simulation with seed {}, at step {}, after {:?} of virtual time: nothing is ready, and no timer is left\n\n",
        engine.seed,
        engine.steps(),
        Duration::from_nanos(hub.clock.now_ns()),
    );
    let drawn = tree.to_string();
    push_lines(&mut text, drawn.lines());
    text.push_str("\nwhat each waits for:\n");
    let first = format!("the future in `block_on`: {}", own_awaits(main));
    let tasks = tree.nodes().iter().map(|node| {
        let waits = engine.waits_of(node.id).unwrap_or_default();
        format!("{} {}: {}", node.path, node.id, reason(node, &waits))
    });
    push_lines(&mut text, std::iter::once(first).chain(tasks));
    text
}

fn push_lines(text: &mut String, lines: impl Iterator<Item = impl AsRef<str>>) {
    let mut left_out = 0;
    for (at, line) in lines.enumerate() {
        if at < LINES {
            text.push_str("  ");
            text.push_str(line.as_ref());
            text.push('\n');
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  … and {left_out} more");
    }
}

fn reason(node: &Node, waits: &Waits) -> String {
    match node.state {
        NodeState::WaitingForChildren => "its children".to_owned(),
        NodeState::CleaningUp => format!("inside protection or a cleanup, {}", own_awaits(waits)),
        // Not reached unless the scheduler has lost it.
        NodeState::Queued | NodeState::Running => "nothing, it is ready".to_owned(),
        NodeState::Parked | NodeState::Cancelling => own_awaits(waits),
    }
}

/// The crate's own awaits that the last poll was left in.
fn own_awaits(waits: &Waits) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for name in waits.iter().flatten() {
        let known = AWAITS.iter().find(|(part, _)| name.contains(part));
        let what = known.map_or(*name, |(_, what)| *what);
        if !parts.contains(&what) {
            parts.push(what);
        }
    }
    if parts.is_empty() {
        return "something outside this crate: a channel, a lock, a waker nobody wakes".to_owned();
    }
    parts.join(", or ")
}
