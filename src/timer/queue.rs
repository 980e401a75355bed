//! Values in the order of their deadlines; each can be taken out before its time.
//!
//! Among a million timers the time goes into cache misses, and a heap of them has some at every level.
//! So the order's nodes are kept in *runs*, each in order and contiguous: new ones go to the *open*
//! run, which is sealed with a thousand nodes, and only the sealed runs' first nodes are in a heap, of
//! four children a node, that fits into the first-level cache. What is due comes out by a merge.
//!
//! Taking a value out early frees its entry and counts one less in its run; the order is not touched.
//! The node left behind is dead, which shows in its age: no other entry has it. A run drops dead nodes
//! when they get to its head, so that its first node is always live and the earliest deadline exact,
//! and all of them when they are most of what it has memory for; a run without a live node goes. Both look at each dead node about once. A run that was mostly taken out ends as a few
//! nodes: the worst case is a heap of timers again.
//!
//! No call does more than sort or clean one run, 20 to 30 us, whatever is live.
//!
//! Nanoseconds of CPU a timer, deadlines in random order, one thread on a loaded machine (the
//! comparison counts); `churn` is one inserted and another one dropped, about in order:
//!
//! | 1,000,000 live, then 1,000 | insert | drop | fire | churn | insert | drop | fire | churn |
//! |---|---|---|---|---|---|---|---|---|
//! | a heap of four children, positions in the entries | 54 | 100 | 400 | 510 | 42 | 33 | 50 | 55 |
//! | this | 59 | 51 | 170 | 430 | 38 | 37 | 32 | 65 |
//! | tokio 1.54, whole `Sleep`s | 60 | 47 | 300-500 | 500-700 | 67 | 40 | 49 | 102 |
//! | buckets of 512 in order, each sorted when it is the first (not kept) | 115 | 51 | 110 | 290 | 55 | 29 | 25 | 53 |
//! | the same, found by a `BTreeMap` | 120 | 55 | 104 | 285 | 57 | 29 | 24 | 51 |
//! | runs of 128, inserted in order | 56 | 66 | 800 | 900 | 65 | 34 | 39 | 65 |
//! | runs of 1,024, inserted in order | 91 | 57 | 520 | 690 | | | | |
//! | ... and no look at entries while none is dead | 90 | 57 | 390 | 550 | | | | |
//!
//! What makes the last one this: strays that are sorted together, and due entries that are taken out
//! in a loop of their own. Buckets lose where a timer is inserted at a place of its own: an address
//! translation for it, and one for each entry that a split moves.

use super::pages::Pages;
use super::run::{Entries, Entry, Node, Open, Run};

/// How many nodes a run has when it is sealed; few where inputs are short.
const RUN: usize = if cfg!(any(fuzzing, miri)) { 16 } else { 1024 };
/// Children of a head in the heap.
const CHILDREN: usize = 4;
/// Below this many heads their memory is not given back.
const SHRINK_ABOVE: usize = 64;
/// Entries that are taken out together when they are due.
const TOGETHER: usize = 64;

/// Names one value of one queue, for ever: keys are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    seq: u64,
}

impl TimerKey {
    /// Whether its value was inserted after the other's.
    pub(crate) fn is_later_than(self, other: TimerKey) -> bool {
        self.seq > other.seq
    }
}

const UNKNOWN: &str = "a run with nodes is there";

#[derive(Debug)]
pub(super) struct Queue<V> {
    entries: Entries<V>,
    open: Open,
    /// The number that the open run will have among the others; there is an empty one till then.
    open_number: u32,
    /// Those that are sealed.
    runs: Pages<Run>,
    /// Their first nodes, as a heap.
    heads: Vec<Node>,
    next_seq: u64,
}

