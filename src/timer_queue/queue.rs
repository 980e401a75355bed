//! [`Queue`]: values in the order of their deadlines. Each can be taken out before its deadline.
//!
//! The cost of a million timers is in cache misses, and a heap of timers has some at every level.
//! So the queue is a heap of *runs*: sorted arrays of up to a thousand deadlines. A new deadline
//! goes to the open run, which is sealed when it is full. A heap with four children for each
//! parent, which fits into the first-level cache, holds the first deadline of each sealed run. What
//! is due comes out by a merge.
//!
//! Taking a value out early frees its timer and decrements its run's count; the order is not
//! touched. The deadline that stays in the run is stale, which shows in its sequence number: no
//! other timer has it. A run drops stale deadlines that reach its front, so that its first deadline
//! is live and the earliest one is exact. It drops all of them when they are most of what it has
//! memory for. Both look at each stale deadline about once. A run without a live deadline is
//! removed. In the worst case, when most of each run was taken out early, the queue is a heap of
//! timers.
//!
//! No call does more than sort or clean one run, whatever the number of live timers.
//! `docs/decisions` has the figures and the alternatives (0013).

use super::run::{Deadline, OpenRun, Run, Timer};
use super::store::Store;

/// The number of deadlines at which a run is sealed. It is small where inputs are short.
const RUN: usize = if cfg!(any(fuzzing, miri)) { 16 } else { 1024 };
/// The number of children of a position in the heap.
const CHILDREN: usize = 4;
/// The heap keeps memory for this many runs.
const SHRINK_ABOVE: usize = 64;
/// The number of due timers that are taken out together.
const AT_ONCE: usize = 64;

/// Identifies one timer of the queues, for ever: keys are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    /// The number of the queue.
    queue: u32,
    seq: u64,
}

impl TimerKey {
    /// The number of the queue that has the timer.
    pub(super) fn queue(self) -> usize {
        self.queue as usize
    }

    /// Puts the key into a place for the timers of one queue, unless a timer is there that was inserted after
    /// this one.
    pub(crate) fn put_if_latest(self, place: &mut Option<TimerKey>) {
        if place.is_none_or(|other| self.seq > other.seq) {
            *place = Some(self);
        }
    }
}

const UNKNOWN: &str = "a run with deadlines exists";

#[derive(Debug)]
pub(super) struct Queue<V> {
    timers: Store<Timer<V>>,
    open: OpenRun,
    /// The number of the open run; an empty run stands for it in `runs` until it is sealed.
    open_number: u32,
    /// The sealed runs.
    runs: Store<Run>,
    /// A heap of the sealed runs' first deadlines.
    heads: Vec<Deadline>,
    next_seq: u64,
    /// The number of this queue.
    number: u32,
}

