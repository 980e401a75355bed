//! Snapshots of the tree: the tasks, their parents, and what they do.
//!
//! This room is the public data that a snapshot consists of, and its drawings as text (`draw.rs`) and
//! as a Graphviz graph (`dot.rs`). It guards the bounds of what is drawn: a line and a path have a
//! limited length at any depth.
//!
//! The room may not look at a task. The walk over live tasks is part of the room `tree`, which
//! describes each task that it visits in a [`Draft`] and builds a [`Snapshot`] from them.

pub(crate) mod changes;
pub(crate) mod crowd;
mod dot;
mod draw;
pub(crate) mod stall;
pub(crate) mod totals;

use crate::id::TaskId;
use crate::path::PreorderPaths;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A snapshot of the tasks of a runtime, or of one service and everything below it.
///
/// It is taken parent by parent while the tasks continue to run. A child that exists throughout
/// appears exactly once, and a task that changes its state meanwhile appears in one of its states. If
/// no task changes, the snapshot is exact.
///
/// Its [`Display`](fmt::Display) draws the tree with a line for each task. A task more than 16 levels
/// down is not indented further; its depth is printed as a number instead. [`to_dot`](Self::to_dot)
/// returns the tree for Graphviz.
///
/// # Examples
///
/// ```
/// # fn show(snapshot: &taskgrove::Snapshot) {
/// print!("{snapshot}");
/// for node in snapshot {
///     if node.daemon {
///         println!("{} has been polled {} times", node.path, node.polls);
///     }
/// }
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Snapshot {
    /// The nodes in pre-order.
    nodes: Vec<Node>,
    /// The depth of each node below the top of the snapshot.
    #[cfg_attr(feature = "serde", serde(skip))]
    depths: Vec<usize>,
}

/// A task or a service in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Node {
    /// The id of the task.
    pub id: TaskId,
    /// The id of its parent, which may be outside the snapshot; `None` for a root.
    pub parent: Option<TaskId>,
    /// The name as it was given, in full.
    pub name: String,
    /// The path in the tree, such as `app/db/conn-3`. Names are cut at 64 characters, and a path of
    /// more than 32 segments has `…` in place of those in the middle.
    pub path: String,
    /// Says whether the node is a service or a task.
    pub kind: NodeKind,
    /// What the task was doing.
    pub state: NodeState,
    /// True if the task is a daemon, which is not meant to end by itself.
    pub daemon: bool,
    /// The number of polls of its future.
    pub polls: u64,
    /// The total duration of its polls, if the runtime was built with `track_busy_time(true)`; also that of
    /// its closure, if that blocks.
    pub busy: Option<Duration>,
    /// The time since the task was spawned. The runtime's coarse clock is exact to about 1 ms.
    pub age: Duration,
    /// The place in the sources where the task was spawned.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub location: &'static Location<'static>,
    /// What the task waits for while it is not being polled, if the runtime was built with
    /// `track_awaits(true)`: for instance `sleep, 1.2s left`, `task app/db/conn-3 #17`,
    /// `end of service app/db`, `cancellation`, or `a waker` for a future that is not of this crate. If
    /// the task waits for several things, ` or ` separates them.
    pub awaiting: Option<String>,
    /// The time since the poll began that the task is in, if the runtime was built with
    /// `track_busy_time(true)` or `on_stall`. `None` for a task that is not being polled, and for a closure
    /// that blocks.
    pub running_for: Option<Duration>,
    /// Why the task is being cancelled, if it is: one line.
    pub cause: Option<String>,
}

/// Serialises a place in the sources as its text, such as `src/db.rs:40:9`.
#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(
    location: &&'static Location<'static>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(location)
}

/// The kind of a [`Node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum NodeKind {
    /// A service, whose future is its `run`.
    Service,
    /// Any other task, supervised or not.
    Task,
}

