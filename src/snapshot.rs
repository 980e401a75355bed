//! Pictures of the tree: which tasks there are, whose children they are, and what they do.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::id::TaskId;
use crate::path::PreorderPaths;

mod dot;
mod draw;

/// A picture of a runtime's tasks, or of one service's.
///
/// It is taken parent by parent while tasks go on: a child that is there throughout appears exactly
/// once, a task that moves meanwhile is seen in one of its states, and on a quiet tree the picture
/// is exact.
///
/// Its [`Display`](fmt::Display) draws the tree, a line for each task; a task more than 16 levels
/// down is not indented further, its depth is written as a number instead. [`to_dot`](Self::to_dot)
/// is for Graphviz.
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
pub struct Snapshot {
    /// The nodes in pre-order.
    nodes: Vec<Node>,
    /// How far each of them is below the top of the picture.
    depths: Vec<usize>,
}

/// A task or a service in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its id.
    pub id: TaskId,
    /// The task it is a child of, also if that one is outside the picture; `None` for a root.
    pub parent: Option<TaskId>,
    /// Its name, whole and as it was given.
    pub name: String,
    /// Its place, such as `app/db/conn-3`. Bounded: names are cut at 64 characters, and of more
    /// than 32 segments those in the middle are one `…`.
    pub path: String,
    /// Whether it is a service or a task.
    pub kind: NodeKind,
    /// What it was doing.
    pub state: NodeState,
    /// True if it is not meant to end by itself.
    pub daemon: bool,
    /// How often its future has been polled.
    pub polls: u64,
    /// How long its polls took together, if the runtime was built with `track_busy_time(true)`.
    pub busy: Option<Duration>,
    /// How long ago it was spawned, as exact as the runtime's coarse clock: about a millisecond.
    pub age: Duration,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
}

/// What a [`Node`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeKind {
    /// A service; its future is the service's `run`.
    Service,
    /// Any other task, supervised or not.
    Task,
}

/// What a [`Node`] was doing when the picture was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeState {
    /// Woken, and waiting for a worker to poll it.
    Queued,
    /// Being polled.
    Running,
    /// Waiting to be woken.
    Parked,
    /// Its future has ended, or it is being cancelled; the task is not done before its children are.
    WaitingForChildren,
    /// It is being cancelled, without children, and has not ended yet.
    Cancelling,
    /// It runs a cleanup, or is being cancelled and shielded.
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
            NodeState::Parked => "parked",
            NodeState::WaitingForChildren => "waiting for children",
            NodeState::Cancelling => "cancelling",
            NodeState::CleaningUp => "cleaning up",
        })
    }
}

/// What a walk saw of one task.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The task's id.
    pub(crate) id: TaskId,
    /// Its name, as it was given.
    pub(crate) name: &'a str,
    /// How far it is below the top of the picture; a top node has 0.
    pub(crate) depth: usize,
    /// What it is.
    pub(crate) kind: NodeKind,
    /// What it was doing.
    pub(crate) state: NodeState,
    /// Whether it is a daemon.
    pub(crate) daemon: bool,
    /// How often it has been polled.
    pub(crate) polls: u64,
    /// How long its polls took together, if that is counted.
    pub(crate) busy: Option<Duration>,
    /// How long ago it was spawned.
    pub(crate) age: Duration,
    /// Where it was spawned.
    pub(crate) location: &'static Location<'static>,
}

impl Snapshot {
    /// The picture of these nodes, which come in pre-order.
    ///
    /// `above` are the names of the tasks above the top nodes, root first (possibly elided, as
    /// `UpwardPath::segments` gives them), and `parent` is the nearest of these. A depth that is
    /// more than one below the node before is taken as one below.
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
            });
            line.push(draft.id);
        }
        Snapshot { nodes, depths }
    }

    /// The picture of nothing.
    pub(crate) fn empty() -> Snapshot {
        Snapshot {
            nodes: Vec::new(),
            depths: Vec::new(),
        }
    }

    /// The nodes in tree order: each before its children, and these in the order of their
    /// appearance in the tree.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes, each with its depth below the top of the picture.
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
