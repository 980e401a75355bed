//! When the workers of a runtime that shuts down count as stuck.

use std::time::Duration;

/// Time between two looks at what the workers get done.
pub(super) const LOOK: Duration = Duration::from_millis(10);
/// Looks in a row that find nothing new.
const LOOKS: u32 = 10;

/// Counts looks, not time: while the process is stopped, or the machine sleeps, nothing gets on and
/// nothing is stuck. However long that lasts, it is one look.
pub(super) struct Stuck {
    seen: u64,
    in_vain: u32,
}

impl Stuck {
    pub(super) fn new(progress: u64) -> Self {
        Stuck {
            seen: progress,
            in_vain: 0,
        }
    }

    /// Whether no worker has got on for [`LOOKS`] looks. To be called after each [`LOOK`].
    pub(super) fn look(&mut self, progress: u64) -> bool {
        if std::mem::replace(&mut self.seen, progress) == progress {
            self.in_vain += 1;
        } else {
            self.in_vain = 0;
        }
        self.in_vain >= LOOKS
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_finds_something_begins_anew() {
        let mut stuck = Stuck::new(7);
        for progress in [8, 9, 10] {
            for _ in 0..LOOKS {
                assert!(!stuck.look(progress));
            }
        }
        assert!(stuck.look(10));
    }

    #[test]
    fn one_look_is_not_enough_however_late_it_comes() {
        let mut stuck = Stuck::new(7);
        assert!(!stuck.look(7));
        assert!(!stuck.look(7));
    }
}
