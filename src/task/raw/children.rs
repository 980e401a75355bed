//! [`Children`]: a task's list of children, locked.
//!
//! A new child goes in at the head of the list: the order is youngest first. The links are indices
//! in the children's headers (rule 7).

use super::header::{Borrowed, Header, kind};
use super::live::{resolve, resolve_index};
use super::rights::{Finished, Fresh, Live, Queued};
use crate::sync::ByteGuard;
use crate::sync::atomic::Ordering;
use crate::task::state::Word;

/// The value of [`Header::supervised`] in a child that is done and was counted out: the parent's count no
/// longer includes it. A task that is done has no children, so its own count is free for this. [`WATCHED`] may
/// be set or clear.
const COUNTED_OUT: u32 = u32::MAX;

/// Set in [`Header::supervised`] while the task's [`Room`](crate::task::room) is in use. It makes the count
/// greater than any limit.
const WATCHED: u32 = 1 << 31;

/// A task's list of children, locked until this is dropped. While it exists, the caller runs no user
/// code, takes no other lock and allocates nothing.
pub(crate) struct Children<'a> {
    pub(super) parent: Borrowed<'a>,
    _lock: ByteGuard<'a>,
}

impl<'a> Children<'a> {
    /// Locks the list.
    #[inline]
    pub(crate) fn lock(parent: Borrowed<'a>) -> Self {
        Children {
            parent,
            _lock: parent.header().lock.lock(),
        }
    }

    /// As [`Children::lock`], if no other thread has the lock.
    #[inline]
    pub(crate) fn try_lock(parent: Borrowed<'a>) -> Option<Self> {
        let lock = parent.header().lock.try_lock()?;
        Some(Children {
            parent,
            _lock: lock,
        })
    }

