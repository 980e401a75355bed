//! [`Frontier`]: the tasks that a walk has met. Every walk goes breadth first, from one task down, in chunks.
//!
//! Each task that is taken is pinned (or claimed) by the walk, so it stays linked and alive until the
//! walk gives it back; a cursor between two chunks rests only on such a task. Parents come before
//! children, and siblings are contiguous (youngest first): read backwards, it is leaves first.

use crate::task::Live;
use crate::task::raw::{Children, Pin, Taken};

/// The greatest number of children that are visited under one lock.
pub(super) const CHUNK: usize = if cfg!(any(taskgrove_loom, taskgrove_short_steps)) {
    1
} else {
    128
};

/// How many entries ahead a task is fetched into the cache.
pub(super) const AHEAD: usize = 8;

/// What a walk does with a child it meets.
pub(super) enum Visit {
    /// Nothing: neither the child nor its subtree is part of this walk.
    Skip,
    /// The walk keeps the child. The meaning of the number, the entry's tag, is up to the walk.
    Take(Taken, u64),
}

/// A task that a walk has met.
pub(super) struct Entry {
    /// The pin or the claim.
    pub(super) task: Taken,
    /// A number whose meaning is up to the walk.
    pub(super) tag: u64,
    /// The position of the parent's entry; the entry's own for the first one, and if the parent has none.
    pub(super) parent: u32,
    below: Below,
}

/// What a walk does with the children of an entry. It fills the entry, which is moved in registers so.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    /// It visits them.
    Visited,
    /// It passes over them.
    Passed,
}

/// The child after which the walk goes on. It stays linked, since the walk has it pinned or claimed.
enum Cursor {
    /// The child has the entry at this position.
    Entry(usize),
    /// The child has no entry, and is pinned as the cursor.
    Pinned(Pin),
}

/// The tasks that a walk has met. Dropping it gives all of them back, leaves first.
pub(super) struct Frontier {
    pub(super) entries: Vec<Entry>,
    /// The entry whose children are visited next.
    next: usize,
    /// Where the visit of that entry's children goes on; `None` at their beginning.
    cursor: Option<Cursor>,
    /// Entries that are collected under the lock; empty outside of it.
    met: Vec<Entry>,
}

impl Frontier {
    /// Starts a walk at a task whose children are visited.
    pub(super) fn below(root: Pin, tag: u64) -> Self {
        Self::starting(root, tag, Below::Visited)
    }

    /// Starts a walk at a task whose children are not visited, but added by [`Frontier::add`].
    pub(super) fn from_here(root: Pin) -> Self {
        Self::starting(root, 0, Below::Passed)
    }

    fn starting(root: Pin, tag: u64, below: Below) -> Self {
        let first = Entry {
            task: root.into(),
            tag,
            parent: 0,
            below,
        };
        Frontier {
            entries: vec![first],
            next: 0,
            cursor: None,
            met: Vec::new(),
        }
    }

    /// Adds a task whose children are to be visited. `parent` is the position of its parent's entry, if
    /// that has one.
    pub(super) fn add(&mut self, task: Pin, parent: Option<u32>) {
        let position = self.entries.len() as u32;
        self.entries.push(Entry {
            task: task.into(),
            tag: 0,
            parent: parent.unwrap_or(position),
            below: Below::Visited,
        });
    }

    /// Adds a task whose children are not visited, as the parent of later entries. Returns its position.
    pub(super) fn add_passed(&mut self, task: Pin) -> u32 {
        self.add(task, None);
        let position = self.entries.len() - 1;
        self.entries[position].below = Below::Passed;
        position as u32
    }

    /// Whether the children of the first task are visited next.
    pub(super) fn is_at_first(&self) -> bool {
        self.next == 0
    }

    /// Visits up to [`CHUNK`] children of the next entry, under its lock; `false` when all have been visited.
    ///
    /// `visit` also gets the list and the parent's tag. It may only read, and change state words.
    pub(super) fn expand(
        &mut self,
        mut visit: impl FnMut(Live<'_>, &Children<'_>, u64) -> Visit,
    ) -> bool {
        // A claimed task has no children.
        let rest = self.entries[self.next..].iter();
        self.next += rest
            .take_while(|entry| entry.below == Below::Passed || entry.task.is_claimed())
            .count();
        let Some(parent) = self.entries.get(self.next) else {
            return false;
        };
        let (position, tag) = (self.next as u32, parent.tag);
        self.prefetch();
        // No allocation under the lock: room for what is there now, and a stop when it is used up
        // (by children that came later).
        let word = parent.task.live().word();
        let children = match word.children() {
            _ if word.covers() => CHUNK,
            children => (children as usize).min(CHUNK),
        };
        self.met.reserve(children + 1);
        let resting = self.cursor.take();
        {
            let children = Children::lock(parent.task.live().borrowed());
            let mut at = match &resting {
                None => children.first(),
                Some(Cursor::Entry(at)) => children.after(self.entries[*at].task.live()),
                Some(Cursor::Pinned(pin)) => children.after(pin.live()),
            };
            let mut seen = 0;
            while let Some(child) = at {
                let after = children.after(child);
                if let Some(after) = after {
                    after.prefetch();
                }
                let taken = match visit(child, &children, tag) {
                    Visit::Skip => false,
                    Visit::Take(task, tag) => {
                        self.met.push(Entry {
                            task,
                            tag,
                            parent: position,
                            below: Below::Visited,
                        });
                        true
                    }
                };
                at = after;
                seen += 1;
                let full = seen >= CHUNK || self.met.len() == self.met.capacity();
                if full && at.is_some() {
                    self.cursor = if taken {
                        Some(Cursor::Entry(self.entries.len() + self.met.len() - 1))
                    } else {
                        child.pin().map(Cursor::Pinned)
                    };
                    if self.cursor.is_some() {
                        break;
                    }
                }
            }
        }
        self.entries.append(&mut self.met);
        drop(resting);
        if self.cursor.is_none() {
            self.next += 1;
        }
        true
    }

    /// Fetches what the next visits look at.
    fn prefetch(&self) {
        // The place of a first child is known only once its parent is in the cache.
        if let Some(ahead) = self.entries.get(self.next + 2 * AHEAD) {
            ahead.task.prefetch();
        }
        if let Some(ahead) = self.entries.get(self.next + AHEAD) {
            ahead.task.live().prefetch_first_child();
        }
    }

    /// As [`Frontier::expand`], for the children of the first task only.
    pub(super) fn expand_one(
        &mut self,
        mut visit: impl FnMut(Live<'_>, &Children<'_>) -> Visit,
    ) -> bool {
        self.next == 0 && self.expand(|child, children, _| visit(child, children))
    }

    /// The tasks that were taken, without the first.
    pub(super) fn taken(&self) -> impl Iterator<Item = Live<'_>> + '_ {
        self.entries[1..].iter().map(|entry| entry.task.live())
    }

    /// Whether the entries from this position on, which were pushed by one [`Frontier::expand`], have
    /// a sibling.
    pub(super) fn has_siblings_from(&self, from: usize) -> bool {
        let [.., before, last] = &self.entries[..] else {
            return false;
        };
        from < self.entries.len() && self.entries.len() > 2 && before.parent == last.parent
    }
}

impl Drop for Frontier {
    fn drop(&mut self) {
        while let Some(entry) = self.entries.pop() {
            let soon = self.entries.len().checked_sub(AHEAD);
            if let Some(soon) = soon.and_then(|at| self.entries.get(at)) {
                soon.task.prefetch();
                self.entries[soon.parent as usize].task.prefetch();
            }
            drop(entry);
        }
    }
}
