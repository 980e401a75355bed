//! The process's arena checks itself, for the tests and the fuzzing harness.

use super::ARENA;

/// Returns the number of slots of the process that are live or lie in the magazines of other
/// threads. A `thorough` audit also checks each slot in the calling thread's magazines, and each
/// released unit.
///
/// # Panics
///
/// If the arena's data disagree: a slot is free twice or in two places, a page is in the wrong list
/// or in none, or a count is not the sum of what it counts.
pub fn live_slots(thorough: bool) -> usize {
    ARENA.audit(thorough)
}

/// Empties the calling thread's magazines.
pub fn flush_thread() {
    ARENA.flush_thread();
}