    /// The youngest child.
    pub(crate) fn first(&self) -> Option<Live<'_>> {
        // SAFETY: rule 7, under the lock: what is linked is counted by its parent.
        unsafe { resolve(&self.parent.first).map(|child| Live::new(child)) }
    }

    /// The next older sibling of a child.
    ///
    /// # Panics
    ///
    /// Panics if the task is in another list.
    pub(crate) fn after(&self, child: Live<'_>) -> Option<Live<'_>> {
        self.check(&child);
        // SAFETY: as above: the child is counted by its parent, so it is linked.
        unsafe { resolve(&child.next).map(|child| Live::new(child)) }
    }

    /// Panics if a task is not a child of this parent.
    #[inline]
    fn check(&self, child: &Header) {
        assert!(self.is_parent_of(child), "another task's child");
    }

    #[inline]
    fn is_parent_of(&self, child: &Header) -> bool {
        child.parent == self.parent.index.get()
    }

    /// Counts a new child in the parent's word and links it. The child is scheduled, and the caller has to
    /// queue it.
    ///
    /// # Errors
    ///
    /// Returns the child if the parent is being cancelled, unless the child is covered or a grace period runs;
    /// if it is done or killed, or has [`MAX_CHILDREN`](crate::task::state::MAX_CHILDREN).
    ///
    /// # Panics
    ///
    /// Panics if the child was written for another parent.
    #[inline]
    pub(crate) fn adopt<'c>(&self, child: Fresh<'c>) -> Result<Queued, Fresh<'c>> {
        self.check(&child);
        let rarely = child.is(kind::COVERED) || !self.parent.state.adopt();
        if rarely && !self.adopt_rarely(&child) {
            return Err(child);
        }
        Ok(self.link(child))
    }

    /// As [`Children::adopt`], in the common case. It neither calls nor panics, and returns each child about which
    /// more is to be found out than that: a covered one, one that the parent's word refuses, and one of another
    /// parent.
    #[inline(always)]
    pub(crate) fn adopt_at_once<'c>(&self, child: Fresh<'c>) -> Result<Queued, Fresh<'c>> {
        let plain = self.is_parent_of(&child) && !child.is(kind::COVERED);
        if plain && self.parent.state.adopt() {
            Ok(self.link(child))
        } else {
            Err(child)
        }
    }

    /// Links a child that was counted in the parent's word.
    #[inline(always)]
    fn link(&self, child: Fresh<'_>) -> Queued {
        if child.is(kind::SUPERVISED) {
            self.supervised(1);
        }
        let head = self.parent.first.load(Ordering::Relaxed);
        let index = child.index.get();
        child.next.store(head, Ordering::Relaxed);
        // SAFETY: rule 7, under the lock.
        if let Some(second) = unsafe { resolve_index(head) } {
            // SAFETY: as above.
            let second = unsafe { second.header() };
            second.prev.store(index, Ordering::Relaxed);
        }
        self.parent.first.store(index, Ordering::Relaxed);
        Queued(child.into_raw())
    }

    /// Unlinks a task that is done, and takes it off the count of supervised children. `true` if the
    /// parent counts it by a pin from now on; it does not if other covered children are left.
    #[inline]
    pub(super) fn unlink(&self, child: &Finished) -> bool {
        self.check(&child.live());
        self.splice(&child.live(), &child.live());
        if child.live().is_counted() {
            self.supervised(-1);
        }
        self.count_out_covered(child.live())
    }

    /// Unlinks tasks that are done, and takes them off the count of supervised children. A run of
    /// neighbours, oldest first, is unlinked in one step; a queue and a sweep produce this order.
    /// The parent counts them by pins from now on; if some are covered, it does so for the number of them
    /// that is returned.
    pub(super) fn unlink_all(&self, done: &[Finished]) -> Option<u64> {
        let (Some(first), Some(last)) = (done.first(), done.last()) else {
            return None;
        };
        // All are checked before any of them is taken out.
        let mut all = Together::of(self.parent.index.get(), &first.live());
        done.iter().for_each(|child| all.add(&child.live()));
        assert!(all.strangers == 0, "another task's child");
        if all.apart == 0 {
            self.splice(&first.live(), &last.live());
        } else {
            self.splice_runs(done);
        }
        if all.kinds & kind::SUPERVISED != 0 {
            self.supervised(-all.counted(done));
        }
        (all.kinds & kind::COVERED != 0).then(|| self.count_all_out(done))
    }

    /// Unlinks children that are not one run of neighbours.
    #[inline(never)]
    fn splice_runs(&self, done: &[Finished]) {
        let [first, rest @ ..] = done else { return };
        let (mut oldest, mut youngest) = (first.live(), first.live());
        for child in rest {
            let child = child.live();
            if !child.is_next_younger(&youngest) {
                self.splice(&oldest, &youngest);
                oldest = child;
            }
            youngest = child;
        }
        self.splice(&oldest, &youngest);
    }

    /// Unlinks the children from `youngest` to `oldest`, which may be the same.
    fn splice(&self, oldest: &Header, youngest: &Header) {
        let after = oldest.next.load(Ordering::Relaxed);
        let before = youngest.prev.load(Ordering::Relaxed);
        // SAFETY: rule 7, under the lock.
        let (younger, older) = unsafe { (resolve(&youngest.prev), resolve(&oldest.next)) };
        match younger {
            // SAFETY: as above.
            Some(younger) => unsafe { younger.header() }
                .next
                .store(after, Ordering::Relaxed),
            None => self.parent.first.store(after, Ordering::Relaxed),
        }
        if let Some(older) = older {
            // SAFETY: as above.
            unsafe { older.header() }
                .prev
                .store(before, Ordering::Relaxed);
        }
    }

    /// The number of supervised children, without those that were counted out.
    pub(crate) fn supervised_count(&self) -> u32 {
        self.parent.supervised_hint()
    }

    /// As [`Children::supervised_count`], but a number above any limit if the room of the parent is in use.
    #[inline]
    pub(crate) fn count_or_watched(&self) -> u32 {
        self.parent.supervised.load(Ordering::Relaxed)
    }

    /// Notes that the room of the parent is in use, or that it is at rest. The parent may be done: this leaves
    /// the mark of a child that was counted out, which is written under another lock.
    pub(crate) fn watch(&self, in_use: bool) {
        let count = &self.parent.supervised;
        if in_use {
            count.fetch_or(WATCHED, Ordering::Relaxed);
        } else {
            count.fetch_and(!WATCHED, Ordering::Relaxed);
        }
    }

    /// Adds `change` to the count of supervised children.
    #[inline]
    fn supervised(&self, change: i32) {
        let count = &self.parent.supervised;
        let now = count.load(Ordering::Relaxed).wrapping_add_signed(change);
        count.store(now, Ordering::Relaxed);
    }

    /// Takes a child that is done, and still linked, off the count of supervised children; `false` if it is
    /// not done, or was not counted.
    pub(crate) fn count_out(&self, child: Live<'_>) -> bool {
        self.count_out_seen(child, child.word())
    }

    /// As [`Children::count_out`], with a look that writes: a thread that makes the child done later sees
    /// what this thread did before.
    pub(crate) fn count_out_in_order(&self, child: Live<'_>) -> bool {
        self.count_out_seen(child, child.state.load_in_order())
    }

    fn count_out_seen(&self, child: Live<'_>, word: Word) -> bool {
        self.check(&child);
        let counted = word.is_done() && child.is_counted();
        if counted {
            child.supervised.store(COUNTED_OUT, Ordering::Relaxed);
            self.supervised(-1);
        }
        counted
    }
}

