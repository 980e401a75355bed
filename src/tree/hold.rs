//! [`Hold`]: keeps a task from being done.

use super::finish;
use crate::task::Node;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// A hold on a task, which counts like a child: as long as there is one the task is not done, and its
/// turn does not come. It is given back when this is dropped, however the code ends that took it,
/// also by a panic of the user's. What that entails for the task is left to the workers.
#[must_use = "dropping it gives the hold back"]
pub(crate) struct Hold(Node);

impl Hold {
    /// `None` if the task is done. The caller has a reference to it.
    pub(crate) fn on(node: Node) -> Option<Hold> {
        node.state.hold().then(|| Hold(node))
    }

    /// Leaves it to the caller to give the hold back.
    pub(super) fn keep(self) -> Node {
        ManuallyDrop::new(self).0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        finish::release_later(self.0);
    }
}

impl Deref for Hold {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}
