//! The way back of a walk: releases the pins that the way down has taken, and drops the futures of the tasks
//! that it has claimed. Idle workers take part.
//!
//! # What orders leaves before parents
//!
//! The state word does, not the sweep. An inner task is claimed only by the step that takes its count of
//! children and pins to zero, on any thread, so the entries of a frontier may be swept in any order and
//! by any number of threads. Sweeping them from the end is a matter of speed: siblings are
//! neighbours there, and are taken off their parent together ([`Batch`]). The whole
//! subtree has to be marked before the first future is dropped; so the entries are shared only when
//! the way down is complete, and do not change any more.
//!
//! # Which thread may touch which entry
//!
//! The entries are divided into *pieces*, ranges of positions. Each piece has at most one *owner*, a
//! thread that takes entries from its end, one at a time, by a compare-and-swap on the range. An
//! entry belongs only to the thread that has taken it; until then the walk has
//! the task pinned or claimed, so it is valid. One *token* exists for each sweep (the [`Sweep`] itself). It
//! is in the queue of jobs, or in the hand of a worker that has just taken it from there. Only its holder
//! makes pieces: it takes over a piece that its owner has left (to let other work run), or splits a
//! piece by a compare-and-swap on its range, and takes the lower half. Ranges therefore only shrink,
//! or are divided by the token's holder.
//!
//! # Why a blocked destructor holds up only what is above it
//!
//! A destructor of user code may block, spawn (a task that is being cancelled refuses the child), cancel, or
//! wait for another task. While it runs, every task that is not an ancestor of its task must be able to end.
//!
//! A worker in a sweep runs such code in three places: in the drop of a future that it has taken, in the
//! turn of a parent from which its batch is unlinked, and in what follows upward from either. In each of
//! them
//!
//! - it has one entry in hand: the task whose destructor that is, or one below it. Its other entries
//!   are in its piece, from which the token's holder takes them, half by half, down to the last;
//! - the token is in the queue, if any entry is left besides: its holder puts it back *before* it runs
//!   anything, and drops it only when no piece has an entry, which stays so;
//! - its batch is empty, or has siblings of the task it has in hand. Their parent is above that task:
//!   it could not be done earlier anyway.
//!
//! So as long as a worker is idle, every entry that is left is taken. A worker that sleeps looks at
//! the queue of jobs within 2 ms while another is awake (see [`crate::schedule::idle`]): this is why offering
//! the token wakes no worker in the common case of a sweep that is over sooner.
//!
//! A walk that met no two siblings is a chain: all entries that are left are ancestors of the task in
//! hand, so nothing is shared. With fewer than two workers nothing is shared, either.

use crate::id::TaskId;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::task::raw::{Handover, Next, Part, Pin};
use crate::task::{Job, Shared, Walk};
use crate::tree::batch::Batch;
use crate::tree::close::close;
use crate::tree::frontier::{AHEAD, Entry};
use crate::tree::settle::settle;

/// The number of tasks that a walk looks at before it lets other work run.
pub(super) const STEP: usize = if cfg!(taskgrove_loom) {
    2
} else if cfg!(taskgrove_short_steps) {
    1
} else {
    1000
};

/// An entry of a complete frontier.
struct Place {
    task: Handover,
    /// The position of the parent's entry; the entry's own for the first one, and if the parent has none.
    parent: u32,
}

/// Begins the way back over a complete frontier, and does the first step of it. Returns the walk if the
/// caller has to queue it.
pub(super) fn begin(
    shared: Arc<Shared>,
    target: TaskId,
    entries: Vec<Entry>,
    has_siblings: bool,
) -> Option<Box<dyn Walk>> {
    if !has_siblings || !shared.schedule().has_helpers() {
        return Box::new(Alone { target, entries }).step();
    }
    let all = Piece::new(0, entries.len() as u32, false);
    let places = entries.into_iter().map(|entry| Place {
        task: Handover::new(entry.task),
        parent: entry.parent,
    });
    let sweep = Sweep {
        target,
        shared,
        places: Arc::new(places.collect()),
        pieces: vec![Arc::new(all)],
    };
    Box::new(sweep).step()
}

/// A range of the entries, and whether a thread works on it.
#[repr(align(64))]
struct Piece {
    /// The first position in the upper half, the end in the lower.
    range: AtomicU64,
    owned: AtomicBool,
}

fn pack(first: u32, end: u32) -> u64 {
    u64::from(first) << 32 | u64::from(end)
}

fn unpack(range: u64) -> (u32, u32) {
    ((range >> 32) as u32, range as u32)
}

impl Piece {
    fn new(first: u32, end: u32, owned: bool) -> Piece {
        Piece {
            range: AtomicU64::new(pack(first, end)),
            owned: AtomicBool::new(owned),
        }
    }

    fn range(&self) -> (u32, u32) {
        unpack(self.range.load(Ordering::Acquire))
    }

    fn len(&self) -> u32 {
        let (first, end) = self.range();
        end - first
    }

