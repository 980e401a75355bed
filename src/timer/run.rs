//! Nodes in the order of their deadlines, a thousand at most; and the run that is still being filled.

use super::pages::Pages;
use std::collections::VecDeque;

/// Up to this many dead nodes, or free places, a run may have whatever it holds.
const SLACK: usize = 32;
/// Up to so many strays are inserted one by one, which costs less than a sort of all.
const FEW: usize = 8;

/// What the order needs to know. Ordered by deadline, then by age.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) deadline: u64,
    pub(super) seq: u64,
    /// Its entry; for a run's head in the heap, the number of the run.
    pub(super) of: u32,
}

impl Node {
    /// One number, so that a comparison needs no branch.
    #[inline]
    pub(super) fn rank(&self) -> u128 {
        u128::from(self.deadline) << 64 | u128::from(self.seq)
    }
}

/// A node is dead once its entry is gone, or is a younger one's.
#[derive(Debug)]
pub(super) struct Entry<V> {
    pub(super) seq: u64,
    /// The number of the run its node is in.
    pub(super) run: u32,
    pub(super) value: V,
}

pub(super) type Entries<V> = Pages<Entry<V>>;

#[inline]
fn is_live<V>(entries: &Entries<V>, node: &Node) -> bool {
    entries.get(node.of).is_some_and(|e| e.seq == node.seq)
}

/// Nodes in order; the first one is live. Without a live node it has none at all.
#[derive(Debug, Default)]
pub(super) struct Run {
    nodes: VecDeque<Node>,
    live: usize,
    /// Where its head is in the heap.
    pub(super) place: u32,
}

impl Run {
    #[inline]
    pub(super) fn first(&self) -> Option<&Node> {
        self.nodes.front()
    }

    /// One of its entries, of the age `seq`, is gone or about to go. Says whether that was the first.
    #[inline]
    pub(super) fn lose<V>(&mut self, entries: &Entries<V>, seq: u64) -> bool {
        self.live -= 1;
        let was_first = self.nodes.front().is_some_and(|node| node.seq == seq);
        if was_first {
            self.nodes.pop_front();
            let held = self.nodes.len();
            self.bury(entries, held);
        }
        self.tidy(entries);
        was_first
    }

    /// Drops dead nodes at the head; there are none if all that are `held` are live.
    #[inline]
    fn bury<V>(&mut self, entries: &Entries<V>, mut held: usize) {
        while held > self.live
            && let Some(node) = self.nodes.front()
            && !is_live(entries, node)
        {
            self.nodes.pop_front();
            held -= 1;
        }
    }

    /// Gives back what is too much.
    #[inline]
    fn tidy<V>(&mut self, entries: &Entries<V>) {
        if self.nodes.capacity() > 4 * self.live + SLACK {
            self.shrink(entries);
        }
    }

    #[cold]
    fn shrink<V>(&mut self, entries: &Entries<V>) {
        let live = self.nodes.iter().filter(|node| is_live(entries, node));
        let mut nodes = VecDeque::with_capacity(2 * self.live.min(self.nodes.len()));
        nodes.extend(live);
        free(std::mem::replace(&mut self.nodes, nodes));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        free(std::mem::take(&mut self.nodes));
    }
}

/// Frees the memory of many nodes, of which the system hears at once: at the end of a peak there is
/// much of it.
fn free(mut nodes: VecDeque<Node>) {
    nodes.clear();
    crate::arena::release_spare(Vec::from(nodes).spare_capacity_mut());
}

/// The run that new nodes go to. What comes in order is in order; the *strays* wait until one of
/// them is first and goes, or the run is full, and are sorted together.
#[derive(Debug, Default)]
pub(super) struct Open {
    run: Run,
    strays: Vec<Node>,
    /// The first of the strays; live if there is one.
    first_stray: Option<Node>,
}

impl Open {
    pub(super) fn len(&self) -> usize {
        self.run.nodes.len() + self.strays.len()
    }

    pub(super) fn live(&self) -> usize {
        self.run.live
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Node> {
        match (self.run.first(), &self.first_stray) {
            (Some(first), Some(stray)) if stray.rank() < first.rank() => Some(stray),
            (None, stray) => stray.as_ref(),
            (first, _) => first,
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, node: Node) {
        self.run.live += 1;
        let last = self.run.nodes.back();
        if last.is_none_or(|last| last.deadline <= node.deadline) {
            self.run.nodes.push_back(node);
            return;
        }
        self.strays.push(node);
        let first = self.first_stray;
        if first.is_none_or(|first| node.deadline < first.deadline) {
            self.first_stray = Some(node);
        }
    }

    /// See [`Run::lose`].
    #[inline]
    pub(super) fn lose<V>(&mut self, entries: &Entries<V>, seq: u64) {
        self.run.live -= 1;
        if self.run.first().is_some_and(|node| node.seq == seq) {
            self.run.nodes.pop_front();
            let held = self.len();
            self.run.bury(entries, held);
        } else if self.first_stray.is_some_and(|node| node.seq == seq) {
            self.strays.retain(|node| node.seq != seq);
            self.sort(entries);
        }
        if self.run.nodes.capacity() + self.strays.capacity() > 4 * self.run.live + 2 * SLACK {
            self.clean(entries);
        }
    }

    #[cold]
    pub(super) fn clean<V>(&mut self, entries: &Entries<V>) {
        self.run.shrink(entries);
        self.strays.retain(|node| is_live(entries, node));
        self.strays.shrink_to(2 * self.strays.len());
    }

    /// Brings the strays into the order.
    #[cold]
    fn sort<V>(&mut self, entries: &Entries<V>) {
        self.first_stray = None;
        let nodes = &mut self.run.nodes;
        if self.strays.len() > FEW {
            nodes.extend(self.strays.drain(..));
            nodes.make_contiguous().sort_by_key(Node::rank);
        } else {
            for node in self.strays.drain(..) {
                let place = nodes.partition_point(|other| other.rank() < node.rank());
                nodes.insert(place, node);
            }
        }
        let held = self.run.nodes.len();
        self.run.bury(entries, held);
    }

    /// The run as it is, in order; an empty one is open from now on.
    pub(super) fn seal<V>(&mut self, entries: &Entries<V>) -> Run {
        self.sort(entries);
        std::mem::take(&mut self.run)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.run.capacity() + self.strays.capacity()
    }
}

#[cfg(test)]
impl Run {
    pub(super) fn capacity(&self) -> usize {
        self.nodes.capacity()
    }
}
