//! The requests for cancellation in one runtime: their numbers, and how many of them are marking.
//!
//! Each request that needs a walk takes a number *before* it marks its target, and counts itself out
//! when everything below the target is marked. Both are in one word, so that one look tells a poll
//! which requests were there when it began, and whether all of them had marked what they cover. If
//! they had, a task that was not marked then was not covered by any, and its ancestors, which may be many,
//! need no look.
//!
//! The end of a protection that has left children takes a number, too. A number is *settled* when what it was
//! taken for can be seen: the request has marked its target, or the cover says that the protection has ended.
//! What a thread finds above a task holds up to a number only if all numbers up to that one were settled
//! when it looked.

use crate::sync::atomic::{AtomicU64, AtomicWord, Ordering};

/// Bits of the word that count the requests that are marking; the rest is the latest number.
const MARKING_BITS: u32 = 24;
const NUMBER: u64 = 1 << MARKING_BITS;

/// The numbers of a runtime's requests for cancellation, and of the ends of its protections.
pub(crate) struct Requests {
    /// The latest number, and how many requests are marking.
    word: AtomicU64,
    /// How many numbers are settled.
    settled: AtomicWord,
}

/// A snapshot of the word of [`Requests`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Requests {
    pub(crate) fn new() -> Self {
        Requests {
            word: AtomicU64::new(Seen::NONE.0),
            settled: AtomicWord::new(0),
        }
    }

    /// Draws the number of a request, which is marking from now on.
    pub(crate) fn begin(&self) -> u64 {
        self.draw(NUMBER + 1)
    }

    /// Draws the number of the end of a protection, which is no request.
    pub(crate) fn draw_for_end(&self) -> u64 {
        self.draw(NUMBER)
    }

    fn draw(&self, add: u64) -> u64 {
        // A poll that sees the mark (Acquire) sees this number, too.
        let before = self.word.fetch_add(add, Ordering::AcqRel);
        Seen(before).latest() + 1
    }

    /// Settles a number of the caller's: what it was drawn for can be seen.
    pub(crate) fn settle(&self) {
        // Release: a thread that finds all settled (Acquire, in `are_settled`) sees what they were drawn for.
        self.settled.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all numbers are settled, and the calling thread sees what they were drawn for.
    pub(crate) fn are_settled(&self) -> bool {
        // In this order: the numbers that are settled are among those that the second load counts.
        let settled = self.settled.load(Ordering::Acquire);
        settled == self.look().latest()
    }

    /// Notes that everything that a request covers is marked.
    pub(crate) fn marked(&self) {
        // Release: a thread that sees that none is marking (Acquire, in `look`) sees all marks.
        self.word.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes a snapshot.
    #[inline]
    pub(crate) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Acquire))
    }
}

impl Seen {
    pub(crate) const NONE: Seen = Seen(0);

    /// Stands for no snapshot, but for a level of [`entered`](super::current::inside).
    pub(super) fn of_level(number: u64) -> Seen {
        Seen(number)
    }

    /// The latest number; numbers begin with 1.
    pub(crate) fn latest(self) -> u64 {
        self.0 >> MARKING_BITS
    }

    /// Whether all requests up to the latest had marked what they cover.
    pub(crate) fn all_marked(self) -> bool {
        self.0 & (NUMBER - 1) == 0
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_the_latest_number_and_whether_any_request_is_marking() {
        let requests = Requests::new();
        let look = || (requests.look().latest(), requests.look().all_marked());
        assert_eq!(look(), (0, true));
        assert_eq!((requests.begin(), requests.begin()), (1, 2));
        requests.marked();
        assert_eq!(look(), (2, false));
        requests.marked();
        assert_eq!(look(), (2, true));
        assert_eq!(requests.begin(), 3);
        assert_eq!(look(), (3, false));
        assert_eq!(requests.draw_for_end(), 4);
        assert_eq!(look(), (4, false));
        requests.marked();
        assert_eq!(look(), (4, true));
    }

    #[test]
    fn all_are_settled_when_each_is() {
        let requests = Requests::new();
        assert!(requests.are_settled());
        requests.begin();
        requests.draw_for_end();
        requests.settle();
        assert!(!requests.are_settled());
        requests.settle();
        assert!(requests.are_settled(), "one is still marking");
    }
}
