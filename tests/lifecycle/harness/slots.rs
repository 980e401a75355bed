//! The arena's own invariants, in builds with debug assertions: it is one for the process, so the
//! runs of several threads take turns.

use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// What the arena has to do with one run.
pub(crate) struct Slots {
    before: usize,
    _alone: MutexGuard<'static, ()>,
}

/// Looks the arena over, and counts its live slots.
fn look(thorough: bool) -> usize {
    #[cfg(debug_assertions)]
    return taskgrove::audit::live_slots(thorough);
    #[cfg(not(debug_assertions))]
    {
        let _ = thorough;
        0
    }
}

impl Slots {
    pub(crate) fn alone() -> Self {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = look(true);
        Slots { before, _alone }
    }

    /// The run is over: it has none.
    pub(crate) fn end(self) -> Result<(), String> {
        match look(true) - self.before {
            0 => Ok(()),
            left => Err(format!("{left} slots are left of the run")),
        }
    }

    /// A slot for each task that is live, and at most `all`: for every task and service that ever was.
    pub(crate) fn check(&self, live: usize, all: usize) -> Result<(), String> {
        let taken = look(false) - self.before;
        if cfg!(debug_assertions) && !(live..=all).contains(&taken) {
            return Err(format!("{taken} slots, should be {live} to {all}"));
        }
        Ok(())
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // What lies in this thread's magazines would be counted as live by the next.
        #[cfg(debug_assertions)]
        taskgrove::audit::flush_thread();
    }
}