/// What some children that are done have together. It is collected without a branch.
struct Together {
    /// The parent of all of them.
    parent: u32,
    /// 0 if that is so.
    strangers: u32,
    /// 0 if each is the next younger sibling of the one before.
    apart: u32,
    /// The index of the latest.
    latest: u32,
    /// The kinds that any has, and those that all have.
    kinds: u8,
    common: u8,
    /// The bits that are set in any [`Header::supervised`].
    marks: u32,
}

impl Together {
    /// Begins with the first of them, which is added besides.
    fn of(parent: u32, first: &Header) -> Together {
        Together {
            parent,
            strangers: 0,
            apart: 0,
            latest: first.next.load(Ordering::Relaxed),
            kinds: 0,
            common: u8::MAX,
            marks: 0,
        }
    }

    #[inline(always)]
    fn add(&mut self, child: &Header) {
        self.strangers |= child.parent ^ self.parent;
        self.apart |= self.latest ^ child.next.load(Ordering::Relaxed);
        self.latest = child.index.get();
        self.kinds |= child.kinds();
        self.common &= child.kinds();
        self.marks |= child.supervised.load(Ordering::Relaxed);
    }

    /// How many of them the parent's count includes.
    #[inline]
    fn counted(&self, done: &[Finished]) -> i32 {
        // All are alike, mostly.
        if self.common & kind::SUPERVISED != 0 && self.marks & !WATCHED == 0 {
            done.len() as i32
        } else {
            counted(done)
        }
    }
}

#[inline(never)]
fn counted(done: &[Finished]) -> i32 {
    done.iter()
        .filter(|child| child.live().is_counted())
        .count() as i32
}

impl Header {
    /// Whether it comes just after a sibling in the list, which is then the next older one.
    #[inline]
    fn is_next_younger(&self, older: &Header) -> bool {
        self.next.load(Ordering::Relaxed) == older.index.get()
    }

    /// Whether the parent's count includes this child, which is done. Exact under the parent's lock.
    #[inline]
    fn is_counted(&self) -> bool {
        let count = self.supervised.load(Ordering::Relaxed);
        self.is(kind::SUPERVISED) && count | WATCHED != COUNTED_OUT
    }

    /// The number of supervised children. Without the lock it may be outdated.
    pub(super) fn supervised_hint(&self) -> u32 {
        self.supervised.load(Ordering::Relaxed) & !WATCHED
    }

    /// Whether the task's room is in use. A thread that has made a child of it done sees that it is, if the
    /// room was put in use before: [`crate::task::room`] says why.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.supervised.load(Ordering::Relaxed) & WATCHED != 0
    }

    /// Sets the mark of a child that is counted out, in a task that is done and has no parent; `false` if
    /// it was set.
    pub(super) fn count_out_once(&self) -> bool {
        self.supervised.swap(COUNTED_OUT, Ordering::Relaxed) != COUNTED_OUT
    }

    /// Fetches the first child of a task that is in the cache into it. Another thread may unlink the
    /// child meanwhile.
    pub(crate) fn prefetch_first_child(&self) {
        use crate::arena::{ARENA, SlotIndex};
        if let Some(first) = SlotIndex::from_u32(self.first.load(Ordering::Relaxed)) {
            ARENA.prefetch(first);
        }
    }
}
