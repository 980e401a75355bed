//! [`Turns`]: when a worker polls the task in its place [`RunNext`](crate::schedule::run_next), and when those
//! in its queue.
//!
//! - At most [`IN_A_ROW`] polls in a row are of tasks from the place, while the queue has a task. Then one of
//!   the queue comes, and the place goes on.
//! - A *round* of the queue is over when all tasks are gone from it that were there at its beginning. In one
//!   round, at most as many polls are of the place as there were tasks, or [`IN_A_ROW`] if these were fewer, but
//!   never more than [`IN_A_ROUND`]. Then the place is closed until the round is over: tasks that are woken or
//!   spawned meanwhile go into the queue.
//!
//! So a task in the queue waits for at most twice as many polls as without the place, and three more; tasks
//! that wake each other for ever get about half of the polls. A task that many others wake, one after another,
//! as one that joins them does, is polled a few times a round, and not after each of them.

use crate::schedule::cores::OwnCore;
use crate::task::raw::Queued;

/// The most polls in a row.
const IN_A_ROW: u32 = 3;
/// The most polls in one round of the queue.
const IN_A_ROUND: u64 = 16;

/// The polls of tasks from the place, as they were counted.
#[derive(Default)]
pub(super) struct Turns {
    /// How many there have been since the queue's head was at `head`.
    row: u32,
    head: u64,
    /// How many may come until the queue's head is at `round_ends`.
    left: u64,
    round_ends: u64,
}

impl Turns {
    /// The next task of the worker's own, when it has put one into the place.
    #[inline(never)]
    pub(super) fn next(&mut self, own: OwnCore<'_>) -> Option<Queued> {
        let (head, tail) = own.positions();
        if head == tail {
            return own.take_next(0);
        }
        if self.head != head {
            self.head = head;
            self.row = 0;
        }
        if self.row == IN_A_ROW {
            return own.pop().or_else(|| own.take_next(0));
        }
        if head >= self.round_ends {
            let queued = tail.saturating_sub(head);
            self.left = queued.clamp(u64::from(IN_A_ROW), IN_A_ROUND);
            self.round_ends = tail;
        }
        self.row += 1;
        self.left = self.left.saturating_sub(1);
        let mut open_from = 0;
        if self.left == 0 {
            self.round_ends = tail;
            open_from = tail;
        }
        // Another worker may have taken it meanwhile.
        own.take_next(open_from).or_else(|| own.pop())
    }
}