    /// Changes the range, if it is the one that was seen.
    fn change(&self, seen: (u32, u32), to: (u32, u32)) -> bool {
        let (seen, to) = (pack(seen.0, seen.1), pack(to.0, to.1));
        (self.range)
            .compare_exchange(seen, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Splits the lower half off, or the last entry, as a piece that is owned. Called by the token's holder.
    fn split(&self) -> Option<Arc<Piece>> {
        loop {
            let (first, end) = self.range();
            if first == end {
                return None;
            }
            let middle = first + (end - first).div_ceil(2);
            if self.change((first, end), (middle, end)) {
                return Some(Arc::new(Piece::new(first, middle, true)));
            }
        }
    }
}

/// The token of a shared sweep; see the module's docs.
struct Sweep {
    target: TaskId,
    shared: Arc<Shared>,
    places: Arc<Vec<Place>>,
    /// The pieces that had entries when a worker last held the token.
    pieces: Vec<Arc<Piece>>,
}

impl Sweep {
    /// Finds a piece for the calling thread and makes that its owner; `None` if no piece has an entry.
    fn acquire(&mut self) -> Option<Arc<Piece>> {
        loop {
            self.pieces.retain(|piece| piece.len() > 0);
            let left = |piece: &&Arc<Piece>| !piece.owned.load(Ordering::Acquire);
            if let Some(piece) = self.pieces.iter().find(left) {
                piece.owned.store(true, Ordering::Relaxed);
                return Some(piece.clone());
            }
            let longest = self.pieces.iter().max_by_key(|piece| piece.len())?;
            if let Some(piece) = longest.split() {
                self.pieces.push(piece.clone());
                return Some(piece);
            }
        }
    }
}

impl Walk for Sweep {
    fn step(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        let piece = self.acquire()?;
        let places = self.places.clone();
        let left: u32 = self.pieces.iter().map(|piece| piece.len()).sum();
        if left > 1 {
            let shared = self.shared.clone();
            shared.schedule().offer(Job::Walk(self));
        }
        let mut done = Siblings::default();
        let mut left = Owned {
            piece: &piece,
            places: &places,
        };
        stretch(&mut left, &mut done);
        // Before code of the user's may run in the flush: others go on with the piece.
        piece.owned.store(false, Ordering::Release);
        done.batch.flush();
        None
    }

    fn target(&self) -> TaskId {
        self.target
    }
}

/// A sweep by one thread at a time.
struct Alone {
    target: TaskId,
    entries: Vec<Entry>,
}

impl Walk for Alone {
    fn step(mut self: Box<Self>) -> Option<Box<dyn Walk>> {
        let mut done = Siblings::default();
        stretch(&mut self.entries, &mut done);
        done.batch.flush();
        (!self.entries.is_empty()).then_some(self)
    }

    fn target(&self) -> TaskId {
        self.target
    }
}

/// Entries that one thread takes from the end.
trait Left {
    /// The last entry: its position, and that of its parent's entry. `None` if none is left.
    fn last(&self) -> Option<(usize, u32)>;

    /// Takes the entry at this position, which was the last; `None` if another thread has taken it.
    fn take(&mut self, at: usize) -> Option<Part>;
}

impl Left for Vec<Entry> {
    #[inline(always)]
    fn last(&self) -> Option<(usize, u32)> {
        let last = self[..].last()?;
        Some((self.len() - 1, last.parent))
    }

    #[inline(always)]
    fn take(&mut self, at: usize) -> Option<Part> {
        let last = self.pop()?;
        if let Some(soon) = at.checked_sub(AHEAD).and_then(|at| self.get(at)) {
            soon.task.prefetch();
            self[soon.parent as usize].task.prefetch();
        }
        Some(last.task.into_part())
    }
}

/// A piece of a shared sweep, for its owner.
struct Owned<'a> {
    piece: &'a Piece,
    places: &'a [Place],
}

impl Left for Owned<'_> {
    #[inline]
    fn last(&self) -> Option<(usize, u32)> {
        let (first, end) = self.piece.range();
        let at = end as usize - usize::from(first < end);
        (first < end).then(|| (at, self.places[at].parent))
    }

    #[inline]
    fn take(&mut self, at: usize) -> Option<Part> {
        let (first, end) = self.piece.range();
        if end as usize != at + 1
            || first == end
            || !self.piece.change((first, end), (first, at as u32))
        {
            return None;
        }
        fetch(self.places, at);
        self.places[at].task.take()
    }
}

/// What is done, and the position of its parent's entry.
#[derive(Default)]
struct Siblings {
    batch: Batch,
    parent: u32,
}

/// Sweeps up to [`STEP`] entries.
fn stretch(left: &mut impl Left, done: &mut Siblings) {
    for _ in 0..STEP {
        let Some((at, parent)) = left.last() else {
            return;
        };
        let is_parent = at as u32 == done.parent;
        if !is_parent && parent != done.parent && done.batch.flush() {
            // That was with nothing in hand: it may have been the parent's turn.
            continue;
        }
        let Some(task) = left.take(at) else {
            continue;
        };
        let next = match task {
            Part::Claimed(task) => close(task),
            Part::Pinned(pin) => match done.release(pin, is_parent) {
                // The target: its parent is not part of the walk.
                next if at == 0 => return settle(next),
                Next::Close(task) => close(task),
                next => next,
            },
        };
        match next {
            Next::Finish(task) => {
                done.batch.add_sibling(task);
                done.parent = parent;
            }
            next => settle(next),
        }
    }
}

impl Siblings {
    /// Gives a pin back. If it is of the parent of what is done, that is taken off it in the same step.
    #[inline(never)]
    fn release(&mut self, pin: Pin, is_parent: bool) -> Next {
        if is_parent && let Some(mut pins) = self.batch.unlink() {
            pins.add(pin);
            pins.release()
        } else {
            pin.release()
        }
    }
}

/// Fetches an entry that comes soon, and its parent, into the cache, for a thread that takes entries from
/// the end and is at `at`.
#[inline]
fn fetch(places: &[Place], at: usize) {
    let soon = at.checked_sub(AHEAD);
    if let Some(place) = soon.and_then(|at| places.get(at)) {
        place.task.prefetch();
        places[place.parent as usize].task.prefetch();
    }
}
