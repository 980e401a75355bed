//! Values in the order of their deadlines; each can be taken out before its time.
//!
//! A heap of four children a node, which costs half the levels of a binary one and keeps siblings
//! within two cache lines. A node holds what the order needs and the index of its value's entry; the
//! entry knows where its node is, which makes taking it out O(log n). A deadline that is later than
//! most goes in, and comes out while it is still near the end, in constant time: that is the timeout
//! which never fires.

use super::pages::Pages;

const CHILDREN: usize = 4;

/// Below this many nodes the order's memory is not given back.
const SHRINK_ABOVE: usize = 1024;

/// Names one value of one heap, for ever: keys are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    seq: u64,
}

/// Ordered by deadline, then by age.
#[derive(Debug, Clone, Copy)]
struct Node {
    deadline: u64,
    seq: u64,
    entry: u32,
}

impl Node {
    #[inline]
    fn is_before(&self, other: &Node) -> bool {
        (self.deadline, self.seq) < (other.deadline, other.seq)
    }
}

#[derive(Debug)]
struct Entry<V> {
    seq: u64,
    /// Where its node is in the order.
    position: u32,
    value: V,
}

#[derive(Debug)]
pub(super) struct Heap<V> {
    order: Vec<Node>,
    entries: Pages<Entry<V>>,
    next_seq: u64,
}

impl<V> Heap<V> {
    pub(super) fn new() -> Self {
        Self {
            order: Vec::new(),
            entries: Pages::new(),
            next_seq: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The earliest deadline.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        self.order.first().map(|node| node.deadline)
    }

    /// Adds a value, behind those with the same deadline. O(log n), constant when it is late.
    #[inline]
    pub(super) fn insert(&mut self, deadline: u64, value: V) -> TimerKey {
        let seq = self.next_seq;
        self.next_seq += 1;
        let position = self.order.len();
        let index = self.entries.insert(Entry {
            seq,
            position: position as u32,
            value,
        });
        let node = Node {
            deadline,
            seq,
            entry: index,
        };
        self.order.push(node);
        self.rise(position, node);
        TimerKey { index, seq }
    }

    /// The value, if it is still here.
    #[inline]
    pub(super) fn get_mut(&mut self, key: TimerKey) -> Option<&mut V> {
        let entry = self.entries.get_mut(key.index)?;
        (entry.seq == key.seq).then_some(&mut entry.value)
    }

    /// Takes a value out, if it is still here. O(log n).
    #[inline]
    pub(super) fn remove(&mut self, key: TimerKey) -> Option<V> {
        let entry = self.entries.get(key.index)?;
        if entry.seq != key.seq {
            return None;
        }
        let position = entry.position as usize;
        self.take(position)
    }

    /// Takes out the value that is due first.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<V> {
        if self.order.is_empty() {
            return None;
        }
        self.take(0)
    }

    /// Takes everything out, in order, and gives all memory back. Keys stay used up.
    pub(super) fn drain(&mut self) -> Vec<V> {
        let mut order = std::mem::take(&mut self.order);
        let mut entries = std::mem::replace(&mut self.entries, Pages::new());
        order.sort_unstable_by_key(|node| (node.deadline, node.seq));
        let values = order.into_iter().map(|node| entries.remove(node.entry));
        values.flatten().map(|entry| entry.value).collect()
    }

    /// Takes out the node at a position that exists, and its entry.
    #[inline]
    fn take(&mut self, position: usize) -> Option<V> {
        let node = self.order.swap_remove(position);
        if let Some(&moved) = self.order.get(position)
            && !self.rise(position, moved)
        {
            self.sink(position, moved);
        }
        let (len, capacity) = (self.order.len(), self.order.capacity());
        if capacity > SHRINK_ABOVE && len < capacity / 4 {
            self.order.shrink_to(capacity / 2);
        }
        self.entries.remove(node.entry).map(|entry| entry.value)
    }

    /// Moves a node from `position` towards the root; says whether it moved.
    #[inline]
    fn rise(&mut self, mut position: usize, node: Node) -> bool {
        let from = position;
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            let above = self.order[parent];
            if !node.is_before(&above) {
                break;
            }
            self.place(position, above);
            position = parent;
        }
        if position == from {
            return false;
        }
        self.place(position, node);
        true
    }

    /// Moves a node from `position` towards the leaves, and records where it ends.
    fn sink(&mut self, mut position: usize, node: Node) {
        loop {
            let first = position * CHILDREN + 1;
            let end = (first + CHILDREN).min(self.order.len());
            let Some(children) = self.order.get(first..end) else {
                break;
            };
            let mut least = (first, node);
            for (place, child) in (first..).zip(children) {
                if child.is_before(&least.1) {
                    least = (place, *child);
                }
            }
            if least.1.entry == node.entry {
                break;
            }
            self.place(position, least.1);
            position = least.0;
        }
        self.place(position, node);
    }

    #[inline]
    fn place(&mut self, position: usize, node: Node) {
        self.order[position] = node;
        if let Some(entry) = self.entries.get_mut(node.entry) {
            entry.position = position as u32;
        }
    }

    /// For how many values there is memory, in the order and in the entries.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> (usize, usize) {
        (self.order.capacity(), self.entries.capacity())
    }
}
