//! [`Watcher`]: the sleeping worker that looks, now and then, for a task behind a long poll.
//!
//! A task that is alone in a worker's queue wakes no other worker: its own worker has mostly run it
//! before a sleeper is awake. But the poll that pushed it may last. So, while a worker is awake,
//! another sleeps no longer than [`PERIOD`]: the *watcher*. It then looks for something to steal, as
//! any sleeper does that wakes. The idea is that of Go's `sysmon`, without a thread of its own.
//!
//! A worker that falls asleep decides under the lock of the list whether to watch. A worker that is
//! awake is one that is not in the list. So one of three holds: a sleeper watches; all workers sleep;
//! or the next push of a lone task wakes a worker ([`Idle::pushed_locally`](super::Idle::pushed_locally)).
//! Hence no task waits longer than [`PERIOD`] behind a poll while a worker sleeps; tasks pushed behind
//! a lone one are stolen with it.
//!
//! The price is one wake-up each [`PERIOD`] while other workers work, and a second wake-up for an
//! event that reaches a runtime which was idle for longer than that, if the event's task pushes
//! another.
//!
//! With sockets, the watcher also looks whether a worker waits for these, see [`poller`](super::poller).

use super::sleepers::Sleepers;
use crate::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a watcher sleeps.
pub(super) const PERIOD: Duration = Duration::from_millis(2);

/// Whether one of the sleepers is the watcher.
pub(super) struct Watcher {
    /// How many workers there are, asleep or not.
    workers: usize,
    /// Written under the lock of the list, read under it and by workers that push. Relaxed: where the
    /// list matters, its lock orders the accesses; for a push, the counters do, see
    /// [`is_posted`](Watcher::is_posted).
    is_posted: AtomicBool,
}

impl Watcher {
    pub(super) fn new(workers: usize) -> Self {
        Watcher {
            workers,
            is_posted: AtomicBool::new(false),
        }
    }

    /// Whether a sleeper watches.
    ///
    /// A worker that pushes asks after its [fence](super::counters::Counters::fence). A watcher that
    /// was taken off the list clears the flag before its own change of the counters. If that change
    /// comes before the fence, the fence acquires it, and this returns `false`. If it comes after the
    /// fence, the watcher sees the push when it looks at the queues next. A worker that pushes is
    /// awake and not in the list, so no watcher resigns meanwhile because all workers sleep.
    pub(super) fn is_posted(&self) -> bool {
        self.is_posted.load(Ordering::Relaxed)
    }

    /// Decides whether the sleeper at `me` is the watcher; `is_new`: it has just come, else it looks again.
    /// Under the lock of the list.
    pub(super) fn plan(&self, sleepers: &mut Sleepers, me: usize, is_new: bool) {
        let sleeper = &sleepers[me];
        let (is_watcher, polls) = (sleeper.is_watcher, sleeper.polls.get());
        if !sleeper.is_worker {
            return;
        }
        if is_watcher || (is_new || polls) && !self.is_posted() {
            let away = !polls && sleepers.poller_left.get();
            if is_watcher {
                sleepers.poller_left.set(false);
            }
            self.decide(sleepers, me, away);
        } else if is_new
            && !polls
            && let Some(other) = sleepers.position(|s| s.is_watcher && s.polls.get())
        {
            // A poller leaves the watch to another sleeper, since its time limit ends a wait that needs none.
            sleepers.get_mut(other).is_watcher = false;
            self.decide(sleepers, me, true);
        }
    }

    /// Makes this sleeper the watcher if a worker is awake, or the poller was `away` a moment ago, and no
    /// watcher otherwise. Under the lock of the list.
    pub(super) fn decide(&self, sleepers: &mut Sleepers, at: usize, away: bool) {
        let watches = away || sleepers.workers() < self.workers;
        sleepers.get_mut(at).is_watcher = watches;
        self.is_posted.store(watches, Ordering::Relaxed);
    }

    /// The watcher was taken off the list. Under its lock.
    pub(super) fn has_left(&self) {
        self.is_posted.store(false, Ordering::Relaxed);
    }

    /// When a watcher looks next. loom has no time, and a deadline there has always passed: a
    /// watcher would look for ever.
    pub(super) fn next_look() -> Option<Instant> {
        (!cfg!(taskgrove_loom)).then(|| Instant::now() + PERIOD)
    }
}