impl<V> Queue<V> {
    pub(super) fn new(number: u32) -> Self {
        let mut runs = Store::new();
        Self {
            timers: Store::new(),
            open: OpenRun::default(),
            open_number: runs.insert(Run::default()),
            runs,
            heads: Vec::new(),
            next_seq: 0,
            number,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.timers.len()
    }

    /// The earliest deadline, in nanoseconds.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        match (self.open.first(), self.heads.first()) {
            (Some(open), Some(sealed)) => Some(open.at.min(sealed.at)),
            (open, sealed) => open.or(sealed).map(|first| first.at),
        }
    }

    /// Adds a value, behind those with the same deadline.
    #[inline]
    pub(super) fn insert(&mut self, deadline: u64, value: V) -> TimerKey {
        let seq = self.next_seq;
        self.next_seq += 1;
        let run = self.open_number;
        let index = self.timers.insert(Timer { seq, run, value });
        self.open.insert(Deadline {
            at: deadline,
            seq,
            of: index,
        });
        if self.open.len() >= RUN {
            self.seal();
        }
        TimerKey {
            index,
            queue: self.number,
            seq,
        }
    }

    /// The value, if it is still here.
    #[inline]
    pub(super) fn get_mut(&mut self, key: TimerKey) -> Option<&mut V> {
        let timer = self.timers.get_mut(key.index)?;
        (timer.seq == key.seq).then_some(&mut timer.value)
    }

    /// Takes a value out, if it is still here.
    #[inline]
    pub(super) fn remove(&mut self, key: TimerKey) -> Option<V> {
        if self.timers.get(key.index)?.seq != key.seq {
            return None;
        }
        let Timer { seq, run, value } = self.timers.remove(key.index)?;
        self.forget(run, seq);
        Some(value)
    }

    /// Moves the values that are due at `now` to `out`, in order, at most `max`. Returns how many.
    pub(super) fn take_due(&mut self, now: u64, max: usize, out: &mut Vec<V>) -> usize {
        let mut taken = 0;
        loop {
            // In two passes, so that the cache misses of the second one, one for each timer,
            // overlap.
            let mut due = [0; AT_ONCE];
            let mut count = 0;
            while count < AT_ONCE.min(max - taken)
                && let Some(deadline) = self.pop_deadline(now)
            {
                due[count] = deadline.of;
                count += 1;
            }
            let timers = due[..count].iter().map(|&index| self.timers.remove(index));
            out.extend(timers.flatten().map(|timer| timer.value));
            taken += count;
            if count < AT_ONCE {
                return taken;
            }
        }
    }

    /// Takes every value out, in order, and gives all memory back. Keys are not used again.
    pub(super) fn drain(&mut self) -> Vec<V> {
        let mut values = Vec::with_capacity(self.len());
        self.take_due(u64::MAX, usize::MAX, &mut values);
        let next_seq = self.next_seq;
        *self = Self::new(self.number);
        self.next_seq = next_seq;
        values
    }

    /// Takes the first deadline out if it is due. The caller then removes its timer.
    #[inline]
    fn pop_deadline(&mut self, now: u64) -> Option<Deadline> {
        let (first, run) = match (self.open.first(), self.heads.first()) {
            (Some(open), Some(sealed)) if open.rank() < sealed.rank() => (*open, self.open_number),
            (Some(open), None) => (*open, self.open_number),
            (_, sealed) => {
                let number = sealed?.of;
                (*self.runs.get(number).expect(UNKNOWN).first()?, number)
            }
        };
        if first.at > now {
            return None;
        }
        self.forget(run, first.seq);
        Some(first)
    }

    /// Records that a timer of a run is gone, or about to go.
    #[inline]
    fn forget(&mut self, number: u32, seq: u64) {
        if number == self.open_number {
            return self.open.forget(&self.timers, seq);
        }
        let run = self.runs.get_mut(number).expect(UNKNOWN);
        if !run.forget(&self.timers, seq) {
            return;
        }
        let position = run.position as usize;
        if let Some(&first) = run.first() {
            let head = Deadline {
                of: number,
                ..first
            };
            self.sift_down(position, head);
        } else {
            self.runs.remove(number);
            self.remove_head(position);
        }
    }

    /// Seals the open run, which is full; or only cleans it if less than half of it is live.
    #[cold]
    fn seal(&mut self) {
        if self.open.live() < RUN / 2 {
            return self.open.drop_stale(&self.timers);
        }
        let run = self.open.seal(&self.timers);
        let number = std::mem::replace(&mut self.open_number, self.runs.insert(Run::default()));
        let first = *run.first().expect("half of it is live");
        *self.runs.get_mut(number).expect(UNKNOWN) = run;
        let head = Deadline {
            of: number,
            ..first
        };
        self.heads.push(head);
        self.sift_up(self.heads.len() - 1, head);
    }

    #[cold]
    fn remove_head(&mut self, position: usize) {
        self.heads.swap_remove(position);
        if let Some(&moved) = self.heads.get(position)
            && !self.sift_up(position, moved)
        {
            self.sift_down(position, moved);
        }
        let (len, capacity) = (self.heads.len(), self.heads.capacity());
        if capacity > SHRINK_ABOVE && len < capacity / 4 {
            self.heads.shrink_to(capacity / 2);
        }
    }

    /// Moves a head from `position` towards the root. Returns whether it moved.
    fn sift_up(&mut self, position: usize, head: Deadline) -> bool {
        let mut at = position;
        while at > 0 {
            let parent = self.heads[(at - 1) / CHILDREN];
            if parent.rank() < head.rank() {
                break;
            }
            self.put(at, parent);
            at = (at - 1) / CHILDREN;
        }
        self.put(at, head);
        at < position
    }

    /// Moves a head from `position` towards the leaves.
    #[inline]
    fn sift_down(&mut self, position: usize, head: Deadline) {
        let mut at = position;
        loop {
            let first = at * CHILDREN + 1;
            let end = (first + CHILDREN).min(self.heads.len());
            let mut least = (at, head);
            for child in first..end {
                let other = self.heads[child];
                if other.rank() < least.1.rank() {
                    least = (child, other);
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
    fn put(&mut self, position: usize, head: Deadline) {
        self.heads[position] = head;
        self.runs.get_mut(head.of).expect(UNKNOWN).position = position as u32;
    }

    /// The numbers of deadlines and of timers for which there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> (usize, usize) {
        let sealed = self.heads.iter().map(|head| self.runs.get(head.of));
        let sealed = sealed.map(|run| run.expect(UNKNOWN).capacity());
        let order = self.open.capacity() + self.heads.capacity() + sealed.sum::<usize>();
        (order, self.timers.capacity())
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn the_heads_memory_is_halved_when_a_quarter_is_in_use_and_not_before() {
        const RUNS: u64 = 8 * SHRINK_ABOVE as u64;
        let mut queue = Queue::new(0);
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
            let mut queue = Queue::new(0);
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
