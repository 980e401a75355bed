//! [`back_off`]: lets a short queue grow before a worker takes from it.
//!
//! A worker that outruns the one that spawns would take every task the moment it is pushed. Each task
//! would then cost both workers a few transfers of cache lines (of the queue's ends, of the parent's
//! lock, of the task itself), which slow both down to the same pace, and so they would stay in step.
//! So a worker that comes from work waits as long as the queue is short and grows. One that has just
//! been woken does not wait.
//!
//! A task that is alone in a queue waits one pause longer for help; its own worker may run it
//! meanwhile. Where a worker waits longest, about 10 us, the parent of the tasks that it has made done
//! hears of them that much later. `docs/decisions/0025-back-off-from-short-queues.md` has figures.

/// A length that is worth taking at once: a steal takes half, at most 32.
const ENOUGH: usize = if cfg!(taskgrove_loom) { 0 } else { 64 };
/// The most looks at the queue.
const LOOKS: usize = 5;
/// Spin-loop hints between two looks: about 2 us where one takes 40 cycles, 6 us where it takes 140.
const SPINS: usize = 128;

/// Returns when a queue of this length has enough, or no longer grows, or after about 10 us.
pub(super) fn back_off(len: impl Fn() -> usize) {
    let mut before = 0;
    for look in 1..=LOOKS {
        let now = len();
        if now <= before || now >= ENOUGH || look == LOOKS {
            return;
        }
        before = now;
        for _ in 0..SPINS {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often it looks at a queue with these lengths, one after another.
    fn looks(lengths: &[usize]) -> usize {
        let at = Cell::new(0);
        back_off(|| {
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