impl<V> Queue<V> {
    pub(super) fn new() -> Self {
        let mut runs = Pages::new();
        Self {
            entries: Pages::new(),
            open: Open::default(),
            open_number: runs.insert(Run::default()),
            runs,
            heads: Vec::new(),
            next_seq: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The earliest deadline.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        match (self.open.first(), self.heads.first()) {
            (Some(open), Some(sealed)) => Some(open.deadline.min(sealed.deadline)),
            (open, sealed) => open.or(sealed).map(|node| node.deadline),
        }
    }

    /// Adds a value, behind those with the same deadline.
    #[inline]
    pub(super) fn insert(&mut self, deadline: u64, value: V) -> TimerKey {
        let seq = self.next_seq;
        self.next_seq += 1;
        let run = self.open_number;
        let index = self.entries.insert(Entry { seq, run, value });
        self.open.insert(Node {
            deadline,
            seq,
            of: index,
        });
        if self.open.len() >= RUN {
            self.seal();
        }
        TimerKey { index, seq }
    }

    /// The value, if it is still here.
    #[inline]
    pub(super) fn get_mut(&mut self, key: TimerKey) -> Option<&mut V> {
        let entry = self.entries.get_mut(key.index)?;
        (entry.seq == key.seq).then_some(&mut entry.value)
    }

    /// Takes a value out, if it is still here.
    #[inline]
    pub(super) fn remove(&mut self, key: TimerKey) -> Option<V> {
        let entry = self.entries.get(key.index)?;
        if entry.seq != key.seq {
            return None;
        }
        let Entry { seq, run, value } = self.entries.remove(key.index)?;
        self.lose(run, seq);
        Some(value)
    }

    /// Takes out what is due at `now`, in order, at most `max`. Says how many that are.
    pub(super) fn take_due(&mut self, now: u64, max: usize, out: &mut Vec<V>) -> usize {
        let mut taken = 0;
        loop {
            // In two passes, so that the misses of the second, one an entry, overlap.
            let mut due = [0; TOGETHER];
            let mut count = 0;
            while count < TOGETHER.min(max - taken)
                && let Some(node) = self.pop_node(now)
            {
                due[count] = node.of;
                count += 1;
            }
            let entries = due[..count].iter().map(|&index| self.entries.remove(index));
            out.extend(entries.flatten().map(|entry| entry.value));
            taken += count;
            if count < TOGETHER {
                return taken;
            }
        }
    }

    /// Takes everything out, in order, and gives all memory back. Keys stay used up.
    pub(super) fn drain(&mut self) -> Vec<V> {
        let mut values = Vec::with_capacity(self.len());
        self.take_due(u64::MAX, usize::MAX, &mut values);
        let next_seq = self.next_seq;
        *self = Self::new();
        self.next_seq = next_seq;
        values
    }

    /// Takes the first node out if it is due; its entry has to go next.
    #[inline]
    fn pop_node(&mut self, now: u64) -> Option<Node> {
        let (node, run) = match (self.open.first(), self.heads.first()) {
            (Some(open), Some(sealed)) if open.rank() < sealed.rank() => (*open, self.open_number),
            (Some(open), None) => (*open, self.open_number),
            (_, sealed) => {
                let number = sealed?.of;
                (*self.runs.get(number).expect(UNKNOWN).first()?, number)
            }
        };
        if node.deadline > now {
            return None;
        }
        self.lose(run, node.seq);
        Some(node)
    }

    /// An entry of a run is gone, or about to go.
    #[inline]
    fn lose(&mut self, number: u32, seq: u64) {
        if number == self.open_number {
            return self.open.lose(&self.entries, seq);
        }
        let run = self.runs.get_mut(number).expect(UNKNOWN);
        if !run.lose(&self.entries, seq) {
            return;
        }
        let place = run.place as usize;
        if let Some(&first) = run.first() {
            self.sink(
                place,
                Node {
                    of: number,
                    ..first
                },
            );
        } else {
            self.runs.remove(number);
            self.remove_head(place);
        }
    }

    /// The open run is full.
    #[cold]
    fn seal(&mut self) {
        if self.open.live() < RUN / 2 {
            return self.open.clean(&self.entries);
        }
        let run = self.open.seal(&self.entries);
        let number = std::mem::replace(&mut self.open_number, self.runs.insert(Run::default()));
        let first = *run.first().expect("half of it is live");
        *self.runs.get_mut(number).expect(UNKNOWN) = run;
        let head = Node {
            of: number,
            ..first
        };
        self.heads.push(head);
        self.rise(self.heads.len() - 1, head);
    }

    #[cold]
    fn remove_head(&mut self, place: usize) {
        self.heads.swap_remove(place);
        if let Some(&moved) = self.heads.get(place)
            && !self.rise(place, moved)
        {
            self.sink(place, moved);
        }
        let (len, capacity) = (self.heads.len(), self.heads.capacity());
        if capacity > SHRINK_ABOVE && len < capacity / 4 {
            self.heads.shrink_to(capacity / 2);
        }
    }

    /// Moves a head from `place` towards the root; says whether it moved.
    fn rise(&mut self, place: usize, head: Node) -> bool {
        let mut at = place;
        while at > 0 {
            let parent = self.heads[(at - 1) / CHILDREN];
            if parent.rank() < head.rank() {
                break;
            }
            self.put(at, parent);
            at = (at - 1) / CHILDREN;
        }
        self.put(at, head);
        at < place
    }

    /// Moves a head from `place` towards the leaves.
    #[inline]
    fn sink(&mut self, place: usize, head: Node) {
        let mut at = place;
        loop {
            let first = at * CHILDREN + 1;
            let end = (first + CHILDREN).min(self.heads.len());
            let mut least = (at, head);
            for child in first..end {
                let node = self.heads[child];
                if node.rank() < least.1.rank() {
                    least = (child, node);
                }
            }
            if least.0 == at {
                break;
            }
            self.put(at, least.1);
            at = least.0;
        }
        self.put(at, head);
    }

    #[inline]
    fn put(&mut self, place: usize, head: Node) {
        self.heads[place] = head;
        self.runs.get_mut(head.of).expect(UNKNOWN).place = place as u32;
    }

    /// For how many values there is memory, in the order and in the entries.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> (usize, usize) {
        let sealed = self.heads.iter().map(|head| self.runs.get(head.of));
        let sealed = sealed.map(|run| run.expect(UNKNOWN).capacity());
        let order = self.open.capacity() + self.heads.capacity() + sealed.sum::<usize>();
        (order, self.entries.capacity())
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn the_heads_memory_is_halved_when_a_quarter_is_in_use_and_not_before() {
        const RUNS: u64 = 8 * SHRINK_ABOVE as u64;
        let mut queue = Queue::new();
        for n in 0..RUNS * RUN as u64 {
            queue.insert(n, ());
        }
        let mut capacity_with = |runs: u64| {
            let last = (RUNS - runs) * RUN as u64;
            queue.take_due(last.saturating_sub(1), usize::MAX, &mut Vec::new());
            assert_eq!(queue.heads.len() as u64, runs.min(RUNS));
            queue.heads.capacity()
        };
        let left = [128, 127, 64, 63, 32, 31, 8, 1, 0];
        let capacities = left.map(&mut capacity_with);
        assert_eq!(capacities, [512, 256, 256, 128, 128, 64, 64, 64, 64]);
    }

    #[test]
    fn a_full_run_is_sealed_if_half_of_it_is_live_and_else_only_cleaned() {
        for (removed, sealed) in [(RUN / 2 - 1, 1), (RUN / 2, 1), (RUN / 2 + 1, 0)] {
            let mut queue = Queue::new();
            let mut keys: Vec<_> = (1..RUN as u64).map(|n| queue.insert(n, n)).collect();
            for key in keys.split_off(RUN - 1 - removed) {
                assert!(queue.remove(key).is_some());
            }
            queue.insert(RUN as u64, 0);
            assert_eq!(queue.heads.len(), sealed, "{removed} were removed");
            assert_eq!(queue.len(), RUN - removed);
        }
    }
}
