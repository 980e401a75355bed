//! Letting a short queue grow before taking from it.
//!
//! A worker that outruns the one that spawns would take every task the moment it is pushed. Then
//! each of them costs both a few transfers of cache lines: of the queue's ends, the parent's lock
//! (what is done is taken off its parent when the worker runs dry), the task itself. Both are slowed
//! down to that, and stay in step: 10,000 empty tasks spawned on one of two workers took 330 ns each,
//! in steals of 2.7, where one worker alone takes 90. So a worker that comes from work waits as long as
//! the queue is short and grows. With that they take 65 to 120.
//!
//! What it costs: a task that is alone in a queue waits one pause longer for help (its own worker may
//! run it all the same); and where a worker waits longest, the parent of what it has ended hears of
//! that some 10 us later, and no other worker is woken meanwhile. One that has just been woken does
//! not wait. The idea is Go's, whose thieves sleep 3 us before they take the task that another
//! processor would run next.

/// What is worth taking at once: a steal takes half, at most 32.
const ENOUGH: usize = if cfg!(taskgrove_loom) { 0 } else { 64 };
/// Looks at the queue, at most.
const LOOKS: usize = 5;
/// Pauses between two looks: about 2 us where one is 40 cycles, 6 where it is 140.
const PAUSES: usize = 128;

/// Returns when a queue of this length has enough, or no longer grows, or after some 10 us.
pub(super) fn gather(len: impl Fn() -> usize) {
    let mut before = 0;
    for look in 1..=LOOKS {
        let now = len();
        if now <= before || now >= ENOUGH || look == LOOKS {
            return;
        }
        before = now;
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often it looks at a queue of these lengths.
    fn looks(lengths: &[usize]) -> usize {
        let at = Cell::new(0);
        gather(|| {
            at.set(at.get() + 1);
            lengths[at.get() - 1]
        });
        at.get()
    }

    #[test]
    fn it_waits_while_the_queue_grows() {
        assert_eq!(looks(&[0]), 1, "empty");
        assert_eq!(looks(&[1, 1]), 2, "no more come");
        assert_eq!(looks(&[5, 3]), 2, "others take them");
        assert_eq!(looks(&[1, 2, 2]), 3);
        assert_eq!(looks(&[3, ENOUGH]), 2);
        assert_eq!(looks(&[ENOUGH]), 1, "enough at once");
        assert_eq!(looks(&[1, 2, 3, 4, 5, 6]), LOOKS, "not for ever");
    }
}
