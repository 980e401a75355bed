//! [`RunNext`]: a place for one task that a worker polls before those in its queue.
//!
//! A task that a poll wakes or spawns is mostly what the poll goes on with: the other end of a channel,
//! or a task that the poll's own waits for. Behind a full queue each such hop would take a whole round
//! of the queue. So the first task that a worker pushes while the place is empty goes into the place;
//! [`Turns`](super::worker) says when the worker polls it. The idea is that of Go's `runnext`, and of
//! tokio's LIFO slot. Unlike theirs, the place keeps the task that it has, so tasks that one poll pushes
//! stay in their order.
//!
//! # Who does what
//!
//! The owner of the queue beside it ([`queue`](super::queue)), and it alone, puts a task. Any thread
//! takes it: a thief does so when the queue itself is empty. So the place hides no task from other
//! workers, and counts as part of the queue for a worker that goes to sleep, or wakes another.
//!
//! # Why each address comes out exactly once
//!
//! Only the owner stores an address, and only after it has itself taken from the place since the last store
//! ([`RunNext::accepts`]). It takes by a swap for null; a thief takes by an exchange of the address that it has
//! loaded for null.
//!
//! 1. *The owner's plain store overwrites no address, and no thief's exchange.* After the owner's swap the place
//!    is null. From null an exchange does not succeed, so nothing writes to the place until the owner stores.
//! 2. *One thread gets what was stored.* What follows the store, in the order of the writes to the place, is a
//!    read-modify-write, since only those write until the owner has swapped again. The first of them, an
//!    exchange or that swap, reads the address itself, and writes null for all that follow.
//! 3. *A thief that is late does no harm.* If the address that it has loaded was taken and then stored again, its
//!    exchange takes the later store: it reads that one, and is one of those in 2.
//!
//! The store releases, and what takes acquires from the store that it reads, which carries what the address
//! points to.

use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::ptr::{NonNull, null_mut};

/// The owner has put an address, and has not taken from the place since.
const USED: u64 = u64::MAX;

/// A place for one address.
pub(crate) struct RunNext<T> {
    /// Null if the place is empty. The owner stores an address with Release; each thread that takes it
    /// writes null by a read-modify-write with Acquire. Looks from outside are Acquire, as those of the queue are.
    item: AtomicPtr<T>,
    /// The owner puts an address only while the queue's head is at this position or above; [`USED`] is above
    /// all. Written and read by the owner alone; Relaxed, since what hands the queue to another owner orders
    /// the accesses.
    open_from: AtomicU64,
}

impl<T> RunNext<T> {
    /// An empty place.
    pub(crate) fn new() -> Self {
        RunNext {
            item: AtomicPtr::new(null_mut()),
            open_from: AtomicU64::new(0),
        }
    }

    /// Whether [`put`](RunNext::put) is allowed while the queue's head is at this position. Owner only.
    #[inline]
    pub(crate) fn accepts(&self, head: u64) -> bool {
        head >= self.open_from.load(Ordering::Relaxed)
    }

    /// Puts an address, if [`accepts`](RunNext::accepts) says so. Owner only.
    #[inline]
    pub(crate) fn put(&self, item: NonNull<T>) {
        self.open_from.store(USED, Ordering::Relaxed);
        self.item.store(item.as_ptr(), Ordering::Release);
    }

    /// Whether the owner has put an address and not taken from the place since; another thread may have
    /// taken it. Owner only.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.open_from.load(Ordering::Relaxed) == USED
    }

    /// Takes the address, and accepts no other until the queue's head is at `open_from`. Owner only.
    #[inline]
    pub(crate) fn take_own(&self, open_from: u64) -> Option<NonNull<T>> {
        self.open_from.store(open_from, Ordering::Relaxed);
        NonNull::new(self.item.swap(null_mut(), Ordering::Acquire))
    }

    /// Takes the address. Any thread.
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        // Relaxed: the exchange decides.
        let item = NonNull::new(self.item.load(Ordering::Relaxed))?;
        let (from, to) = (item.as_ptr(), null_mut());
        let taken = (self.item).compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then_some(item)
    }

    /// Whether there is none: a snapshot, for any thread.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.item.load(Ordering::Acquire).is_null()
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn item(n: usize) -> NonNull<u8> {
        NonNull::new(std::ptr::without_provenance_mut(n)).expect("counted from 1")
    }

    #[test]
    fn the_first_stays_and_a_closed_place_takes_none() {
        let place = RunNext::new();
        assert_eq!(place.take(), None);
        assert!(place.accepts(0) && !place.is_used());
        place.put(item(1));
        assert!(place.is_used() && !place.is_empty() && !place.accepts(1_000_000));
        assert_eq!(place.take_own(5), Some(item(1)));
        assert!(!place.is_used() && place.is_empty());
        assert!(!place.accepts(4) && place.accepts(5));
        place.put(item(2));
        assert_eq!(place.take(), Some(item(2)), "by a thief");
        assert!(
            place.is_empty() && !place.accepts(5),
            "the owner does not know"
        );
        assert_eq!(place.take_own(0), None);
        assert!(place.accepts(0));
    }

    #[test]
    fn everything_comes_out_once_from_three_threads() {
        const ITEMS: usize = 100_000;
        let (place, taken) = (RunNext::new(), AtomicUsize::new(0));
        let (sum, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let take = || {
            if let Some(item) = place.take() {
                sum.fetch_add(item.addr().get(), Ordering::Relaxed);
                taken.fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while done.load(Ordering::Relaxed) == 0 {
                        take();
                    }
                });
            }
            for n in 1..=ITEMS {
                if n % 3 == 0 {
                    take();
                }
                if !place.accepts(0)
                    && let Some(item) = place.take_own(0)
                {
                    sum.fetch_add(item.addr().get(), Ordering::Relaxed);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                place.put(item(n));
            }
            done.store(1, Ordering::Relaxed);
        });
        take();
        assert_eq!(taken.into_inner(), ITEMS);
        assert_eq!(sum.into_inner(), ITEMS * (ITEMS + 1) / 2);
    }
}
