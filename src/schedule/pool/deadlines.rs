//! Timers and the pool: firing what is due, and how long a sleeper that keeps the time may sleep.
//!
//! A sleeper wakes for the earliest deadline, as exactly as the system lets it. Where timers are dense
//! that is too much: at a million a second the system's own slack makes a wake-up every 60 us, and
//! those cost more than the timers. So after a look that fired many, the next wake-up is at least
//! 100 us later, as it is for workers that are awake (they look at the clock about that often):
//! CPU time a timer went from 400 to 270 ns. Waking up every 250 us instead would save another 50.

use crate::schedule::idle::Deadlines;
use crate::sync::atomic::Ordering;
use crate::task::cell::is_tasks_own;
use crate::task::{Shared, current, wakes};
use std::time::Instant;

/// Timers are dense if so many were due at once.
const DENSE: usize = 16;
/// Nanoseconds between two wake-ups for dense timers, at least.
const APART: u64 = 100_000;

/// Wakes and starts what is due. Tasks first, with `give_away` into the injector: no code of the
/// user's runs in that. Then `before_others` is called, before a waker that is no task's.
pub(crate) fn fire_timers(
    shared: &Shared,
    now: u64,
    give_away: bool,
    before_others: impl FnOnce(),
) {
    shared.clock.saw(now);
    if shared.timers.next_deadline().is_none_or(|at| at > now) {
        return;
    }
    let mut others = Vec::new();
    let wake = |waker| {
        if is_tasks_own(&waker) {
            let _elsewhere = give_away.then(current::Elsewhere::pretend);
            waker.wake();
        } else {
            others.push(waker);
        }
    };
    let fired = (shared.timers).fire(now, usize::MAX, wake, |job| shared.schedule().job(job));
    if fired >= DENSE {
        shared
            .timers_rest_until
            .store(now + APART, Ordering::Relaxed);
    }
    if !others.is_empty() {
        before_others();
        wakes::wake_all(others);
    }
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
        // loom has no time: for a sleeper that would wake by itself, that time has come.
        #[cfg(taskgrove_loom)]
        self.clock.advance_to(ns);
        self.clock.instant(ns)
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;
    use crate::timer::{Clock, Fire};
    use std::task::Waker;

    /// What is next when so many timers were fired at 1 ms, and one is due 10 us later.
    fn next_after(count: usize) -> Option<u64> {
        let shared = Shared::new(Clock::manual(), false);
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
    fn few_timers_are_waited_for_exactly_and_many_together() {
        assert_eq!(next_after(0), Some(1_010_000));
        assert_eq!(next_after(DENSE - 1), Some(1_010_000));
        assert_eq!(next_after(DENSE), Some(1_000_000 + APART));
        assert_eq!(next_after(1_000), Some(1_000_000 + APART));
    }

    #[test]
    fn nothing_is_waited_for_when_there_is_nothing() {
        let shared = Shared::new(Clock::manual(), false);
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
