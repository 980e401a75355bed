//! [`RunQueue`]: a worker's queue of tasks. Here alone a task becomes an address in a ring, and an
//! address a task.

use super::queue::{Local, STEAL_MAX};
use crate::task::Node;
use crate::task::cell::Header;

/// The tasks that wait for one worker, first in, first out.
///
/// One thread at a time is the owner, see [`queue`](super::queue): the worker itself. Each address
/// comes out exactly once.
pub(super) struct RunQueue(Local<Header>);

impl RunQueue {
    pub(super) fn new() -> Self {
        RunQueue(Local::new())
    }

    /// Adds a task at the end, or gives it back if the queue is full. Owner only.
    #[inline]
    pub(super) fn push(&self, node: Node) -> Result<(), Node> {
        self.0.push(node.address()).map_err(Node::from_address)
    }

    /// Takes the oldest task. Owner only.
    #[inline]
    pub(super) fn pop(&self) -> Option<Node> {
        self.0.pop().map(Node::from_address)
    }

    /// Takes the older half of a full queue, oldest first, and adds `last` to it. Owner only.
    pub(super) fn take_half_and(&self, last: Node) -> Vec<Node> {
        let mut half = Vec::with_capacity(self.len() / 2 + 1);
        self.0.take_half(&mut half);
        half.push(last.address());
        half.into_iter().map(Node::from_address).collect()
    }

    /// Takes up to half of another queue's oldest tasks: the first is returned, with how many were
    /// taken in all, and the rest is put at the end of this queue. Owner of this queue only.
    pub(super) fn steal_from(&self, victim: &RunQueue) -> Option<(Node, usize)> {
        let (first, count) = victim.0.steal_into(&self.0, STEAL_MAX)?;
        Some((Node::from_address(first), count))
    }

    /// How many tasks there are: a snapshot, for any thread.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: a snapshot, for any thread.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
