//! The report of a deadlock: the tree of the tasks, and for each what it waits for.

use super::engine::Engine;
use crate::id::TaskId;
use crate::snapshot::{Node, NodeState};
use crate::task::Shared;
use crate::task::awaited::{Awaited, Event, Whom};
use crate::timer_queue::NEVER;
use crate::tree::look;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// The most lines of the tree, and of the list of waits.
const LINES: usize = 200;
/// The most children of one task that are named.
const CHILDREN: usize = 4;

/// The tasks of a snapshot by their ids, and the children of each.
#[derive(Default)]
struct Tree<'a> {
    nodes: HashMap<TaskId, &'a Node>,
    children: HashMap<TaskId, Vec<&'a Node>>,
}

/// Writes the report. `main` is what the main future was left waiting for.
pub(super) fn describe(engine: &Engine, shared: &Shared, main: &[Awaited]) -> String {
    let snapshot = look::all(shared).without_awaits();
    let waits: HashMap<TaskId, Vec<Awaited>> = look::awaits(shared).into_iter().collect();
    let mut tree = Tree::default();
    for node in snapshot.nodes() {
        tree.nodes.insert(node.id, node);
        if let Some(parent) = node.parent {
            tree.children.entry(parent).or_default().push(node);
        }
    }
    let mut text = format!(
        "the simulation with seed {}, at step {}, after {:?} of virtual time, cannot go on: nothing is ready, no timer is left, and no work of another thread is counted\n\n",
        engine.seed,
        engine.steps(),
        Duration::from_nanos(shared.clock.now_ns()),
    );
    push_lines(&mut text, snapshot.to_string().lines());
    text.push_str("\nwhat each waits for:\n");
    let first = format!("the future in `block_on`: {}", tree.awaits(main));
    let tasks = snapshot.nodes().iter().map(|node| {
        let awaited = waits.get(&node.id).map_or(&[][..], Vec::as_slice);
        format!("{}: {}", place(node), tree.reason(node, awaited))
    });
    push_lines(&mut text, std::iter::once(first).chain(tasks));
    // Another thread may have a waker; the simulation cannot know.
    text.push_str("\nThis is a deadlock, unless another thread was to end one of these waits: the simulation waits for that as long as the thread has a `sim::external_work()`.\n");
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

/// Names a task by its path and its id: several tasks may have one path.
fn place(node: &Node) -> String {
    format!("{} {}", node.path, node.id)
}

impl Tree<'_> {
    fn reason(&self, node: &Node, awaited: &[Awaited]) -> String {
        match node.state {
            NodeState::WaitingForChildren => format!("its children: {}", self.children(node)),
            NodeState::CleaningUp => {
                format!("inside protection or a cleanup, {}", self.awaits(awaited))
            }
            // A task that is ready makes no deadlock, unless the engine has lost it.
            NodeState::Queued | NodeState::Running | NodeState::Blocking => {
                "nothing, it is ready".to_owned()
            }
            NodeState::Parked | NodeState::Cancelling => self.awaits(awaited),
        }
    }

    fn children(&self, node: &Node) -> String {
        let children = self.children.get(&node.id).map_or(&[][..], Vec::as_slice);
        let named = children.iter().take(CHILDREN).map(|child| place(child));
        let mut text = named.collect::<Vec<_>>().join(", ");
        if children.len() > CHILDREN {
            let _ = write!(text, ", and {} more", children.len() - CHILDREN);
        }
        text
    }

    /// Describes the awaits that the last poll was left in.
    fn awaits(&self, awaited: &[Awaited]) -> String {
        if awaited.is_empty() {
            return "something outside this crate: a channel, a lock, a waker nobody wakes"
                .to_owned();
        }
        let parts: Vec<_> = awaited.iter().map(|awaited| self.what(awaited)).collect();
        parts.join(", or ")
    }

    fn what(&self, awaited: &Awaited) -> String {
        match awaited {
            Awaited::Result(whom) => format!("the result of {}", self.whom(whom)),
            Awaited::Done(whom) => format!("{} to be done (`wait_done`)", self.whom(whom)),
            Awaited::Room(whom) => {
                format!("room under {} (`spawn_when_room`)", self.whom(whom))
            }
            Awaited::Time(NEVER) | Awaited::Limit(NEVER) => "a sleep that never ends".to_owned(),
            Awaited::Time(at) | Awaited::Limit(at) => {
                format!(
                    "a sleep until {:?} of virtual time",
                    Duration::from_nanos(*at)
                )
            }
            Awaited::Service(event, whom) => {
                let whom = self.whom(whom);
                match event {
                    Event::Start => format!("the start of {whom} (`wait_started`)"),
                    Event::Ready => format!("{whom} to be ready (`wait_ready`)"),
                    Event::End => format!("the end of {whom} (`wait_finished`)"),
                    Event::Cancel => {
                        format!("the cancellation of itself or of {whom} (`Context::cancelled`)")
                    }
                    Event::Call => format!("a call on behalf of {whom}, or its end"),
                }
            }
        }
    }

    fn whom(&self, whom: &Whom) -> String {
        let Some(id) = whom.id() else {
            return format!("{}, which has not been started", whom.name());
        };
        match self.nodes.get(&id) {
            // Ids are unique in one runtime only; the name tells this task from one of another.
            Some(node) if node.name == whom.name() => place(node),
            _ => format!("{} {id}, which is not in this simulation", whom.name()),
        }
    }
}
