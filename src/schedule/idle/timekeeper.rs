//! Which sleepers wake for a timer: the *timekeeper*, and its *backup*.
//!
//! There is no timer thread. One sleeper, the timekeeper, parks until the earliest deadline. It
//! reads that deadline under the lock of the list. A thread that inserts a new earliest deadline
//! takes the lock after the insertion ([`Idle::timer_changed`](super::Idle::timer_changed)). If the
//! timekeeper's section comes first, the inserter finds it in the list and wakes it; if it comes
//! second, the lock makes it see the deadline.
//!
//! A timekeeper whose deadline has passed leaves the list and fires what is due. It is mostly asleep
//! again, with the next deadline, before that one passes. So it wakes no thread to take its place. But
//! the poll that a timer starts may last. So another sleeper is the backup: it sleeps until at most
//! [`BACKUP_NS`] after the timekeeper's deadline, and then looks whether a timer is due that no thread
//! has fired. If one is, it leaves and fires it, and becomes the timekeeper when it parks. A sleeper
//! that parks decides under the lock which of the two it is.
//!
//! # Invariant
//!
//! Whenever the lock is free, a timer is pending and a thread sleeps, one of these holds:
//!
//! 1. the timekeeper sleeps, until that timer at most, or has been unparked;
//! 2. a sleeper wakes by itself at most [`BACKUP_NS`] after the timer.
//!
//! A timekeeper or backup that leaves could break it, and so could a new earliest deadline while no
//! timekeeper sleeps. Each of these asks [`to_wake`], and wakes a sleeper if the timer is not
//! covered. A deadline that moves to a later time makes the backup early, never late.
//!
//! While no thread sleeps, workers read the clock every few polls. Where timers are dense, the
//! timekeeper's deadline may be later than the earliest one (see `schedule/deadlines.rs`); a deadline
//! that is inserted in between then wakes it early, which costs a round and nothing else.

use super::sleepers::{Sleeper, Sleepers};
use crate::timer_queue::NEVER;
use std::time::Instant;

/// How much later than a timer the backup may wake, in nanoseconds. While timers come and go it wakes
/// once in this time to find nothing: a longer time costs less, and lets a timer wait longer behind a
/// poll.
pub(super) const BACKUP_NS: u64 = 20_000_000;

/// The runtime's timers, as parking needs them. Times are nanoseconds of the runtime's clock.
pub(crate) trait Deadlines {
    /// The earliest deadline that a sleeper has to wake for.
    fn next(&self) -> Option<u64>;
    /// The time now.
    fn now(&self) -> u64;
    /// The system's time at `ns` of the runtime's clock.
    fn instant(&self, ns: u64) -> Instant;
}

impl Sleeper {
    /// The timer that this sleeper wakes for, or soon after; `None` if it wakes for none.
    pub(super) fn covers(&self) -> Option<u64> {
        let late = if self.is_timekeeper { 0 } else { BACKUP_NS };
        (self.until != NEVER).then(|| self.until.saturating_sub(late))
    }
}

/// Decides whether the sleeper at `me` is the timekeeper, the backup or neither, and until when it
/// sleeps. `is_new`: it has just come; else it woke by itself and looks again. Under the lock of the
/// list.
pub(super) fn plan(sleepers: &mut Sleepers, me: usize, time: &impl Deadlines, is_new: bool) {
    let next = time.next().unwrap_or(NEVER);
    let timekeeper = sleepers.position(|sleeper| sleeper.is_timekeeper);
    let takes_over = match timekeeper {
        // A sleeper that looks again leaves the time to the timekeeper, which is awake and will be
        // back soon.
        None => is_new,
        // A worker replaces a `block_on` thread, which could only pass the work on.
        Some(at) => at == me || is_new && sleepers[me].is_worker && !sleepers[at].is_worker,
    };
    let until = if takes_over {
        if let Some(before) = timekeeper {
            sleepers.get_mut(before).is_timekeeper = false;
        }
        sleepers.get_mut(me).is_timekeeper = true;
        next
    } else {
        // A timekeeper that overslept goes by the next deadline, too.
        let expected = timekeeper.map_or(next, |at| sleepers[at].until.max(next));
        let late = expected.saturating_add(BACKUP_NS);
        let mut others = sleepers.iter().enumerate();
        let has_backup =
            others.any(|(at, other)| at != me && !other.is_timekeeper && other.until <= late);
        if has_backup { NEVER } else { late }
    };
    sleepers.get_mut(me).until = until;
}

/// The position of the sleeper to wake so that the timer at `deadline` is covered; `None` if it is, or if no
/// thread sleeps.
pub(super) fn to_wake(sleepers: &Sleepers, deadline: u64) -> Option<usize> {
    if sleepers.is_empty() || is_covered(sleepers, deadline) {
        return None;
    }
    let worker = sleepers.position(|s| s.is_worker && !s.polls.get());
    let worker = worker.or_else(|| sleepers.position(|s| s.is_worker));
    Some(worker.unwrap_or(0))
}

/// Whether a sleeper wakes for the timer at `deadline`, or soon after: part of the invariant.
fn is_covered(sleepers: &Sleepers, deadline: u64) -> bool {
    let late = deadline.saturating_add(BACKUP_NS);
    sleepers
        .iter()
        .any(|sleeper| sleeper.is_timekeeper || sleeper.until <= late)
}
