//! The requests for cancellation in one runtime: their numbers, and how many of them are marking.
//!
//! Each request that needs a walk takes a number *before* it marks its target, and counts itself out
//! when everything below the target is marked. Both are in one word, so that one look tells a poll
//! which requests were there when it began, and whether all of them had marked what they cover. If
//! they had, a task that was not marked then was not covered by any, and its ancestors, which may be many,
//! need no look.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Bits of the word that count the requests that are marking; the rest is the latest number.
const MARKING_BITS: u32 = 24;
const NUMBER: u64 = 1 << MARKING_BITS;

/// The numbers of a runtime's requests for cancellation, in one atomic word.
pub(crate) struct Requests(AtomicU64);

/// A snapshot of [`Requests`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Requests {
    pub(crate) fn new() -> Self {
        Requests(AtomicU64::new(Seen::NONE.0))
    }

    /// Draws the number of a request, which is marking from now on.
    pub(crate) fn begin(&self) -> u64 {
        // A poll that sees the mark (Acquire) sees this number, too.
        let before = self.0.fetch_add(NUMBER + 1, Ordering::AcqRel);
        Seen(before).latest() + 1
    }

    /// Draws a number that no request has, so that the answers that were kept under earlier ones count no more
    /// (`tree/requested.rs`): a request has marked its target, or a protection has ended.
    pub(crate) fn renew(&self) {
        // While none is marking, no answer is kept; the next request has a number of its own.
        if !self.look().all_marked() {
            self.0.fetch_add(NUMBER, Ordering::AcqRel);
        }
    }

    /// Notes that everything that a request covers is marked.
    pub(crate) fn marked(&self) {
        // Release: a thread that sees that none is marking (Acquire, in `look`) sees all marks.
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes a snapshot.
    #[inline]
    pub(crate) fn look(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }
}

impl Seen {
    pub(crate) const NONE: Seen = Seen(0);

    /// Stands for no snapshot, but for a level of [`entered`](super::current::inside).
    pub(super) fn of_level(number: u64) -> Seen {
        Seen(number)
    }

    /// The number of the latest request; numbers begin with 1.
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
        requests.renew();
        assert_eq!(look(), (4, false));
        requests.marked();
        requests.renew();
        assert_eq!(look(), (4, true), "nobody looks at it");
    }
}
