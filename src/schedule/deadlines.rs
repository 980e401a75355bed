//! Timers and the pool: fires what is due, and decides how long a timekeeper may sleep.
//!
//! A timekeeper sleeps until the earliest deadline, as exactly as the system lets it. Where timers are
//! *dense*, a wake-up for each would cost more than the timers: so after a look that fired many, the
//! next wake-up is at least [`APART_NS`] later. Workers that are awake read the clock about that often,
//! too. `docs/decisions/0024-dense-timers.md` has figures.

use crate::schedule::idle::Deadlines;
use crate::schedule::woken::Woken;
use crate::sync::atomic::Ordering;
use crate::task::Shared;
use std::time::Instant;

/// Timers are dense if this many are due at once.
const DENSE: usize = 16;
/// The least time between two wake-ups for dense timers, in nanoseconds.
const APART_NS: u64 = 100_000;

/// Fires the timers that are due at `now`, in nanoseconds of the runtime's clock.
///
/// Tasks are woken first, and no code of the user's runs in that. With `give_away` they go to the
/// injector, not to the queue of the calling worker, whose polls are long. Then `before_foreign` is
/// called, if there are wakers that are no task's, and these are woken.
pub(crate) fn fire_timers(
    shared: &Shared,
    now: u64,
    give_away: bool,
    before_foreign: impl FnOnce(),
) {
    shared.clock.saw(now);
    if !shared.timers.may_be_due(now) {
        return;
    }
    let mut woken = Woken::new(give_away);
    let wake = |waker| woken.wake(waker);
    let fired = (shared.timers).fire(now, usize::MAX, wake, |job| shared.schedule().job(job));
    if fired >= DENSE {
        // Relaxed: a hint, here and in `next`. A sleeper that misses it wakes for a timer too early.
        shared
            .timers_rest_until
            .store(now + APART_NS, Ordering::Relaxed);
    }
    woken.wake_foreign(before_foreign);
}

impl Deadlines for Shared {
    fn next(&self) -> Option<u64> {
        let rest_until = self.timers_rest_until.load(Ordering::Relaxed);
        Some(self.timers.next_deadline()?.max(rest_until))
    }

    fn now(&self) -> u64 {
        self.clock.now_ns()
    }

    fn instant(&self, ns: u64) -> Instant {
        // loom has no time: for a sleeper that would wake by itself, this time has come.
        #[cfg(taskgrove_loom)]
        self.clock.advance_to(ns);
        self.clock.instant(ns)
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::task::watch::Watch;
    use crate::timer_queue::{Clock, Fire};
    use std::task::Waker;

    /// The next deadline after `count` timers were fired at 1 ms, with one that is due 10 us later.
    fn next_after(count: usize) -> Option<u64> {
        let shared = Shared::new(Clock::manual(), Watch::default());
        let insert = |at| shared.timers.insert(at, Fire::Waker(Waker::noop().clone()));
        for _ in 0..count {
            insert(1_000_000);
        }
        insert(1_010_000);
        assert_eq!(
            shared.next(),
            Some(if count > 0 { 1_000_000 } else { 1_010_000 })
        );
        fire_timers(&shared, 1_000_000, false, || ());
        shared.next()
    }

    #[test]
    fn few_timers_are_waited_for_exactly_and_dense_ones_together() {
        assert_eq!(next_after(0), Some(1_010_000));
        assert_eq!(next_after(DENSE - 1), Some(1_010_000));
        assert_eq!(next_after(DENSE), Some(1_000_000 + APART_NS));
        assert_eq!(next_after(1_000), Some(1_000_000 + APART_NS));
    }

    #[test]
    fn without_timers_there_is_no_next_deadline() {
        let shared = Shared::new(Clock::manual(), Watch::default());
        for _ in 0..DENSE {
            shared.timers.insert(5, Fire::Waker(Waker::noop().clone()));
        }
        fire_timers(&shared, 5, false, || ());
        assert_eq!(shared.next(), None);
        shared
            .timers
            .insert(1_000_000, Fire::Waker(Waker::noop().clone()));
        assert_eq!(shared.next(), Some(1_000_000), "later than that anyway");
    }
}
