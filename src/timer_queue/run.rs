//! [`Run`]: up to a thousand deadlines in order; and [`OpenRun`], the one that is still being
//! filled.

use super::store::Store;
use std::collections::VecDeque;

/// The number of stale deadlines, or of free places, that a run may have whatever it holds.
const SLACK: usize = 32;
/// Up to this many strays are inserted one by one, which costs less than sorting the run.
const FEW: usize = 8;

/// When a timer fires. The queue orders deadlines by time, and those of one time by their age.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// Nanoseconds since the clock's origin.
    pub(super) at: u64,
    /// The number of timers that were inserted before.
    pub(super) seq: u64,
    /// The timer's index in the store; for the head of a run in the heap, the run's number.
    pub(super) of: u32,
}

impl Deadline {
    /// The order as one number, so that a comparison needs no branch.
    #[inline]
    pub(super) fn rank(&self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.seq)
    }
}

/// A live timer. A deadline is stale when its timer is gone: the store then has none at that index,
/// or a younger one.
#[derive(Debug)]
pub(super) struct Timer<V> {
    pub(super) seq: u64,
    /// The number of the run that has its deadline.
    pub(super) run: u32,
    pub(super) value: V,
}

#[inline]
fn is_live<V>(timers: &Store<Timer<V>>, deadline: &Deadline) -> bool {
    let timer = timers.get(deadline.of);
    timer.is_some_and(|timer| timer.seq == deadline.seq)
}

/// Deadlines in order. The first one is live; a run without a live deadline has none at all.
#[derive(Debug, Default)]
pub(super) struct Run {
    deadlines: VecDeque<Deadline>,
    live: usize,
    /// The position of the run's head in the heap.
    pub(super) position: u32,
}

impl Run {
    #[inline]
    pub(super) fn first(&self) -> Option<&Deadline> {
        self.deadlines.front()
    }

    /// Records that one of the run's timers, that with the number `seq`, is gone or about to go.
    /// Returns whether that changed the first deadline.
    #[inline]
    pub(super) fn forget<V>(&mut self, timers: &Store<Timer<V>>, seq: u64) -> bool {
        self.live -= 1;
        let was_first = self.deadlines.front().is_some_and(|first| first.seq == seq);
        if was_first {
            self.deadlines.pop_front();
            let held = self.deadlines.len();
            self.drop_stale_front(timers, held);
        }
        if self.deadlines.capacity() > 4 * self.live + SLACK {
            self.drop_stale(timers);
        }
        was_first
    }

    /// Drops the stale deadlines at the front. There are none if all of the `held` deadlines are
    /// live.
    #[inline]
    fn drop_stale_front<V>(&mut self, timers: &Store<Timer<V>>, mut held: usize) {
        while held > self.live
            && let Some(first) = self.deadlines.front()
            && !is_live(timers, first)
        {
            self.deadlines.pop_front();
            held -= 1;
        }
    }

    /// Drops all stale deadlines, and gives back memory that is not needed.
    #[cold]
    fn drop_stale<V>(&mut self, timers: &Store<Timer<V>>) {
        let live = self.deadlines.iter().filter(|one| is_live(timers, one));
        let mut deadlines = VecDeque::with_capacity(2 * self.live.min(self.deadlines.len()));
        deadlines.extend(live);
        free(std::mem::replace(&mut self.deadlines, deadlines));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        free(std::mem::take(&mut self.deadlines));
    }
}

/// Frees the memory of many deadlines, and releases its system pages first: at the end of a peak
/// there is much of it, and the global allocator may keep it resident.
fn free(mut deadlines: VecDeque<Deadline>) {
    deadlines.clear();
    crate::arena::release_spare(Vec::from(deadlines).spare_capacity_mut());
}

/// The run that gets new deadlines. One that is not before the last is appended. The others, the
/// *strays*, wait until the first of them goes or the run is full, and are sorted together.
#[derive(Debug, Default)]
pub(super) struct OpenRun {
    run: Run,
    strays: Vec<Deadline>,
    /// The first of the strays; it is live.
    first_stray: Option<Deadline>,
}

impl OpenRun {
    pub(super) fn len(&self) -> usize {
        self.run.deadlines.len() + self.strays.len()
    }

    pub(super) fn live(&self) -> usize {
        self.run.live
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Deadline> {
        match (self.run.first(), &self.first_stray) {
            (Some(first), Some(stray)) if stray.rank() < first.rank() => Some(stray),
            (None, stray) => stray.as_ref(),
            (first, _) => first,
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, deadline: Deadline) {
        self.run.live += 1;
        let last = self.run.deadlines.back();
        if last.is_none_or(|last| last.at <= deadline.at) {
            self.run.deadlines.push_back(deadline);
            return;
        }
        self.strays.push(deadline);
        let first = self.first_stray;
        if first.is_none_or(|first| deadline.at < first.at) {
            self.first_stray = Some(deadline);
        }
    }

    /// As [`Run::forget`].
    #[inline]
    pub(super) fn forget<V>(&mut self, timers: &Store<Timer<V>>, seq: u64) {
        self.run.live -= 1;
        if self.run.first().is_some_and(|first| first.seq == seq) {
            self.run.deadlines.pop_front();
            let held = self.len();
            self.run.drop_stale_front(timers, held);
        } else if self.first_stray.is_some_and(|first| first.seq == seq) {
            self.strays.retain(|stray| stray.seq != seq);
            self.sort(timers);
        }
        let capacity = self.run.deadlines.capacity() + self.strays.capacity();
        if capacity > 4 * self.run.live + 2 * SLACK {
            self.drop_stale(timers);
        }
    }

    #[cold]
    pub(super) fn drop_stale<V>(&mut self, timers: &Store<Timer<V>>) {
        self.run.drop_stale(timers);
        self.strays.retain(|stray| is_live(timers, stray));
        self.strays.shrink_to(2 * self.strays.len());
    }

    /// Moves the strays to where they belong in the run.
    #[cold]
    fn sort<V>(&mut self, timers: &Store<Timer<V>>) {
        self.first_stray = None;
        let deadlines = &mut self.run.deadlines;
        if self.strays.len() > FEW {
            deadlines.extend(self.strays.drain(..));
            deadlines.make_contiguous().sort_by_key(Deadline::rank);
        } else {
            for stray in self.strays.drain(..) {
                let at = deadlines.partition_point(|other| other.rank() < stray.rank());
                deadlines.insert(at, stray);
            }
        }
        let held = self.run.deadlines.len();
        self.run.drop_stale_front(timers, held);
    }

    /// Takes the run out, in order. This is empty then.
    pub(super) fn seal<V>(&mut self, timers: &Store<Timer<V>>) -> Run {
        self.sort(timers);
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
        self.deadlines.capacity()
    }
}
