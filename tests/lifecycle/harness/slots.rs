//! The arena's own invariants. The process has one arena, so the runs of several threads take turns.

use std::sync::{Mutex, MutexGuard, PoisonError};
use taskgrove::audit::{flush_thread, live_slots};

static ALONE: Mutex<()> = Mutex::new(());

/// The arena's slots during one run.
pub(crate) struct Slots {
    before: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Slots {
    pub(crate) fn alone() -> Self {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = live_slots(true);
        Slots { before, _alone }
    }

    /// Checks that no slots are left of the run, which is over.
    pub(crate) fn end(self) -> Result<(), String> {
        match live_slots(true) - self.before {
            0 => Ok(()),
            left => Err(format!("{left} slots are left of the run")),
        }
    }

    /// Checks that there is a slot for each live task, and no more than `all`, the number of tasks and services
    /// that were ever started.
    pub(crate) fn check(&self, live: usize, all: usize) -> Result<(), String> {
        let taken = live_slots(false) - self.before;
        if !(live..=all).contains(&taken) {
            return Err(format!("{taken} slots, should be {live} to {all}"));
        }
        Ok(())
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // The next run would count the slots in this thread's magazines as live.
        flush_thread();
    }
}
