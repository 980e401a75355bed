//! Links between tasks: indices in the headers, guarded by the parent's lock.
//!
//! A new child goes in at the head of its parent's list. An index is followed only
//!
//! - to the parent, by someone who keeps the task (or one below it) from being done: the parent
//!   is not done before its child, so its slot is valid;
//! - along a list, under the lock of the list's owner: what is linked is not freed.
#![allow(unsafe_code)]

use crate::arena::{self, ARENA, SlotIndex};
use crate::sync::ByteGuard;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::task::{Node, kind};

/// Links that this thread has followed: what the tests of growing costs count.
#[cfg(all(test, not(taskgrove_loom)))]
pub(super) mod followed {
    use std::cell::Cell;

    thread_local! {
        static LINKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn one() {
        LINKS.set(LINKS.get() + 1);
    }

    pub(crate) fn so_far() -> u64 {
        LINKS.get()
    }
}

fn resolve(link: &AtomicU32) -> Option<Node> {
    #[cfg(all(test, not(taskgrove_loom)))]
    followed::one();
    let index = SlotIndex::from_u32(link.load(Ordering::Relaxed))?;
    // SAFETY: the module's rule: the slot is in use, and holds a task.
    Some(Node::from_address(unsafe { ARENA.address(index) }.cast()))
}

/// The parent; a sentinel for a root, nothing for a sentinel or a task that was never linked. By
/// someone who keeps the task from being done.
pub(crate) fn parent(node: Node) -> Option<Node> {
    resolve(&node.parent)
}

/// Fetches a task into the cache that will be looked at soon: with more tasks than the cache
/// holds, its misses are what a walk costs.
pub(super) fn prefetch(node: Node) {
    arena::prefetch(node.address().as_ptr().cast());
}

/// Fetches the first child of a task that is in the cache. Another thread may unlink it meanwhile.
pub(super) fn prefetch_first_child(node: Node) {
    if let Some(first) = SlotIndex::from_u32(node.first.load(Ordering::Relaxed)) {
        ARENA.prefetch(first);
    }
}

/// In a child's own count, which is of no use any more when it is done: its parent's count is
/// without it already.
const OUT: u32 = u32::MAX;

/// Takes a child that is done off its parent's count; `false` if it is not in it. Under the parent's
/// lock.
pub(crate) fn count_out(parent: &Node, child: Node) -> bool {
    let counted = is_counted(child);
    if counted {
        child.supervised.store(OUT, Ordering::Relaxed);
        let left = parent.supervised.load(Ordering::Relaxed) - 1;
        parent.supervised.store(left, Ordering::Relaxed);
    }
    counted
}

/// Whether a child that is done is in its parent's count. Under the parent's lock.
#[inline]
pub(crate) fn is_counted(child: Node) -> bool {
    child.is(kind::SUPERVISED) && child.supervised.load(Ordering::Relaxed) != OUT
}

/// A task's list of children, locked. No user code, no allocation and no other lock meanwhile.
pub(crate) struct Children<'a> {
    parent: &'a Node,
    _lock: ByteGuard<'a>,
}

impl<'a> Children<'a> {
    pub(crate) fn lock(parent: &'a Node) -> Self {
        Children {
            parent,
            _lock: parent.lock.lock(),
        }
    }

    /// The youngest.
    pub(crate) fn first(&self) -> Option<Node> {
        resolve(&self.parent.first)
    }

    /// The next older sibling of a task that is in this list.
    pub(crate) fn after(&self, child: Node) -> Option<Node> {
        resolve(&child.next)
    }

    /// Links a task that is in no list.
    pub(crate) fn link(&self, child: Node) {
        let head = self.parent.first.load(Ordering::Relaxed);
        let index = child.index.get();
        child
            .parent
            .store(self.parent.index.get(), Ordering::Relaxed);
        child.next.store(head, Ordering::Relaxed);
        child.prev.store(0, Ordering::Relaxed);
        if let Some(second) = self.first() {
            second.prev.store(index, Ordering::Relaxed);
        }
        self.parent.first.store(index, Ordering::Relaxed);
    }

    /// Takes a task that is done out of this list.
    pub(crate) fn unlink(&self, child: Node) {
        self.splice(child, child);
    }

    /// Takes tasks that are done out of this list. Neighbours that come oldest first, as they do
    /// when they were queued or are swept, go together.
    pub(crate) fn unlink_all(&self, done: &[Node]) {
        let are_neighbours = |older: &Node, younger: &Node| {
            younger.next.load(Ordering::Relaxed) == older.index.get()
        };
        if let [only] = done {
            return self.unlink(*only);
        }
        for run in done.chunk_by(are_neighbours) {
            self.splice(run[0], run[run.len() - 1]);
        }
    }

    /// Joins what is before `youngest` and what is behind `oldest`, which may be the same.
    fn splice(&self, oldest: Node, youngest: Node) {
        let after = oldest.next.load(Ordering::Relaxed);
        let before = youngest.prev.load(Ordering::Relaxed);
        match resolve(&youngest.prev) {
            Some(prev) => prev.next.store(after, Ordering::Relaxed),
            None => self.parent.first.store(after, Ordering::Relaxed),
        }
        if let Some(next) = resolve(&oldest.next) {
            next.prev.store(before, Ordering::Relaxed);
        }
    }

    /// Supervised children that are linked here, without those that were counted out; `change` is added.
    pub(crate) fn supervised(&self, change: i32) -> u32 {
        let count = &self.parent.supervised;
        let now = count.load(Ordering::Relaxed).wrapping_add_signed(change);
        count.store(now, Ordering::Relaxed);
        now
    }
}