/// The state of a [`Node`] when the snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum NodeState {
    /// The task was woken and waits for a worker to poll it, or for a thread of the blocking pool.
    Queued,
    /// The task is being polled.
    Running,
    /// The task's closure runs on a thread of the blocking pool (the feature `blocking`).
    Blocking,
    /// The task waits to be woken.
    Parked,
    /// The task's future has ended or the task is being cancelled, and it has children that are not
    /// done yet.
    WaitingForChildren,
    /// The task is being cancelled, has no children and has not ended yet.
    Cancelling,
    /// The task runs a cleanup, or is being cancelled while a shield protects it.
    CleaningUp,
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            NodeKind::Service => "service",
            NodeKind::Task => "task",
        })
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            NodeState::Queued => "queued",
            NodeState::Running => "running",
            NodeState::Blocking => "blocking",
            NodeState::Parked => "parked",
            NodeState::WaitingForChildren => "waiting for children",
            NodeState::Cancelling => "cancelling",
            NodeState::CleaningUp => "cleaning up",
        })
    }
}

/// One task as the walk over the tree saw it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) id: TaskId,
    /// The name as it was given.
    pub(crate) name: &'a str,
    /// The depth below the top of the snapshot; a top node has 0.
    pub(crate) depth: usize,
    pub(crate) kind: NodeKind,
    pub(crate) state: NodeState,
    pub(crate) daemon: bool,
    pub(crate) polls: u64,
    /// `None` if the runtime does not track busy time.
    pub(crate) busy: Option<Duration>,
    pub(crate) age: Duration,
    pub(crate) location: &'static Location<'static>,
    pub(crate) awaiting: Option<String>,
    pub(crate) running_for: Option<Duration>,
    pub(crate) cause: Option<String>,
}

impl Snapshot {
    /// Makes a snapshot from drafts in pre-order.
    ///
    /// `above` has the names of the tasks above the top nodes, root first. They may be elided already,
    /// as `UpwardPath::segments` returns them. `parent` is the nearest of these tasks. A depth that is
    /// more than one below that of the draft before counts as one below.
    pub(crate) fn new<'a>(
        above: Vec<String>,
        parent: Option<TaskId>,
        drafts: impl IntoIterator<Item = Draft<'a>>,
    ) -> Snapshot {
        let drafts = drafts.into_iter();
        let most = drafts.size_hint().1.unwrap_or(0);
        let mut paths = PreorderPaths::new(&above);
        let mut line: Vec<TaskId> = Vec::new();
        let mut nodes = Vec::with_capacity(most);
        let mut depths = Vec::with_capacity(most);
        for draft in drafts {
            let path = paths.push(draft.depth, draft.name);
            line.truncate(draft.depth);
            depths.push(line.len());
            nodes.push(Node {
                id: draft.id,
                parent: line.last().copied().or(parent),
                name: draft.name.to_owned(),
                path,
                kind: draft.kind,
                state: draft.state,
                daemon: draft.daemon,
                polls: draft.polls,
                busy: draft.busy,
                age: draft.age,
                location: draft.location,
                awaiting: draft.awaiting,
                running_for: draft.running_for,
                cause: draft.cause,
            });
            line.push(draft.id);
        }
        Snapshot { nodes, depths }
    }

    /// Makes a snapshot without nodes.
    pub(crate) fn empty() -> Snapshot {
        Snapshot {
            nodes: Vec::new(),
            depths: Vec::new(),
        }
    }

    /// Leaves out what each task waits for.
    pub(crate) fn without_awaits(mut self) -> Snapshot {
        for node in &mut self.nodes {
            node.awaiting = None;
        }
        self
    }

    /// Returns the nodes in pre-order: each node comes before its children, and siblings are in the
    /// order in which they are in the tree.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns true if there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns each node with its depth below the top of the snapshot.
    fn with_depths(&self) -> impl Iterator<Item = (&Node, usize)> {
        self.nodes.iter().zip(self.depths.iter().copied())
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = &'a Node;
    type IntoIter = std::slice::Iter<'a, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.iter()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("nodes", &self.nodes)
            .finish()
    }
}

#[cfg(test)]
mod tests;
