//! The arena looks itself over: for the fuzzing harness, in builds with debug assertions.

use super::ARENA;

/// The number of slots of the process that are live, or lie in other threads' magazines. A
/// `thorough` look is at each slot in this thread's magazines, too.
///
/// # Panics
///
/// If what the arena knows of its slots does not agree with itself: a slot that is free twice, or
/// in two places; a page that hangs in the wrong list, or in none; counts that are not the sums of
/// what they count.
pub fn live_slots(thorough: bool) -> usize {
    ARENA.audit(thorough)
}

/// Empties the calling thread's magazines.
pub fn flush_thread() {
    ARENA.flush_thread();
}
